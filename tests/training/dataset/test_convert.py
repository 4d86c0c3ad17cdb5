"""Photos and XML in, records out: what arrives, what is refused, and that it is repeatable."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import encode_jpeg
from sealpin_training.dataset.convert import Plan
from sealpin_training.dataset.convert import convert as convert_folder
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.manifest import Dataset, load_dataset
from sealpin_training.dataset.records import read_records
from sealpin_training.dataset.split import SPLITS, Part, same_part, split
from sealpin_training.dataset.tfrecord import example, floats, frame, ints, texts

WIDTH, HEIGHT = 80, 60


def add_part(folder: Path, name: str, boxes: tuple[Box, ...] = (), *, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    photo = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    path = folder / f"{name}.jpg"
    path.write_bytes(encode_jpeg(photo))
    voc.write(path.with_suffix(".xml"), path.name, WIDTH, HEIGHT, boxes)
    return path


def convert(src: Path, out: Path, **plan: object) -> Dataset:
    return convert_folder(src, out, Plan(**plan), processes=1)[0]  # type: ignore[arg-type]


def where(dataset: Dataset) -> dict[str, str]:
    photos = json.loads((dataset.folder / "dataset.json").read_text())["photos"]
    return {photo["name"]: photo["split"] for photo in photos}


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
    for path in source.glob("*.jpg"):
        record = records[path.name]
        assert record.data == path.read_bytes()
        boxes = voc.read_boxes(path.with_suffix(".xml"))
        assert [box.category for box in record.boxes] == [box.category for box in boxes]
        for found, given_box in zip(record.boxes, boxes, strict=True):
            assert found.edges == pytest.approx(given_box.edges, abs=1e-4)
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


@pytest.mark.parametrize("processes", [2, 3])
def test_the_same_input_and_seed_give_the_same_bytes_on_any_number_of_workers(
    source: Path, tmp_path: Path, processes: int
) -> None:
    first = convert(source, tmp_path / "a")
    again, _ = convert_folder(source, tmp_path / "b", processes=processes)
    other = convert(source, tmp_path / "c", seed=1)
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
    for name in ("val", "test"):
        assert summary["counts"][name] == {"photos": 12, "good": 6, "boxes": {"PR": 6}}


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


@pytest.mark.parametrize("name", ["pr", "PR ", " Pr"])
def test_merge_makes_no_class_in_two_spellings(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="one class in two spellings"):
        convert(source, tmp_path / "out", merge={"QA": name})
    assert not (tmp_path / "out").exists()


def test_photos_and_xml_may_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    photo = add_part(tmp_path / "src/images", "a", (PR,))
    (tmp_path / "src/annotations").mkdir()
    photo.with_suffix(".xml").rename(tmp_path / "src/annotations/a.xml")
    dataset = convert(tmp_path / "src", tmp_path / "out")
    assert where(dataset) == {"images/a.jpg": "train"}
    (record,) = read_records(dataset.folder, "train", dataset.classes)
    assert [box.category for box in record.boxes] == ["PR"]


def test_photos_without_labels_are_left_out_or_taken_as_good(source: Path, tmp_path: Path) -> None:
    (source / "part_03.xml").unlink()
    left = CliRunner().invoke(main, ["dataset", "convert", str(source), str(tmp_path / "left"), "--workers", "1"])
    assert left.exit_code == 0, left.output
    assert "1 photos without labels left out" in left.output
    assert "part_03.jpg" not in where(load_dataset(tmp_path / "left"))
    words = ["dataset", "convert", str(source), str(tmp_path / "taken"), "--workers", "1", "--unlabelled", "good"]
    said = CliRunner().invoke(main, words).output
    taken = load_dataset(tmp_path / "taken")
    assert sum(taken.counts.values()) == 20
    assert "1 photos without labels are good parts now, by --unlabelled good: part_03.jpg\n" in said
    assert f"{20 - len(taken.bad)} of them good parts" in said
    assert "part_03.jpg" not in taken.bad
    summary = json.loads((taken.folder / "dataset.json").read_text())
    assert next(photo for photo in summary["photos"] if photo["name"] == "part_03.jpg")["boxes"] == 0


def test_an_earlier_split_is_kept_when_photos_are_added(source: Path, tmp_path: Path) -> None:
    before = where(convert(source, tmp_path / "a"))
    for number in range(20, 60):
        add_part(source, f"new_{number}", (PR,), seed=number)
    shutil.move(source / "part_07.jpg", source / "renamed.jpg")
    shutil.move(source / "part_07.xml", source / "renamed.xml")
    after = where(convert(source, tmp_path / "b", keep=tmp_path / "a", seed=5))
    assert {name: home for name, home in after.items() if name in before} == {
        name: home for name, home in before.items() if name != "part_07.jpg"
    }
    assert after["renamed.jpg"] == before["part_07.jpg"]
    assert 40 <= list(after.values()).count("train") <= 44


def test_a_split_that_was_edited_is_not_kept(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "a")
    file = tmp_path / "a/dataset.json"
    file.write_text(file.read_text().replace('"split": "test"', '"split": "train"', 1))
    with pytest.raises(InputError, match="not a converted dataset"):
        convert(source, tmp_path / "b", keep=tmp_path / "a")


def test_what_is_no_longer_as_in_the_earlier_dataset_is_told(source: Path, tmp_path: Path) -> None:
    def again(*words: str) -> str:
        told = CliRunner().invoke(main, ["dataset", "convert", str(source), *words, "--workers", "1"])
        assert told.exit_code == 0, told.output
        return told.stdout

    earlier = tmp_path / "a"
    again(str(earlier))
    assert str(earlier) not in again(str(tmp_path / "same"), "--keep", str(earlier))
    bad = sorted(load_dataset(earlier).bad)
    voc.write(source / f"{bad[0][:-4]}.xml", bad[0], 80, 60, ())
    (source / bad[1]).unlink()
    (source / f"{bad[1][:-4]}.xml").unlink()
    told = again(str(tmp_path / "b"), "--keep", str(earlier))
    assert f"1 photos of {earlier} are not here by their names" in told
    assert f"1 photos with objects there are good parts here: {bad[0]}" in told
    assert "in another split" not in told


def test_photos_of_one_part_and_of_one_shot_stay_together(tmp_path: Path) -> None:
    for number in range(60):
        add_part(tmp_path / "src", f"part{number // 3:02d}_{number % 3}", (PR,), seed=number)
    (tmp_path / "src/again.jpg").write_bytes((tmp_path / "src/part04_1.jpg").read_bytes())
    shutil.copy(tmp_path / "src/part04_1.xml", tmp_path / "src/again.xml")
    homes = where(convert(tmp_path / "src", tmp_path / "out", group=r"part(\d+)_"))
    for part in range(20):
        assert len({homes[f"part{part:02d}_{view}.jpg"] for view in range(3)}) == 1
    assert homes["again.jpg"] == homes["part04_1.jpg"]
    assert len(set(homes.values())) == 3


def test_folders_called_train_valid_and_test_are_the_split(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "train", "valid", "test")):
        add_part(tmp_path / "src" / name, f"p{number}", (PR,), seed=number)
    homes = where(convert(tmp_path / "src", tmp_path / "out"))
    assert homes == {"train/p0.jpg": "train", "train/p1.jpg": "train", "valid/p2.jpg": "val", "test/p3.jpg": "test"}


def test_a_part_whose_photos_have_places_in_two_splits_is_told(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "train", "val", "test")):
        add_part(tmp_path / "src" / name, f"part{number // 2}_{number}", (PR,), seed=number)
    found = r"test/part1_3\.jpg in test, val/part1_2\.jpg in val"
    with pytest.raises(InputError, match=rf"photos of one part are in different splits(.|\n)*{found}"):
        convert(tmp_path / "src", tmp_path / "out", group=r"part(\d)")
    assert not (tmp_path / "out").exists()
    assert len(where(convert(tmp_path / "src", tmp_path / "out", group=r"part\d_(\d)"))) == 4


@pytest.mark.parametrize("group", ["(", "nothing"])
def test_a_group_pattern_that_cannot_be_meant_is_told(source: Path, tmp_path: Path, group: str) -> None:
    with pytest.raises(InputError, match="--group"):
        convert(source, tmp_path / "out", group=group)


BOMB = '<!DOCTYPE a [<!ENTITY b "' + "x" * 99 + '"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ("", "is not XML"),
        ("<annotation><object></annotation>", "is not XML"),
        ("<html/>", "not a Pascal VOC annotation"),
        (BOMB, "document type or entities"),
        ("<annotation><object><name>PR</name></object></annotation>", "object 1: this object has no box"),
        ("<annotation><object/></annotation>", "object 1: this object has no name"),
        ("box 10 10 10 20", "no area"),
        ("box 40 10 10 20", "inverted"),
        ("box 10 10 nan 20", "not finite"),
        ("box 10 10 x 20", "is no number"),
        ("box 10 10 200 20", "out of the photo"),
        ("size 60 80", "swapped"),
        ("size 60 70", "another size"),
    ],
)
def test_a_bad_label_is_refused_with_its_file_and_nothing_is_written(
    source: Path, tmp_path: Path, xml: str, told: str
) -> None:
    path = source / "part_03.xml"
    if xml.startswith("box"):
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
    result = CliRunner().invoke(main, ["dataset", "convert", str(source), str(tmp_path / "out"), "--workers", "1"])
    assert result.exit_code == 2
    assert told in result.output
    assert "part_03" in result.output
    assert "Traceback" not in result.output
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["src"]


@pytest.mark.parametrize("keep", [0, 100, 1500])
def test_an_unreadable_photo_is_refused(source: Path, tmp_path: Path, keep: int) -> None:
    photo = source / "part_05.jpg"
    photo.write_bytes(photo.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"part_05\.jpg: this (photo|is no photo)"):
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


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)
edges = st.integers(0, 500)


@given(st.lists(st.tuples(names, edges, edges, st.integers(2, 99), st.integers(2, 99)), max_size=5), names)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_an_annotation_is_read_as_it_was_written(
    tmp_path: Path, items: list[tuple[str, int, int, int, int]], photo: str
) -> None:
    boxes = tuple(Box(name, x, y, x + width, y + height) for name, x, y, width, height in items)
    voc.write(tmp_path / "a.xml", photo, 1000, 900, boxes)
    labels = voc.read(tmp_path, "a.xml")
    assert (labels.filename, labels.size, labels.findings) == (photo, (1000, 900), [])
    assert voc.read_boxes(tmp_path / "a.xml") == boxes


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_no_bytes_crash_the_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    with pytest.raises(InputError):
        voc.read_boxes(path)


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.one_of(
            st.lists(st.binary(max_size=300), max_size=4),
            st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9),
            st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9),
        ),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=60)
def test_examples_are_tensorflows(values: Mapping[str, list[bytes] | list[int] | list[float]]) -> None:
    import tensorflow as tf

    def feature(items: list[bytes] | list[int] | list[float]) -> tuple[bytes, object]:
        if not items or isinstance(items[0], bytes):
            return texts(items), tf.train.Feature(bytes_list=tf.train.BytesList(value=items))  # type: ignore[arg-type]
        if isinstance(items[0], int):
            return ints(items), tf.train.Feature(int64_list=tf.train.Int64List(value=items))  # type: ignore[arg-type]
        return floats(items), tf.train.Feature(float_list=tf.train.FloatList(value=items))

    both = {key: feature(items) for key, items in values.items()}
    wanted = tf.train.Example(features=tf.train.Features(feature={key: theirs for key, (_, theirs) in both.items()}))
    written = example({key: ours for key, (ours, _) in both.items()})
    assert tf.train.Example.FromString(written) == wanted
    # Byte for byte, but that keys may come in any order
    assert sorted(written) == sorted(wanted.SerializeToString())


def test_records_are_framed_as_tensorflow_frames_them(tmp_path: Path) -> None:
    import tensorflow as tf

    data = [b"", b"x", bytes(range(256)) * 300]
    (tmp_path / "ours").write_bytes(b"".join(map(frame, data)))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for item in data:
            writer.write(item)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@given(st.lists(st.tuples(st.sampled_from([(), ("PR",), ("PR", "QA")]), st.integers(0, 8)), min_size=1, max_size=80))
@settings(deadline=None, max_examples=60)
def test_a_split_parts_no_group_and_keeps_its_shares(parts: list[tuple[tuple[str, ...], int]]) -> None:
    photos = [Part(f"g{group}_{number}.jpg", kinds) for number, (kinds, group) in enumerate(parts)]
    dealt = split(photos, 3, together=same_part([photo.name for photo in photos], r"g(\d)_"))
    assert dealt == split(photos, 3, together=same_part([photo.name for photo in photos], r"g(\d)_"))
    for group in range(9):
        assert len({dealt[photo.name] for photo in photos if photo.name.startswith(f"g{group}_")}) <= 1
    alone = split(photos, 3)
    for name, share in zip(SPLITS, (0.7, 0.15, 0.15), strict=True):
        assert abs(list(alone.values()).count(name) - share * len(photos)) <= 1.5
