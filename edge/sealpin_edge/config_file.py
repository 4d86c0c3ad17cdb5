"""Reading a station.toml: unknown keys are errors, and every fault is told at once, with its line and key."""

import re
import tomllib
import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from .config import Fault, StationConfig, mode_faults
from .errors import InputError, raise_all

_KINDS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}


def load_config(path: Path, *, own: Path | None = None, template: bool = False) -> StationConfig:
    """Read and check a station.toml; a `template` may leave out what a bundle fills in, [model] file and sha256.

    `own` is a file of what this station alone has: its keys replace those of `path`, and relative paths but the model's
    count from its folder, which stays when releases go. It need not be there. Raises InputError that lists every fault
    with its line and key.
    """
    reader = _Reader(path.resolve().parent, own.parent.resolve() if own else None)
    content = _read(path, reader)
    if own and own.exists():
        for name, section in _read(own, reader).items():
            if name == "model" and isinstance(section, dict):
                reader.refuse_release_keys(section)
            both = isinstance(section, dict) and isinstance(content.get(name), dict)
            content[name] = {**content[name], **section} if both else section
    if template:
        content.setdefault("model", {})
        if isinstance(content["model"], dict):
            content["model"] = {"file": "model.tflite", "sha256": "0" * 64, **content["model"]}
    return reader.config(content)


def _read(path: Path, reader: "_Reader") -> dict[str, Any]:
    """A file's content; the reader learns where each of its keys stands."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            "no such station config", where=str(path), hint="sealpin-edge run --config station.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("this is not TOML", where=str(path), found=str(error)) from None
    reader.learn(path, text)
    return content


class _Reader:
    """One pass over a station's config, collecting its faults; `folder` is where it lies, `home` the station's own."""

    def __init__(self, folder: Path, home: Path | None) -> None:
        self._folder, self._home = folder, home or folder
        self._places: dict[tuple[str, str], str] = {}
        self._path = ""
        self._faults: list[InputError] = []

    def learn(self, path: Path, text: str) -> None:
        """Where the keys of a file stand, for messages; they replace those of the file before it."""
        self._path = self._path or str(path)
        self._places |= {key: f"{path}:{line}" for key, line in _lines(text).items()}

    def refuse_release_keys(self, model: dict[str, Any]) -> None:
        """A station's own config must not put another model in the place of its release's."""
        for key in ("file", "sha256", "golden"):
            if key in model:
                self._fault("model", key, "the release says which model this is", found=repr(model[key]))

    def config(self, content: dict[str, Any]) -> StationConfig:
        sections: dict[str, Any] = {"folder": self._folder}
        known = {item.name: item for item in fields(StationConfig) if item.name != "folder"}
        hints = typing.get_type_hints(StationConfig)
        for name in content:
            if name not in known:
                self._fault(name, "", "unknown section", allowed=", ".join(f"[{key}]" for key in known))
        for name, item in known.items():
            if name in content:
                cls = hints[name] if isinstance(hints[name], type) else typing.get_args(hints[name])[0]
                sections[name] = self._section(cls, name, content[name])
            elif item.default is MISSING and item.default_factory is MISSING:
                self._fault(name, "", "missing section")
        if (station := sections.get("station")) and (plc := sections.get("plc")):
            self._broken("plc", mode_faults(station.mode, plc))
        raise_all(self._faults)
        return StationConfig(**sections)

    def _section(self, cls: type, name: str, content: Any) -> Any:
        """The section, or None when one of its values is of the wrong kind or out of its limits."""
        if not isinstance(content, dict):
            self._fault(name, "", "this is a section, not a value", allowed=f"[{name}] and keys below it")
            return None
        before = len(self._faults)
        keys: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
        hints = typing.get_type_hints(cls)
        values: dict[str, Any] = {}
        folder = self._folder if name == "model" else self._home
        for key, raw in content.items():
            if key not in keys:
                self._fault(name, key, "unknown key", found=repr(raw), allowed=", ".join(keys))
                continue
            try:
                values[key] = _value(hints[key], raw, folder)
            except ValueError as error:
                self._fault(name, key, "wrong kind of value", found=repr(raw), allowed=str(error))
            else:
                self._broken(name, _limits(key, keys[key], values[key]))
        for key, item in keys.items():
            if key not in content and isinstance(item.default, Path):
                values[key] = folder / item.default
            if item.default is MISSING and key not in content:
                self._fault(name, key, "missing key")
        if len(self._faults) > before:
            return None
        section = cls(**values)
        self._broken(name, section.faults())
        return section

    def _broken(self, section: str, faults: Iterable[Fault]) -> None:
        for key, found, allowed in faults:
            self._fault(section, key, "this value is not allowed", found=found, allowed=allowed)

    def _fault(self, section: str, key: str, problem: str, found: str = "", allowed: str = "") -> None:
        where = self._places.get((section, key)) or self._places.get((section, "")) or self._path
        self._faults.append(
            InputError(problem, where=f"{where}: [{section}] {key}".strip(), found=found, allowed=allowed)
        )


def _value(hint: Any, raw: Any, folder: Path) -> Any:
    """A TOML value as its key wants it. Raises ValueError that says what is allowed."""
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if hint is Path:
        if isinstance(raw, str) and raw:
            return folder / raw
        raise ValueError("a path in quotes")
    if typing.get_origin(hint) is tuple:
        of = typing.get_args(hint)[0]
        if isinstance(raw, list):
            return tuple(_value(of, item, folder) for item in raw)
        raise ValueError(f"a list: [{_KINDS[of]}, ...]")
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if type(raw) is not hint:
        raise ValueError(_KINDS[hint])
    return raw


def _limits(key: str, item: Field[Any], value: Any) -> Iterable[Fault]:
    limits = item.metadata
    if not limits:
        return
    if limits["one_of"]:
        if value not in limits["one_of"]:
            yield key, repr(value), " or ".join(map(repr, limits["one_of"]))
    elif not limits["low"] <= value <= limits["high"]:
        yield key, repr(value), limits["allowed"]


def _lines(text: str) -> dict[tuple[str, str], int]:
    """On which line each section and key stands, for messages."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            found.setdefault((section, key[1]), number)
    return found
