"""station.toml: what its sections and keys are. `config_file` reads it.

Paths are relative to the file's folder. Secrets are never in it, only paths of files that hold them.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .camera import CAMERAS
from .errors import InputError
from .plc import DRIVERS, family
from .plc.address import Address
from .upload import UPLOADERS

# Of this file's format; bundles say it
CONFIG_VERSION = 1
# A rule that a section breaks: its key, what was found, what is allowed
Fault = tuple[str, str, str]


def _key(default: Any = MISSING, *, low: float = 0, high: float = 0, unit: str = "", one_of: Any = ()) -> Any:
    """A key with limits: a number from `low` to `high` in `unit`, or `one_of` these."""
    allowed = f"{low:g} to {high:g} {unit}".strip()
    return field(default=default, metadata={"low": low, "high": high, "one_of": tuple(one_of), "allowed": allowed})


def _ms(default: int, low: int = 1, high: int = 60_000) -> Any:
    return _key(default, low=low, high=high, unit="milliseconds")


@dataclass(frozen=True)
class StationSection:
    """[station]: `store_mb` bounds what waits on the disk, `keep_days` how long delivered results are kept."""

    name: str
    mode: str = _key(one_of=("simple", "full"))
    data_dir: Path = Path("data")
    store_mb: int = _key(4096, low=1, high=1_000_000, unit="megabytes")
    keep_days: int = _key(30, low=1, high=36_500, unit="days")

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        if not self.name.strip():
            yield "name", repr(self.name), "a name for this station"


@dataclass(frozen=True)
class PlcSection:
    """[plc]: `trigger` and `ok` in simple mode, `block` in full mode; `port` 0 is the family's own.

    `recipe` is the RecipeId that this station's model is for, in full mode.
    """

    host: str
    driver: str = _key("s7", one_of=DRIVERS)
    port: int = _key(0, low=0, high=65535)
    rack: int = _key(0, low=0, high=7)
    slot: int = _key(1, low=0, high=31)
    series: str = ""
    unit: int = _key(1, low=0, high=255)
    trigger: str = ""
    ok: str = ""
    ok_pulse_ms: int = _ms(500, high=10_000)
    block: str = ""
    recipe: int = _key(0, low=0, high=65535)
    serial: str = ""
    serial_length: int = _key(16, low=1, high=64, unit="characters")
    serial_ready: str = ""

    def address(self, key: str) -> Address | None:
        """The parsed PLC address of a key, None where it is not set. Raises InputError."""
        text = getattr(self, key)
        if not text:
            return None
        bit = key not in ("block", "serial")
        module = family(self.driver)
        address = cast(Address, module.parse_address(text, f"[plc] {key}", bit=bit))
        if key in ("block", "ok") and address.area in module.READ_ONLY:
            raise InputError(
                "the station cannot write there", where=f"[plc] {key}", found=repr(text), allowed="a place it may write"
            )
        return address

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        series = family(self.driver).SERIES
        if self.series not in (series or ("",)):
            yield "series", repr(self.series), f"one of {', '.join(series)}" if series else "no series, for this driver"
        for key in ("block", "trigger", "ok", "serial", "serial_ready"):
            try:
                self.address(key)
            except InputError as fault:
                yield key, fault.found, fault.allowed


@dataclass(frozen=True)
class CameraSection:
    """[camera]: `path` for a folder, `source` for OpenCV; the rest for real cameras, 0 where the camera decides.

    `crop` is x, y, width and height in pixels of the photo before it is turned by `rotate` degrees clockwise. `checks`
    are "taught", and then no part is taken before they are, or "off".
    """

    driver: str = _key(one_of=CAMERAS)
    checks: str = _key("taught", one_of=("taught", "off"))
    path: Path = Path()
    source: str = ""
    password_file: Path | None = None
    width: int = _key(0, low=0, high=16_384, unit="pixels")
    height: int = _key(0, low=0, high=16_384, unit="pixels")
    exposure_us: int = _key(0, low=0, high=1_000_000, unit="microseconds")
    latency_ms: int = _key(0, low=0, high=10_000, unit="milliseconds")
    gain: float = _key(0.0, low=0, high=64)
    white_balance: tuple[float, ...] = ()
    crop: tuple[int, ...] = ()
    rotate: int = _key(0, one_of=(0, 90, 180, 270))

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        if self.crop and (len(self.crop) != 4 or min(self.crop) < 0 or min(self.crop[2:]) < 1):
            yield "crop", str(list(self.crop)), "[x, y, width, height] in pixels"
        if self.white_balance and (len(self.white_balance) != 2 or min(self.white_balance) <= 0):
            yield "white_balance", str(list(self.white_balance)), "[gain of red, gain of blue]"
        if self.driver == "opencv" and not self.source:
            yield "source", "nothing", 'a number or device such as "/dev/video0", or "rtsp://user@host/stream"'
        if (self.width > 0) != (self.height > 0):
            yield "width", f"{self.width} x {self.height}", "both width and height, or neither"
        if urlsplit(self.source).password:
            yield "source", "a password in it", "an address without one; the password in a file, password_file"
        if "://" in self.source and not self.latency_ms:
            yield (
                "latency_ms",
                "0",
                "how late a stream's pictures may come (film a clock); else an older part is judged",
            )


@dataclass(frozen=True)
class ModelSection:
    """[model]: `threshold` replaces the model's own; `notice` lists categories that do not reject.

    `golden` is a folder of photos with the detections expected, `golden.json`, which are judged before Ready.
    """

    file: Path
    sha256: str
    threshold: float | None = None
    notice: tuple[str, ...] = ()
    golden: Path | None = None

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            yield "sha256", repr(self.sha256), "the model's SHA-256 in hex; `sealpin-edge unpack` fills it in"
        if self.threshold is not None and not 0 < self.threshold < 1:
            yield "threshold", repr(self.threshold), "between 0 and 1"


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
    first: str = _key("upload", one_of=("upload", "store"))

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        yield from _url_faults(self.url, tuple(UPLOADERS))


@dataclass(frozen=True)
class ResultsSection:
    """[results]: every result is PUT to {url}/{id}. `ca_file` is who signed its certificate, else the system's list."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        yield from _url_faults(self.url, ("http", "https"))


