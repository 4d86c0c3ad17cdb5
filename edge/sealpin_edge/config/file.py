"""Reading a station.toml: unknown keys are errors, and every fault is told at once, with its line and key.

What is told of a value that is not allowed must not be a secret: of an unknown key, and of a value of the wrong kind,
nothing is repeated.
"""

import difflib
import functools
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, raise_all
from ..files import parse_toml, read_text
from ..setting import Fault
from .station import StationConfig, check_mode, check_recipe

_KINDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
_OTHER_KINDS: dict[type, str] = {list: "a list", dict: "a section"}
# Of a StationConfig, what is no section
_FILES = ("folder", "path", "own")


def load_config(path: Path, *, own: Path | None = None, template: bool = False) -> StationConfig:
    """Read and check a station.toml; a `template` may leave out what a bundle fills in, [model] file and sha256.

    `own` is a file of what this station alone has: its keys replace those of `path`, and relative paths but the model's
    count from its folder, which stays when releases go. It need not be there. Raises InputError that lists every fault
    with its line and key.
    """
    reader = _Reader(path, own)
    content, added = reader.read(path), reader.read(own) if own and own.exists() else {}
    reader.stop_at_faults()
    for name, section in added.items():
        if name == "model" and isinstance(section, dict):
            reader.refuse_release_keys(section)
        both = isinstance(section, dict) and isinstance(content.get(name), dict)
        content[name] = {**content[name], **section} if both else section
    if template:
        content.setdefault("model", {})
        if isinstance(content["model"], dict):
            content["model"] = {"file": "model.tflite", "sha256": "0" * 64, **content["model"]}
    return reader.config(content)


class _Unknown(Exception):
    """A check asks for a value that is missing or wrong itself, which is told already."""


