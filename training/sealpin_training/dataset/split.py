"""Which photo goes to train, val and test: the same every time, each kind of part in each split, no shot in two."""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sealpin_edge.errors import InputError

from .duplicates import Groups

SPLITS = ("train", "val", "test")
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
# What other people call them
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip


class Part(NamedTuple):
    """A photo's name, and the categories on it in order."""

    name: str
    categories: tuple[str, ...]


def split(
    photos: Sequence[Part],
    seed: int,
    *,
    together: Iterable[tuple[int, int]] = (),
    kept: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Deal photos to train, val and test (70, 15 and 15 %) by a hash of their names; the split of each by name.

    Each mix of categories is dealt apart. `together` are pairs of positions that must not be parted. `kept` is the
    split that some photos have already; what belongs to them follows them.
    """
    kept = kept or {}
    groups = Groups(len(photos))
    for one, other in together:
        groups.join(one, other)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(photos)):
        members[groups.of(index)].append(index)
    dealt: dict[str, str] = {}
    owed = dict.fromkeys(SPLITS, 0.0)  # photos that a split is behind its share

    def give(unit: list[int], chosen: str | None) -> None:
        for name in SPLITS:
            owed[name] += SHARES[name] * len(unit)
        chosen = chosen or max(SPLITS, key=lambda name: owed[name])
        for index in unit:
            name = photos[index].name
            dealt[name] = kept.get(name, chosen)
            owed[dealt[name]] -= 1

    strata: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    for unit in members.values():
        homes = Counter(kept[photos[index].name] for index in unit if photos[index].name in kept)
        if homes:
            give(unit, max(SPLITS, key=lambda name: homes[name]))
        else:
            strata[tuple(sorted({name for index in unit for name in photos[index].categories}))].append(unit)
    for stratum in sorted(strata):
        for unit in sorted(strata[stratum], key=lambda unit: _lot(seed, photos[unit[0]].name)):
            give(unit, None)
    return dealt


def split_by_folder(names: Sequence[str]) -> dict[str, str]:
    """The split of each photo that lies below a folder called train, val (valid) or test."""
    found = {}
    for name in names:
        for part in os.path.dirname(name).lower().split("/"):
            if part in SPLIT_NAMES:
                found[name] = SPLIT_NAMES[part]
                break
    return found


def same_part(names: Sequence[str], pattern: str) -> list[tuple[int, int]]:
    """Pairs of positions of photos of one part: the pattern's first group, or all that it matches, is the same.

    Raises InputError when the pattern is none, or matches no photo.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            "this is no regular expression",
            where="--group",
            found=f"{pattern!r}: {error}",
            allowed=r"for photos named part17_2.jpg: 'part(\d+)'",
        ) from None
    first: dict[str, int] = {}
    pairs = []
    for index, name in enumerate(names):
        if found := compiled.search(name):
            key = found.group(1 if compiled.groups else 0) or ""
            pairs.append((first.setdefault(key, index), index))
    if not pairs:
        raise InputError("no photo's name matches", where="--group", found=pattern, allowed=f"names such as {names[0]}")
    return pairs


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode(errors="surrogateescape")).digest()
