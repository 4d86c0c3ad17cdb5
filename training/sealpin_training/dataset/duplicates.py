"""Photos of the same shot: the same file twice, or saved again, resized, brightened, trimmed a little.

On a line all photos look alike: the same fixture, the same light, a part that differs by scratches. So photos are
compared by what tells them apart. A fingerprint of 32 x 32 grey cells is freed of brightness and contrast, and of the
mean of all photos; photos whose coarse remainders agree are compared again, piece by piece: nearly every piece with
some texture must agree, which two parts in one fixture do not.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from .photos import FINGERPRINT

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

COARSE = 8  # cells a side in the first comparison
ALIKE = 0.95  # correlation of the coarse remainders that is worth a closer look
MOST_LOOKS = 32  # closer looks a photo and block at most, so that a folder of one scene stays quick
PIECE = 4  # cells a side of a piece
FLAT = 1.5  # grey levels of spread under which a piece shows nothing but noise
PIECE_ALIKE = 0.8
PIECES_ALIKE = 0.85
LEAST_PIECES = 8
BLOCK, SMALL = 768, 128  # photos and pairs at a time: what the processor's caches hold
FEW = 16  # photos without a meaningful mean


class Fingerprints:
    """The fingerprints of all photos: coarse in memory, fine in a temporary file, since there may be many."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._coarse: list[npt.NDArray[np.float16]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def append(self, prints: npt.NDArray[np.uint8]) -> None:
        """Add fingerprints, [photos, FINGERPRINT * FINGERPRINT] grey."""
        step = FINGERPRINT // COARSE
        cells = prints.reshape(-1, COARSE, step, COARSE, step).mean(axis=(2, 4), dtype=np.float32)
        self._coarse.append(_unit(cells.reshape(-1, COARSE * COARSE)).astype(np.float16))
        self._file.write(prints.tobytes())

    def coarse(self, rows: Indices) -> npt.NDArray[np.float16]:
        """Unit vectors of what is left of each photo without brightness, contrast and the mean of all."""
        vectors = np.concatenate(self._coarse)[rows]
        if len(rows) >= FEW:
            mean = vectors.mean(axis=0, dtype=np.float32)
            for start in range(0, len(rows), BLOCK):
                block = vectors[start : start + BLOCK]
                block[:] = _unit(block.astype(np.float32) - mean)
        return vectors

    def fine(self, rows: Indices) -> npt.NDArray[np.uint8]:
        """The fingerprints of photos in rising order that lie near each other."""
        first, last = int(rows[0]), int(rows[-1])
        self._file.seek(first * FINGERPRINT**2)
        data = np.frombuffer(self._file.read((last + 1 - first) * FINGERPRINT**2), np.uint8)
        return np.asarray(data.reshape(-1, FINGERPRINT**2)[rows - first])


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

    def join(self, one: int, other: int) -> bool:
        """Make two groups one; False when they are one already."""
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first
        return first != second


def exact_duplicates(sha256: Sequence[str]) -> list[list[int]]:
    """Groups of the same bytes."""
    seen: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(sha256):
        seen[digest].append(index)
    return [group for group in seen.values() if len(group) > 1]


def near_duplicates(prints: Fingerprints, chosen: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of `chosen` photos, in rising order, that show the same shot; just enough of them to join each group.

    Time grows with the square of the number of photos, about half a second for 15,000; memory does not.
    """
    rows = np.fromiter(chosen, np.int64)
    if len(rows) < 2:
        return []
    groups = Groups(len(rows))
    pairs = []
    coarse = prints.coarse(rows)
    blocks = range(0, len(rows), BLOCK)
    for start, other_start in ((one, other) for one in blocks for other in blocks if one <= other):
        closeness = (
            coarse[start : start + BLOCK].astype(np.float32)
            @ coarse[other_start : other_start + BLOCK].astype(np.float32).T
        )
        if start == other_start:
            closeness = np.triu(closeness, 1)
        ones, others = _candidates(closeness)
        if not len(ones):
            continue
        mine = prints.fine(rows[start : start + BLOCK])
        theirs = prints.fine(rows[other_start : other_start + BLOCK])
        same = _same_shot(mine, theirs, ones, others)
        for one, other in zip((ones[same] + start).tolist(), (others[same] + other_start).tolist(), strict=True):
            if groups.join(one, other):
                pairs.append((int(rows[one]), int(rows[other])))
    return pairs


def _candidates(closeness: Floats) -> tuple[Indices, Indices]:
    """Rows and columns of what comes close, at most MOST_LOOKS a row."""
    near = closeness >= ALIKE
    for row in np.flatnonzero(np.count_nonzero(near, axis=1) > MOST_LOOKS):
        near[row] = False
        near[row, np.argpartition(-closeness[row], MOST_LOOKS)[:MOST_LOOKS]] = True
    return np.divmod(np.flatnonzero(near), near.shape[1])


def _same_shot(
    mine: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8], ones: Indices, others: Indices
) -> npt.NDArray[np.bool_]:
    """Of each pair: do nearly all pieces with texture agree?"""
    result = np.empty(len(ones), np.bool_)
    (left, left_textured, ones), (right, right_textured, others) = _pieces(mine, ones), _pieces(theirs, others)
    for start in range(0, len(ones), SMALL):
        one, other = ones[start : start + SMALL], others[start : start + SMALL]
        alike = np.einsum("ijk,ijk->ij", left[one], right[other]) >= PIECE_ALIKE
        textured = left_textured[one] | right_textured[other]
        agreeing, total = (alike & textured).sum(axis=-1), textured.sum(axis=-1)
        # Two photos without texture, of nothing or of a plain sheet, tell nothing
        result[start : start + SMALL] = (total >= LEAST_PIECES) & (agreeing >= PIECES_ALIKE * total)
    return result


def _pieces(prints: npt.NDArray[np.uint8], wanted: Indices) -> tuple[Floats, npt.NDArray[np.bool_], Indices]:
    """The wanted photos' pieces as unit vectors [photos, pieces, cells], which have texture, and the places in both."""
    photos, places = np.unique(wanted, return_inverse=True)
    across = FINGERPRINT // PIECE
    cells = prints[photos].reshape(-1, across, PIECE, across, PIECE).swapaxes(2, 3)
    vectors = cells.reshape(-1, across * across, PIECE * PIECE).astype(np.float32)
    vectors -= vectors.mean(axis=-1, keepdims=True)
    lengths = np.sqrt(np.einsum("ijk,ijk->ij", vectors, vectors))
    vectors /= np.maximum(lengths, 1e-6)[..., None]
    return vectors, lengths >= FLAT * PIECE, places


def _unit(vectors: Floats) -> Floats:
    """Mean 0 and length 1 along the last axis; zeros stay."""
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6), np.float32)
