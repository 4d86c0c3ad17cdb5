"""The order of photos is a function of seed and step, on one worker or several."""

import json
import shutil
import struct
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.errors import InputError
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.dataset.records import RecordFile
from sealpin_training.dataset.tfrecord import example, frame, ints, record_places
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tasks.detect.task import Detect

from .conftest import small_recipe


@settings(deadline=None)  # the first call imports TensorFlow
@given(count=st.integers(1, 50), seed=st.integers(0, 1 << 40), epoch=st.integers(0, 1000))
def test_every_epoch_has_every_photo_once(count: int, seed: int, epoch: int) -> None:
    from sealpin_training.input import Order

    order = Order([range(count)], seed)
    found = [order[epoch * count + place] for place in range(count)]
    assert sorted(found) == list(range(count))
    assert [Order([range(count)], seed)[epoch * count + place] for place in range(count)] == found


def test_epochs_and_seeds_differ() -> None:
    from sealpin_training.input import Order

    def epoch(seed: int, number: int) -> list[int]:
        return [Order([range(40)], seed)[40 * number + place] for place in range(40)]

    assert len({tuple(epoch(seed, number)) for seed in range(3) for number in range(3)}) == 9


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=5), seed=st.integers(0, 1 << 40))
def test_groups_take_turns_and_show_all_their_own(sizes: list[int], seed: int) -> None:
    from sealpin_training.input import Order

    starts = np.cumsum([0, *sizes]).tolist()
    groups = [range(first, last) for first, last in pairwise(starts)]
    order = Order(groups, seed)
    for place, group in enumerate(groups):
        for epoch in range(3):
            turns = range(epoch * len(group), (epoch + 1) * len(group))
            assert sorted(order[turn * len(groups) + place] for turn in turns) == list(group)


class Worker:
    """tf.distribute's input context of one of several workers."""

    def __init__(self, number: int, of: int) -> None:
        self.input_pipeline_id, self.num_input_pipelines = number, of

    def get_per_replica_batch_size(self, batch: int) -> int:
        return batch // self.num_input_pipelines


def taken(dataset: Dataset, recipe_path: Path, first_step: int = 0, context: Any = None, seed: int = 3) -> list[Any]:
    from sealpin_training.input import TrainingPhotos, batches
    from sealpin_training.tasks.detect.examples import DetectExamples

    recipe = load_recipe(recipe_path)
    photos = TrainingPhotos(dataset.folder, "train", dataset.classes, partial(Detect().labels, good=()))
    return [
        [photo.numpy(), targets["classes"].numpy(), targets["boxes"].numpy()]
        for photo, targets in batches(recipe, photos, DetectExamples(recipe), seed, first_step, context)
    ]


