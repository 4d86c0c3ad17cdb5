"""Marks for the fields of the schema: without effect, or followed at one value only. Unmarked fields are honoured."""

from dataclasses import field
from typing import Any

IDLE = "idle"
FIXED = "fixed"


def idle(default: Any, why: str) -> Any:
    """A field that is read and changes nothing; `why` is told by `sealpin recipe check`."""
    return field(default=default, metadata={IDLE: why})


def fixed(default: Any, instead: str) -> Any:
    """A field that training follows at its default only; with another value it does `instead`."""
    return field(default=default, metadata={FIXED: instead})
