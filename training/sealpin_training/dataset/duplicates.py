"""Photos of the same shot: the same file twice, or saved again, resized, brightened, trimmed a little.

On a line all photos look alike: the same fixture, the same light, a part that differs by scratches. So photos are
compared by what tells them apart. A fingerprint of 32 x 32 grey cells is freed of brightness and contrast, and of the
mean of all photos; photos whose remainders agree are compared again, piece by piece: nearly every piece with some
texture must agree, which two parts in one fixture do not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from .photos import FINGERPRINT

Floats = npt.NDArray[np.float32]

COARSE = 16  # cells a side in the first comparison
ALIKE = 0.9  # correlation of the remainders that is worth a closer look
MOST_LOOKS = 32  # closer looks a photo and block at most, so that a folder of one scene stays quick
PIECE = 4  # cells a side of a piece
FLAT = 1.5  # grey levels of spread under which a piece shows nothing but noise
PIECE_ALIKE = 0.8
PIECES_ALIKE = 0.85
LEAST_PIECES = 8
BLOCK = 1024
FEW = 16  # photos without a meaningful mean


class Groups:
    """Things joined in groups (union-find)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, index: int) -> int:
        """The group's first member."""
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        """Make two groups one."""
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first

    def several(self) -> list[list[int]]:
        """The groups with more than one member, members in order."""
        members: dict[int, list[int]] = defaultdict(list)
        for index in range(len(self._parent)):
            members[self.of(index)].append(index)
        return [group for group in members.values() if len(group) > 1]


def exact_duplicates(sha256: Sequence[str]) -> list[list[int]]:
    """Groups of the same bytes."""
    seen: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(sha256):
        seen[digest].append(index)
    return [group for group in seen.values() if len(group) > 1]


def near_duplicates(fingerprints: npt.NDArray[np.uint8], chosen: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of `chosen` photos, the earlier first, that show the same shot; enough of them to join each group.

    `fingerprints`: [photos, FINGERPRINT * FINGERPRINT] grey. Time grows with the square of the number of photos, about
    a second for 15,000; memory does not.
    """
    rows = np.fromiter(chosen, np.int64)
    if len(rows) < 2:
        return []
    groups = Groups(len(rows))
    pairs = []
    coarse = _coarse(fingerprints, rows)
    blocks = range(0, len(rows), BLOCK)
    for start, other_start in ((one, other) for one in blocks for other in blocks if one <= other):
        closeness = (
            coarse[start : start + BLOCK].astype(np.float32)
            @ coarse[other_start : other_start + BLOCK].astype(np.float32).T
        )
        if start == other_start:
            closeness = np.triu(closeness, 1)
        for row in np.flatnonzero((closeness >= ALIKE).any(axis=1)):
            one = start + int(row)
            closest = np.argsort(-closeness[row], kind="stable")[:MOST_LOOKS]
            others = [other_start + int(other) for other in closest if closeness[row, other] >= ALIKE]
            others = [other for other in others if groups.of(other) != groups.of(one)]
            same = _same_shot(fingerprints[rows[one]], fingerprints[rows[others]]) if others else ()
            for other, agrees in zip(others, same, strict=True):
                if agrees:
                    groups.join(one, other)
                    pairs.append((int(rows[one]), int(rows[other])))
    return pairs


def _coarse(fingerprints: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
    """Unit vectors of what is left of each photo without brightness, contrast and the mean of all."""
    step = FINGERPRINT // COARSE
    vectors = np.empty((len(rows), COARSE * COARSE), np.float16)
    for start in range(0, len(rows), BLOCK):
        cells = fingerprints[rows[start : start + BLOCK]].reshape(-1, COARSE, step, COARSE, step)
        vectors[start : start + BLOCK] = _unit(cells.mean(axis=(2, 4), dtype=np.float32).reshape(len(cells), -1))
    if len(rows) >= FEW:
        mean = vectors.mean(axis=0, dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            vectors[start : start + BLOCK] = _unit(vectors[start : start + BLOCK].astype(np.float32) - mean)
    return vectors


def _same_shot(one: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Do nearly all pieces with texture agree?"""
    mine, theirs = _pieces(one[None]), _pieces(others)
    spread, their_spread = mine.std(axis=-1), theirs.std(axis=-1)
    alike = (_unit(mine) * _unit(theirs)).sum(axis=-1) >= PIECE_ALIKE
    textured = np.maximum(spread, their_spread) >= FLAT
    agreeing, total = (alike & textured).sum(axis=-1), textured.sum(axis=-1)
    # Two photos without texture, of nothing or of a plain sheet, tell nothing
    return np.asarray((total >= LEAST_PIECES) & (agreeing >= PIECES_ALIKE * total))


def _pieces(fingerprints: npt.NDArray[np.uint8]) -> Floats:
    """[photos, pieces, cells of a piece]"""
    across = FINGERPRINT // PIECE
    cells = fingerprints.reshape(-1, across, PIECE, across, PIECE).swapaxes(2, 3)
    return cells.reshape(-1, across * across, PIECE * PIECE).astype(np.float32)


def _unit(vectors: Floats) -> Floats:
    """Mean 0 and length 1 along the last axis; zeros stay."""
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6), np.float32)
