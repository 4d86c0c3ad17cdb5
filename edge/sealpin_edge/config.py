"""station.toml: one file says what a station is. Unknown keys are errors, all of them reported at once.

Paths are relative to the file's folder. Secrets are never in it, only paths of files that hold them.
"""

import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .camera import CAMERAS
from .errors import InputError, raise_all
from .plc import DRIVERS
from .plc.address import Address, parse_address
from .upload import UPLOADERS


@dataclass(frozen=True)
class StationSection:
    """[station]"""

    name: str
    mode: str
    data_dir: Path = Path("data")


@dataclass(frozen=True)
class PlcSection:
    """[plc]: `trigger` and `ok` in simple mode, `block` in full mode."""

    host: str
    driver: str = "s7"
    port: int = 102
    rack: int = 0
    slot: int = 1
    trigger: str = ""
    ok: str = ""
    ok_pulse_ms: int = 500
    block: str = ""
    serial: str = ""
    serial_length: int = 16
    serial_ready: str = ""


@dataclass(frozen=True)
class CameraSection:
    """[camera]"""

    driver: str
    path: Path = Path()


@dataclass(frozen=True)
class ModelSection:
    """[model]: `threshold` replaces the model's own; `notice` lists categories that do not reject."""

    file: Path
    sha256: str
    threshold: float | None = None
    notice: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhotosSection:
    """[photos]: where photos go; `first` is "upload" or "store"."""

    url: str
    password_file: Path | None = None
    first: str = "upload"


@dataclass(frozen=True)
class ResultsSection:
    """[results]: every result is PUT to {url}/{id}."""

    url: str
    token_file: Path | None = None


@dataclass(frozen=True)
class DisplaySection:
    """[display]: host:port of the operator's page, or "off"."""

    address: str = "127.0.0.1:8080"


@dataclass(frozen=True)
class TimersSection:
    """[timers], in milliseconds."""

    poll_ms: int = 10
    plc_operation_ms: int = 500
    capture_ms: int = 1000
    inference_ms: int = 3000
    decision_deadline_ms: int = 4000
    result_ack_ms: int = 2000
    heartbeat_ms: int = 500
    plc_dead_ms: int = 2000
    server_ms: int = 5000


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

    def address(self, key: str) -> Address | None:
        """The parsed PLC address of a [plc] key, None where it is not set."""
        text = getattr(self.plc, key)
        bit = key not in ("block", "serial")
        return parse_address(text, f"[plc] {key}", bit=bit) if text else None


