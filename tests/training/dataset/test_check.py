"""The checker: finds every planted fault in the right place, and nothing in a clean folder."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_training.dataset.faults import KINDS
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import as_coco, as_csv, as_yolo, write_clean
from .corpus_coco import PLANTS
from .test_whole import OF_WHOLE

# These need the whole root to themselves
ALONE = {
    "labels-other-format", "class-few", "class-good", "no-good-parts", "photo-grey", "photo-across-splits",
    "photo-near-across-splits", "photo-near-good-and-bad", "split-incomplete", "no-boxes",
}  # fmt: skip
NOT_PLANTED = {"file-unreadable"}  # root reads everything: planted in a test of its own


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    write_clean(folder)
    return folder


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


def spoiled(clean: Path, tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "src"
    shutil.copytree(clean, folder)
    PLANTS[name][3](folder)
    return folder


def test_a_clean_folder_has_no_finding(clean: Path) -> None:
    assert look(clean).findings == []


@pytest.mark.parametrize("convert", [as_yolo, as_coco, as_csv])
def test_a_clean_folder_in_another_format_says_the_same(clean: Path, tmp_path: Path, convert) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(clean, tmp_path / "src")
    convert(tmp_path / "src")
    wanted, found = look(clean), look(tmp_path / "src")
    # A CSV has no line for a good part
    allowed = {"photo-unlabelled", "no-good-parts"} if convert is as_csv else set()
    assert {one.kind for one in found.findings} == allowed
    for one, other in zip(wanted.photos, found.photos, strict=True):
        assert [box.category for box in one.boxes] == [box.category for box in other.boxes]
        for box, again in zip(one.boxes, other.boxes, strict=True):
            assert again.edges == pytest.approx(box.edges)


def test_every_kind_of_fault_is_planted() -> None:
    assert {kind for kind, _, _, _ in PLANTS.values()} | NOT_PLANTED | OF_WHOLE == set(KINDS)
    assert len(KINDS) >= 40


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found_where_it_is_and_fixed(clean: Path, tmp_path: Path, name: str) -> None:
    kind, file, number, _ = PLANTS[name]
    folder = spoiled(clean, tmp_path, name)
    found = look(folder)
    assert (kind, file, number) in [(one.kind, one.file, one.number) for one in found.findings]
    for one in found.findings:
        assert all(one.as_dict()[key] for key in ("found", "allowed", "hint")), one
    # No error beside the planted one that it does not bring with it
    assert {one.kind for one in found.findings if one.severity == "error"} <= {kind}
    before = snapshot(folder)
    fix(folder, tmp_path / "fixed", rename={"7": "burr"} if "7" in found.named else None, processes=1)
    assert snapshot(folder) == before
    mended = look(tmp_path / "fixed")
    # Nobody can know what was meant, or where there are burrs
    beyond = {"class-scripts"} if "sp\u0430tter" in found.named else set()
    left = {one.kind for one in mended.findings if one.severity == "error"}
    assert left <= beyond | ({"no-boxes"} if kind == "no-boxes" or name == "coco_category_id_twice" else set())


def test_all_faults_at_once_are_found_and_none_is_crashed_on(clean: Path, tmp_path: Path) -> None:
    """Each in a folder of its own below one root; those that need the whole root to themselves are left out."""
    planted = []
    for name, (kind, file, number, plant) in PLANTS.items():
        if kind in ALONE or "yolo" in name or "coco" in name:
            continue
        folder = tmp_path / "src" / name
        folder.mkdir(parents=True)
        for path in (*clean.glob("p01.*"), *clean.glob("p02.*")):
            shutil.copyfile(path, folder / path.name)
        plant(folder)
        planted.append((kind, f"{name}/{file}", number))
    found = {(one.kind, one.file, one.number) for one in look(tmp_path / "src").findings}
    missed = [one for one in planted if one not in found]
    print(f"planted {len(planted)}, found {len(planted) - len(missed)}")
    assert missed == []


def snapshot(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_the_command_prints_findings_by_kind_and_json_and_exits_with_1(clean: Path, tmp_path: Path) -> None:
    folder = spoiled(clean, tmp_path, "a_box_over_the_right_edge")
    told = CliRunner().invoke(main, ["dataset", "check", str(folder), "--workers", "1"])
    assert told.exit_code == 1
    assert "box-outside" in told.output
    assert "p01.xml object 1" in told.output
    assert f"sealpin dataset fix {folder}" in told.output
    answer = CliRunner().invoke(main, ["dataset", "check", str(folder), "--workers", "1", "--json"])
    assert answer.exit_code == 1
    document = json.loads(answer.stdout)
    assert (document["photos"], document["errors"], document["warnings"]) == (44, 1, 0)
    (finding,) = document["findings"]
    assert finding["file"] == "p01.xml"
    assert finding["object"] == 1
    assert (finding["kind"], finding["severity"]) == ("box-outside", "error")
    assert all(finding[key] for key in ("found", "allowed", "hint"))
    clean_answer = CliRunner().invoke(main, ["dataset", "check", str(clean), "--workers", "1"])
    assert clean_answer.exit_code == 0


def test_the_advice_of_a_finding_is_the_summarys(clean: Path, tmp_path: Path) -> None:
    folder = spoiled(clean, tmp_path, "a_box_without_width")
    told = CliRunner().invoke(main, ["dataset", "check", str(folder), "--workers", "1", "--classes", "burr,spatter"])
    assert "advice: let dataset fix drop the object\n" in told.output
    assert told.output.endswith(f"next: sealpin dataset fix {folder} OUT --classes burr,spatter\n")
    refused = CliRunner().invoke(main, ["dataset", "convert", str(folder), str(tmp_path / "out"), "--workers", "1"])
    assert "advice:  let dataset fix drop the object\n" in refused.output
    assert f"next:    sealpin dataset check {folder}\n" in refused.output
    for kind, row in KINDS.items():
        assert row.advice.startswith("let dataset fix ") == bool(row.fix), kind
        assert not (row.fix and "save it again" in row.advice and "?" not in row.advice), kind


def test_the_table_in_the_guide_is_the_table_in_the_code() -> None:
    rows = ["| kind | | problem | `dataset fix` |", "|---|---|---|---|"]
    rows += [f"| `{kind}` | {row.severity} | {row.problem} | {row.fix} |" for kind, row in KINDS.items()]
    rows = [re.sub(r"(<\w+>)", r"`\1`", row) for row in rows]
    guide = (Path(__file__).parents[3] / "datasets/README.md").read_text()
    assert "\n".join(rows) in guide, "\n".join(rows)


def test_a_folder_in_which_no_photo_can_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    voc.write(tmp_path / "b.xml", "b.jpg", 9, 9, [])
    assert [one.kind for one in look(tmp_path).findings] == [
        "labels-without-photo", "photo-unreadable", "no-boxes", "photo-unlabelled"
    ]  # fmt: skip


def test_yolo_class_names_and_csv_separators_of_other_programs(clean: Path, tmp_path: Path) -> None:
    shutil.copytree(clean, tmp_path / "yolo")
    as_yolo(tmp_path / "yolo")
    (tmp_path / "yolo/classes.txt").rename(tmp_path / "yolo/obj.names")
    assert look(tmp_path / "yolo").findings == []
    (tmp_path / "yolo/obj.names").unlink()
    (tmp_path / "yolo/data.yaml").write_text("train: images\nnames:\n  0: burr\n  1: spatter\n")
    assert look(tmp_path / "yolo").findings == []
    shutil.copytree(clean, tmp_path / "csv")
    as_csv(tmp_path / "csv")
    labels = tmp_path / "csv/labels.csv"
    labels.write_text("\ufeff" + labels.read_text().replace(",", ";"))
    assert {one.kind for one in look(tmp_path / "csv").findings} == {"photo-unlabelled", "no-good-parts"}


def test_a_photo_that_cannot_be_read_makes_no_faults_of_its_boxes(clean: Path, tmp_path: Path) -> None:
    shutil.copytree(clean, tmp_path / "src")
    as_yolo(tmp_path / "src")
    (tmp_path / "src/p01.jpg").write_bytes(b"")
    assert [one.kind for one in look(tmp_path / "src").findings] == ["photo-empty"]
