"""Photos and XML in, records out: what arrives, what is refused, and that it is repeatable."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_edge.photo import decode_photo, encode_jpeg, stretch
from sealpin_training.dataset import convert, load_dataset, read_folder
from sealpin_training.records import read_records
from sealpin_training.voc import Annotation, Box, read_annotation, write_annotation

WIDTH, HEIGHT = 80, 60


def add_part(folder: Path, name: str, boxes: tuple[Box, ...] = (), *, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    photo = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    path = folder / f"{name}.jpg"
    path.write_bytes(encode_jpeg(photo))
    write_annotation(path.with_suffix(".xml"), Annotation(path.name, WIDTH, HEIGHT, boxes))
    return path


PR, QA = Box("PR", 10, 12, 40, 30), Box("QA", 50, 5, 60, 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(20):
        add_part(tmp_path / "src", f"part_{number:02d}", ((), (PR,), (QA,), (PR, QA))[number % 4], seed=number)
    return tmp_path / "src"


def test_records_hold_what_the_folder_holds(source: Path, tmp_path: Path) -> None:
    dataset = convert(source, tmp_path / "out")
    assert dataset.classes == ("PR", "QA")
    assert sum(dataset.counts.values()) == 20
    assert all(dataset.counts.values())
    records = {
        record.name: record
        for split in dataset.counts
        for record in read_records(dataset.folder, split, dataset.classes)
    }
    assert len(records) == 20
    for photo in read_folder(source):
        record = records[photo.name]
        assert record.data == photo.path.read_bytes()
        assert [box.category for box in record.boxes] == [box.category for box in photo.boxes]
        for found, given_box in zip(record.boxes, photo.boxes, strict=True):
            assert [found.xmin, found.ymin, found.xmax, found.ymax] == pytest.approx(
                [given_box.xmin, given_box.ymin, given_box.xmax, given_box.ymax], abs=1e-4
            )
    summary = json.loads((dataset.folder / "dataset.json").read_text())
    assert {photo["name"] for photo in summary["photos"]} == set(records)
    assert (dataset.folder / "label_map.pbtxt").read_text().count("item {") == 2


def test_tf_visions_own_decoder_reads_the_records(source: Path, tmp_path: Path) -> None:
    import tensorflow as tf
    from official.vision.dataloaders import tf_example_decoder

    dataset = convert(source, tmp_path / "out")
    decoder = tf_example_decoder.TfExampleDecoder()
    seen = 0
    for record, raw in zip(
        read_records(dataset.folder, "train", dataset.classes),
        tf.data.TFRecordDataset([str(path) for path in sorted(dataset.folder.glob("train-*"))]),
        strict=True,
    ):
        decoded = decoder.decode(raw)
        assert decoded["image"].shape == (HEIGHT, WIDTH, 3)
        boxes = decoded["groundtruth_boxes"].numpy() * [HEIGHT, WIDTH, HEIGHT, WIDTH]
        wanted = [[box.ymin, box.xmin, box.ymax, box.xmax] for box in record.boxes]
        np.testing.assert_allclose(boxes, np.reshape(wanted, (-1, 4)), atol=1e-3)
        labels = [dataset.classes.index(box.category) + 1 for box in record.boxes]
        assert decoded["groundtruth_classes"].numpy().tolist() == labels
        seen += 1
    assert seen == dataset.counts["train"]


def test_the_same_input_and_seed_give_the_same_bytes_and_another_seed_another_split(
    source: Path, tmp_path: Path
) -> None:
    first, again, other = (convert(source, tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    files = sorted(path.name for path in first.folder.iterdir())
    assert files == sorted(path.name for path in again.folder.iterdir())
    for name in files:
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert first.digest == again.digest != other.digest


def test_every_mix_of_categories_is_dealt_to_every_split(tmp_path: Path) -> None:
    for number in range(80):
        add_part(tmp_path / "src", f"p{number}", ((), (PR,))[number % 2], seed=number)
    summary = json.loads((convert(tmp_path / "src", tmp_path / "out").folder / "dataset.json").read_text())
    assert summary["counts"]["train"] == {"photos": 56, "good": 28, "boxes": {"PR": 28}}
    for split in ("val", "test"):
        assert summary["counts"][split] == {"photos": 12, "good": 6, "boxes": {"PR": 6}}


def test_merge_folds_categories(source: Path, tmp_path: Path) -> None:
    arguments = [
        "dataset",
        "convert",
        str(source),
        str(tmp_path / "out"),
        "--merge",
        "PR=burr",
        "--merge",
        "QA=burr",
        "--json",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["classes"] == ["burr"]


def test_photos_and_xml_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    photo = add_part(tmp_path / "src/images", "a", (PR,))
    (tmp_path / "src/annotations").mkdir()
    photo.with_suffix(".xml").rename(tmp_path / "src/annotations/a.xml")
    (found,) = read_folder(tmp_path / "src")
    assert found.name == "images/a.jpg"
    assert found.boxes == (PR,)


def test_links_out_of_the_folder_are_not_followed(source: Path, tmp_path: Path) -> None:
    add_part(tmp_path / "elsewhere", "secret")
    (source / "link").symlink_to(tmp_path / "elsewhere")
    assert len(read_folder(source)) == 20


BOMB = '<!DOCTYPE a [<!ENTITY b "' + "x" * 99 + '"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        (None, "has no XML"),
        ("", "is not XML"),
        ("<annotation><object></annotation>", "is not XML"),
        ("<html/>", "not a Pascal VOC annotation"),
        (BOMB, "document type or entities"),
        ("<annotation><object><name>PR</name></object></annotation>", "object 1 has no <bndbox>"),
        ("<annotation><object/></annotation>", "object 1 has no name"),
        ("box 10 10 10 20", "empty or inverted"),
        ("box 40 10 10 20", "empty or inverted"),
        ("box 10 10 nan 20", "is not a number"),
        ("box 10 10 x 20", "is not a number"),
        ("box 10 10 200 20", "outside the photo"),
        ("size 60 80", "another size"),
    ],
)
def test_a_bad_label_is_refused_with_its_file_and_nothing_is_written(
    source: Path, tmp_path: Path, xml: str | None, told: str
) -> None:
    path = source / "part_03.xml"
    if xml is None:
        path.unlink()
    elif xml.startswith("box"):
        _, xmin, ymin, xmax, ymax = xml.split()
        path.write_text(
            f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size><object><name>PR</name><bndbox>"
            f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object></annotation>"
        )
    elif xml.startswith("size"):
        _, width, height = xml.split()
        path.write_text(f"<annotation><size><width>{width}</width><height>{height}</height></size></annotation>")
    else:
        path.write_text(xml)
    result = CliRunner().invoke(main, ["dataset", "convert", str(source), str(tmp_path / "out")])
    assert result.exit_code == 2
    assert told in result.output
    assert "part_03" in result.output
    assert "Traceback" not in result.output
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["src"]


@pytest.mark.parametrize("keep", [0, 100, 1500])
def test_an_unreadable_photo_is_refused(source: Path, tmp_path: Path, keep: int) -> None:
    photo = source / "part_05.jpg"
    photo.write_bytes(photo.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"part_05\.jpg: this photo cannot be read"):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_bad_files_are_told_at_once(source: Path, tmp_path: Path) -> None:
    for number in (1, 4):
        (source / f"part_{number:02d}.xml").write_text("<html/>")
    with pytest.raises(InputError, match="2 problems") as caught:
        convert(source, tmp_path / "out")
    assert "part_01.xml" in str(caught.value)
    assert "part_04.xml" in str(caught.value)


@pytest.mark.parametrize("case", ["missing", "empty", "no boxes", "merge"])
def test_a_folder_that_is_no_dataset_is_told(source: Path, tmp_path: Path, case: str) -> None:
    merge, src = {}, tmp_path / "other"
    if case != "missing":
        src.mkdir()
    if case == "no boxes":
        add_part(src, "a")
    if case == "merge":
        src, merge = source, {"XX": "burr"}
    with pytest.raises(InputError):
        convert(src, tmp_path / "out", merge=merge)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken_is_left_alone(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out")
    with pytest.raises(InputError, match="in the way"):
        convert(source, tmp_path / "out")
    load_dataset(tmp_path / "out")


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).map(str.strip).filter(bool)
edges = st.integers(0, 500)


@given(st.lists(st.tuples(names, edges, edges, st.integers(1, 99), st.integers(1, 99)), max_size=5), names)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_an_annotation_is_read_as_it_was_written(
    tmp_path: Path, items: list[tuple[str, int, int, int, int]], photo: str
) -> None:
    boxes = tuple(Box(name, x, y, x + width, y + height) for name, x, y, width, height in items)
    annotation = Annotation(photo, 1000, 1000, boxes)
    write_annotation(tmp_path / "a.xml", annotation)
    assert read_annotation(tmp_path / "a.xml") == annotation


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_no_bytes_crash_the_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_annotation(path)


def test_the_stations_resize_is_tensorflows(tmp_path: Path) -> None:
    import tensorflow as tf

    photo = decode_photo(add_part(tmp_path, "a").read_bytes())
    for height, width in ((32, 48), (HEIGHT, WIDTH), (100, 64)):
        wanted = np.round(tf.image.resize(photo, (height, width)).numpy())
        assert np.abs(stretch(photo, height, width).astype(float) - wanted).max() <= 1
