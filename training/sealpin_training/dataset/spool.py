"""Many photos' labels in little memory: they wait in a temporary file, in the order in which they came."""

import marshal
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import overload

from .labels import LabelledPhoto


class Photos(Sequence[LabelledPhoto]):
    """A sequence of photos on disk, quick when it is read in order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this does
        self._firsts: list[int] = []  # each chunk's first photo
        self._places: list[tuple[int, int]] = []
        self._count = 0
        self._cached: tuple[int, list[LabelledPhoto]] = (-1, [])

    def append(self, photos: Sequence[LabelledPhoto]) -> None:
        """Add a chunk of photos at the end."""
        if photos:
            data = marshal.dumps([tuple(photo) for photo in photos])
            self._firsts.append(self._count)
            self._places.append((self._file.seek(0, 2), len(data)))
            self._file.write(data)
            self._count += len(photos)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> LabelledPhoto: ...
    @overload
    def __getitem__(self, index: slice) -> list[LabelledPhoto]: ...
    def __getitem__(self, index: int | slice) -> LabelledPhoto | list[LabelledPhoto]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        chunk = bisect_right(self._firsts, index) - 1
        return self._load(chunk)[index - self._firsts[chunk]]

    def __iter__(self) -> Iterator[LabelledPhoto]:
        for chunk in range(len(self._firsts)):
            yield from self._load(chunk)

    def _load(self, chunk: int) -> list[LabelledPhoto]:
        if self._cached[0] != chunk:
            offset, length = self._places[chunk]
            self._file.seek(offset)
            read = marshal.loads(self._file.read(length))  # noqa: S302  of our own making, moments ago
            self._cached = (chunk, list(map(LabelledPhoto._make, read)))
        return self._cached[1]
