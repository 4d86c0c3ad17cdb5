"""TFRecord shards with the Object Detection API's feature keys (object_detection/core/standard_fields.py)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .quiet import tensorflow
from .voc import Box

if TYPE_CHECKING:
    from .dataset import LabelledPhoto

# Enough shards to read in parallel, few enough that a folder stays readable
PHOTOS_PER_SHARD = 512


@dataclass(frozen=True)
class Record:
    """One photo read back from a shard: the file's bytes and its boxes in pixels."""

    name: str
    data: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


def write_shards(folder: Path, split: str, photos: Sequence["LabelledPhoto"], classes: Sequence[str]) -> None:
    """Write a split's photos as `<split>-00000-of-0000N.tfrecord` files, in order; one empty file for no photos."""
    tf = tensorflow()

    from .progress import progress_bar

    shards = max(1, -(-len(photos) // PHOTOS_PER_SHARD))
    with progress_bar(len(photos), f"write {split}", "photo") as bar:
        for shard in range(shards):
            path = folder / f"{split}-{shard:05d}-of-{shards:05d}.tfrecord"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for index, photo in list(enumerate(photos))[shard * PHOTOS_PER_SHARD : (shard + 1) * PHOTOS_PER_SHARD]:
                    writer.write(_example(photo, index, classes).SerializeToString(deterministic=True))
                    bar.update()


def read_records(folder: Path, split: str, classes: Sequence[str]) -> Iterator[Record]:
    """Read a split back, in the order in which it was written."""
    tf = tensorflow()

    for path in sorted(folder.glob(f"{split}-*.tfrecord")):
        for raw in tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(raw).features.feature
            width, height = (int(features[f"image/{side}"].int64_list.value[0]) for side in ("width", "height"))
            edges: list[npt.NDArray[np.float64]] = [
                np.array(features[f"image/object/bbox/{key}"].float_list.value, np.float64) * scale
                for key, scale in (("xmin", width), ("ymin", height), ("xmax", width), ("ymax", height))
            ]
            labels = features["image/object/class/label"].int64_list.value
            yield Record(
                features["image/filename"].bytes_list.value[0].decode(),
                features["image/encoded"].bytes_list.value[0],
                width,
                height,
                tuple(
                    Box(classes[label - 1], *map(float, corners))
                    for label, corners in zip(labels, np.stack(edges, axis=-1), strict=True)
                ),
            )


def _example(photo: "LabelledPhoto", index: int, classes: Sequence[str]) -> Any:
    tf = tensorflow()

    def texts(*values: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def ints(*values: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def floats(*values: float) -> Any:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    boxes = photo.boxes
    zeros = [0] * len(boxes)
    name = photo.name.encode()
    features = {
        "image/height": ints(photo.height),
        "image/width": ints(photo.width),
        "image/filename": texts(name),
        "image/source_id": texts(str(index).encode()),
        "image/key/sha256": texts(photo.sha256.encode()),
        "image/encoded": texts(photo.path.read_bytes()),
        "image/format": texts(b"png" if photo.path.suffix.lower() == ".png" else b"jpeg"),
        "image/object/bbox/xmin": floats(*(box.xmin / photo.width for box in boxes)),
        "image/object/bbox/xmax": floats(*(box.xmax / photo.width for box in boxes)),
        "image/object/bbox/ymin": floats(*(box.ymin / photo.height for box in boxes)),
        "image/object/bbox/ymax": floats(*(box.ymax / photo.height for box in boxes)),
        "image/object/class/text": texts(*(box.category.encode() for box in boxes)),
        "image/object/class/label": ints(*(classes.index(box.category) + 1 for box in boxes)),
        "image/object/is_crowd": ints(*zeros),
        "image/object/area": floats(*((box.xmax - box.xmin) * (box.ymax - box.ymin) for box in boxes)),
        "image/object/difficult": ints(*zeros),
        "image/object/truncated": ints(*zeros),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))
