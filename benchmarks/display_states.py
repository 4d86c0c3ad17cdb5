"""The operator's display in every state of a real station: page (Chromium) and window, in colour and in gray.

    .venv/bin/python benchmarks/display_states.py --model demo/model.tflite --photos demo/photos --out states.jpg

One row a state: the page, the page in gray, the window, the window in gray. Takes some three minutes; wants `chromium`
and `strace` installed. `--keep` keeps each page in full size.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from sealpin_edge.ask import ask_station
from sealpin_edge.display.screen import VERDICT_S
from sealpin_edge.display.window import draw_screen
from sealpin_edge.model.photo import Photo, decode_photo
from sealpin_simulation.misbehaviour import API_FAULTS, ftp_faults
from sealpin_simulation.site import Site
from tests.browser import Browser
from tests.hand import SERIAL, HandPlc

SIZE = (288, 180)
LONG_NAME = "Prüfstation Überwurfmutter, Schweißzelle 12 Süd"


class Sheet:
    """Takes pictures of a site's display; `rows` holds them by state."""

    def __init__(self, folder: Path, model: Path, photos: Path, keep: Path | None) -> None:
        self._folder, self._model, self._source, self._keep = folder, model, photos, keep
        self.rows: dict[str, tuple[Photo, Photo]] = {}
        self._before: tuple[dict[str, Any] | None, Photo | None] = None, None
        self.browser = Browser()
        self.site, self.plc, self.photos = self._new_site(0)

    def _new_site(self, number: int) -> tuple[Site, HandPlc, list[Path]]:
        photos = self._folder / f"photos{number}"
        shutil.copytree(self._source, photos, ignore=shutil.ignore_patterns("*.xml"))
        site = Site(self._folder / f"site{number}", self._model, photos)
        return site, HandPlc(site.plc_port), sorted(photos.iterdir())

    def begin(self, change: Callable[[str], str] = lambda config: config) -> None:
        """Start a new station, after a change of its config; its PLC has Enable set and is not on yet."""
        self.end()
        self.site, self.plc, self.photos = self._new_site(len(list(self._folder.glob("site*"))))
        self.site.config.write_text(change(self.site.config.read_text()))
        self.plc.set(enable=True)
        self.site.start()
        self.site.wait_for(lambda: bool(self.site.health()))
        self.open()

    def end(self) -> None:
        """Stop the station and its PLC."""
        with suppress(Exception):
            self.plc.stop()
        self.site.close()

    def open(self) -> None:
        """Open the page anew."""
        self.browser.open(f"http://127.0.0.1:{self.site.display_port}/")

    def look(self, state: str, word: str, *, silent: bool = False) -> None:
        """Take the pictures of a state, once the page has that word in large."""
        self.browser.wait_for(
            f"document.getElementById('word') && document.getElementById('word').textContent == {word!r}"
        )
        self.browser.wait_for("[...document.images].every(image => image.complete)")
        page = self.browser.picture()
        health, photo = None, None
        with suppress(OSError):
            health = self.site.health()
            address = f"127.0.0.1:{self.site.display_port}"
            photo = (
                decode_photo(ask_station(address, f"/photo/{health['last']['id']}.jpg", 2)) if health["last"] else None
            )
        self._before = (health, photo) if health else self._before
        self.rows[state] = page, draw_screen(*self._before, 9.0 if silent else 0.0)
        if self._keep:
            self._keep.mkdir(exist_ok=True)
            for name, picture in zip(("page", "window"), self.rows[state], strict=True):
                cv2.imwrite(str(self._keep / f"{len(self.rows):02d} {state} {name}.png"), picture[..., ::-1])
        print(state, flush=True)

    def part(self, verdict: str) -> None:
        """Inspect parts until one is of that verdict, and wait until it is on record."""
        while self.plc.part() != verdict:
            pass
        self.site.wait_for(lambda: self.site.health()["in_hand"] == 0)

    def fault_over(self) -> None:
        """Pulse Reset."""
        self.plc.set(reset=True, trigger=False, ack=False)
        threading.Event().wait(0.1)
        self.plc.set(reset=False)
        self.plc.wait(lambda outputs: outputs.ready)


