"""An OK that nobody earned: whatever makes a station blind, frozen, or one of two, no part is good because of it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sealpin_edge.config.file import load_config
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.inspection.station import Station
from sealpin_edge.model.photo import Photo, encode_jpeg
from sealpin_edge.plc import family
from sealpin_edge.plc.block import Outputs
from sealpin_edge.plc.handshake import Handshake
from sealpin_simulation.plc import make_plc
from tests.chain.test_station import Site, edge_program, play, running, site, wait_until
from tests.conftest import part_photo

__all__ = ["running", "site"]


def replace_photos(site: Site, photos: list[Photo]) -> None:
    for file in (site.folder / "photos").iterdir():
        file.unlink()
    for number, photo in enumerate(photos):
        (site.folder / "photos" / f"{number:03d}.png").write_bytes(png(photo))


def png(photo: Photo) -> bytes:
    return cv2.imencode(".png", photo[..., ::-1])[1].tobytes()


def untaught(config: Path) -> Path:
    config.write_text(config.read_text().replace('checks = "off"\n', ""))
    return config


def roller(seed: int, *burrs: tuple[str, int, int]) -> Photo:
    """A part that fills the middle of its photo, in a dark fixture."""
    photo = part_photo(*burrs, seed=seed)
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    photo[(rows - 128) ** 2 + (columns - 128) ** 2 > 110**2] //= 4
    return photo


EMPTY = part_photo(seed=9) - 40
BLIND = {
    "an empty fixture": EMPTY,
    "a dark photo": roller(1) // 6,
    "a blurred photo": np.asarray(cv2.GaussianBlur(roller(2), (0, 0), 5), np.uint8),
    "a plain grey photo": np.full((256, 256, 3), 110, np.uint8),
}


def test_an_untaught_station_takes_no_part_and_a_taught_one_refuses_what_shows_none(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    config = untaught(site.write_config(toy_model))
    replace_photos(site, list(BLIND.values()))
    station = running(config)
    line = site.line()
    line.start()
    cut_off.insert(0, line.stop)
    wait_until(lambda: site.health()["plc"] == "connected")
    assert not line.wait_ready(0.5)
    assert line.outputs.error is ErrorCode.NOT_TAUGHT
    health = station.health()
    assert (health["state"], health["checks"]) == ("not ready", "not taught")
    assert any("camera not taught" in text for text in health["alarms"])
    told = edge_program("status", "--config", str(config))
    assert (told.returncode, "camera not taught" in told.stdout) == (1, True)


def test_what_was_taught_refuses_what_shows_no_good_part(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    config = untaught(site.write_config(toy_model))
    good, empty = site.folder / "good", site.folder / "empty"
    for folder, photos in (
        (good, [roller(seed) for seed in range(20, 41)] + [roller(50, ("PR", 3, 3))]),
        (empty, [EMPTY]),
    ):
        folder.mkdir()
        for number, photo in enumerate(photos):
            (folder / f"{number:03d}.jpg").write_bytes(encode_jpeg(photo))
    taught = edge_program("teach-camera", "--config", str(config), "--empty", str(empty), str(good))
    assert taught.returncode == 0, taught.stderr
    assert "refused: 021.jpg: NG, PR" in taught.stdout and "from 21 photos" in taught.stdout
    replace_photos(site, [*BLIND.values(), roller(60), roller(61, ("PR", 3, 3))])
    running(config)
    report = play(site, site.line(), 6, cut_off)
    assert [part.verdict for part in report.parts] == ["NOT INSPECTED"] * 4 + ["OK", "NG"]
    assert [ErrorCode(part.error_code) for part in report.parts[:4]] == [
        ErrorCode.NO_PART, ErrorCode.TOO_DARK, ErrorCode.OUT_OF_FOCUS, ErrorCode.NO_PART,
    ]  # fmt: skip
    assert site.health()["checks"] == "taught"


def test_doctor_lets_no_line_run_on_an_untaught_camera_and_warns_of_a_replay(site: Site, toy_model: Path) -> None:
    config = site.write_config(toy_model)

    def found() -> dict[str, str]:
        document = json.loads(edge_program("doctor", "--json", "--config", str(config)).stdout)
        return {one["what"]: one["state"] for one in document["findings"]}

    unchecked = found()
    assert (unchecked["camera limits"], unchecked["camera driver"]) == ("warning", "warning")
    untaught(config)
    assert found()["camera limits"] == "fault"


def test_few_photos_are_told_to_be_few_and_a_folder_of_bad_ones_teaches_nothing(site: Site, toy_model: Path) -> None:
    config = untaught(site.write_config(toy_model))
    replace_photos(site, [roller(seed) for seed in range(6)])
    taught = edge_program("teach-camera", "--config", str(config), str(site.folder / "photos"))
    assert "limits mean something from 20 photos" in taught.stdout
    assert "an empty fixture was not shown" in taught.stdout
    replace_photos(site, [roller(seed, ("PR", 3, 3)) for seed in range(6)])
    taught = edge_program("teach-camera", "--config", str(config), str(site.folder / "photos"))
    assert (taught.returncode, "6 refused" in taught.stderr) == (2, True)


def test_a_station_whose_photos_are_not_checked_says_so(site: Site, toy_model: Path) -> None:
    config = site.write_config(toy_model)
    done = edge_program("run", "--config", str(config))  # there is no PLC: it ends, and has said it
    assert "photos are judged unchecked" in done.stderr
    station = Station(load_config(config))
    assert station.health()["checks"] == "off"
    assert "sealpin_camera_taught 0.0" in station._metrics.text().decode()


def test_a_station_that_was_frozen_gives_no_part_the_ok_of_another(
    site: Site, toy_model: Path, cut_off: list[Callable[[], None]]
) -> None:
    """Frozen in part 1, given up by the PLC, which has the next part in place when the station goes on."""
    config = site.write_config(toy_model, mode="simple")
    replace_photos(site, [np.full((6000, 8000, 3), 120, np.uint8)])  # to be judged takes it some tenths of a second
    parse = family("s7").parse_address
    trigger, ok = (parse(text, "", bit=True) for text in ("M76.6", "M76.5"))
    plc = make_plc("s7", "127.0.0.1", site.plc_port, [trigger, ok])
    seen: list[bool] = []
    plc.written = lambda: seen.append(plc.read_bit(ok))
    plc.start()
    cut_off.append(plc.stop)
    program = Path(sys.executable).with_name("sealpin-edge")
    station = subprocess.Popen([program, "run", "--config", config], stderr=subprocess.DEVNULL)
    cut_off.append(lambda: (station.kill(), station.wait()))  # type: ignore[func-returns-value]
    wait_until(lambda: site.state() == "ready")
    pause = threading.Event().wait
    plc.write_bit(trigger, True)
    wait_until(lambda: site.state() in ("taking the photo", "judging"))
    station.send_signal(signal.SIGSTOP)
    assert not any(seen), "it was judged before it stood still: the photo is too small for this machine"
    pause(0.3)
    plc.write_bit(trigger, False)
    pause(0.3)
    plc.write_bit(trigger, True)
    station.send_signal(signal.SIGCONT)
    wait_until(lambda: len(site.api.results) == 1)
    assert not any(seen)
    (result,) = site.api.results.values()
    assert (result["verdict"], result["reason"]) == ("NOT INSPECTED", "overtaken")
    plc.write_bit(trigger, False)
    wait_until(lambda: site.state() == "ready")
    plc.write_bit(trigger, True)
    wait_until(lambda: any(seen))


def test_an_ok_that_was_ready_when_the_station_stood_still_is_not_said_afterwards(
    site: Site,
    toy_model: Path,
    running: Callable[[Path], Station],
    cut_off: list[Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stood still after it had looked and before it wrote; meanwhile the PLC has gone on to the next part."""
    parse = family("s7").parse_address
    trigger, ok = (parse(text, "", bit=True) for text in ("M76.6", "M76.5"))
    plc = make_plc("s7", "127.0.0.1", site.plc_port, [trigger, ok])
    seen: list[bool] = []
    plc.written = lambda: seen.append(plc.read_bit(ok))
    plc.start()
    cut_off.append(plc.stop)
    step, stood_still = Handshake.step, threading.Event()

    def late(self: Handshake, *arguments: Any, **options: Any) -> Outputs:
        outputs = step(self, *arguments, **options)
        if outputs.ok and not stood_still.is_set():
            plc.write_bit(trigger, False)
            threading.Event().wait(0.3)
            plc.write_bit(trigger, True)
            stood_still.set()
        return outputs

    monkeypatch.setattr(Handshake, "step", late)
    running(site.write_config(toy_model, mode="simple"))
    wait_until(lambda: site.state() == "ready")
    plc.write_bit(trigger, True)
    assert stood_still.wait(10)
    wait_until(lambda: len(site.api.results) == 1)
    assert not any(seen)
    assert [result["reason"] for result in site.api.results.values()] == ["overtaken"]