def test_a_later_start_gives_the_later_batches(dataset: Dataset, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    whole, later, other = taken(dataset, recipe), taken(dataset, recipe, 5), taken(dataset, recipe, seed=4)
    assert (len(whole), len(later)) == (8, 3)
    for one, two in zip(whole[5:], later, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(whole[0][0], other[0][0])


def test_two_workers_share_the_batches_of_one(dataset: Dataset, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    whole = taken(dataset, recipe)
    halves = [taken(dataset, recipe, context=Worker(number, 2)) for number in range(2)]
    for step, one in enumerate(whole):
        for part in range(3):
            both = np.concatenate([half[step][part] for half in halves])
            assert np.array_equal(one[part], both)


def test_targets_and_photos_have_the_networks_shapes(dataset: Dataset, tmp_path: Path) -> None:
    from sealpin_training.tasks.detect.network.model import anchors

    recipe = small_recipe(tmp_path)
    grid = anchors(load_recipe(recipe))
    for photo, classes, boxes in taken(dataset, recipe):
        assert photo.shape == (4, 96, 96, 3)
        assert photo.min() >= -1.0
        assert photo.max() <= 1.0
        assert classes.shape == (4, len(grid))
        assert boxes.shape == (4, len(grid), 4)
        assert not boxes[classes <= 0].any()


def test_boxes_beyond_the_most_are_left_out_after_the_augmentations(dataset: Dataset, tmp_path: Path) -> None:
    def matched(most: int) -> float:
        recipe = small_recipe(tmp_path, ("max_number_of_boxes: 100", f"max_number_of_boxes: {most}"))
        return float(sum((classes > 0).sum() for _, classes, _ in taken(dataset, recipe)))

    assert 0 < matched(1) < matched(100)


def test_records_of_another_class_list_are_refused(dataset: Dataset) -> None:
    record = RecordFile(dataset.folder, "train", ("spatter", "burr"))
    with pytest.raises(InputError, match="another list of classes"):
        list(record)


@pytest.fixture
def copied(dataset: Dataset, tmp_path: Path) -> Path:
    """A copy of the dataset, to damage."""
    return Path(shutil.copytree(dataset.folder, tmp_path / "copied"))


def refused(copied: Path, classes: tuple[str, ...]) -> InputError:
    """What is told when every record of val is read."""
    with pytest.raises(InputError) as caught:
        list(RecordFile(copied, "val", classes))
    assert caught.value.hint.startswith("sealpin dataset convert ")
    return caught.value


def test_a_shard_that_is_cut_off_is_refused(dataset: Dataset, copied: Path) -> None:
    (shard,) = copied.glob("val-*.tfrecord")
    data = shard.read_bytes()
    for length in (len(data) - 1, 20, 5):
        shard.write_bytes(data[:length])
        assert str(shard) in refused(copied, dataset.classes).where
    shard.write_bytes(data + b"more")
    assert f"byte {len(data)} of" in refused(copied, dataset.classes).found


@pytest.mark.parametrize("where", ["length", "edge of a box", "photo", "check sum"])
def test_a_bit_that_flipped_names_its_shard_and_record(dataset: Dataset, copied: Path, where: str) -> None:
    (shard,) = copied.glob("val-*.tfrecord")
    data = bytearray(shard.read_bytes())
    number, (start, length) = next(
        (number, place)
        for number, place in enumerate(record_places(shard))
        if RecordFile(copied, "val", dataset.classes)[number].boxes
    )
    edge = data.index(b"image/object/bbox/xmax", start) + 28  # key, lengths and tags; then floats, four bytes each
    data[
        {"length": start - 12, "edge of a box": edge + 1, "photo": start + length // 2, "check sum": start + length}[
            where
        ]
    ] ^= 4
    shard.write_bytes(data)
    told = refused(copied, dataset.classes)
    assert told.where.startswith(str(shard))
    assert f"record {number}" in told.where + told.found


def test_records_of_another_conversion_are_refused(dataset: Dataset, copied: Path) -> None:
    (shard,) = copied.glob("val-*.tfrecord")
    records = shard.read_bytes()
    edges = []
    for start, length in record_places(shard):
        data = records[start : start + length]
        if b"burr" in data:  # the same photos, names and classes, and one box elsewhere
            edge = data.index(b"image/object/bbox/xmin") + 28
            data = data[:edge] + struct.pack("<f", 0.001) + data[edge + 4 :]
        edges.append(frame(data))
    shard.write_bytes(b"".join(edges))
    told = refused(copied, dataset.classes)
    assert told.problem == "these are not the records that were converted together"
    summary = json.loads((copied / "dataset.json").read_text())
    for photo in summary["photos"]:
        del photo["crc32c"]  # as an earlier sealpin wrote it
    (copied / "dataset.json").write_text(json.dumps(summary))
    assert len(list(RecordFile(copied, "val", dataset.classes))) == len(edges)


def test_a_bit_that_flipped_ends_a_training_in_its_own_words(dataset: Dataset, copied: Path, tmp_path: Path) -> None:
    from sealpin_training.input import TrainingPhotos, batches, telling_faults
    from sealpin_training.tasks.detect.examples import DetectExamples

    (shard,) = copied.glob("train-*.tfrecord")
    data = bytearray(shard.read_bytes())
    data[-100] ^= 1
    shard.write_bytes(data)
    photos = TrainingPhotos(copied, "train", dataset.classes, partial(Detect().labels, good=()))
    recipe = load_recipe(small_recipe(tmp_path))
    with pytest.raises(InputError) as caught, telling_faults(photos):
        list(batches(recipe, photos, DetectExamples(recipe), 3, 0))
    assert caught.value.where == f"{shard}: record {len(photos) - 1}"


def test_shards_that_were_not_converted_together_are_refused(dataset: Dataset, copied: Path) -> None:
    (shard,) = copied.glob("val-*.tfrecord")
    data = shard.read_bytes()
    (first, length), *_ = record_places(shard)
    shard.write_bytes(data[first + length + 4 :])  # cut off where a record begins
    count = dataset.counts["val"]
    assert f"{count - 1} records of val; dataset.json tells of {count}" in refused(copied, dataset.classes).found
    record = data[first - 12 : first + length + 4]
    (of_train,) = copied.glob("train-*.tfrecord")
    (begin, size), *_ = record_places(of_train)
    shard.write_bytes(of_train.read_bytes()[: begin + size + 4] + data[len(record) :])
    assert refused(copied, dataset.classes).where == f"{shard}: record 0"
    shard.rename(other := copied / "val-00000-of-00002.tfrecord")
    assert refused(copied, dataset.classes).found == "val-00001-of-00002.tfrecord is missing"
    (copied / "val-00000-of-00003.tfrecord").write_bytes(b"")
    assert "val-00000-of-00003.tfrecord is too many" in refused(copied, dataset.classes).found
    other.unlink()
    (copied / "val-00000-of-00003.tfrecord").unlink()
    assert "no val-*.tfrecord" in refused(copied, dataset.classes).found


@pytest.mark.parametrize("features", [{}, {"image/width": b"x"}, {"image/width": ints([]), "image/height": ints([])}])
def test_records_that_are_none_of_ours_are_refused(dataset: Dataset, copied: Path, features: dict[str, bytes]) -> None:
    (shard,) = copied.glob("val-*.tfrecord")
    shard.write_bytes(frame(example(features)) * dataset.counts["val"])
    assert refused(copied, dataset.classes).problem == "this record is none of sealpin's"


def test_decoded_photos_are_kept_in_what_a_step_leaves_free(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sealpin_training import memory
    from sealpin_training.input import TrainingPhotos
    from sealpin_training.tasks.detect.network.model import build_network

    recipe = load_recipe(small_recipe(tmp_path))
    model = build_network(recipe)
    wanted = memory.BASE_BYTES + 4 * memory.BYTES_PER_OUTPUT * memory.outputs_per_photo(model)
    size = 360 * 400 * 3

    def kept(beside: float) -> int:
        """How many photos are kept when so many bytes are free beside what a step needs."""
        monkeypatch.setattr(memory, "free_bytes", lambda: wanted + beside)
        photos = TrainingPhotos(dataset.folder, "train", dataset.classes, partial(Detect().labels, good=()))
        photos.keep_at_most(memory.check_memory(recipe, model, 1))
        return sum(photos[index] is photos[index] for index in range(len(photos)))

    assert kept(10.0) == 0
    assert kept(2.5 * size) == 2
    assert kept(1e9) == dataset.counts["train"]
    with pytest.raises(InputError, match="does not fit into the memory"):
        kept(-1.0)


def test_too_little_memory_blames_the_batch_only_where_it_may_be_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from sealpin_training.memory import too_little_memory

    recipe = load_recipe(small_recipe(tmp_path)).with_batch_size(8)
    said = str(too_little_memory(recipe, "OOM when allocating tensor with shape[8,160] by allocator cpu"))
    assert said.startswith("train_config.batch_size: the memory is too small")
    assert "4 needs about half" in said
    # No test machine has a GPU: what TensorFlow tells of one is put in its place
    gpus = [tf.config.LogicalDevice("/device:GPU:0", "GPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 0, "peak": 1_500_000_000})
    said = str(too_little_memory(recipe, "OOM when allocating tensor with shape[8,160] by allocator GPU_0_bfc"))
    assert "held at most 1.5 GB" in said
    assert "another program holds the rest" in said
    assert "batch_size:" not in said.splitlines()[0]


def test_tensorflow_leaves_room_on_a_gpu_for_others() -> None:
    import os

    from sealpin_training.quiet import tensorflow

    tensorflow()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
