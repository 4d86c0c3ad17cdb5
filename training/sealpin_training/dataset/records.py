"""TFRecord shards with the Object Detection API's feature keys (object_detection/core/standard_fields.py)."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import MAX_FAULTS_SHOWN, EnvironmentFault, InputError

from ..parallel import Workers
from ..progress import progress_bar
from ..quiet import tensorflow
from .content import Content
from .labels import Box, LabelledPhoto
from .manifest import load_dataset
from .tfrecord import check_sum, damaged, example, floats, frame, ints, read_data, record_places, texts

# Enough shards to read in parallel and to write on every core, few enough that a folder stays readable
PHOTOS_PER_SHARD = 256
_NOT_THESE = "these are not the records that were converted together"


@dataclass(frozen=True)
class Record:
    """One photo read back from a shard: the file's bytes and its boxes in pixels.

    `category` is its class as a whole, where photos have one, and `is_good` whether that is one of good parts.
    """

    name: str
    data: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]
    category: str = ""
    is_good: bool = False

    @property
    def defects(self) -> tuple[str, ...]:
        """The categories that its labels tell of; none for a good part."""
        if self.category:
            return () if self.is_good else (self.category,)
        return tuple(dict.fromkeys(box.category for box in self.boxes))

    @property
    def told(self) -> str:
        """Its labels in words."""
        if self.category:
            return self.category
        boxes = (f"{box.category} {box.xmin:.0f},{box.ymin:.0f} to {box.xmax:.0f},{box.ymax:.0f}" for box in self.boxes)
        return "; ".join(boxes) or "no boxes"


class Shard(NamedTuple):
    """One file to write: its path, and its photos with the number that the first has in its split."""

    path: Path
    photos: list[LabelledPhoto]
    first: int


def write_shards(folder: Path, src: Path, content: Content, pool: Workers) -> dict[str, int]:
    """Write each split's photos as `<split>-00000-of-0000N.tfrecord` files of equal length, in order.

    A split without photos gets one empty file. Returns the check sum of each photo's record. Raises EnvironmentFault
    when a photo changed since it was checked.
    """

    def shards() -> Iterator[Shard]:
        for split, members in content.members.items():
            count = max(1, -(-len(members) // PHOTOS_PER_SHARD))
            photos = content.of(split)
            for number in range(count):
                first, end = (len(members) * edge // count for edge in (number, number + 1))
                yield Shard(folder / _shard_name(split, number, count), list(islice(photos, end - first)), first)

    numbers = {name: content.classes.index(label) + 1 for name, label in content.categories.items()}
    check_sums: dict[str, int] = {}
    with progress_bar(sum(map(len, content.members.values())), "write", "photo") as bar:
        for written in pool.map(partial(_write, src, replace(content, photos=(), members={}), numbers), shards(), 1):
            check_sums |= written
            bar.update(len(written))
    return check_sums


class RecordFile(Sequence[Record]):
    """A split's photos by their place in it, read from its shards when they are asked for. Safe to share by threads."""

    def __init__(self, folder: Path, split: str, classes: Sequence[str]) -> None:
        """Find where each record begins.

        Raises InputError when a shard is missing or cut off, or the shards are not those that dataset.json tells of.
        """
        dataset = load_dataset(folder)
        self._classes, self._split, self._dataset = classes, split, dataset
        self._places = [
            (path, number, start, length)
            for path in _shards(folder, split)
            for number, (start, length) in enumerate(record_places(path))
        ]
        if len(self._places) != dataset.counts[split]:
            found = f"{len(self._places)} records of {split}; dataset.json tells of {dataset.counts[split]}"
            raise damaged(str(folder), found, _NOT_THESE)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        """The record, read anew.

        Raises InputError when it is damaged, of another dataset, or was made with another class list.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        path, number, start, length = self._places[index]
        where = f"{path}: record {number}"
        data = read_data(path, start, length, where)
        record = _record(data, self._classes, self._dataset.good, where)
        if self._dataset.splits.get(record.name) != self._split:
            found = f"{record.name!r}, which dataset.json does not count to {self._split}"
            raise damaged(where, found, _NOT_THESE)
        # Whole and of this name, but with other boxes: of another conversion
        if self._dataset.check_sums.get(record.name, check_sum(data)) != check_sum(data):
            raise damaged(where, f"{record.name!r} otherwise than dataset.json tells", _NOT_THESE)
        return record


def read_records(folder: Path, split: str, classes: Sequence[str]) -> Iterator[Record]:
    """Read a split back, in the order in which it was written."""
    return iter(RecordFile(folder, split, classes))


def without_photos(records: Iterable[Record]) -> list[Record]:
    """Names, sizes and boxes alone: what a whole split of may stay in memory."""
    return [replace(record, data=b"") for record in records]


def _shards(folder: Path, split: str) -> list[Path]:
    """The files of a split, all that their names promise. Raises InputError when one is missing, or too many."""
    names = sorted(path.name for path in folder.glob(f"{split}-*.tfrecord"))
    count = names[0].removesuffix(".tfrecord").rpartition("-")[2] if names else ""
    wanted = [_shard_name(split, number, int(count)) for number in range(int(count))] if count.isdecimal() else []
    if not names or len(count) > 5 or names != wanted:
        odd = sorted(set(names) ^ set(wanted))[:MAX_FAULTS_SHOWN] or [f"no {split}-*.tfrecord"]
        told = (f"{name} is {'too many' if name in names else 'missing'}" if names else name for name in odd)
        raise damaged(str(folder), ", ".join(told), _NOT_THESE)
    return [folder / name for name in names]


def _shard_name(split: str, number: int, count: int) -> str:
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def _record(raw: bytes, classes: Sequence[str], good: Sequence[str], where: str) -> Record:
    """A record of its bytes, which may come from anywhere. Raises InputError when they are none that we write."""
    tf = tensorflow()
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(raw).features.feature
        width, height = (int(features[f"image/{side}"].int64_list.value[0]) for side in ("width", "height"))
        name, data = (features[f"image/{key}"].bytes_list.value[0] for key in ("filename", "encoded"))
        edges: list[npt.NDArray[np.float64]] = [
            np.array(features[f"image/object/bbox/{key}"].float_list.value, np.float64) * scale
            for key, scale in (("xmin", width), ("ymin", height), ("xmax", width), ("ymax", height))
        ]
        labels, difficult, truncated = (
            features[f"image/object/{key}"].int64_list.value for key in ("class/label", "difficult", "truncated")
        )
        names = [text.decode() for text in features["image/object/class/text"].bytes_list.value]
        boxes = tuple(
            Box(text, xmin, ymin, xmax, ymax, bool(hard), bool(cut))
            for text, (xmin, ymin, xmax, ymax), hard, cut in zip(
                names, np.stack(edges, axis=-1).tolist(), difficult, truncated, strict=True
            )
        )
        if not all(0 <= box.xmin <= box.xmax <= width and 0 <= box.ymin <= box.ymax <= height for box in boxes):
            raise ValueError("a box that is none, or reaches out of the photo")
        whole = [text.decode() for text in features["image/class/text"].bytes_list.value]
        category = whole[0] if whole else ""
        record = Record(name.decode(), data, width, height, boxes, category, category in good)
        numbered = list(zip(labels, names, strict=True))
        numbered += [
            (number + 1, text)
            for number, text in zip(features["image/class/label"].int64_list.value, whole, strict=True)
        ]
    except (DecodeError, ValueError, IndexError, RecursionError) as error:
        raise damaged(where, str(error), "this record is none of sealpin's") from None
    for label, text in numbered:
        if not 1 <= label <= len(classes) or classes[label - 1] != text:
            raise InputError(
                "this record was made with another list of classes",
                where=where,
                found=f"{text!r} as number {label}",
                allowed=", ".join(f"{number} {name}" for number, name in enumerate(classes, start=1)),
                advice="convert the dataset again",
                hint="sealpin dataset convert PHOTOS OUT",
            )
    return record


def _write(src: Path, content: Content, numbers: Mapping[str, int], shards: list[Shard]) -> dict[str, int]:
    """Write whole shards; returns the check sum of each photo's record."""
    check_sums = {}
    for shard in shards:
        with open(shard.path, "wb") as file:
            for index, photo in enumerate(shard.photos, start=shard.first):
                data = _example(src, photo, index, content, numbers)
                file.write(frame(data))
                check_sums[photo.name] = check_sum(data)
    return check_sums


