"""Files that name a model's classes: a label a line, numbered lines, or the Object Detection API's label map."""

import re
from pathlib import Path

from ..errors import InputError, in_words
from ..files import read_text

# What the Object Detection API calls a number that no class has
NOBODY = "???"
MOST_CLASSES = 10_000
_ITEM = re.compile(r"\bitem\s*:?\s*\{([^{}]*)\}")
_FIELD = re.compile(r"""\b(id|name|display_name)\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|(\d{1,9})\b)""")
_NUMBERED = re.compile(r"\s*(\d{1,9})\s*[\s:,]\s*(\S.*)")


def read_labels(path: Path | None) -> tuple[str, ...] | None:
    """What a file calls the classes, in their order; None without a file. Raises InputError when it cannot be read."""
    if path is None:
        return None
    try:
        return parse_labels(read_text(path), str(path))
    except OSError as error:
        raise InputError("these labels cannot be read", where=str(path), found=in_words(error)) from None


def parse_labels(text: str, name: str) -> tuple[str, ...]:
    """The classes of a label file's text, in their order; a number that no class has is NOBODY's.

    A label map counts from 1 (string_int_label_map.proto), numbered lines ("0  person", as Coral's) from 0 or 1. Raises
    InputError for a label map that cannot be read; `name` stands in messages.
    """
    items = _ITEM.findall(text)
    if items:
        return _label_map(items, name)
    lines = text.splitlines()
    numbered = [match for line in lines if line.strip() and (match := _NUMBERED.fullmatch(line))]
    places = {int(number): label.strip() for number, label in (match.groups() for match in numbered)}
    # "1 euro" and "2 euro" are names: numbers count only where they rise from 0 or 1, each before a name of its own
    rising = list(places) == sorted(places) and min(places, default=MOST_CLASSES) <= 1 and max(places) < MOST_CLASSES
    whole = len(places) == sum(bool(line.strip()) for line in lines) and len(set(places.values())) == len(places)
    return _in_order(places, 0) if rising and whole else tuple(lines)


def _label_map(items: list[str], name: str) -> tuple[str, ...]:
    places: dict[int, str] = {}
    for item in items:
        said = {key: number or double or single for key, double, single, number in _FIELD.findall(item)}
        number, label = said.get("id", ""), said.get("display_name") or said.get("name", "")
        numbered = number.isdecimal() and len(number) < 9 and 1 <= int(number) < MOST_CLASSES
        if not numbered or not label or int(number) in places:
            raise InputError(
                "this label map cannot be read",
                where=name,
                found=" ".join(item.split())[:80] or "an empty item",
                allowed="items with an id of their own, from 1 on, and a name",
            )
        places[int(number)] = re.sub(r"\\(.)", r"\1", label)
    return _in_order(places, 1)


def _in_order(places: dict[int, str], first: int) -> tuple[str, ...]:
    return tuple(places.get(number, NOBODY) for number in range(first, max(places) + 1))
