"""The demo's line: PLC, FTP server and API around a real station, both servers away for some of the parts."""

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from sealpin_edge.errors import EnvironmentFault
from sealpin_simulation.line import Line, LinePart
from sealpin_simulation.servers import FtpServer, ResultsServer
from sealpin_training.dataset.formats.voc import read_boxes
from sealpin_training.progress import progress_bar

CUT_AT, JOINED_AT = 9, 17
INTERVAL_S = 0.3
DRAIN_S = 60.0


@dataclass
class DemoPart:
    """One part as everybody saw it. `faults` says where they disagree; a model's mistake is none of the chain's."""

    photo: str
    truth: tuple[str, ...]
    verdict: str
    bits: Mapping[str, bool]
    latency_ms: float
    ftp: list[str] = field(default_factory=list)
    api: str = "-"
    while_cut: bool = False
    marked: bytes = b""
    faults: list[str] = field(default_factory=list)

    @property
    def mistake(self) -> str:
        """How the verdict differs from the truth."""
        if (self.verdict == "NG") == bool(self.truth):
            return ""
        return f"judged {self.verdict}, in truth {', '.join(self.truth) or 'good'}"


@dataclass
class LineRun:
    """All parts of the demo, and broken rules of the handshake."""

    parts: list[DemoPart]
    violations: list[str]


def run_line(out: Path, ports: Mapping[str, int], parts: int) -> LineRun:
    """Run the station over `parts` parts and gather what PLC, operator, FTP server and API got."""
    (out / "ftp").mkdir()
    passwords = {name: secrets.token_hex(16) for name in ("ftp", "api")}
    for name, password in passwords.items():
        path = out / f"{name}.secret"
        path.touch(0o600)
        path.write_text(password)
    ftp, api = (
        FtpServer(out / "ftp", "station", passwords["ftp"], ports["ftp"]),
        ResultsServer(passwords["api"], ports["api"]),
    )
    seen: list[bytes] = []
    command = [str(Path(sys.executable).with_name("sealpin-edge")), "run", "--config", "station/station.toml"]
    click.secho(f"\n$ {' '.join(['sealpin-edge', *command[1:]])}", bold=True)
    click.echo(f"  parts {CUT_AT} to {JOINED_AT - 1} come while the FTP server and the API are cut off")

    with progress_bar(parts, "line", "part") as bar:

        def before_part(number: int) -> None:
            if number > 1:
                seen.append(_operator_sees(ports["display"], number - 1))
                bar.update()
            for server in (ftp, api):
                if number == CUT_AT:
                    server.stop()
                elif number == JOINED_AT:
                    server.start()

        line = Line("127.0.0.1", ports["plc"], block="DB100", interval_s=INTERVAL_S, before_part=before_part)
        with open(out / "station.log", "wb") as log:
            for server in (ftp, api, line):
                server.start()
            station = subprocess.Popen(command, cwd=out, stderr=log)  # noqa: S603  our own program
            try:
                report = line.run(parts)
                if report.parts:
                    seen.append(_operator_sees(ports["display"], len(report.parts)))
                    bar.update()
                    _wait_until_drained(ports["display"], out)
            finally:
                station.terminate()
                station.wait(30)
                for server in (line, ftp, api):
                    server.stop()
    photos = sorted((out / "photos").glob("*.jpg"))
    results = {result["photo"]: result for result in api.results.values()}
    judged = [
        _gather(out, photo, seen_by_plc, results.get(photo.name), marked)
        for photo, seen_by_plc, marked in zip(photos, report.parts, seen, strict=False)
    ]
    for number, part in enumerate(judged, start=1):
        part.while_cut = CUT_AT <= number < JOINED_AT
    return LineRun(judged, report.violations)


def _gather(out: Path, photo: Path, plc: LinePart, result: dict[str, Any] | None, marked: bytes) -> DemoPart:
    truth = tuple(sorted(box.category for box in read_boxes(photo.with_suffix(".xml"))))
    part = DemoPart(photo.name, truth, plc.verdict, plc.bits, plc.latency_ms or 0.0, marked=marked)
    if result is None:
        part.faults.append("no row at the API")
        return part
    part.api = str(result["verdict"])
    raw = out / "ftp/line1" / result["image_path"]
    defects = raw.with_name(f"{raw.stem}_defects.jpg")
    part.ftp = [name for file, name in ((raw, "photo"), (defects, "_defects")) if file.is_file()]
    if part.api != plc.verdict:
        part.faults.append(f"the PLC got {plc.verdict}, the API {part.api}")
    if (plc.bits.get("OK"), plc.bits.get("NG")) != (plc.verdict == "OK", plc.verdict == "NG"):
        part.faults.append(f"verdict {plc.verdict} with bits {plc.bits}")
    expected = ["photo", "_defects"] if plc.verdict == "NG" else ["photo"]
    if part.ftp != expected:
        part.faults.append(f"the FTP server has {part.ftp}, not {expected}")
    return part


def _operator_sees(port: int, number: int) -> bytes:
    """The marked photo on the station's page once it shows part `number`."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        last = _health(port)["last"]
        if last and last["number"] == number:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/photo/{last['id']}.jpg", timeout=5) as answer:
                return bytes(answer.read())
        time.sleep(0.01)
    raise EnvironmentFault("the station's page does not show the part", where=f"part {number}")


def _wait_until_drained(port: int, out: Path) -> None:
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        outbox = _health(port)["outbox"]
        if not outbox["photos"] and not outbox["results"]:
            return
        time.sleep(0.1)
    raise EnvironmentFault(
        "what was stored did not leave", where=f"{out / 'station/data'}", found=str(_health(port)["outbox"])
    )


def _health(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return dict(json.load(answer))