@dataclass(frozen=True)
class DisplaySection:
    """[display]: host:port of the operator's page, of /health and of /metrics, or "off"; when `shifts` begin."""

    address: str = "127.0.0.1:8080"
    shifts: tuple[str, ...] = ("06:00", "14:00", "22:00")

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        host, _, port = self.address.rpartition(":")
        if self.address != "off" and not (host and port.isdecimal() and 0 < int(port) < 65536):
            yield "address", repr(self.address), '"127.0.0.1:8080" or "off"'
        if not self.shifts or not all(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) for text in self.shifts):
            yield "shifts", str(list(self.shifts)), 'times of day: ["06:00", "14:00", "22:00"]'


@dataclass(frozen=True)
class TimersSection:
    """[timers], in milliseconds."""

    poll_ms: int = _ms(3, high=1_000)
    trigger_low_ms: int = _ms(200)
    # The loop feeds a watchdog of 10 s between two operations at the latest
    plc_operation_ms: int = _ms(500, high=3_000)
    serial_ms: int = _ms(500)
    capture_ms: int = _ms(1000)
    inference_ms: int = _ms(3000)
    decision_deadline_ms: int = _ms(4000)
    result_ack_ms: int = _ms(2000)
    heartbeat_ms: int = _ms(500)
    plc_dead_ms: int = _ms(2000)
    server_ms: int = _ms(5000)

    def faults(self) -> Iterator[Fault]:
        """What types and limits do not tell."""
        if self.plc_dead_ms <= self.plc_operation_ms:
            yield "plc_dead_ms", str(self.plc_dead_ms), f"more than plc_operation_ms, {self.plc_operation_ms}"


@dataclass(frozen=True)
class StationConfig:
    """A station.toml, checked. `folder` is where it lies."""

    folder: Path
    station: StationSection
    plc: PlcSection
    camera: CameraSection
    model: ModelSection
    photos: PhotosSection | None = None
    results: ResultsSection | None = None
    display: DisplaySection = field(default_factory=DisplaySection)
    timers: TimersSection = field(default_factory=TimersSection)


def mode_faults(mode: str, plc: PlcSection) -> Iterator[Fault]:
    """The keys of [plc] that the mode needs, and no others."""
    needed = ("block",) if mode == "full" else ("trigger", "ok")
    for key in ("block", "trigger", "ok"):
        if bool(getattr(plc, key)) != (key in needed):
            allowed = f"{' and '.join(needed)} in {mode} mode, and no other of block, trigger and ok"
            yield key, repr(getattr(plc, key)), allowed


def _url_faults(url: str, schemes: tuple[str, ...]) -> Iterator[Fault]:
    """The address itself is not shown: somebody may have written a password into it."""
    allowed = " or ".join(f"{scheme}://" for scheme in schemes) + " and a host, with the secret in a file of its own"
    try:
        parts = urlsplit(url)
        found = "a password in it" if parts.password else "" if parts.scheme in schemes else repr(parts.scheme)
        parts.port  # noqa: B018  raises ValueError when it is no number
    except ValueError as error:
        found = str(error)
    if found:
        yield "url", found, allowed
