"""The training photos in order: a step's batch is a function of dataset, recipe, seed and step, and of nothing else.

Hence a run that was killed goes on with the very photos that it would have seen; several workers share a batch without
talking to each other; and the photos of the step at which a loss broke can be named. TF-Vision's reader shuffles in a
buffer, which can do none of that; records and network stay TF-Vision's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import SealpinError
from sealpin_edge.model.photo import decode_photo

from .dataset.records import RecordFile
from .tasks.detect.augment import View, augmented
from .tasks.detect.network.model import preprocess
from .tasks.detect.recipe import Recipe
from .tasks.detect.targets import assigner
from .tf import no_autograph, tf

# Decoded photos are kept up to this size and what memory allows, so that small datasets are decoded once
CACHE_BYTES = 1 << 30


class Order:
    """Which photo is the n-th of the run: every epoch goes through all `count` photos in a new random order."""

    def __init__(self, count: int, seed: int) -> None:
        """`count` photos; equal seeds give equal orders on every machine."""
        self._count = count

        @lru_cache(maxsize=2)
        def epoch(number: int) -> npt.NDArray[np.int64]:
            return np.random.Generator(np.random.Philox(key=[seed, number])).permutation(count)

        self._epoch = epoch

    def __getitem__(self, number: int) -> int:
        """Index of the photo, 0..count-1."""
        epoch, position = divmod(number, self._count)
        return int(self._epoch(epoch)[position])


class TrainingPhotos:
    """A split's photos decoded, by index: pixels uint8 [H, W, 3], boxes [N, 4] in 0..1, labels [N] from 1.

    `fault` is why one could not be read, for `telling_faults`.
    """

    fault: SealpinError | None = None

    def __init__(self, dataset: Path, split: str, classes: tuple[str, ...]) -> None:
        """The photos of one split of a converted dataset."""
        self._records = RecordFile(dataset, split, classes)
        self._classes = classes
        self._room = CACHE_BYTES
        self._kept: dict[int, tuple[Any, Any, Any]] = {}

    def __len__(self) -> int:
        """How many photos there are."""
        return len(self._records)

    def keep_at_most(self, size: float) -> None:
        """Keep no more than so many bytes of decoded photos, as far as none is kept yet."""
        self._room = max(0, min(self._room, int(size)))

    def name(self, index: int) -> str:
        """File name of a photo, with its boxes: for messages."""
        record = self._records[index]
        boxes = [
            f"{box.category} {box.xmin:.0f},{box.ymin:.0f} to {box.xmax:.0f},{box.ymax:.0f}" for box in record.boxes
        ]
        return f"{record.name} ({'; '.join(boxes) or 'no boxes'})"

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        """Photo, boxes and labels."""
        if index in self._kept:
            return self._kept[index]
        record = self._records[index]
        photo, boxes = decode_photo(record.data, record.name), record.boxes
        size = [record.height, record.width, record.height, record.width]
        edges = np.array([(box.ymin, box.xmin, box.ymax, box.xmax) for box in boxes], np.float32).reshape(-1, 4)
        labels = np.array([self._classes.index(box.category) + 1 for box in boxes], np.int32)
        found = photo, edges / np.array(size, np.float32), labels
        if photo.nbytes <= self._room:
            self._room -= photo.nbytes
            self._kept[index] = found
        return found


@contextmanager
def telling_faults(photos: TrainingPhotos) -> Iterator[None]:
    """Raise why a photo of `batches` cannot be read: TensorFlow makes an error of its own of it, with a traceback."""
    try:
        yield
    except tf.errors.OpError:
        if photos.fault:
            raise photos.fault from None
        raise


def batches(recipe: Recipe, photos: TrainingPhotos, seed: int, first_step: int, context: Any = None) -> Any:
    """The batches from `first_step` to the recipe's last: photos [B, H, W, 3] preprocessed, and targets.

    `context` is tf.distribute's input context: each worker makes its own part of every batch.
    """
    batch, workers, worker = recipe.train.batch_size, 1, 0
    if context:
        workers, worker = context.num_input_pipelines, context.input_pipeline_id
    own = batch // workers
    order, place = Order(len(photos), seed), assigner(recipe)
    height, width = recipe.resizer.height, recipe.resizer.width

    def fetch(number: int) -> tuple[Any, Any, Any]:
        try:
            view = View(*photos[order[int(number)]])
        except SealpinError as error:
            photos.fault = error
            raise
        pixels = augmented(recipe, view, lambda step: np.random.default_rng([seed, int(number), step]))
        most = recipe.train.max_number_of_boxes
        return pixels, view.boxes[:most].astype(np.float32), view.labels[:most]

    @no_autograph  # type: ignore[untyped-decorator]
    def example(position: Any) -> Any:
        step, slot = first_step + position // own, position % own
        number = step * batch + worker * own + slot
        photo, boxes, labels = tf.numpy_function(fetch, [number], [tf.float32, tf.float32, tf.int32], stateful=False)
        photo = tf.ensure_shape(photo, [height, width, 3])
        return preprocess(recipe, photo), place(tf.ensure_shape(boxes, [None, 4]), tf.ensure_shape(labels, [None]))

    numbers = tf.data.Dataset.range((recipe.train.num_steps - first_step) * own)
    per_replica = context.get_per_replica_batch_size(batch) if context else batch
    examples = numbers.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return examples.batch(per_replica, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
