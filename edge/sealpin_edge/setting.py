"""What a key of a station.toml may be: its default, limits and choices, which `config_file` holds it against."""

from collections.abc import Iterator
from dataclasses import MISSING, field
from typing import Any
from urllib.parse import urlsplit

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


def url_faults(url: str, schemes: tuple[str, ...]) -> Iterator[Fault]:
    """What is wrong with the key `url`: an address of one of these schemes, and no password in it."""
    allowed = " or ".join(f"{scheme}://" for scheme in schemes) + " and a host, with the secret in a file of its own"
    scheme, separator, _ = url.partition("://")
    if fault := url_fault(url):
        yield "url", fault, allowed
    elif not separator or scheme not in schemes:
        yield "url", repr(scheme) if separator else f"no {schemes[0]}:// in front", allowed


def url_fault(url: str) -> str:
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
