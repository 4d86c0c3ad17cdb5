"""The training photos in order: a step's batch is a function of dataset, recipe, seed and step, and of nothing else.

Hence a run that was killed goes on with the very photos that it would have seen; several workers share a batch without
talking to each other; and the photos of the step at which a loss broke can be named. TF-Vision's reader shuffles in a
buffer, which can do none of that; records and network stay TF-Vision's.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import SealpinError
from sealpin_edge.model.photo import decode_photo

from .dataset.records import Record, RecordFile
from .tasks.recipe import Recipe
from .tf import no_autograph, tf

# Decoded photos are kept up to this size and what memory allows, so that small datasets are decoded once
CACHE_BYTES = 1 << 30
# Batches that are ready before they are needed
AHEAD = 2


class Order:
    """Which photo is the n-th of the run: groups take turns, each goes through its own photos epoch by epoch.

    Every epoch of a group has all its photos in a new random order.
    """

    def __init__(self, groups: Sequence[Sequence[int]], seed: int) -> None:
        """`groups` of photos' indices, none empty; equal seeds give equal orders on every machine."""
        self._groups = groups

        @lru_cache(maxsize=2 * len(groups))
        def epoch(group: int, number: int) -> npt.NDArray[np.int64]:
            return np.random.Generator(np.random.Philox(key=[seed, number + (group << 32)])).permutation(groups[group])

        self._epoch = epoch

    def __getitem__(self, number: int) -> int:
        """Index of the photo."""
        turn, group = divmod(number, len(self._groups))
        epoch, position = divmod(turn, len(self._groups[group]))
        return int(self._epoch(group, epoch)[position])


class Examples(Protocol):
    """How a task makes an example of a photo: outside of TensorFlow's graph, and then inside."""

    @property
    def types(self) -> Sequence[Any]:
        """TensorFlow's types of what `make` returns."""

    def make(self, photo: Any, *labels: Any, draw: Callable[[int], np.random.Generator]) -> Sequence[Any]:
        """Arrays, from a photo of TrainingPhotos and its labels; `draw` gives each augmentation its chance."""

    def finish(self, *arrays: Any) -> Any:
        """The network's input and what the losses hold its outputs against, of `make`'s arrays as tensors."""


class TrainingPhotos:
    """A split's photos decoded, by index: pixels uint8 [H, W, 3], and the labels as the task has them.

    `fault` is why one could not be read, for `telling_faults`.
    """

    fault: SealpinError | None = None

    def __init__(
        self,
        dataset: Path,
        split: str,
        classes: tuple[str, ...],
        labels: Callable[[Record, Sequence[str]], tuple[Any, ...]],
    ) -> None:
        """The photos of one split of a converted dataset; `labels` is the task's."""
        self._records = RecordFile(dataset, split, classes)
        self._classes, self._labels = classes, labels
        self._room = CACHE_BYTES
        self._kept: dict[int, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        """How many photos there are."""
        return len(self._records)

    @cached_property
    def _categories(self) -> list[str]:
        """Each photo's class as a whole. To know them, all of the dataset is read once."""
        return [record.category for record in self._records]

    @property
    def counts(self) -> list[int]:
        """Photos by class, where each has one as a whole."""
        return [self._categories.count(name) for name in self._classes]

    def order(self, recipe: Recipe, seed: int) -> Order:
        """In which they are trained with: all alike, or as many of each class as the recipe asks."""
        if not recipe.balanced_sampling:
            return Order([range(len(self))], seed)
        groups: dict[str, list[int]] = {name: [] for name in self._classes}
        for index, category in enumerate(self._categories):
            groups[category].append(index)
        return Order([group for group in groups.values() if group], seed)

    def keep_at_most(self, size: float) -> None:
        """Keep no more than so many bytes of decoded photos, as far as none is kept yet."""
        self._room = max(0, min(self._room, int(size)))

    def name(self, index: int) -> str:
        """File name of a photo, with its labels: for messages."""
        record = self._records[index]
        return f"{record.name} ({record.told})"

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Photo and labels."""
        if index in self._kept:
            return self._kept[index]
        record = self._records[index]
        photo = decode_photo(record.data, record.name)
        found = photo, *self._labels(record, self._classes)
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


def batches(
    recipe: Recipe, photos: TrainingPhotos, examples: Examples, seed: int, first_step: int, context: Any = None
) -> Any:
    """The batches from `first_step` to the recipe's last: photos [B, H, W, 3] preprocessed, and targets.

    `context` is tf.distribute's input context: each worker makes its own part of every batch.
    """
    batch, workers, worker = recipe.batch_size, 1, 0
    if context:
        workers, worker = context.num_input_pipelines, context.input_pipeline_id
    own = batch // workers
    order = photos.order(recipe, seed)

    def fetch(number: int) -> Sequence[Any]:
        try:
            photo = photos[order[int(number)]]
        except SealpinError as error:
            photos.fault = error
            raise
        return examples.make(*photo, draw=lambda step: np.random.default_rng([seed, int(number), step]))

    @no_autograph  # type: ignore[untyped-decorator]
    def example(position: Any) -> Any:
        step, slot = first_step + position // own, position % own
        number = step * batch + worker * own + slot
        return examples.finish(*tf.numpy_function(fetch, [number], list(examples.types), stateful=False))

    numbers = tf.data.Dataset.range((recipe.num_steps - first_step) * own)
    per_replica = context.get_per_replica_batch_size(batch) if context else batch
    mapped = numbers.map(example, num_parallel_calls=os.cpu_count() or 1, deterministic=True)
    # Left to tune itself, it has a thread that looks up once a minute, and whoever frees the iterator waits for that
    options = tf.data.Options()
    options.autotune.enabled = False
    return mapped.batch(per_replica, drop_remainder=True).prefetch(AHEAD).with_options(options)
