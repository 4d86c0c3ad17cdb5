"""[plc] of a station.toml: where the PLC is, and which places in its memory are shared."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast

from ..errors import InputError
from ..plc import DRIVERS, family
from ..setting import Fault, milliseconds, setting, shown
from .address import Address
from .block import BLOCK_BYTES

_LABEL = "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}\.?")
# What a STRING begins with: its longest and its present length
STRING_HEAD = 2


@dataclass(frozen=True)
class PlcSection:
    """[plc]: `trigger` and `ok` in simple mode, `block` in full mode; `port` 0 is the family's own.

    `recipe` is the RecipeId that this station's model is for, in full mode.
    """

    host: str
    driver: str = setting("s7", one_of=DRIVERS)
    port: int = setting(0, low=0, high=65535)
    rack: int = setting(0, low=0, high=7)
    slot: int = setting(1, low=0, high=31)
    series: str = ""
    unit: int = setting(1, low=0, high=255)
    trigger: str = ""
    ok: str = ""
    ok_pulse_ms: int = milliseconds(500, high=10_000)
    block: str = ""
    recipe: int = setting(0, low=0, high=65535)
    serial: str = ""
    serial_length: int = setting(16, low=1, high=64, unit="characters")
    serial_ready: str = ""

    def address(self, key: str) -> Address | None:
        """The parsed PLC address of a key, None where it is not set. Raises InputError."""
        text = getattr(self, key)
        if not text:
            return None
        bit = key not in ("block", "serial")
        module = family(self.driver)
        address = cast(Address, module.parse_address(text, f"[plc] {key}", bit=bit))
        refuse = _refuse(address, module, key)
        if refuse:
            raise InputError(refuse[0], where=f"[plc] {key}", found=repr(text), allowed=refuse[1])
        return address

    def check_host(self) -> Iterator[Fault]:
        """An address or a name, and nothing else; what only looks like an address would be asked of a name server."""
        named = _NAME.fullmatch(self.host) and not re.fullmatch(r"[\d.]+", self.host)
        if not named and not _is_address(self.host):
            yield (
                "host",
                shown(self.host),
                'an IP address such as "192.168.0.10" or a name, alone: the port has a key of its own',
            )

    def check_series(self) -> Iterator[Fault]:
        """A MELSEC's must be told, other families have none."""
        series = family(self.driver).SERIES
        if self.series not in (series or ("",)):
            yield "series", repr(self.series), f"one of {', '.join(series)}" if series else "no series, for this driver"

    def check_block(self) -> Iterator[Fault]:
        """The block."""
        yield from self._check_address("block")

    def check_trigger(self) -> Iterator[Fault]:
        """The trigger."""
        yield from self._check_address("trigger")

    def check_ok(self) -> Iterator[Fault]:
        """The OK bit: nothing that the PLC writes may lie on it."""
        yield from self._check_address("ok")
        ok = self._known_address("ok")
        for key in ("trigger", "serial_ready"):
            if ok and self._known_address(key) == ok:
                yield key, repr(getattr(self, key)), f"another bit than ok, {self.ok}, which the station writes"

    def check_serial(self) -> Iterator[Fault]:
        """The serial, and that it lies where the station does not write."""
        yield from self._check_address("serial")
        serial = self._known_address("serial")
        if serial:
            length = self.serial_length + STRING_HEAD * serial.string
            yield from self._check_apart("serial", serial, length)

    def check_serial_ready(self) -> Iterator[Fault]:
        """The bit that says that the serial is there."""
        yield from self._check_address("serial_ready")
        ready = self._known_address("serial_ready")
        if ready:
            yield from self._check_apart("serial_ready", ready, 1)

    def _check_address(self, key: str) -> Iterator[Fault]:
        try:
            self.address(key)
        except InputError as fault:
            yield key, fault.found, fault.allowed

    def _known_address(self, key: str) -> Address | None:
        try:
            return self.address(key)
        except InputError:  # told where this address is checked itself
            return None

    def _check_apart(self, key: str, place: Address, length: int) -> Iterator[Fault]:
        block, ok = self._known_address("block"), self._known_address("ok")
        found = f"{getattr(self, key)!r}, {length} bytes" if key == "serial" else repr(getattr(self, key))
        if block and _overlap(place, length, block, BLOCK_BYTES):
            yield key, found, f"a place outside of the block, which is {BLOCK_BYTES} bytes from {self.block} on"
        if ok and key == "serial" and _overlap(place, length, ok, 1):
            yield key, found, f"a place without ok, {self.ok}, which the station writes"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refuse(address: Address, module: Any, key: str) -> tuple[str, str] | None:
    """Why a place that there is may not be the key's, and what may; None when it may."""
    if key in ("block", "ok") and address.area in module.READ_ONLY:
        return "the station cannot write there", "a place that the station may write"
    if key == "block" and (address.string or (address.db and address.number)):
        return "a block begins at its data block's byte 0", f"the data block alone: DB{address.db}"
    if key == "block" and address.unit == 1 and address.number % 2:
        return "words of the block would lie across two", "an even byte: the block has words"
    if key == "block" and address.number + BLOCK_BYTES // address.unit > module.NUMBERS:
        last = module.NUMBERS - BLOCK_BYTES // address.unit
        return "the block does not end within the memory", f"{BLOCK_BYTES} bytes from there on: {last} at most"
    return None


def _overlap(one: Address, one_bytes: int, other: Address, other_bytes: int) -> bool:
    """Whether two places share a byte."""
    if (one.area, one.db) != (other.area, other.db):
        return False
    first, second = range(one.number, _end(one, one_bytes)), range(other.number, _end(other, other_bytes))
    return max(first.start, second.start) < min(first.stop, second.stop)


def _end(place: Address, length: int) -> int:
    return place.number + -(-length // place.unit)
