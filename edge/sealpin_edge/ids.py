"""Inspection ids (UUIDv7, so that they sort by time), and the id of this boot."""

import os
import time
import uuid
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def uuid7() -> uuid.UUID:
    """A version 7 UUID of now (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (
        int.from_bytes(os.urandom(16), "big") & ~(0xFFFF << 64) & ((1 << 80) - 1) | (time.time_ns() // 1_000_000) << 80
    )
    value = value | 0x7 << 76 | int.from_bytes(os.urandom(2), "big") % 0x1000 << 64
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def boot_id() -> str:
    """The kernel's id of this boot, another after every power cut (random(4)); "" where there is none."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
