"""Statistics, contact sheets and proposals, looked at through the commands."""

import json
import re
import shutil
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.model.photo import decode_photo
from sealpin_training.dataset.boxes import overlap
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.dataset.preview import CAPTION, COLUMNS, TILE
from sealpin_training.tasks.detect.anchors import Anchors
from tests.conftest import CELL, SIDE, write_parts

from .corpus import HEIGHT, PHOTOS, WIDTH, add, box, write_clean


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_clean(tmp_path / "src")
    return tmp_path / "src"


def run(*words: object) -> str:
    done = CliRunner().invoke(main, ["dataset", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_statistics_count_what_is_there(source: Path) -> None:
    (source / "p05.xml").unlink()
    document = json.loads(run("stats", source, "--workers", 1, "--json"))
    assert document["photos"] == {
        "all": PHOTOS, "good": 4, "bad": PHOTOS - 5, "unlabelled": 1, "sizes": {f"{WIDTH}x{HEIGHT}": PHOTOS}
    }  # fmt: skip
    assert document["boxes_per_photo"] == {"0": 4, "2": PHOTOS - 5}
    assert sum(one["boxes"] for one in document["classes"].values()) == 2 * (PHOTOS - 5)
    boxes = [box for path in source.glob("*.xml") for box in voc.read_boxes(path) if box.category == "burr"]
    widths = [(box.xmax - box.xmin) * 640 / WIDTH for box in boxes]
    assert document["classes"]["burr"]["width_px"] == pytest.approx(np.percentile(widths, [5, 50, 95]), abs=0.01)
    heat = np.array(document["heat_map"])
    assert heat[60, 56] == PHOTOS - 5, "each bad part has a box in this corner"
    assert heat[63, 0] == 0


def test_the_table_names_every_class_and_the_recipes_input(source: Path) -> None:
    recipe = Path(__file__).parents[3] / "pipelines/ssd_mobilenet_v2_fpnlite_320x320_demo.config"
    told = run("stats", source, "--workers", 1, "--recipe", recipe)
    assert "burr" in told and "spatter" in told
    assert "320x320" in told and "640x640" not in told


def test_sizes_are_told_for_both_of_the_usual_inputs_and_each_number_says_what_it_is(source: Path) -> None:
    told = run("stats", source, "--workers", 1)
    assert told.index("input of 640x640") < told.index("input of 320x320")
    assert "the median of all boxes, and from where to where nine of ten lie" in told
    document = json.loads(run("stats", source, "--workers", 1, "--json"))
    (small,) = document["other_inputs"]
    assert (document["input"], small["input"]) == ([640, 640], [320, 320])
    low, middle, high = document["classes"]["burr"]["width_px"]
    assert f"{middle:.3g} ({low:.3g} to {high:.3g})" in told
    assert small["classes"]["burr"]["width_px"] == pytest.approx([low / 2, middle / 2, high / 2], abs=0.001)


def test_a_page_draws_no_bar_that_stands_alone(tmp_path: Path) -> None:
    for number in range(3):
        add(tmp_path / "src", f"p{number}", (box(0),), number)
    run("stats", tmp_path / "src", "--workers", 1, "--report", tmp_path / "alone.html")
    page = (tmp_path / "alone.html").read_text()
    assert page.count("<img") == 4 and "How many" not in page
    add(tmp_path / "src", "good", (), 9)
    run("stats", tmp_path / "src", "--workers", 1, "--report", tmp_path / "two.html")
    page = (tmp_path / "two.html").read_text()
    assert page.count("<img") == 5 and "How many" in page
    assert "boxes on a photo" not in page, "a chart has it, not a table of a row for each number"


def test_the_report_holds_its_pictures(source: Path, tmp_path: Path) -> None:
    run("stats", source, "--workers", 1, "--report", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 5
    for data in pictures:
        shown = cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert shown.std() > 10
    assert "http" not in page


def test_contact_sheets_show_every_photo_and_its_boxes(source: Path, tmp_path: Path) -> None:
    assert "2 sheets" in run("preview", source, tmp_path / "sheets", "--workers", 1)
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["sheet-001.png", "sheet-002.png"]
    shown = decode_photo((tmp_path / "sheets/sheet-001.png").read_bytes())
    assert shown.shape == (4 * (TILE + CAPTION), COLUMNS * TILE, 3)
    scale, top = TILE / WIDTH, (TILE - HEIGHT * TILE / WIDTH) / 2
    box = voc.read_boxes(source / "p01.xml")[0]
    left_edge = round(TILE + box.xmin * scale)
    column = shown[round(top + (box.ymin + box.ymax) / 2 * scale), left_edge - 3 : left_edge + 3].astype(int)
    assert np.abs(column - [86, 180, 233]).sum(axis=1).min() < 30, "the second class is drawn in sky blue"


@given(st.floats(0, 500), st.floats(0, 500), st.floats(2, 140), st.floats(2, 140), st.integers(2, 5), st.integers(1, 3))
@settings(deadline=None)
def test_the_best_anchor_is_the_best_of_all_anchors(
    x: float, y: float, width: float, height: float, scale: int, per_octave: int
) -> None:
    anchors = Anchors(min_level=3, max_level=5, scale=float(scale), per_octave=per_octave)
    every = []
    for grid, w, h in anchors.shapes().tolist():
        for column in range(int(x / grid) - 1, int((x + width) / grid) + 2):
            for row in range(int(y / grid) - 1, int((y + height) / grid) + 2):
                across, down = (column + 0.5) * grid, (row + 0.5) * grid
                every.append((across - w / 2, down - h / 2, across + w / 2, down + h / 2))
    edges = (x, y, x + width, y + height)
    wanted = max(overlap(edges, anchor) for anchor in every)
    assert anchors.best_overlap(np.array([edges]))[0] == pytest.approx(wanted, abs=1e-6)


def test_the_default_anchors_are_those_of_the_original_recipe() -> None:
    from sealpin_training.tasks.detect.recipe import load_recipe

    recipe = load_recipe(Path(__file__).parents[3] / "pipelines/ssd_mobilenet_v2_fpnlite_640x640_120k.config")
    assert Anchors.of(recipe) == Anchors()


def test_proposals_count_as_unlabelled_until_a_person_saved_them(tmp_path: Path, toy_model: Path) -> None:
    photos = tmp_path / "photos"
    write_parts(photos, [[("PR", 2, 3)], [], [("QA", 5, 5)], [("PR", 1, 1)]])
    mine = [Box("QA", 10, 10, 60, 60)]
    voc.write(photos / "part_003.xml", "part_003.jpg", SIDE, SIDE, mine)
    document = json.loads(run("prelabel", photos, "--model", toy_model, "--json"))
    assert (document["photos"], document["boxes"], document["labelled"]) == (3, 2, 1)
    assert voc.read_boxes(photos / "part_003.xml") == tuple(mine)
    (box,) = voc.read_boxes(photos / "part_000.xml")
    assert box.category == "PR"
    assert box.edges == pytest.approx((2 * CELL, 3 * CELL, 3 * CELL, 4 * CELL), abs=2)

    checked = CliRunner().invoke(main, ["dataset", "check", str(photos), "--workers", "1", "--json"])
    kinds = [one["kind"] for one in json.loads(checked.stdout)["findings"]]
    assert kinds.count("labels-proposed") == 3
    run("convert", photos, tmp_path / "one", "--workers", 1)
    assert sum(load_dataset(tmp_path / "one").counts.values()) == 1
    # What labelImg writes when a person saves the file carries no mark
    for path in photos.glob("*.xml"):
        voc.write(path, f"{path.stem}.jpg", SIDE, SIDE, voc.read_boxes(path))
    run("convert", photos, tmp_path / "all", "--workers", 1)
    assert sum(load_dataset(tmp_path / "all").counts.values()) == 4


def test_proposals_skip_a_photo_that_cannot_be_read(tmp_path: Path, toy_model: Path) -> None:
    write_parts(tmp_path / "photos", [[("PR", 2, 3)], []])
    (tmp_path / "photos/bad.jpg").write_bytes(b"no photo")
    told = run("prelabel", tmp_path / "photos", "--model", toy_model)
    assert "bad.jpg" in told
    assert not (tmp_path / "photos/bad.xml").exists()
    shutil.rmtree(tmp_path / "photos")
    (tmp_path / "photos").mkdir()
    told = CliRunner().invoke(main, ["dataset", "prelabel", str(tmp_path / "photos"), "--model", str(toy_model)])
    assert told.exit_code == 2


def test_a_page_takes_the_place_of_no_file(tmp_path: Path, source: Path) -> None:
    labels = next(source.glob("*.xml"))
    before = labels.read_bytes()
    refused = CliRunner().invoke(main, ["dataset", "stats", str(source), "--report", str(labels)])
    assert refused.exit_code == 2, refused.output
    assert "in the way" in refused.output
    assert labels.read_bytes() == before
