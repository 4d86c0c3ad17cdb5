"""Labelled places: which class each place of the map is held to, wherever the boxes are moved, and the loss."""

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.errors import InputError
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.records import Record
from sealpin_training.tasks.classify.examples import UNKNOWN, ClassifyExamples, labels
from sealpin_training.tasks.classify.loop import places_loss
from sealpin_training.tasks.classify.recipe import load_recipe
from sealpin_training.tasks.classify.recipe.recipe import Recipe
from sealpin_training.tf import tf

RECIPE = """
task:
  model:
    num_classes: 3
    input_size: [128, 96, 3]
    backbone: {type: mobilenet, mobilenet: {model_id: MobileNetV2}}
  train_data: {global_batch_size: 4, aug_rand_hflip: true, aug_crop: true, crop_area_range: [0.5, 1.0]}
trainer: {train_steps: 4}
sealpin: {places_weight: 1.0, vertical_flip: true}
"""
CLASSES = ("dent", "ok", "scratch")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("places") / "places.yaml"
    path.write_text(RECIPE)
    return load_recipe(path)


def record(category: str, *boxes: tuple[int, int, int, int]) -> Record:
    marked = tuple(Box(category, *edges) for edges in boxes)
    return Record("a.png", b"", 300, 200, marked, category, is_good=category == "ok")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(0, 240), st.integers(0, 150)), max_size=3))
def test_places_are_the_boxes_wherever_they_are_moved(
    recipe: Recipe, seed: int, corners: list[tuple[int, int]]
) -> None:
    """The boxes are white in the photo: how white each place is tells how much of it they cover."""
    boxes = [(x, y, x + 20 + seed % 40, y + 15 + seed % 30) for x, y in corners]
    photo = np.zeros((200, 300, 3), np.uint8)
    for xmin, ymin, xmax, ymax in boxes:
        photo[ymin:ymax, xmin:xmax] = 255
    given = labels(record("scratch", *boxes), CLASSES, ("ok",))
    draw = lambda step: np.random.default_rng([seed, step])  # noqa: E731
    pixels, own, places = ClassifyExamples(recipe, [1, 1, 1]).make(photo, *given, draw=draw)
    assert own == 2 and places.shape == (4, 3)
    seen = (pixels[..., 0] > 127).mean() * 300 * 200
    # A crop leaves half of the boxes' area, of which some may be that of two boxes, and shows it no smaller
    assert seen >= 0.3 * (photo[..., 0] > 127).sum()
    white = pixels[..., 0].reshape(4, 32, 3, 32).mean(axis=(1, 3)) / 255
    if not boxes:
        assert (places == UNKNOWN).all(), "nobody told where"
        return
    needed = min(0.25, 0.7 * white.max())
    assert (places[white > needed + 0.06] == 2).all()
    assert (places[white < 1e-3] != 2).all() and (places[(white > 0.09) & (white < needed - 0.06)] == UNKNOWN).all()
    assert (places[white == 0] == 1).mean() > 0.5 if (white == 0).sum() > 2 else True


def test_photos_without_boxes_are_good_everywhere_or_nothing_is_known(recipe: Recipe) -> None:
    photo, examples = np.zeros((200, 300, 3), np.uint8), ClassifyExamples(recipe, [1, 1, 1])
    draw = np.random.default_rng
    for one, good, expected in (
        (record("ok"), ("ok",), 1),
        (record("dent"), ("ok",), UNKNOWN),
        (record("dent", (0, 0, 300, 200)), (), 0),
    ):
        _, _, places = examples.make(photo, *labels(one, CLASSES, good), draw=draw)
        assert (places == expected).all(), one
    _, outside, _ = labels(record("dent", (0, 0, 9, 9)), CLASSES, ())
    assert outside == UNKNOWN, "without a good class nobody knows what is beside a defect"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_the_loss_is_the_mean_of_each_class_own_mean(seed: int, number: int) -> None:
    random = np.random.default_rng(seed)
    maps = random.normal(size=(2, 3, 4, number)).astype(np.float32) * 3
    places = random.integers(-1, number, (2, 3, 4)).astype(np.int32)
    told = maps - np.log(np.exp(maps).sum(-1, keepdims=True))
    means = [-told[places == one][:, one].mean() for one in range(number) if (places == one).any()]
    expected = np.mean(means) if means else 0.0
    assert float(places_loss(tf.constant(maps), tf.constant(places))) == pytest.approx(expected, rel=1e-4)


