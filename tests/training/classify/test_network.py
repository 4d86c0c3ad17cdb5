"""The network: its map adds up to its logits, and Keras's weights compute in it what they compute in Keras."""

from pathlib import Path

import numpy as np
import pytest

from sealpin_training.tasks.classify.recipe import Recipe
from sealpin_training.tasks.classify.recipe.new import MODELS

from .test_recipe import changed

SIDE = 64


def recipe_of(model: str, units: int = 3) -> Recipe:
    content = changed("task.model", {"num_classes": units, "input_size": [SIDE, SIDE, 3], **MODELS[model]})
    if units == 1:
        content["task"]["losses"] = {"use_binary_cross_entropy": True}
    return Recipe("plain", content)


def photos(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize(("model", "units"), [("mobilenet_v2", 3), ("efficientnet_lite0", 1)])
def test_the_maps_mean_is_the_logit(model: str, units: int) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.classify.network.model import build_network, classifier, head_layers, preprocess

    recipe = recipe_of(model, units)
    network = build_network(recipe)
    head, _ = head_layers(network)
    head.bias.assign_add(tf.random.normal(head.bias.shape))
    probabilities, maps = classifier(recipe, network)(photos())
    logits = network(preprocess(photos()), training=False)["logits"].numpy()
    if units == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    assert maps.shape[1:] == (2, 2, recipe.num_classes)
    assert np.abs(maps.numpy().mean(axis=(1, 2)) - logits).max() < 1e-4
    assert np.abs(probabilities.numpy() - tf.nn.softmax(logits).numpy()).max() < 1e-5


@pytest.mark.parametrize("ending", ["weights.h5", "h5"])
def test_kerass_weights_compute_the_same(tmp_path: Path, ending: str) -> None:
    import tf_keras

    from sealpin_training.tasks.classify.network.model import build_network, preprocess
    from sealpin_training.tasks.classify.network.weights import warm_start

    source = tf_keras.applications.MobileNetV2((SIDE, SIDE, 3), include_top=False, weights=None)
    random = np.random.default_rng(1)
    for variable in source.variables:
        if "moving" in variable.name or "gamma" in variable.name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    path = tmp_path / f"own.{ending}"
    source.save_weights(str(path))
    recipe = recipe_of("mobilenet_v2")
    network = build_network(recipe)
    started = warm_start(recipe, network, path)
    assert {name.partition("/")[0] for name in started.new} == {"head"}
    found = network.backbone(preprocess(photos()), training=False)
    wanted = source(preprocess(photos()), training=False).numpy()
    assert np.abs(found[max(found)].numpy() - wanted).max() < 1e-3 * max(1.0, np.abs(wanted).max())


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    import tf_keras

    from sealpin_edge.errors import InputError
    from sealpin_training.tasks.classify.network.model import build_network
    from sealpin_training.tasks.classify.network.weights import warm_start

    source = tf_keras.applications.MobileNetV2((SIDE, SIDE, 3), alpha=0.35, include_top=False, weights=None)
    source.save_weights(str(tmp_path / "own.weights.h5"))
    recipe = recipe_of("mobilenet_v2")
    network = build_network(recipe)
    before = [variable.numpy() for variable in network.variables]
    (tmp_path / "no.h5").write_bytes(b"nothing")
    for name in ("own.weights.h5", "no.h5", "nowhere/ckpt-1"):
        with pytest.raises(InputError):
            warm_start(recipe, network, tmp_path / name)
    assert all((a == b.numpy()).all() for a, b in zip(before, network.variables, strict=True))


def test_a_first_convolution_takes_our_input() -> None:
    import tensorflow as tf

    from sealpin_training.tasks.classify.network.keras_files import KERAS, in_our_input

    random = np.random.default_rng(2)
    kernel = random.normal(size=(3, 3, 3, 4)).astype(np.float32)
    norm = [
        np.ones(4, np.float32),
        np.zeros(4, np.float32),
        random.normal(size=4).astype(np.float32),
        np.ones(4, np.float32),
    ]
    ours = random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    for origin in KERAS.values():
        theirs = ours * np.array(origin.scale, np.float32) + np.array(origin.shift, np.float32)
        wanted = tf.nn.conv2d(theirs, kernel, 1, "VALID") - norm[2]
        new_kernel, new_norm = in_our_input(kernel, norm, origin)
        found = tf.nn.conv2d(ours, new_kernel, 1, "VALID") - new_norm[2]
        assert np.abs(found.numpy() - wanted.numpy()).max() < 1e-4
