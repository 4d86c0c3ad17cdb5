"""What a key of a station.toml may be: its default, limits and choices, which `config_file` holds it against."""

from dataclasses import MISSING, field
from typing import Any

# A rule that a section breaks: its key, what was found, what is allowed
Fault = tuple[str, str, str]


def setting(
    default: Any = MISSING,
    *,
    low: float = 0,
    high: float = 0,
    unit: str = "",
    one_of: Any = (),
    number: bool = False,
    get: str = "",
) -> Any:
    """A key with limits: a number from `low` to `high` in `unit`, or `one_of` these.

    `number` says that a text may be written as a number too, `get` is the command that finds out what belongs here.
    """
    allowed = f"{low:g} to {high:g} {unit}".strip() if high else ""
    limits = {"low": low, "high": high, "one_of": tuple(one_of), "allowed": allowed, "number": number, "get": get}
    return field(default=default, metadata=limits)


def milliseconds(default: int, low: int = 1, high: int = 60_000) -> Any:
    """A key that is a time."""
    return setting(default, low=low, high=high, unit="milliseconds")


def shown(text: str) -> str:
    """An address for a message; not one with an @, before which a password may stand."""
    return "a text with an @ in it" if "@" in text else repr(text)