def test_frozen_normalisation_stays_while_the_rest_learns(recipe: Recipe) -> None:
    from sealpin_training.tasks.classify.network.model import build_network

    free = build_network(recipe)
    kept = build_network(
        Recipe("kept", {**recipe.given, "sealpin": {**recipe.given["sealpin"], "frozen_normalisation": True}})
    )
    norms = [one for one in kept.variables if "batch_normalization" in one.name]
    trained = {one.name for one in kept.trainable_variables}
    assert norms and not trained & {one.name for one in norms} and len(trained) > 30
    assert len(free.trainable_variables) == len(trained) + len(norms) // 2
    before = [one.numpy() for one in norms]
    kept(np.random.default_rng(0).normal(size=(4, 128, 96, 3)).astype(np.float32), training=True)
    assert all(np.array_equal(one.numpy(), old) for one, old in zip(norms, before, strict=True))


@pytest.mark.parametrize("classes", [1, 3])
def test_the_maps_that_are_exported_have_the_logits_as_their_means(recipe: Recipe, classes: int) -> None:
    from sealpin_training.tasks.classify.network.model import build_network, class_maps, head_layers, with_both

    given = deepcopy(dict(recipe.given))
    given["task"]["model"]["num_classes"] = classes
    given["task"]["model"]["add_head_batch_norm"] = classes == 3
    other = Recipe("other", given)
    model, random = build_network(other), np.random.default_rng(0)
    head, gauge = head_layers(model)
    gauge.set_weights([random.normal(size=(classes,)), np.exp(random.normal(size=(classes,)))])
    head.set_weights([random.normal(size=head.kernel.shape), random.normal(size=(classes,))])
    photos = random.normal(size=(2, 128, 96, 3)).astype(np.float32)
    outputs = model(photos, training=False)
    maps = class_maps(other, model, photos)
    assert maps.shape == (2, 4, 3, other.num_classes)
    expected = with_both(other, outputs["logits"]).numpy()
    np.testing.assert_allclose(maps.numpy().mean(axis=(1, 2)), expected, rtol=1e-3, atol=1e-3)
    assert not np.allclose(outputs["maps"].numpy().mean(axis=(1, 2)), outputs["logits"].numpy(), atol=0.1)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("places_weight: 1.0", "places_weight: -1", "sealpin.places_weight"),
        ("places_weight: 1.0", "places_weight: .nan", "sealpin.places_weight"),
        ("places_weight: 1.0", "places_weight: much", "sealpin.places_weight"),
        ("vertical_flip: true", "vertical_flip: 1", "sealpin.vertical_flip"),
        ("model_id: MobileNetV2", "model_id: MobileNetV2, output_stride: 16", "sealpin.places_weight"),
    ],
)
def test_what_cannot_be_is_told_by_its_field(old: str, new: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE.replace(old, new))
    with pytest.raises(InputError, match=field):
        load_recipe(path)


def test_a_run_learns_where_from_its_boxes_alone(recipe: Recipe) -> None:
    """Without its photo's class to learn from, the loss of the places brings the map to the defect."""
    from sealpin_training.tasks.classify.loop import ClassifyLoop

    photos: Any = SimpleNamespace(counts=[1, 1, 1])
    loop = ClassifyLoop(recipe, photos, 0, 0)
    maps = tf.Variable(tf.zeros([1, 4, 3, 3]))
    places = np.full((1, 4, 3), 1, np.int32)
    places[0, 2, 1] = 0
    for _ in range(50):
        with tf.GradientTape() as tape:
            outputs = {"logits": tf.zeros([1, 3]), "maps": maps}
            loss = loop.build_losses((tf.constant([[1.0, 0.0, 0.0]]), tf.constant(places)), outputs)
        maps.assign_sub(5.0 * tape.gradient(loss, maps))
    assert np.unravel_index(int(np.argmax(maps.numpy()[0, ..., 0] - maps.numpy()[0, ..., 1])), (4, 3)) == (2, 1)