def load_config(path: Path, *, template: bool = False) -> StationConfig:
    """Read and check a station.toml; a `template` may leave out what a bundle fills in, [model] file and sha256.

    Raises InputError that lists every fault with its key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            "no such station config", where=str(path), hint="sealpin-edge run --config station.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("this is not TOML", where=str(path), found=str(error)) from None
    if template:
        content.setdefault("model", {})
        if isinstance(content["model"], dict):
            content["model"] = {"file": "model.tflite", "sha256": "0" * 64, **content["model"]}
    faults: list[InputError] = []
    sections = {"folder": path.resolve().parent}
    known = {item.name: item for item in fields(StationConfig) if item.name != "folder"}
    hints = typing.get_type_hints(StationConfig)
    for name in sorted(set(content) - set(known)):
        faults.append(
            InputError("unknown section", where=f"{path}: [{name}]", allowed=", ".join(f"[{key}]" for key in known))
        )
    for name, item in known.items():
        if name in content:
            section = hints[name] if isinstance(hints[name], type) else typing.get_args(hints[name])[0]
            sections[name] = _section(section, name, content[name], path, faults)
        elif item.default is MISSING and item.default_factory is MISSING:
            faults.append(InputError("missing section", where=f"{path}: [{name}]"))
    raise_all(faults)
    config = StationConfig(**typing.cast(dict[str, Any], sections))
    raise_all(list(_rules(config, path)))
    return config


def _section(cls: type, name: str, content: Any, path: Path, faults: list[InputError]) -> Any:
    if not isinstance(content, dict):
        faults.append(
            InputError("this is a section, not a value", where=f"{path}: {name}", allowed=f"[{name}] and keys below it")
        )
        return None
    keys: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key in content:
        where = f"{path}: [{name}] {key}"
        if key not in keys:
            faults.append(InputError("unknown key", where=where, found=repr(content[key]), allowed=", ".join(keys)))
            continue
        try:
            values[key] = _value(hints[key], content[key], path.resolve().parent)
        except ValueError as error:
            faults.append(InputError("wrong kind of value", where=where, found=repr(content[key]), allowed=str(error)))
    for key, item in keys.items():
        if key not in content and isinstance(item.default, Path):
            values[key] = path.resolve().parent / item.default
        if item.default is MISSING and item.default_factory is MISSING and key not in content:
            faults.append(InputError("missing key", where=f"{path}: [{name}] {key}"))
            values[key] = None
    return cls(**values)


def _value(hint: Any, raw: Any, folder: Path) -> Any:
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if hint is Path:
        if isinstance(raw, str) and raw:
            return folder / raw
        raise ValueError("a path in quotes")
    if typing.get_origin(hint) is tuple:
        if isinstance(raw, list) and all(isinstance(item, str) for item in raw):
            return tuple(raw)
        raise ValueError('a list of names, such as ["QA"]')
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if type(raw) is not hint:
        raise ValueError({int: "a whole number", float: "a number", str: "a text in quotes"}[hint])
    return raw


def _rules(config: StationConfig, path: Path) -> Iterator[InputError]:
    """Rules on values that are of the right kind."""

    def bad(ok: bool, key: str, found: object, allowed: str) -> Iterator[InputError]:
        if not ok:
            yield InputError("this value is not allowed", where=f"{path}: {key}", found=repr(found), allowed=allowed)

    station, plc, timers = config.station, config.plc, config.timers
    yield from bad(station.mode in ("simple", "full"), "[station] mode", station.mode, '"simple" or "full"')
    yield from bad(bool(station.name.strip()), "[station] name", station.name, "a name for this station")
    yield from bad(plc.driver in DRIVERS, "[plc] driver", plc.driver, ", ".join(DRIVERS))
    yield from bad(config.camera.driver in CAMERAS, "[camera] driver", config.camera.driver, ", ".join(CAMERAS))
    yield from bad(0 < plc.port < 65536, "[plc] port", plc.port, "1 to 65535")
    needed = ("block",) if station.mode == "full" else ("trigger", "ok")
    for key in ("block", "trigger", "ok"):
        yield from bad(
            bool(getattr(plc, key)) == (key in needed),
            f"[plc] {key}",
            getattr(plc, key),
            f"{' and '.join(needed)} in {station.mode} mode, and no other of block, trigger and ok",
        )
    for key in ("block", "trigger", "ok", "serial", "serial_ready"):
        try:
            config.address(key)
        except InputError as fault:
            yield InputError(fault.problem, where=f"{path}: {fault.where}", found=fault.found, allowed=fault.allowed)
    sha256 = config.model.sha256
    yield from bad(
        len(sha256) == 64 and set(sha256) <= set("0123456789abcdef"),
        "[model] sha256",
        sha256,
        "the model's SHA-256 in hex; `sealpin-edge unpack` fills it in",
    )
    threshold = config.model.threshold
    yield from bad(threshold is None or 0 < threshold < 1, "[model] threshold", threshold, "between 0 and 1")
    for item in fields(timers):
        value = getattr(timers, item.name)
        yield from bad(1 <= value <= 60_000, f"[timers] {item.name}", value, "1 to 60000 milliseconds")
    yield from bad(1 <= plc.ok_pulse_ms <= 10_000, "[plc] ok_pulse_ms", plc.ok_pulse_ms, "1 to 10000 milliseconds")
    yield from bad(1 <= plc.serial_length <= 64, "[plc] serial_length", plc.serial_length, "1 to 64 characters")
    if config.photos:
        yield from _url_rules("[photos] url", config.photos.url, tuple(UPLOADERS), path)
        yield from bad(
            config.photos.first in ("upload", "store"), "[photos] first", config.photos.first, '"upload" or "store"'
        )
    if config.results:
        yield from _url_rules("[results] url", config.results.url, ("http", "https"), path)
    address = config.display.address
    host, _, port = address.rpartition(":")
    yield from bad(
        address == "off" or (bool(host) and port.isdecimal() and 0 < int(port) < 65536),
        "[display] address",
        address,
        '"127.0.0.1:8080" or "off"',
    )


def _url_rules(key: str, url: str, schemes: tuple[str, ...], path: Path) -> Iterator[InputError]:
    """The address itself is not shown: somebody may have written a password into it."""
    allowed = " or ".join(f"{scheme}://" for scheme in schemes) + " and a host, with the secret in a file of its own"
    try:
        parts = urlsplit(url)
        found = "a password in it" if parts.password else "" if parts.scheme in schemes else repr(parts.scheme)
        parts.port  # noqa: B018  raises ValueError when it is no number
    except ValueError as error:
        found = str(error)
    if found:
        yield InputError("this address is not allowed", where=f"{path}: {key}", found=found, allowed=allowed)