def _example(src: Path, photo: LabelledPhoto, index: int, content: Content, numbers: Mapping[str, int]) -> bytes:
    with open(os.path.join(src, photo.name), "rb") as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise EnvironmentFault(
            "this photo changed while it was converted",
            where=photo.name,
            advice="let it come to rest and convert again",
        )
    boxes, width, height = photo.boxes, photo.width, photo.height
    name = photo.name.encode(errors="replace")
    categories, whole = content.categories, content.category(photo)
    # From 0, as TF-Vision's classification counts, while the Object Detection API's label map counts from 1
    of_whole = (
        {
            "image/class/text": texts([whole.encode()]),
            "image/class/label": ints([content.classes.index(whole)]),
        }
        if whole
        else {}
    )
    return example(
        of_whole
        | {
            "image/height": ints([height]),
            "image/width": ints([width]),
            "image/filename": texts([name]),
            "image/source_id": texts([str(index).encode()]),
            "image/key/sha256": texts([photo.sha256.encode()]),
            "image/encoded": texts([data]),
            "image/format": texts([photo.encoding.encode()]),
            "image/object/bbox/xmin": floats([box.xmin / width for box in boxes]),
            "image/object/bbox/xmax": floats([box.xmax / width for box in boxes]),
            "image/object/bbox/ymin": floats([box.ymin / height for box in boxes]),
            "image/object/bbox/ymax": floats([box.ymax / height for box in boxes]),
            "image/object/class/text": texts([categories[box.category].encode() for box in boxes]),
            "image/object/class/label": ints([numbers[box.category] for box in boxes]),
            "image/object/is_crowd": ints([0] * len(boxes)),
            "image/object/area": floats([(box.xmax - box.xmin) * (box.ymax - box.ymin) for box in boxes]),
            "image/object/difficult": ints([int(box.difficult) for box in boxes]),
            "image/object/truncated": ints([int(box.truncated) for box in boxes]),
        }
    )