def test_no_verdict_is_given_before_its_trigger_is_on_the_disk(
    site: Site,
    toy_model: Path,
    running: Callable[[Path], Station],
    cut_off: list[Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a station that is killed right then leaves a part that the PLC has taken, and nobody knows of."""
    write, on_disk = os.pwrite, threading.Event()

    def slow(*arguments: Any) -> int:
        threading.Event().wait(0.03)  # the toy model is done in 3 ms
        on_disk.set()
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", slow)
    running(site.write_config(toy_model))
    line = site.line()
    verdicts: list[bool] = []
    on_write = line._plc.written

    def written() -> None:
        on_write()
        if line.outputs.result_valid:
            verdicts.append(on_disk.is_set())

    line._plc.written = written
    report = play(site, line, 1, cut_off)
    assert [part.verdict for part in report.parts] == ["OK"]
    assert verdicts[0]


def test_two_stations_with_one_folder_of_data_do_not_run(site: Site, toy_model: Path) -> None:
    config = site.write_config(toy_model)
    first = Station(load_config(config))
    config.write_text(config.read_text().replace(f":{site.display_port}", ":1"))
    with pytest.raises(EnvironmentFault, match="another station runs with these data"):
        Station(load_config(config))
    assert first


def test_two_stations_on_one_block_are_both_at_fault(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    line = site.line()
    line.start()
    cut_off.append(line.stop)
    one = running(site.write_config(toy_model))
    assert line.wait_ready(15)
    config = site.write_config(toy_model)
    other = config.read_text().replace('data_dir = "data"', 'data_dir = "other"')
    config.write_text(other.replace(f'"127.0.0.1:{site.display_port}"', '"off"'))
    two = running(config)
    for station in (one, two):
        wait_until(lambda station=station: station.health()["error"] == "foreign writer")  # type: ignore[misc]
    assert not line.wait_ready(1.0)


def test_another_recipe_is_on_record_as_such(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    config = site.write_config(toy_model)
    config.write_text(config.read_text().replace('block = "DB100"', 'block = "DB100"\nrecipe = 7'))
    running(config)
    report = play(site, site.line(), 1, cut_off)
    assert [(part.verdict, part.error_code) for part in report.parts] == [("NOT INSPECTED", ErrorCode.WRONG_RECIPE)]
    wait_until(lambda: len(site.api.results) == 1)
    (result,) = site.api.results.values()
    assert (result["verdict"], result["error"], result["reason"]) == ("NOT INSPECTED", 8, "wrong recipe")


def test_what_counts_is_told_wherever_somebody_looks(
    site: Site, toy_model: Path, running: Callable[[Path], Station], cut_off: list[Callable[[], None]]
) -> None:
    config = site.write_config(toy_model, extra='threshold = 0.7\nnotice = ["QA"]')
    running(config)
    play(site, site.line(), 2, cut_off)
    wait_until(lambda: len(site.api.results) == 2)
    said = {"thresholds": {"PR": 0.7, "QA": 0.7}, "notice": ["QA"]}
    for place in (site.health(), *site.api.results.values()):
        assert {key: place[key] for key in said} == said
    told = edge_program("status", "--config", str(config)).stdout
    assert "PR from 70%, QA from 70% (shown only)" in told
    doctor = json.loads(edge_program("doctor", "--json", "--config", str(config)).stdout)["findings"]
    (counts,) = (one for one in doctor if one["what"] == "what counts")
    assert counts["state"] == "warning" and "above the model's own score" in counts["found"]
    assert [*site.health()["hints"]][:2] == [
        "PR counts from 70%, QA counts from 70%, above the model's own score", "QA never rejects",
    ]  # fmt: skip
    assert any(one["what"] == "station" and "running" in one["found"] for one in doctor)
