"""What a file can look like when it comes from outside: a sound one, changed at random by one of a few hands."""

import random
import re
import struct
from collections.abc import Callable, Sequence

MOST_CHANGES = 4
MOST_BYTES = 1 << 18
NESTED = (10, 200, 5_000, 50_000)
NUMBERS = (
    b"0", b"-1", b"1", b"-0.0", b"0.5", b"1e308", b"-1e999", b"nan", b"inf", b"NaN", b"Infinity", b"255", b"65536",
    b"2147483648", b"-2147483649", b"4294967296", b"9223372036854775808", b"9" * 400, b"9" * 5_000, b"0x10", b"1_0",
    b"0777", "\u0663".encode(), b"1,5",
)  # fmt: skip
WORDS = (
    b"null", b"true", b"{}", b"[]", b'""', b"''", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n\n",
    "\u2028".encode(), "e\u0301".encode(), b"\\ud800", b"../../etc/passwd", b"/dev/zero", b"C:\\Users\\x", b"&a", b"*a",
    b"<!DOCTYPE x>", b"%s", b"a" * 70_000, b"\xff\xfe", b"NaN", b"~", b"- ", b"!!python/object:x",
)  # fmt: skip
OPENERS = (b"[", b"{", b'{"a":', b"(", b"<a>", b"- ", b"a { ", b"a:\n ", b"[x]\n", b"'", b"!!set {", b"&a [*a,")
_TOKEN = re.compile(rb"[A-Za-z_]+|-?\d+(?:\.\d+)?|[^\sA-Za-z0-9_]|\s+")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")

Hand = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """`data` after one to MOST_CHANGES changes; `seeds` are the sound files that pieces are taken from."""
    for _ in range(chance.randint(1, MOST_CHANGES)):
        data = chance.choice(HANDS)(chance, data, seeds)[:MOST_BYTES]
    return data


def _place(chance: random.Random, data: bytes) -> int:
    """Anywhere, or rather near one of the ends, where headers and directories lie."""
    most = len(data)
    return chance.choice(
        (chance.randint(0, most), chance.randint(0, min(most, 64)), most - chance.randint(0, min(most, 64)))
    )


def flip_bits(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Some bits."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8)) if data else 0):
        changed[min(_place(chance, data), len(data) - 1)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut_off(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """The end is missing, or the beginning."""
    place = _place(chance, data)
    return data[:place] if chance.random() < 0.8 else data[place:]


def drop_block(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A piece is missing."""
    place = _place(chance, data)
    return data[:place] + data[place + chance.choice((1, 2, 4, 16, 256)) :]


def repeat_block(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A piece is there several times."""
    place = _place(chance, data)
    block = data[place : place + chance.choice((1, 4, 16, 256, 4096))]
    return data[:place] + block * chance.choice((2, 3, 50, 1000)) + data[place:]


def splice(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Goes on as another file does."""
    other = chance.choice(seeds)
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def write_number(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A number of 1, 2, 4 or 8 bytes at a limit, in either order."""
    size = chance.choice((1, 2, 4, 4, 8))
    number = chance.choice((0, 1, 1 << 7, 1 << 15, 1 << 31, 1 << 63, len(data), -1, -2, 0x7FFFFFFF, 100_000))
    place = min(_place(chance, data), max(0, len(data) - size))
    if chance.random() < 0.7:
        place -= place % size
    raw = struct.pack("<q" if chance.random() < 0.5 else ">q", number if number < 1 << 63 else -number)
    return data[:place] + (raw[:size] if raw[0] else raw[-size:]) + data[place + size :]


def scatter(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Bytes of chance."""
    place = _place(chance, data)
    return data[:place] + chance.randbytes(chance.choice((1, 3, 16, 100))) + data[place:]


def swap_number(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A number of a text becomes another."""
    found = list(_NUMBER.finditer(data[:100_000]))
    if not found:
        return scatter(chance, data, seeds)
    one = chance.choice(found)
    return data[: one.start()] + chance.choice(NUMBERS) + data[one.end() :]


def swap_token(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A word or sign of a text becomes another of it, of another file, or a strange one."""
    found = list(_TOKEN.finditer(data[:20_000]))
    if not found:
        return scatter(chance, data, seeds)
    one = chance.choice(found)
    others = chance.choice((data, chance.choice(seeds)))[:20_000]
    word = chance.choice((*WORDS, b"")) if chance.random() < 0.4 else chance.choice(_TOKEN.findall(others) or [b""])
    return data[: one.start()] + word + data[one.end() :]


def move_line(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A line is elsewhere, or there again."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return swap_token(chance, data, seeds)
    line = lines[chance.randrange(len(lines))]
    if chance.random() < 0.5:
        lines.remove(line)
    lines.insert(chance.randint(0, len(lines)), line)
    return b"".join(lines)


def nest(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Something is opened again and again."""
    place = _place(chance, data)
    return data[:place] + chance.choice(OPENERS) * chance.choice(NESTED) + data[place:]


HANDS: tuple[Hand, ...] = (
    flip_bits, cut_off, drop_block, repeat_block, splice, write_number, scatter, swap_number, swap_token, swap_token,
    move_line, nest,
)  # fmt: skip
