"""A place in a PLC's memory. How it is written differs by family: each driver's `parse_address` reads its own."""

from dataclasses import dataclass, field, replace

from ..errors import InputError


@dataclass(frozen=True)
class Address:
    """`number` counts what `area` is made of: bytes, words of 16 bits (`unit` = 2 bytes), or devices of one bit.

    `bit` is the bit's position in its byte (0 for a device of one bit), None for bytes and words. `db` is an S7's data
    block, 0 outside of one. `string` is an S7 STRING, which begins with its length. `text` is how messages call it.
    """

    area: str
    number: int
    bit: int | None = None
    db: int = 0
    unit: int = 1
    string: bool = False
    text: str = field(default="", compare=False)

    def at(self, offset: int) -> "Address":
        """The place `offset` bytes further on, a multiple of `unit`."""
        return replace(self, number=self.number + offset // self.unit, text=f"{self.text} + {offset} bytes")

    def __str__(self) -> str:
        return self.text


def no_address(text: str, where: str, *, bit: bool, allowed: str) -> InputError:
    """What a `parse_address` raises for a text that is none of its family's addresses."""
    return InputError(
        "this is no PLC address of a " + ("bit" if bit else "byte or word"),
        where=where,
        found=repr(text),
        allowed=allowed,
    )
