"""Weights to start from: a run, TF-Vision's checkpoints, and Keras's ImageNet files.

Keras's networks and TF-Vision's have the same layers in the same order, so that tensors are taken in order and held
against the shapes. Input that a network was trained on is brought to -1..1, which ours takes, by its first convolution.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sealpin_edge.errors import InputError

from ....checkpoints import restore
from ....run import read_json
from ....tf import tf, tf_keras
from ...task import WarmStart
from ..recipe import Recipe, load_recipe
from ..recipe.recipe import backbone_name
from .keras_files import KERAS, KINDS, Tensor, in_our_input, read_keras
from .model import build_network, head_layers

PARTS = {"backbone/": "backbone", "head/": "last layer"}


def warm_start(recipe: Recipe, model: Any, path: Path) -> WarmStart:
    """Load `path` into the network: its backbone, and with init_checkpoint_modules "all" the last layer where it fits.

    Raises InputError when it is nothing that sealpin knows, or of another network.
    """
    everything = recipe.experiment.task.init_checkpoint_modules == "all"
    if (path / "run.json").is_file():
        return _from_run(recipe, model, path, everything)
    if path.suffix in (".h5", ".keras"):
        loaded = _from_keras(recipe, model, path)
        return _told(model, path, "Keras weights", loaded)
    before = [variable.numpy() for variable in model.backbone.variables]
    try:
        prefix = (tf.train.latest_checkpoint(str(path)) if path.is_dir() else None) or str(path)
        checkpoint = tf.train.Checkpoint(backbone=model.backbone)
        if any(name.startswith("model/") for name, _ in tf.train.list_variables(prefix)):
            checkpoint = tf.train.Checkpoint(model=checkpoint)  # a training's own, with the optimiser's beside it
        checkpoint.read(prefix).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        for variable, value in zip(model.backbone.variables, before, strict=True):
            variable.assign(value)
        raise _of_another(path, str(error).splitlines()[0], recipe) from None
    return _told(model, path, "TF-Vision checkpoint", [variable.name for variable in model.backbone.variables])


def _from_run(recipe: Recipe, model: Any, folder: Path, everything: bool) -> WarmStart:
    content, best = read_json(folder / "run.json"), read_json(folder / "state.json")["best_step"]
    if content.get("task") != recipe.task:
        raise _of_another(folder, f"a run to {content.get('task', 'detect')}", recipe)
    other_recipe = load_recipe(folder / "recipe.yaml")
    other = build_network(other_recipe)
    restore(other, folder / "weights" / f"ckpt-{best}")
    shapes = [[variable.shape for variable in one.backbone.variables] for one in (model, other)]
    if shapes[0] != shapes[1]:
        raise _of_another(folder, other_recipe.network, recipe)
    loaded = []
    pairs = list(zip(model.backbone.variables, other.backbone.variables, strict=True))
    # The gauge is set on val before anything is judged, and leaves the training alone
    heads = [head_layers(one)[0].weights for one in (model, other)]
    if everything and [one.shape for one in heads[0]] == [one.shape for one in heads[1]]:
        pairs += zip(*heads, strict=True)
    for own, theirs in pairs:
        own.assign(theirs)
        loaded.append(own.name)
    return _told(model, folder, f"run {content['name']}", loaded)


def _from_keras(recipe: Recipe, model: Any, path: Path) -> list[str]:
    name = backbone_name(recipe.model)
    if name not in KERAS:
        raise _of_another(path, "Keras weights", recipe)
    found, ours = read_keras(path), layers_by_kind(model.backbone)
    origin = KERAS[name]
    # A file with its top has one more of a kind only where that is a convolution: the last one
    if any(len(found[kind]) < len(layers) for kind, layers in ours.items()):
        counts = {kind: f"{len(found[kind])}, not {len(layers)}" for kind, layers in ours.items()}
        raise _of_another(path, f"layers {counts}", recipe)
    found["conv"][0][0], found["norm"][0] = in_our_input(found["conv"][0][0], found["norm"][0], origin)
    pairs = [pair for kind in KINDS for pair in zip(ours[kind], found[kind], strict=False)]
    for layer, theirs in pairs:
        if kinds_differ := [list(value.shape) for value in theirs if len(theirs) != len(layer.weights)]:
            raise _of_another(path, f"{layer.name}: {kinds_differ}", recipe)
        for variable, value in zip(layer.weights, theirs, strict=True):
            if tuple(variable.shape) != value.shape:
                raise _of_another(path, f"{variable.name}: {list(value.shape)}, not {variable.shape}", recipe)
    for layer, theirs in pairs:
        layer.set_weights(_same_function(layer, theirs, origin.epsilon))
    return [variable.name for layer, _ in pairs for variable in layer.weights]


def _same_function(layer: Any, theirs: list[Tensor], epsilon: float) -> list[Tensor]:
    """A layer's tensors; of a normalisation with another epsilon, other numbers for the same function."""
    own = getattr(layer, "epsilon", epsilon)
    if own == epsilon:
        return theirs
    gamma, beta, mean, variance = theirs
    return [gamma * np.sqrt((variance + own) / (variance + epsilon)), beta, mean, variance]


def layers_by_kind(model: Any) -> dict[str, list[Any]]:
    """A backbone's layers with weights, by keras_files.KINDS, in the order in which photos pass them."""
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if not layer.weights:  # TF-Vision's blocks make layers that they then do not use
            continue
        if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
            found["depthwise"].append(layer)
        elif isinstance(layer, tf_keras.layers.Conv2D):
            found["conv"].append(layer)
        elif hasattr(layer, "moving_mean"):
            found["norm"].append(layer)
    return found


def _told(model: Any, path: Path, kind: str, loaded: Sequence[str]) -> WarmStart:
    inside = {variable.ref() for variable in model.backbone.variables}
    names = [f"{'backbone' if one.ref() in inside else 'head'}/{one.name}" for one in model.variables]
    known = {name for name in names if name.partition("/")[2] in set(loaded)}
    scope = "all" if any(name.startswith("head/") for name in known) else "backbone"
    new = tuple(name for name in names if name not in known)
    return WarmStart(str(path), kind, scope, tuple(name for name in names if name in known), new, (), PARTS)


def _of_another(path: Path, found: str, recipe: Recipe) -> InputError:
    return InputError(
        "these weights are of another network than the recipe's",
        where=str(path),
        found=found,
        allowed=f"weights of {backbone_name(recipe.model)}: a run, a TF-Vision checkpoint, or a Keras file (.h5)",
        advice="choose others, or start without: --start-from scratch",
    )
