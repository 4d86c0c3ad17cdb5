"""A recipe field by field: what it says, and what sealpin does with that. `sealpin recipe` prints these."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from ...recipe import HONOURED, Setting
from .schema.treatment import FIXED, IDLE, WITHIN


def settings(message: Any, prefix: str = "") -> Iterator[Setting]:
    """Every value below a message of the schema, in the schema's order; messages that are not there are left out."""
    for item in fields(message):
        value, name = getattr(message, item.name), f"{prefix}{item.name}"
        if is_dataclass(value):
            yield from settings(value, f"{name}.")
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for number, one in enumerate(value):
                yield from settings(one, f"{name}[{number}].")
        elif value is not None:
            default = value == item.default
            kind, effect = HONOURED, ""
            if IDLE in item.metadata:
                kind, effect = IDLE, item.metadata[IDLE]
            elif FIXED in item.metadata and not default:
                kind, effect = FIXED, item.metadata[FIXED]
            allowed = item.metadata[WITHIN].refusal(value, message) if WITHIN in item.metadata else ""
            yield Setting(name, value, _shown(value), default, kind, effect, allowed)


def _shown(value: Any) -> str:
    """A value as a pipeline.config writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
