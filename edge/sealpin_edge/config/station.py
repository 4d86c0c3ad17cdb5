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
from urllib.parse import urlsplit

from ..camera import CAMERAS
from ..errors import quote
from ..plc.section import PlcSection
from ..setting import Fault, milliseconds, setting, shown
from ..tasks.verdict import ALLOWED_THRESHOLD, is_threshold
from ..upload import UPLOADERS

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
class CameraSection:
    """[camera]: `path` for a folder, `source` for OpenCV; the rest for real cameras, 0 where the camera decides.

    `crop` is x, y, width and height in pixels of the photo before it is turned by `rotate` degrees clockwise. `checks`
    are "taught", and then no part is taken before they are, or "off".
    """

    driver: str = setting(one_of=CAMERAS)
    checks: str = setting("taught", one_of=("taught", "off"))
    path: Path = Path()
    source: str = setting("", number=True)
    password_file: Path | None = None
    width: int = setting(0, low=0, high=16_384, unit="pixels")
    height: int = setting(0, low=0, high=16_384, unit="pixels")
    exposure_us: int = setting(0, low=0, high=1_000_000, unit="microseconds")
    latency_ms: int = setting(0, low=0, high=10_000, unit="milliseconds")
    gain: float = setting(0.0, low=0, high=64)
    white_balance: tuple[float, ...] = ()
    crop: tuple[int, ...] = ()
    rotate: int = setting(0, one_of=(0, 90, 180, 270))

    def check_crop(self) -> Iterator[Fault]:
        """Four numbers that leave a picture."""
        if self.crop and (len(self.crop) != 4 or min(self.crop) < 0 or min(self.crop[2:]) < 1):
            yield "crop", str(list(self.crop)), "[x, y, width, height] in pixels"

    def check_white_balance(self) -> Iterator[Fault]:
        """Two gains."""
        if self.white_balance and (len(self.white_balance) != 2 or min(self.white_balance) <= 0):
            yield "white_balance", str(list(self.white_balance)), "[gain of red, gain of blue]"

    def check_size(self) -> Iterator[Fault]:
        """Both or none."""
        if (self.width > 0) != (self.height > 0):
            yield "width", f"{self.width} x {self.height}", "both width and height, or neither"

    def check_source(self) -> Iterator[Fault]:
        """OpenCV needs one."""
        allowed = 'a number or device such as "/dev/video0", or "rtsp://user@host/stream"'
        if self.driver == "opencv" and not self.source:
            yield "source", "nothing", allowed
        if fault := _url_fault(self.source):
            yield "source", fault, allowed + "; the password in a file, password_file"

    def check_latency(self) -> Iterator[Fault]:
        """A stream is never up to date."""
        if "://" in self.source and not self.latency_ms:
            yield (
                "latency_ms",
                "0",
                "how late a stream's pictures may come (film a clock); else an older part is judged",
            )


@dataclass(frozen=True)
class ModelSection:
    """[model]: `threshold`, one for all categories or by name, and `notice`, those that do not reject.

    Each replaces the model's own, which holds where they are absent; by name, of the categories that are named.
    `golden` is a folder of photos with the detections expected, `golden.json`, which are judged before Ready.
    """

    file: Path
    sha256: str = setting(get="sha256sum MODEL.tflite")
    threshold: float | Mapping[str, float] | None = None
    notice: tuple[str, ...] | None = None
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
class PhotosSection:
    """[photos]: where photos go.

    `ca_file` holds who signed an FTPS server's certificate; `known_hosts` an SFTP server's key, `key_file` our own.
    """

    url: str
    password_file: Path | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None
    first: str = setting("upload", one_of=("upload", "store"))

    def check_url(self) -> Iterator[Fault]:
        """Where to."""
        yield from _url_faults(self.url, tuple(UPLOADERS))


@dataclass(frozen=True)
class ResultsSection:
    """[results]: every result is PUT to {url}/{id}. `ca_file` is who signed its certificate, else the system's list.

    `plain_token` lets the token go to another machine unencrypted.
    """

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    plain_token: bool = False

    def check_url(self) -> Iterator[Fault]:
        """Where to."""
        yield from _url_faults(self.url, ("http", "https"))


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


def _url_faults(url: str, schemes: tuple[str, ...]) -> Iterator[Fault]:
    allowed = " or ".join(f"{scheme}://" for scheme in schemes) + " and a host, with the secret in a file of its own"
    scheme, separator, _ = url.partition("://")
    if fault := _url_fault(url):
        yield "url", fault, allowed
    elif not separator or scheme not in schemes:
        yield "url", repr(scheme) if separator else f"no {schemes[0]}:// in front", allowed


def _url_fault(url: str) -> str:
    """What is wrong with an address, "" when nothing is; without a word of it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        if parts.password is not None:
            return "a password in it"
        parts.port  # noqa: B018  raises ValueError when it is no number
    except ValueError:
        return "what stands in the host's and port's place is none, or a password with signs of its own"
    if "://" in url and (parts.query or parts.fragment or ("@" in parts.path and "@" not in parts.netloc)):
        return "a ?, # or @ in its path, which may be the rest of a password"
    return ""