@contextmanager
def mute_station(page: bytes) -> Iterator[int]:
    """The port of a station that serves its page, and no data yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path == "/" else "text/event-stream")
            self.end_headers()
            if self.path == "/":
                self.wfile.write(page)
            else:
                gone.wait(20)

        def log_message(self, format: str, *args: object) -> None:
            return

    gone = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    gone.set()
    server.shutdown()


def at_work(sheet: Sheet) -> None:
    """What a day brings while nothing is at fault."""
    page = Path(sys.modules["sealpin_edge"].__path__[0], "display", "page.html").read_bytes()
    with mute_station(page) as port:
        sheet.browser.open(f"http://127.0.0.1:{port}/")
        sheet.look("loading", "LOADING")
    sheet.begin()
    site, plc = sheet.site, sheet.plc
    sheet.look("no PLC yet", "NO PLC")
    plc.start()
    sheet.look("ready, no part yet", "READY")
    for verdict in ("OK", "NG"):
        sheet.part(verdict)
        sheet.look(verdict, verdict)
    time.sleep(VERDICT_S)
    sheet.look("ready, the last verdict is old", "READY")
    plc.trigger()
    plc.wait(lambda outputs: outputs.result_valid)
    plc.set(ack=True)
    plc.wait(lambda outputs: not outputs.result_valid)
    plc.set(ack=False)
    time.sleep(VERDICT_S)
    sheet.look("the part stays", "WAITING")
    plc.set(trigger=False)
    dark = {file: file.read_bytes() for file in sheet.photos}
    for file in dark:
        cv2.imwrite(str(file), cv2.imread(str(file)) // 40)
    sheet.part("NOT INSPECTED")
    sheet.look("NOT INSPECTED, too dark", "NOT INSPECTED")
    for file, data in dark.items():
        file.write_bytes(data)
    sheet.part("OK")
    plc.set(recipe_id=7)
    sheet.part("NOT INSPECTED")
    sheet.look("NOT INSPECTED, wrong recipe", "NOT INSPECTED")
    plc.set(recipe_id=0)
    site.cut()
    for _ in range(8):
        plc.part()
    sheet.part("OK")
    site.wait_for(lambda: bool(site.health()["degraded_by"]))
    sheet.look("degraded: the servers are away", "OK")
    site.api.misbehaviour = API_FAULTS["answers 400"]
    site.join()
    site.wait_until_drained()
    sheet.part("NG")
    sheet.look("results refused", "NG")
    mend = site.disk.fail("EIO")
    plc.part()
    site.wait_for(lambda: bool(site.health()["alarms"]))
    sheet.look("the disk fails", "OK" if site.health()["last"]["verdict"] == "OK" else "NG")
    mend()


def at_fault(sheet: Sheet) -> None:
    """Everything after which no part is inspected."""
    sheet.begin(
        lambda config: (
            config.replace("[camera]", SERIAL + "[camera]")
            .replace('"simulated"', f'"{LONG_NAME}"')
            .replace("[timers]", "[timers]\ncapture_ms = 2500")
        )
    )
    site, plc = sheet.site, sheet.plc
    plc.start()
    for number in range(22):
        plc.write_serial(f"DMC-2026-05-04-A7731-{number + 1:06d}")
        plc.part()
    sheet.part("OK")
    sheet.look("20 parts with long serials, a long name", "OK")
    plc.set(enable=False)
    sheet.look("Enable off", "SWITCHED OFF")
    plc.set(enable=True)
    sheet.part("OK")
    plc.trigger()
    sheet.look("result not acknowledged", "FAULT")
    sheet.fault_over()
    plc.part()
    plc.set(ack=True)
    sheet.browser.wait_for("document.getElementById('told').textContent.includes('stuck')")
    sheet.look("ResultAck is stuck", "NOT READY")
    plc.set(ack=False)
    sheet.part("OK")
    plc.disturb()
    sheet.look("a foreign writer", "FAULT")
    sheet.fault_over()
    sheet.part("OK")
    good = {file: file.read_bytes() for file in sheet.photos}
    for file in good:
        file.unlink()
        os.mkfifo(file)  # a camera that hangs
    plc.part()  # the photo that was read ahead
    plc.trigger()
    sheet.look("inspecting", "INSPECTING")
    assert site.station
    site.station.send_signal(signal.SIGSTOP)
    sheet.look("the station stands still", "NO CONNECTION", silent=True)
    time.sleep(3)
    site.station.send_signal(signal.SIGCONT)
    sheet.browser.wait_for("document.getElementById('told').textContent.includes('too long')")
    sheet.look("deadline", "FAULT")
    site.kill()
    sheet.look("the station killed", "NO CONNECTION", silent=True)
    for file, data in good.items():
        file.unlink()
        file.write_bytes(data)
    plc.set(trigger=False)
    site.start()
    sheet.look("the station is back, by itself", "READY")
    sheet.part("OK")
    plc.set(heartbeat=1)
    time.sleep(0.2)
    plc.set(heartbeat=2)
    sheet.browser.wait_for("document.getElementById('told').textContent.includes('silent')")
    sheet.look("plc silent", "FAULT")
    plc.stop()
    sheet.look("the PLC lost", "NO PLC")


def unfit(sheet: Sheet) -> None:
    """Stations that cannot judge, and one that ends."""
    sheet.begin(lambda config: config.replace('checks = "off"\n', ""))
    sheet.plc.start()
    sheet.browser.wait_for("document.getElementById('told').textContent.includes('taught')")
    sheet.look("camera not taught", "NOT READY")
    sheet.begin(
        lambda config: config.replace('driver = "folder"', 'driver = "opencv"\nsource = "/dev/video99"').replace(
            f'path = "{sheet._folder}', '# path = "'
        )
    )
    sheet.plc.start()
    sheet.browser.wait_for("document.getElementById('told').textContent.includes('camera')")
    sheet.look("the camera is dead", "NOT READY")
    sheet.begin()
    sheet.site.ftp.stop()
    sheet.site.ftp.misbehave(*ftp_faults()["hangs at STOR"])
    sheet.site.ftp.start()
    sheet.plc.start()
    sheet.part("OK")
    assert sheet.site.station
    sheet.site.station.terminate()
    sheet.look("halted", "STOPPED")


def contact_sheet(rows: dict[str, tuple[Photo, Photo]]) -> Photo:
    """All states under each other, each with its name."""
    made = []
    for state, (page, window) in rows.items():
        shown: list[Photo] = []
        for one in (page, window):
            small = cv2.resize(one, SIZE, interpolation=cv2.INTER_AREA)
            shown += [
                np.asarray(small),
                np.asarray(cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)),
            ]
        title = np.full((26, 4 * SIZE[0], 3), 255, np.uint8)
        cv2.putText(title, state, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.65, (0, 0, 0), 2, cv2.LINE_AA)
        made += [title, np.hstack(shown)]
    return np.vstack(made)


def main() -> None:
    """Take all pictures and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="a folder for the pages and windows in full size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sheet = Sheet(Path(folder), arguments.model, arguments.photos, arguments.keep)
        try:
            at_work(sheet)
            at_fault(sheet)
            unfit(sheet)
        finally:
            sheet.end()
            sheet.browser.close()
        assert not sheet.browser.faults, sheet.browser.faults
    cv2.imwrite(str(arguments.out), contact_sheet(sheet.rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 45])


if __name__ == "__main__":
    main()
