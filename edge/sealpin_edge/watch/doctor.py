"""Looking over a real installation before the first part: what works, what does not, and what to do about it."""

import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from ..camera import make_camera
from ..config.station import StationConfig
from ..delivery.results import ResultsApi
from ..errors import EnvironmentFault, SealpinError, in_words
from ..inspection.checks import station_checks
from ..inspection.lock import DataLock
from ..plc import Target, make_driver
from ..plc.block import BLOCK_BYTES, BLOCK_VERSION, STATION_OFFSET
from ..release.golden import golden_verdicts, proven_model
from ..tasks.verdict import Verdict, departures
from ..upload import make_uploader

ROUNDS = 100
PHOTOS = 5
SLOW_ROUND_MS = 20.0
TEST_FILE = "sealpin-doctor.txt"


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at; `state` is "ok", "warning" or "fault", `advice` and `hint` as those of a SealpinError."""

    what: str
    state: str
    found: str
    advice: str = ""
    hint: str = ""


def examine(config: StationConfig) -> Iterator[Diagnosis]:
    """Look at model, PLC, camera, servers, clock and disk, one after the other.

    A station that is running keeps its PLC and camera; then its own health is told instead.
    """
    try:
        lock = DataLock(config.station.data_dir)  # a station that starts now would meet us at the PLC
    except EnvironmentFault:
        lock = None
    looks: list[tuple[str, Callable[[StationConfig], Iterator[Diagnosis]]]] = [("model", _model)]
    if lock is None:
        found = "it is running: PLC and camera are its own"
        yield Diagnosis("station", "ok", found, hint=f"sealpin-edge status {config.options}")
    else:
        looks += [("PLC", _plc), ("camera", _camera)]
    looks += [("photos", _photos), ("results", _results), ("clock", _clock), ("disk", _disk)]
    for what, look in looks:
        try:
            yield from look(config)
        except SealpinError as fault:
            found = f"{fault.where}: {fault.problem}" if fault.where else fault.problem
            found += f" ({fault.found})" if fault.found else ""
            yield Diagnosis(what, "fault", found, fault.advice or fault.allowed, hint=fault.hint)
        except OSError as error:
            yield Diagnosis(
                what, "fault", f"{error.filename}: {in_words(error)}" if error.filename else in_words(error)
            )
    if lock:
        lock.free()


def _model(config: StationConfig) -> Iterator[Diagnosis]:
    began = time.perf_counter()
    model, rule = proven_model(config)
    took = time.perf_counter() - began
    yield Diagnosis("model", "ok", f"{', '.join(model.card.classes)}; loaded, warm and proven in {took:.1f} s")
    less = departures(rule, model.rule())
    yield Diagnosis("what counts", "warning" if less else "ok", "; ".join([*less, str(rule)]))
    if not config.model.golden:
        yield Diagnosis(
            "golden photos", "warning", "none", "give [model] golden a folder, so that a start proves the model"
        )
    elif not (bad := golden_verdicts(config.model.golden)[Verdict.NG]):
        advice = "add photos of bad parts: without them no start can tell that this station would let one pass"
        yield Diagnosis("golden photos", "warning", "none of a bad part", advice)
    else:
        found = f"they are judged as they should be, {bad} of bad parts among them"
        yield Diagnosis("golden photos", "ok", found)


def _plc(config: StationConfig) -> Iterator[Diagnosis]:
    plc = config.plc
    timeout_s = config.timers.plc_operation_ms / 1000
    driver = make_driver(plc.driver, Target(plc.host, plc.port, timeout_s, plc.rack, plc.slot, plc.series, plc.unit))
    driver.connect()
    try:
        for key in ("serial", "serial_ready"):
            if place := plc.address(key):
                driver.read_bit(place) if key == "serial_ready" else driver.read_text(place, plc.serial_length)
        block, trigger, ok = plc.address("block"), plc.address("trigger"), plc.address("ok")
        rounds = []
        first = last = b""
        for number in range(ROUNDS):
            began = time.perf_counter()
            if block:
                last = driver.read(block, BLOCK_BYTES)
            elif trigger:
                last = bytes([driver.read_bit(trigger)])
            rounds.append((time.perf_counter() - began) * 1000)
            first = last if number == 0 else first
            time.sleep(0.005)
        # The right to write, shown by zeroes: unlike what stood there, they can never be taken for an OK
        if block and first[STATION_OFFSET + 1] == last[STATION_OFFSET + 1]:  # else a station is at work here
            driver.write(block.at(STATION_OFFSET), bytes(BLOCK_BYTES - STATION_OFFSET))
        elif ok:
            driver.write_bit(ok, False)
    finally:
        driver.close()
    middle, worst = statistics.median(rounds), max(rounds)
    slow = middle > SLOW_ROUND_MS
    yield Diagnosis(
        "PLC",
        "warning" if slow else "ok",
        f"{driver.name}: a read takes {middle:.1f} ms, {worst:.1f} at worst",
        "a verdict waits for two of them: look at the network between" if slow else "",
    )
    if block:
        if first[1] == last[1]:
            advice = "let the PLC's program count in byte 1, or a stopped PLC is not noticed"
            yield Diagnosis("PLC heartbeat", "warning", "it stands still", advice)
        if last[BLOCK_BYTES - 1] not in (0, BLOCK_VERSION):
            advice = "is something else at this place? compare the block with edge/PLC.md"
            yield Diagnosis("PLC block", "fault", f"byte 23 is {last[BLOCK_BYTES - 1]}, not {BLOCK_VERSION}", advice)


def _camera(config: StationConfig) -> Iterator[Diagnosis]:
    camera = make_camera(config.camera, config.timers.capture_ms / 1000)
    checks = station_checks(config)
    try:
        times, problems, size = [], set(), ""
        for _ in range(PHOTOS):
            began = time.monotonic()
            frame = camera.capture()
            times.append((time.monotonic() - began) * 1000)
            size = f"{frame.photo.shape[1]}x{frame.photo.shape[0]}"
            if frame.exposed_at < began:
                problems.add("photos from before they were asked for")
            if fault := checks.fault(frame.photo):
                problems.add(fault.name.lower().replace("_", " "))
            camera.prepare()
    finally:
        camera.close()
    found = f"{size}, {statistics.median(times):.0f} ms a photo" + "".join(f"; {one}" for one in sorted(problems))
    if problems:
        advice = "with a good part in place"
        yield Diagnosis("camera", "fault", found, advice, hint=f"sealpin-edge teach-camera {config.options}")
    else:
        yield Diagnosis("camera", "ok", found)
    if not camera.live:
        found = "this driver replays photos, and the same one again is not refused as frozen: no real line runs on it"
        yield Diagnosis("camera driver", "warning", found)
    if checks.unfit:
        found = "camera not taught: no part will be judged"
        yield Diagnosis("camera limits", "fault", found, hint=f"sealpin-edge teach-camera {config.options}")
    elif checks.state == "off":
        found = "[camera] checks is off: a dark, blurred or empty photo is judged like any other"
        yield Diagnosis("camera limits", "warning", found)
    else:
        yield Diagnosis("camera limits", "ok", str(checks.limits))


def _photos(config: StationConfig) -> Iterator[Diagnosis]:
    if config.photos is None:
        yield Diagnosis("photos", "warning", "no [photos] url: they are not kept")
        return
    uploader = make_uploader(config.photos, config.timers.server_ms / 1000)
    began = time.perf_counter()
    try:
        for text in (b"first", b"second"):  # over the first, as a photo that is sent again
            uploader.upload(TEST_FILE, text)
        uploader.upload(f"{date.today()}/{TEST_FILE}", b"photos go into a folder for each day")
    finally:
        uploader.close()
    took = (time.perf_counter() - began) * 1000
    parts = urlsplit(config.photos.url)
    where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    yield Diagnosis("photos", "ok", f"{where}: {TEST_FILE} put there twice, and into today's folder, {took:.0f} ms")


def _results(config: StationConfig) -> Iterator[Diagnosis]:
    if config.results is None:
        yield Diagnosis("results", "warning", "no [results] url: they stay in the station's database")
        return
    api, nobody = ResultsApi(config.results, config.timers.server_ms / 1000), str(uuid.UUID(int=0))
    began = time.perf_counter()
    status = api.ask(nobody)
    took = (time.perf_counter() - began) * 1000
    found = f"{config.results.url} answers a question for a result that is not there with {status}, in {took:.0f} ms"
    if status in (401, 403):
        yield Diagnosis("results", "fault", found, "the token is not the right one: look at [results] token_file")
    elif config.results.token_file and api.ask(nobody, wrong_token=True) == status:
        advice = "it answers a wrong token alike: after the first part, sealpin-edge status says whether it is taken"
        yield Diagnosis("results", "warning", f"{found}: the token is not proven", advice)
    else:
        yield Diagnosis("results", "ok", f"{found} (nothing was sent)")


def _clock(config: StationConfig) -> Iterator[Diagnosis]:
    program = shutil.which("timedatectl")
    state = ""
    if program:
        command = [program, "show", "--property=NTPSynchronized", "--value"]
        state = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()  # noqa: S603
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if state == "yes":
        yield Diagnosis("clock", "ok", f"{now}, synchronised")
    else:
        advice = "photos are filed by day: set a time server"
        found = f"{now}, not known to be synchronised"
        yield Diagnosis("clock", "warning", found, advice, hint="sudo timedatectl set-ntp true")


def _disk(config: StationConfig) -> Iterator[Diagnosis]:
    folder = config.station.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e6
    wanted = config.station.store_mb
    probe = Path(folder, ".sealpin-doctor")
    probe.write_bytes(b"x")
    probe.unlink()
    small = free < wanted
    advice = f"lower [station] store_mb, or make room: it is {wanted}" if small else ""
    yield Diagnosis("disk", "warning" if small else "ok", f"{free:,.0f} MB free at {folder}", advice)
