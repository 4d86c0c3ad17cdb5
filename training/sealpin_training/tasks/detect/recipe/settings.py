"""A recipe field by field: what it says, and what sealpin does with that. `sealpin recipe` prints these."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from .schema.treatment import FIXED, IDLE, WITHIN

HONOURED = "honoured"


@dataclass(frozen=True)
class Setting:
    """One value of a recipe. `kind` is HONOURED, IDLE (no effect) or FIXED (training does `effect` instead).

    `allowed` is what the value may be, when it may not be this one: a recipe with such a value is refused.
    """

    field: str
    value: Any
    default: bool
    kind: str
    effect: str
    allowed: str = ""

    @property
    def shown(self) -> str:
        """The value as a pipeline.config writes it."""
        return _shown(self.value)


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
            yield Setting(name, value, default, kind, effect, allowed)


def differences(a: Any, b: Any) -> list[tuple[str, str, str]]:
    """Fields in which two messages differ: name, value in `a`, value in `b`; "-" where one has no such field."""
    first, second = ({one.field: one.shown for one in settings(message)} for message in (a, b))
    fields = [*first, *(field for field in second if field not in first)]
    return [
        (field, first.get(field, "-"), second.get(field, "-"))
        for field in fields
        if first.get(field) != second.get(field)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
