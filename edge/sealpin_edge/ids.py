"""Inspection ids: UUIDv7, so that they sort by time."""

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """A version 7 UUID of now (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (
        int.from_bytes(os.urandom(16), "big") & ~(0xFFFF << 64) & ((1 << 80) - 1) | (time.time_ns() // 1_000_000) << 80
    )
    value = value | 0x7 << 76 | int.from_bytes(os.urandom(2), "big") % 0x1000 << 64
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
