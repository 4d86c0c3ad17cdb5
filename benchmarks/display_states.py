"""The operator's display in every state of a real station: page (Chromium) and window, in colour and in gray.

    .venv/bin/python benchmarks/display_states.py --model demo/model.tflite --photos demo/photos --out states.jpg

One row a state: the page, the page in gray, the window in gray. Takes some two minutes; wants `chromium` installed.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from sealpin_edge.photo import Photo, decode_photo
from sealpin_edge.simulation.line import Line
from sealpin_edge.simulation.misbehaviour import API_FAULTS
from sealpin_edge.simulation.site import Site
from sealpin_edge.window import HEIGHT, STALE_S, WIDTH, draw_screen

LOOK_S = 9
FILL = "position: fixed; inset: 0; width: 100%; height: 100%; border: 0"


class Display:
    """Takes pictures of a site's display; `rows` holds them by state."""

    def __init__(self, site: Site, line: Line) -> None:
        self.site, self.line = site, line
        self.rows: dict[str, tuple[Photo, Photo]] = {}

    def look(self, state: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Take the pictures of a state; `meanwhile` happens with the page open."""
        health, photo = self.site.health(), None
        if health["last"]:
            address = f"http://127.0.0.1:{self.site.display_port}/photo/{health['last']['id']}.jpg"
            with urllib.request.urlopen(address) as answer:
                photo = decode_photo(answer.read())
        alarm = threading.Timer(LOOK_S / 3, meanwhile)
        alarm.start()
        page = self._page()
        alarm.join()
        silent_s = 0.0 if self.site.station else 2.0 * LOOK_S / 3
        self.rows[state] = page, draw_screen(health, photo, silent_s)

    def part(self, verdict: str) -> None:
        """Inspect parts until one is of that verdict."""
        while not self.line.report.parts or self.line.report.parts[-1].verdict != verdict:
            self.line.run(1)
        number = len(self.line.report.parts)
        self.site.wait_for(lambda: sum(self.site.health()["counts"].values()) == number)

    def _page(self) -> Photo:
        frame = f'<iframe src="http://127.0.0.1:{self.site.display_port}" style="{FILL}"></iframe>'
        with _slow_page(frame) as server, tempfile.TemporaryDirectory() as profile:
            picture = Path(profile, "page.png")
            command = [
                shutil.which("chromium") or sys.exit("chromium is not installed"),
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync",
                "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
                f"--window-size={WIDTH},{HEIGHT}", f"--timeout={LOOK_S * 2000}", f"--screenshot={picture}",
                f"http://127.0.0.1:{server.server_port}",
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            return np.asarray(cv2.imread(str(picture))[..., ::-1])


@contextmanager
def _slow_page(html: str) -> Iterator[ThreadingHTTPServer]:
    """A page around `html` whose loading takes LOOK_S seconds: Chromium takes its picture at the end of that."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                time.sleep(LOOK_S)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(f"{html}<img src=/later>".encode())

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def all_states(display: Display) -> None:
    """Lead the station through its states."""
    site, line = display.site, display.line
    display.look("no part yet")
    for verdict in ("OK", "NG"):
        display.part(verdict)
        display.look(verdict)
    kept = {file: file.read_bytes() for file in site.photos.glob("*.jpg")}
    for file in kept:
        cv2.imwrite(str(file), cv2.imread(str(file)) // 40)
    display.part("NOT INSPECTED")
    display.look("NOT INSPECTED: too dark")
    for file, data in kept.items():
        file.write_bytes(data)
    site.cut()
    line.run(20)
    display.part("OK")
    display.look("servers away")
    site.api.misbehaviour = API_FAULTS["answers 400"]
    site.join()
    site.wait_until_drained()
    display.look("results refused")
    mend = site.disk.fail("EIO")
    display.part("NG")
    display.look("disk failing")
    mend()
    display.part("OK")
    time.sleep(STALE_S)
    display.look("an old result")
    line.stop_program()
    site.wait_for(lambda: site.health()["state"] == "fault")
    display.look("the PLC in STOP")
    line.stop()
    site.wait_for(lambda: site.health()["plc"] != "connected")
    display.look("the PLC away")
    display.look("the station killed", site.kill)


def sheet(rows: dict[str, tuple[Photo, Photo]]) -> Photo:
    """All states under each other, each with its name."""
    made = []
    for state, (page, window) in rows.items():
        gray_page, gray_window = (
            cv2.cvtColor(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for one in (page, window)
        )
        small = [cv2.resize(one, (512, 288), interpolation=cv2.INTER_AREA) for one in (page, gray_page, gray_window)]
        title = np.full((32, 1536, 3), 255, np.uint8)
        cv2.putText(title, state, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
        made += [title, np.hstack(small)]
    return np.vstack(made)


def main() -> None:
    """Take all pictures and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        shutil.copytree(arguments.photos, photos)
        site = Site(Path(folder, "site"), arguments.model, photos)
        line = site.line(interval_s=0.1)
        display = Display(site, line)
        line.start()
        site.start()
        try:
            line.wait_ready(20)
            all_states(display)
        finally:
            line.stop()
            site.close()
    cv2.imwrite(str(arguments.out), sheet(display.rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])


if __name__ == "__main__":
    main()
