"""PLCs whose memory is words of 16 bits: the block's bytes, two a word, the first one high.

So the block's words (PartSeq, ResultSeq, ErrorCode, CycleMs) are numbers that such a PLC reads as they are.
"""

import struct
from collections.abc import Sequence


def to_bytes(words: Sequence[int], count: int) -> bytes:
    """The first `count` bytes of words (0 to 65535 each)."""
    return struct.pack(f">{len(words)}H", *words)[:count]


def to_words(data: bytes) -> list[int]:
    """Words of an even number of bytes."""
    return list(struct.unpack(f">{len(data) // 2}H", data))
