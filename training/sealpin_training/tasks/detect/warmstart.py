"""Weights to start from: a run, an Object Detection API checkpoint, a TF-Vision backbone, Keras's ImageNet weights.

Whatever the source, its tensors are given the names that the API's checkpoints have for them (network.named_variables),
and then loaded as fine_tune_checkpoint_type says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import InputError

from ...checkpoints import check_whole, newest_whole, restore
from ...run import read_json
from ...tf import tf, tf_keras
from ..task import WarmStart
from .network.model import build_network, named_variables
from .recipe import Recipe, load_recipe

Tensors = dict[str, npt.NDArray[np.float32]]

BACKBONE = "_feature_extractor/classification_backbone/"
# What each fine_tune_checkpoint_type loads (ssd_meta_arch.py, restore_from_objects)
SCOPES = {"classification": BACKBONE, "detection": "_feature_extractor/", "full": ""}
_CLASSES = "_box_predictor/_prediction_heads/"
PARTS = {BACKBONE: "backbone", "_feature_extractor/": "FPN", "_box_predictor/": "predictor"}
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_KERAS_EPSILON = {"MobileNetV2": 1e-3, "ResNet50": 1.001e-5}  # of tf_keras.applications


def warm_start(recipe: Recipe, model: Any, path: Path, scope: str) -> WarmStart:
    """Load `path` into the network, as much of it as `scope` (a key of SCOPES) says.

    Raises InputError when it is no checkpoint that sealpin knows, or one of another network.
    """
    variables = named_variables(model)
    kind, tensors = _read(recipe, path, list(variables))
    if not any(name.startswith(SCOPES["detection"][:-1]) and not name.startswith(BACKBONE) for name in tensors):
        scope = "classification"  # there is nothing else in it
    wanted = {name: variable for name, variable in variables.items() if name.startswith(SCOPES[scope])}
    misfits = [name for name in wanted if name not in tensors or tensors[name].shape != tuple(wanted[name].shape)]
    if all(name.startswith(_CLASSES) for name in misfits):  # another number of classes: that predictor is made new
        wanted = {name: variable for name, variable in wanted.items() if name not in misfits}
        misfits = []
    bad = [
        f"{name}: {list(tensors[name].shape) if name in tensors else 'missing'}, not {list(wanted[name].shape)}"
        for name in misfits
    ]
    if bad:
        raise InputError(
            "the checkpoint is of another network than the recipe's",
            where=str(path),
            found="\n".join(bad[:5] + ([f"and {len(bad) - 5} tensors more"] if len(bad) > 5 else [])),
            allowed=f"tensors that fit {recipe.backbone} with depth_multiplier {recipe.extractor.depth_multiplier:g}",
            advice="choose another checkpoint or fine_tune_checkpoint_type, or start without: --start-from scratch",
        )
    for name, variable in wanted.items():
        variable.assign(tensors[name])
    return WarmStart(
        str(path),
        kind,
        scope,
        tuple(wanted),
        tuple(name for name in variables if name not in wanted),
        tuple(name for name in tensors if name not in wanted),
        PARTS,
    )


def _read(recipe: Recipe, path: Path, ours: Sequence[str]) -> tuple[str, Tensors]:
    """What `path` is, and its tensors by the API's names, which for the recipe's network are `ours`."""
    if (path / "run.json").is_file():
        return _from_run(path)
    if path.suffix in {".h5", ".keras"}:
        return "Keras weights", _from_keras(recipe, path)
    prefix = tf.train.latest_checkpoint(str(path)) if path.is_dir() else str(path)
    if path.is_dir() and (newest := newest_whole(path).newest):  # of a run, where the last may be damaged
        prefix = str(newest)
    try:
        reader = tf.train.load_checkpoint(prefix or str(path))
        names = [
            name
            for name in reader.get_variable_to_shape_map()
            if name.endswith(_VALUE) and ".OPTIMIZER_SLOT" not in name
        ]
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(
            "this is no TensorFlow 2 checkpoint",
            where=str(path),
            found=str(error).splitlines()[0],
            allowed="a checkpoint's path without .index, or a folder with one",
        ) from None

    def below(prefix: str) -> dict[str, str]:
        return {name[len(prefix) : -len(_VALUE)]: name for name in names if name.startswith(prefix)}

    if any(name.startswith("model/_feature_extractor/") for name in names):
        return "Object Detection API checkpoint", {
            short: reader.get_tensor(name) for short, name in below("model/").items() if short.startswith("_")
        }
    if found := below("feature_extractor/"):
        return "Object Detection API classification checkpoint", {
            BACKBONE + short: reader.get_tensor(name) for short, name in found.items()
        }
    for saved, kind in (("model/_", "weights of a run"), ("", "state of a run")):
        own = {part: below(f"{saved}{part}/") for part in ("backbone", "decoder", "head")}
        if all(own.values()) and not any("/_conv0/" in name for name in own["backbone"]):
            check_whole(Path(prefix or path))
            return kind, _from_own(ours, own, reader)
    if found := below("backbone/") or below("model/_backbone/"):
        return "TF-Vision checkpoint", _from_tf_vision(
            recipe, {k: reader.get_tensor(v) for k, v in found.items()}, path
        )
    raise InputError(
        "this checkpoint is of no network that sealpin knows",
        where=str(path),
        found=", ".join(sorted(names)[:3]) or "no tensors",
        allowed="an SSD FPN of the Object Detection API, a TF-Vision MobileNetV2 backbone, or a run of sealpin",
    )


def _from_run(folder: Path) -> tuple[str, Tensors]:
    content, best = read_json(folder / "run.json"), read_json(folder / "state.json")["best_step"]
    model = build_network(load_recipe(folder / "recipe.config"))
    restore(model, folder / "weights" / f"ckpt-{best}")
    return f"run {content['name']}", {name: variable.numpy() for name, variable in named_variables(model).items()}


def _from_own(ours: Sequence[str], found: Mapping[str, Mapping[str, str]], reader: Any) -> Tensors:
    """What a training saved: TensorFlow numbers the layers of each part in the order that the network has them in."""
    layers: dict[str, list[str]] = {part: [] for part in found}
    for name in dict.fromkeys(name.rpartition("/")[0] for name in ours):
        other = "head" if name.startswith("_box_predictor/") else "decoder"
        layers["backbone" if name.startswith(BACKBONE) else other].append(name)
    tensors: Tensors = {}
    for part, names in found.items():
        numbered = {short: short.removeprefix("layer_with_weights-").partition("/") for short in names}
        same = {layer for layer, _, _ in numbered.values()} == set(map(str, range(len(layers[part]))))
        for short, (layer, _, attribute) in numbered.items():
            # With more layers or fewer, a number means another layer: none of that part is this network's
            known = layers[part][int(layer)] if same else f"{part}/{layer}"
            tensors[f"{known}/{attribute}"] = reader.get_tensor(names[short])
    return tensors


def _from_tf_vision(recipe: Recipe, found: Mapping[str, Any], path: Path) -> Tensors:
    """TF-Vision numbers its blocks, and inside them convolutions and normalisations; the order is the same as here."""
    if recipe.backbone != "MobileNetV2" or not any("/_conv0/" in name for name in found):
        raise InputError(
            "only a TF-Vision checkpoint of MobileNetV2 can be read",
            where=str(path),
            found=f"{next(iter(found))} ...; the recipe has {recipe.backbone}",
            allowed="Keras's ImageNet weights for ResNet50: TF-Vision's ResNet strides in other places than V1",
        )

    def place(name: str) -> tuple[int, int, bool]:
        block, layer = name.split("/")[:2]
        return int(block.rpartition("-")[2]), int(layer[-1]), layer.startswith("_norm")

    layers: dict[tuple[int, int, bool], Tensors] = {}
    for name, tensor in found.items():
        if name.count("/") == 2:
            layers.setdefault(place(name), {})[name.rpartition("/")[2]] = tensor
    return {
        f"{BACKBONE}layer_with_weights-{number}/{attribute}": tensor
        for number, key in enumerate(sorted(layers))
        for attribute, tensor in layers[key].items()
    }


def _from_keras(recipe: Recipe, path: Path) -> Tensors:
    """tf_keras.applications' weights without their top, turned into what the API's backbone computes the same with."""
    applications = tf_keras.applications
    try:
        if recipe.backbone == "MobileNetV2":
            source = applications.MobileNetV2((224, 224, 3), recipe.extractor.depth_multiplier, False, weights=None)
        else:
            source = applications.ResNet50(False, weights=None, input_shape=(224, 224, 3))
        source.load_weights(str(path))
    except (ValueError, OSError, KeyError) as error:
        raise InputError(
            f"these are no Keras weights of {recipe.backbone} without its top",
            where=str(path),
            found=str(error).splitlines()[0],
            allowed=f"weights of tf_keras.applications.{recipe.backbone}(include_top=False)",
        ) from None
    layers = {_our_name(layer.name): layer for layer in source.layers if layer.weights}
    found: Tensors = {}
    biases: Tensors = {}
    for number, layer in enumerate(layer for layer in build_network(recipe).backbone.layers if layer.weights):
        values = {_attribute(variable): variable.numpy() for variable in layers[layer.name].weights}
        if "bias" in values:
            biases[layer.name.removesuffix("_conv")] = values.pop("bias")
        if "gamma" in values:
            # The API's convolutions have no bias, and its normalisation another epsilon: same function, other numbers
            values["moving_mean"] = values["moving_mean"] - biases.pop(layer.name.removesuffix("_bn"), 0.0)
            ratio = (values["moving_variance"] + layer.epsilon) / (
                values["moving_variance"] + _KERAS_EPSILON[recipe.backbone]
            )
            values["gamma"] = values["gamma"] * np.sqrt(ratio)
        if recipe.backbone == "ResNet50" and layer.name == "conv1_conv":
            values["kernel"] = values["kernel"][:, :, ::-1]  # trained on BGR
        names = {_attribute(variable) for variable in layer.weights}
        if names != set(values):
            raise InputError(
                "Keras's weights need a backbone with the same normalisation",
                where=f"{path}: {layer.name}",
                found=f"the recipe's has {', '.join(sorted(names))}; the weights, {', '.join(sorted(values))}",
                allowed="batch_norm { scale: true } in feature_extractor.conv_hyperparams",
            )
        found |= {f"{BACKBONE}layer_with_weights-{number}/{name}": values[name] for name in names}
    return found


def _attribute(variable: Any) -> str:
    return str(variable.name.rpartition("/")[2].removesuffix(":0"))


def _our_name(name: str) -> str:
    """backbones.py's name for a layer of tf_keras.applications; for ResNet50 they are the same."""
    renamed = {"bn_Conv1": "Conv1_bn"}.get(name, name.replace("expanded_conv_", "block_0_"))
    return renamed.removesuffix("_BN") + "_bn" if renamed.endswith("_BN") else renamed
