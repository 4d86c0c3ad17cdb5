"""The demo's line and its judgement, with the toy detector in place of a trained one."""

from pathlib import Path

import cv2
import pytest

from sealpin_edge.errors import InputError, SealpinError
from sealpin_edge.release.bundle import unpack
from sealpin_edge.tasks.model import Model
from sealpin_export.bundle import Contents, make_bundle
from sealpin_export.demo import chain
from sealpin_export.demo.line import CUT_AT, run_line
from sealpin_export.demo.report import COLUMNS, TILE, table, write_report
from sealpin_export.demo.show import SHOWS
from sealpin_simulation.servers import free_port
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import read_records
from tests.commands import call
from tests.conftest import CELL, SIDE, write_parts

PARTS = [[], [("PR", 2, 3)], [("QA", 5, 5)]] * 6


@pytest.fixture
def prepared(tmp_path: Path, toy_model: Path) -> tuple[Path, dict[str, int]]:
    """A demo folder as it is when training and export are done."""
    write_parts(tmp_path / "photos", PARTS)
    for number, burrs in enumerate(PARTS):
        boxes = tuple(Box(name, x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL) for name, x, y in burrs)
        name = f"part_{number:03d}"
        voc.write(tmp_path / f"photos/{name}.xml", f"{name}.jpg", SIDE, SIDE, boxes)
    ports = {name: free_port() for name in ("plc", "ftp", "api", "display")}
    (tmp_path / "station.toml").write_text(
        chain.STATION.format(**ports).replace('driver = "folder"', 'driver = "folder"\nchecks = "off"')
    )
    (tmp_path / "model.tflite").write_bytes(toy_model.read_bytes())
    make_bundle(Contents(toy_model, tmp_path / "station.toml", "1"), tmp_path / "bundle.sealpin")
    unpack(tmp_path / "bundle.sealpin", tmp_path / "station")
    return tmp_path, ports


def test_a_line_with_an_outage_agrees_with_itself_and_is_reported(
    prepared: tuple[Path, dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, ports = prepared
    line_run = run_line(out, ports, len(PARTS))
    assert line_run.violations == []
    assert [part.verdict for part in line_run.parts] == ["OK", "NG", "NG"] * 6
    assert [part.faults for part in line_run.parts] == [[]] * len(PARTS)
    assert [part.while_cut for part in line_run.parts].index(True) == CUT_AT - 1
    monkeypatch.setattr(chain, "UNSEEN_PARTS", len(PARTS))
    show = SHOWS["detect"]
    ap50 = show.measure(Model(out / "model.tflite"), sorted((out / "photos").glob("*.jpg")))
    assert ap50 == pytest.approx(1.0)
    chain._check(line_run, show, ap50)
    assert table(line_run).count("\n") == len(PARTS) + 1
    write_report(out, line_run, f"AP50 {ap50:.3f}")
    sheet = cv2.imread(str(out / "contact_sheet.png"))
    assert sheet.shape == (3 * TILE, COLUMNS * TILE, 3)
    page = (out / "report.html").read_text()
    assert page.count("<tr>") == len(PARTS) + 1
    line_run.parts[0].faults.append("the PLC got OK, the API NG")
    with pytest.raises(SealpinError, match="the PLC got OK, the API NG"):
        chain._check(line_run, show, ap50)
    with pytest.raises(SealpinError, match="AP50"):
        chain._check(line_run, show, 0.5)


def test_it_is_measured_on_what_chose_nothing(tmp_path: Path) -> None:
    for folder, parts, seed in (("labelled", 20, 1), ("photos", 3, 2)):
        call("dataset", "synth", tmp_path / folder, "--parts", parts, "--seed", seed)
    call("dataset", "convert", tmp_path / "labelled", tmp_path / "dataset", "--workers", 1)
    unseen = chain.unseen_photos(tmp_path)
    test = {record.name for record in read_records(tmp_path / "dataset", "test", ("PR", "QA"))}
    assert test and {one.name for one in unseen if one.parent.name == "labelled"} == test
    assert len(unseen) == len(test) + 3


def test_the_demo_does_not_touch_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(InputError, match="not an earlier demo"):
        chain.run_demo(tmp_path)
    assert (tmp_path / "precious").exists()