class _Partly:
    """A section of which some keys are not known."""

    def __init__(self, cls: type, known: dict[str, Any]) -> None:
        self.cls, self.known = cls, known

    def __getattr__(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        method = getattr(self.cls, name, None)
        if not callable(method):
            raise _Unknown
        return functools.partial(method, self)


class _Reader:
    """One pass over a station's config, collecting its faults; all paths but the model's are relative to `own`."""

    def __init__(self, path: Path, own: Path | None) -> None:
        self._path, self._own = path, own
        self._folder = path.resolve().parent
        self._home = own.parent.resolve() if own else self._folder
        self._places: dict[tuple[str, str], str] = {}
        self._faults: list[InputError] = []

    def read(self, path: Path) -> dict[str, Any]:
        """A file's content; where its keys stand, for messages, replaces what a file before it said."""
        try:
            text = read_text(path)
            content = parse_toml(text, path)
        except (FileNotFoundError, IsADirectoryError):
            self._faults.append(
                InputError("no such station config", where=str(path), allowed="a file such as station.toml")
            )
            return {}
        except InputError as fault:
            self._faults.append(fault)
            return {}
        self._places |= {key: f"{path}:{line}" for key, line in _lines(text).items()}
        return content

    def stop_at_faults(self) -> None:
        """Raise what was found so far."""
        raise_all(self._faults)

    def refuse_release_keys(self, model: dict[str, Any]) -> None:
        """A station's own config must not put another model in the place of its release's."""
        for key in ("file", "sha256", "golden"):
            if key in model:
                self._fault("model", key, "the release says which model this is")

    def config(self, content: dict[str, Any]) -> StationConfig:
        """All sections. Raises InputError with every fault."""
        known = {item.name: item for item in fields(StationConfig) if item.name not in _FILES}
        hints = typing.get_type_hints(StationConfig)
        for name in content:
            if name not in known:
                allowed = ", ".join(f"[{key}]" for key in known)
                self._fault(name, "", "unknown section", allowed=allowed, advice=_nearest(name, known))
        sections: dict[str, _Partly] = {}
        for name, item in known.items():
            cls = hints[name] if isinstance(hints[name], type) else typing.get_args(hints[name])[0]
            needed = item.default is MISSING and item.default_factory is MISSING
            if name in content:
                sections[name] = self._section(cls, name, content[name])
            elif needed:
                self._fault(name, "", "missing section", allowed=", ".join(one.name for one in fields(cls)))
                sections[name] = _Partly(cls, {})
        for check in (check_mode, check_recipe):
            self._check("plc", functools.partial(check, sections["station"], sections["plc"]))  # type: ignore[arg-type]
        self.stop_at_faults()
        whole: dict[str, Any] = {name: one.cls(**one.known) for name, one in sections.items()}
        return StationConfig(self._folder, self._path, self._own, **whole)

    def _section(self, cls: type, name: str, content: Any) -> _Partly:
        """What is known of a section, once its faults are told."""
        if not isinstance(content, dict):
            self._fault(name, "", "this is a section, not a value", allowed=f"[{name}] and keys below it")
            return _Partly(cls, {})
        keys: dict[str, Field[Any]] = {item.name: item for item in fields(cls)}
        hints = typing.get_type_hints(cls)
        folder = self._folder if name == "model" else self._home
        values = {key: item.default for key, item in keys.items() if item.default is not MISSING}
        values |= {key: folder / value for key, value in values.items() if isinstance(value, Path)}
        for key, raw in content.items():
            if key not in keys:
                self._fault(name, key, "unknown key", allowed=", ".join(keys), advice=_nearest(key, keys))
                continue
            values.pop(key, None)
            if keys[key].metadata.get("number") and type(raw) is int and raw >= 0:
                raw = str(raw)
            try:
                value = _value(hints[key], raw, folder)
            except ValueError as error:
                found = _KINDS.get(type(raw)) or _OTHER_KINDS.get(type(raw), "a date or time")
                self._fault(name, key, "wrong kind of value", found=found, allowed=str(error))
                continue
            if limit := _limit(keys[key], value):
                self._fault(name, key, "this value is not allowed", found=repr(value), allowed=limit)
            else:
                values[key] = value
        for key, item in keys.items():
            if item.default is MISSING and key not in content:
                self._fault(name, key, "missing key", hint=item.metadata.get("get", ""))
        section = _Partly(cls, values)
        for check in (name for name in dir(cls) if name.startswith("check_")):
            self._check(name, getattr(section, check))
        return section

    def _check(self, section: str, check: Callable[[], Iterable[Fault]]) -> None:
        try:
            for key, found, allowed in check():
                self._fault(section, key, "this value is not allowed", found=found, allowed=allowed)
        except _Unknown:
            pass

    def _fault(
        self,
        section: str,
        key: str,
        problem: str,
        *,
        found: str = "",
        allowed: str = "",
        advice: str = "",
        hint: str = "",
    ) -> None:
        where = self._places.get((section, key)) or self._places.get((section, "")) or self._path
        where = f"{where}: [{section}] {key}".strip()
        self._faults.append(InputError(problem, where=where, found=found, allowed=allowed, advice=advice, hint=hint))


def _nearest(name: str, known: Iterable[str]) -> str:
    """Which known name was meant, probably."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"was {near[0]} meant?" if near else ""


def _value(kind: Any, raw: Any, folder: Path) -> Any:
    """A TOML value as its key wants it. Raises ValueError that says what is allowed."""
    if isinstance(kind, types.UnionType):
        # The last of several kinds that is not None says what is wrong, unless the value is of an earlier one
        *others, kind = (one for one in typing.get_args(kind) if one is not types.NoneType)
        for one in others:
            with suppress(ValueError):
                return _value(one, raw, folder)
    if kind is Path:
        if isinstance(raw, str) and raw:
            return folder / raw
        raise ValueError("a path in quotes")
    if typing.get_origin(kind) is tuple:
        of = typing.get_args(kind)[0]
        if isinstance(raw, list):
            return tuple(_value(of, item, folder) for item in raw)
        raise ValueError(f"a list: [{_KINDS[of]}, ...]")
    if typing.get_origin(kind) is Mapping:
        of = typing.get_args(kind)[1]
        if isinstance(raw, dict) and raw:
            with suppress(ValueError):
                return {name: _value(of, item, folder) for name, item in raw.items()}
        raise ValueError(f"{_KINDS[of]}, or a table: {{ NAME = {_KINDS[of]}, ... }}")
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        try:
            return float(raw)
        except OverflowError:
            raise ValueError(_KINDS[kind]) from None
    if type(raw) is not kind:
        raise ValueError(_KINDS[kind])
    return raw


def _limit(item: Field[Any], value: Any) -> str:
    """What is allowed, when the value is not; "" when it is."""
    one_of, allowed = item.metadata.get("one_of", ()), str(item.metadata.get("allowed", ""))
    if one_of and value not in one_of:
        return " or ".join(map(repr, one_of))
    if allowed and not item.metadata["low"] <= value <= item.metadata["high"]:
        return allowed
    return ""


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
