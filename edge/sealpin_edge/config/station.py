"""station.toml: what its sections and keys are. `config_file` reads it.

Paths are relative to the file's folder. Secrets are never in it, only paths of files that hold them, and what a fault
says was found must not be one that was put here all the same.

A section's `check_...` tell what types and limits do not. Each is a question of its own, so that one that cannot be
answered, because a value that it needs is wrong itself, leaves the others.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..camera.section import CameraSection
from ..delivery.results import ResultsSection
from ..errors import quote
from ..plc.section import PlcSection
from ..setting import Fault, milliseconds, setting, shown
from ..tasks.verdict import ALLOWED_THRESHOLD, is_threshold
from ..upload.section import PhotosSection

# Of this file's format; bundles say it
CONFIG_VERSION = 1
# What is left of the deadline after the photo's own time, at least
JUDGING_MS = 500


@dataclass(frozen=True)
class StationSection:
    """[station]: `store_mb` bounds what waits on the disk, `keep_days` how long delivered results are kept."""

    name: str
    mode: str = setting(one_of=("simple", "full"))
    data_dir: Path = Path("data")
    store_mb: int = setting(4096, low=1, high=1_000_000, unit="megabytes")
    keep_days: int = setting(30, low=1, high=36_500, unit="days")

    def check_name(self) -> Iterator[Fault]:
        """Somebody will read it."""
        if not self.name.strip() or not self.name.isprintable():
            yield "name", repr(self.name), "a name for this station"


@dataclass(frozen=True)
class ModelSection:
    """[model]: `threshold`, one for all categories or by name, and `notice`, those that do not reject.

    Each replaces the model's own, which holds where they are absent; by name, of the categories that are named.
    `good` are the classes of good parts, of a model of someone else's whose classes are of whole photos.
    `golden` is a folder of photos with the detections expected, `golden.json`, which are judged before Ready.
    """

    file: Path
    sha256: str = setting(get="sha256sum MODEL.tflite")
    threshold: float | Mapping[str, float] | None = None
    notice: tuple[str, ...] | None = None
    good: tuple[str, ...] | None = None
    golden: Path | None = None

    def check_sha256(self) -> Iterator[Fault]:
        """A hash as sha256sum prints it."""
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            yield "sha256", repr(self.sha256), "the model's SHA-256 in hex; `sealpin-edge unpack` fills it in"

    def check_threshold(self) -> Iterator[Fault]:
        """Scores."""
        given = self.threshold
        scores = given.values() if isinstance(given, Mapping) else () if given is None else (given,)
        if not all(map(is_threshold, scores)):
            yield "threshold", repr(given), ALLOWED_THRESHOLD


@dataclass(frozen=True)
class DisplaySection:
    """[display]: host:port of the operator's page, of /health and of /metrics, or "off"; when `shifts` begin."""

    address: str = "127.0.0.1:8080"
    shifts: tuple[str, ...] = ("06:00", "14:00", "22:00")

    def check_address(self) -> Iterator[Fault]:
        """Where to listen, if at all."""
        host, _, port = self.address.rpartition(":")
        if self.address != "off" and not (host and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
            yield "address", shown(self.address), '"127.0.0.1:8080" or "off"'

    def check_shifts(self) -> Iterator[Fault]:
        """Times of a day."""
        if not self.shifts or not all(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) for text in self.shifts):
            yield "shifts", str(list(self.shifts)), 'times of day: ["06:00", "14:00", "22:00"]'


@dataclass(frozen=True)
class TimersSection:
    """[timers], in milliseconds."""

    poll_ms: int = milliseconds(3, high=1_000)
    trigger_low_ms: int = milliseconds(200)
    # The loop feeds a watchdog of 10 s between two operations at the latest
    plc_operation_ms: int = milliseconds(500, high=3_000)
    serial_ms: int = milliseconds(500)
    capture_ms: int = milliseconds(1000)
    inference_ms: int = milliseconds(3000)
    decision_deadline_ms: int = milliseconds(4000)
    result_ack_ms: int = milliseconds(2000)
    heartbeat_ms: int = milliseconds(500)
    plc_dead_ms: int = milliseconds(2000)
    server_ms: int = milliseconds(5000)

    def check_dead(self) -> Iterator[Fault]:
        """A PLC that answers just in time is not dead."""
        if self.plc_dead_ms <= self.plc_operation_ms:
            yield "plc_dead_ms", str(self.plc_dead_ms), f"more than plc_operation_ms, {self.plc_operation_ms}"

    def check_capture(self) -> Iterator[Fault]:
        """A part without a photo must be told as one, and not as one that took too long."""
        latest = self.decision_deadline_ms - JUDGING_MS
        if self.capture_ms >= latest:
            allowed = f"less than decision_deadline_ms, {self.decision_deadline_ms}, less {JUDGING_MS} to judge"
            yield "capture_ms", str(self.capture_ms), allowed

    def check_inference(self) -> Iterator[Fault]:
        """As with the capture."""
        if self.inference_ms > self.decision_deadline_ms:
            allowed = f"at most decision_deadline_ms, {self.decision_deadline_ms}"
            yield "inference_ms", str(self.inference_ms), allowed


@dataclass(frozen=True)
class StationConfig:
    """A station.toml, checked. `folder` is where it lies, `path` and `own` are the files it was read from."""

    folder: Path
    path: Path
    own: Path | None
    station: StationSection
    plc: PlcSection
    camera: CameraSection
    model: ModelSection
    photos: PhotosSection | None = None
    results: ResultsSection | None = None
    display: DisplaySection = field(default_factory=DisplaySection)
    timers: TimersSection = field(default_factory=TimersSection)

    @property
    def options(self) -> str:
        """How a command line names it."""
        return f"--config {quote(self.path)}" + (f" --own {quote(self.own)}" if self.own else "")


def check_mode(station: StationSection, plc: PlcSection) -> Iterator[Fault]:
    """The keys of [plc] that the mode needs, and no others."""
    needed = ("block",) if station.mode == "full" else ("trigger", "ok")
    for name in ("block", "trigger", "ok"):
        if bool(getattr(plc, name)) != (name in needed):
            allowed = f"{' and '.join(needed)} in {station.mode} mode, and no other of block, trigger and ok"
            yield name, repr(getattr(plc, name)), allowed


def check_recipe(station: StationSection, plc: PlcSection) -> Iterator[Fault]:
    """Two bits cannot say which recipe the PLC has."""
    if station.mode == "simple" and plc.recipe:
        yield "recipe", str(plc.recipe), "no recipe in simple mode: only the block has a RecipeId"
