"""PLC addresses as TIA Portal writes them: `DB100.DBX0.1`, `DB100.DBB32`, `M76.6`, `I0.0`, `Q0.0`."""

import re
from dataclasses import dataclass

from ..errors import InputError

_DB = re.compile(r"DB(\d{1,5})(?:\.DB([XB])(\d{1,5})(?:\.([0-7]))?)?")
_AREA = re.compile(r"([MIQ])(B?)(\d{1,5})(?:\.([0-7]))?")


@dataclass(frozen=True)
class Address:
    """A place in the PLC. `area` is DB, M, I or Q; `db` is 0 outside data blocks; `bit` is None for whole bytes."""

    area: str
    db: int
    byte: int
    bit: int | None = None

    def __str__(self) -> str:
        bit = "" if self.bit is None else f".{self.bit}"
        if self.area == "DB":
            return f"DB{self.db}.DB{'B' if self.bit is None else 'X'}{self.byte}{bit}"
        return f"{self.area}{'B' if self.bit is None else ''}{self.byte}{bit}"


def parse_address(text: str, where: str, *, bit: bool) -> Address:
    """Parse an address of a bit (`bit=True`) or of a byte; a bare `DB100` is its byte 0.

    `where` names the key in messages. Raises InputError for anything else.
    """
    found = _DB.fullmatch(text)
    if found:
        number, kind, byte, position = found.groups()
        address = Address("DB", int(number), int(byte or 0), None if position is None else int(position))
        good = (kind == "X") == (position is not None) and address.db > 0
    elif found := _AREA.fullmatch(text):
        area, kind, byte, position = found.groups()
        address = Address(area, 0, int(byte), None if position is None else int(position))
        good = (kind == "B") == (position is None)
    else:
        good = False
    if not good or (address.bit is not None) != bit or address.byte > 65535:
        raise InputError(
            "this is no PLC address of a " + ("bit" if bit else "byte"),
            where=where,
            found=repr(text),
            allowed="DB100.DBX0.1, M76.6, I0.0 or Q0.0" if bit else "DB100, DB100.DBB32, MB10, IB0 or QB0",
        )
    return address
