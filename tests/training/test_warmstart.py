"""Weights to start from: whatever they come from, each tensor lands in its place, and what does not fit is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.pretrained import NAMES
from sealpin_training.tasks.detect.recipe import Recipe, load_recipe
from sealpin_training.tasks.recipe import shipped_recipes
from sealpin_training.train import with_predictor_of

from .conftest import REFERENCE_DATA, small_recipe

SHARED = REFERENCE_DATA / "pretrained"
FULL_DEPTH = (("depth_multiplier: 0.35", "depth_multiplier: 1.0"),)


_BUILT: dict[str, tuple[Any, dict[str, Any]]] = {}


def network(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """A recipe's network, built once, and its variables by name, all of them 0.25."""
    from sealpin_training.tasks.detect.network.model import build_network, named_variables
    from sealpin_training.tasks.detect.recipe.text import pipeline_text

    text = pipeline_text(recipe.pipeline)
    if text not in _BUILT:
        model = build_network(recipe)
        _BUILT[text] = model, named_variables(model)
    model, variables = _BUILT[text]
    for variable in variables.values():
        variable.assign(np.full(variable.shape, 0.25))
    return model, variables


def api_checkpoint(variables: dict[str, Any], folder: Path, prefix: str = "model") -> Path:
    """Variables as the API's trainer saves them: objects within objects, named as the names say."""
    import tensorflow as tf

    root = tf.Module()
    for name, variable in variables.items():
        *parents, last = name.split("/")
        node = root
        for parent in parents:
            if not hasattr(node, parent):
                setattr(node, parent, tf.Module())
            node = getattr(node, parent)
        setattr(node, last, tf.Variable(variable))
    folder.mkdir()
    return Path(tf.train.Checkpoint(**{prefix: root}).write(str(folder / "ckpt-0")))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, dict[str, Any], Path]:
    """A network with random numbers everywhere, and its checkpoint as the API would have written it."""
    folder = tmp_path_factory.mktemp("api")
    recipe = load_recipe(small_recipe(folder))
    random = np.random.default_rng(5)
    _, variables = network(recipe)
    for variable in variables.values():
        variable.assign(random.normal(0, 1, variable.shape))
    wanted = {name: variable.numpy() for name, variable in variables.items()}
    return recipe, wanted, api_checkpoint(wanted, folder / "checkpoint")


@pytest.mark.parametrize("scope", ["classification", "detection", "full"])
def test_an_api_checkpoint_is_loaded_as_far_as_its_type_says(
    trained: tuple[Recipe, dict[str, Any], Path], scope: str
) -> None:
    from sealpin_training.tasks.detect.warmstart import SCOPES, warm_start

    recipe, wanted, path = trained
    model, variables = network(recipe)
    before = {name: variable.numpy() for name, variable in variables.items()}
    start = warm_start(recipe, model, path, scope)
    assert set(start.loaded) == {name for name in variables if name.startswith(SCOPES[scope])}
    assert set(start.loaded) | set(start.new) == set(variables)
    for name, variable in variables.items():
        source = wanted[name] if name in start.loaded else before[name]
        assert np.array_equal(variable.numpy(), source), name


def test_another_number_of_classes_makes_the_class_predictor_new(
    trained: tuple[Recipe, dict[str, Any], Path], tmp_path: Path
) -> None:
    from sealpin_training.tasks.detect.warmstart import warm_start

    _, _, path = trained
    recipe = load_recipe(small_recipe(tmp_path, ("num_classes: 2", "num_classes: 5")))
    model, _ = network(recipe)
    start = warm_start(recipe, model, path, "full")
    assert start.new
    assert all("class_predictions_with_background" in name for name in start.new)
    assert "predictor" in str(start)


def test_a_checkpoint_of_another_network_is_refused_with_what_does_not_fit(
    trained: tuple[Recipe, dict[str, Any], Path], tmp_path: Path
) -> None:
    from sealpin_training.tasks.detect.warmstart import warm_start

    _, _, path = trained
    recipe = load_recipe(small_recipe(tmp_path, ("additional_layer_depth: 24", "additional_layer_depth: 80")))
    model, _ = network(recipe)
    with pytest.raises(InputError, match=r"_fpn_features_generator.*not \[") as caught:
        warm_start(recipe, model, path, "detection")
    assert "--start-from scratch" in str(caught.value)


def test_a_classification_checkpoint_of_the_api_fills_the_backbone(
    trained: tuple[Recipe, dict[str, Any], Path], tmp_path: Path
) -> None:
    from sealpin_training.tasks.detect.warmstart import BACKBONE, warm_start

    recipe, wanted, _ = trained
    backbone = {name.removeprefix(BACKBONE): v for name, v in wanted.items() if name.startswith(BACKBONE)}
    path = api_checkpoint(backbone, tmp_path / "c", "feature_extractor")
    model, variables = network(recipe)
    start = warm_start(recipe, model, path, "detection")
    assert (start.kind, start.type) == ("Object Detection API classification checkpoint", "classification")
    assert all(np.array_equal(variables[name].numpy(), wanted[name]) for name in start.loaded)


def test_a_tf_vision_backbone_is_loaded_and_computes_the_same(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras
    from official.vision.modeling.backbones import mobilenet

    from sealpin_training.tasks.detect.warmstart import warm_start

    source = mobilenet.MobileNet(
        "MobileNetV2", input_specs=tf_keras.layers.InputSpec(shape=[None, 96, 96, 3]), norm_epsilon=0.001
    )
    random = np.random.default_rng(6)
    for variable in source.variables:
        variable.assign(random.uniform(0.1, 0.5, variable.shape))
    path = tf.train.Checkpoint(backbone=source).write(str(tmp_path / "tfv"))
    recipe = load_recipe(small_recipe(tmp_path, *FULL_DEPTH))
    model, _ = network(recipe)
    start = warm_start(recipe, model, Path(path), "detection")
    assert (start.kind, len(start.loaded)) == ("TF-Vision checkpoint", 260)
    photo = random.uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32)
    np.testing.assert_allclose(
        model.backbone(photo, training=False)["5"], source(photo, training=False)["6"], rtol=1e-4, atol=1e-4
    )


def test_keras_weights_of_mobilenet_compute_the_same(tmp_path: Path) -> None:
    import tf_keras

    from sealpin_training.tasks.detect.warmstart import warm_start

    source = tf_keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    random = np.random.default_rng(7)
    for variable in source.variables:
        variable.assign(random.uniform(0.1, 0.5, variable.shape))
    source.save_weights(str(tmp_path / "keras.h5"))
    recipe = load_recipe(small_recipe(tmp_path, *FULL_DEPTH))
    model, _ = network(recipe)
    assert len(warm_start(recipe, model, tmp_path / "keras.h5", "detection").loaded) == 260
    photo = random.uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32)
    np.testing.assert_allclose(
        model.backbone(photo, training=False)["5"], source(photo, training=False), rtol=1e-4, atol=1e-4
    )


def test_keras_weights_of_resnet_become_those_of_an_rgb_network_without_biases(tmp_path: Path) -> None:
    import tf_keras

    from sealpin_training.tasks.detect.network.model import preprocess
    from sealpin_training.tasks.detect.warmstart import warm_start

    source = tf_keras.applications.ResNet50(False, weights=None, input_shape=(160, 160, 3))
    random = np.random.default_rng(8)
    for layer in source.layers:
        for variable in layer.weights:
            kernel = "kernel" in variable.name
            variable.assign(
                random.normal(0, 0.05, variable.shape) if kernel else random.uniform(0.5, 1.5, variable.shape)
            )
    source.save_weights(str(tmp_path / "resnet.weights.h5"))
    text = (shipped_recipes() / "ssd_resnet50_v1_fpn_640x640.config").read_text()
    path = tmp_path / "resnet.config"
    path.write_text(text.replace("height: 640 width: 640", "height: 160 width: 160"))
    recipe = load_recipe(path)
    model, _ = network(recipe)
    start = warm_start(recipe, model, tmp_path / "resnet.weights.h5", "detection")
    assert start.type == "classification"
    photo = random.integers(0, 256, (1, 160, 160, 3)).astype(np.float32)
    caffe = photo[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    # Up to the first pooling, which the API pads otherwise
    wanted = tf_keras.Model(source.input, source.get_layer("conv1_bn").output)(caffe, training=False)
    found = tf_keras.Model(model.backbone.input, model.backbone.get_layer("conv1_bn").output)(
        preprocess(recipe, photo), training=False
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing-here", "next: +sealpin runs list"),
        (f"pretrained/{NAMES[0]}/checkpoint/ckpt-0", f"sealpin pretrained get {NAMES[0]}"),
    ],
)
def test_a_checkpoint_that_is_nowhere_is_told_with_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    from sealpin_training.start import find_checkpoint

    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        find_checkpoint(name, tmp_path)
    (tmp_path / "pretrained/folder").mkdir(parents=True)
    (tmp_path / "pretrained/folder/ckpt-1.index").touch()
    assert find_checkpoint("folder/ckpt-1", tmp_path / "x") == Path("pretrained/folder/ckpt-1")


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.warmstart import warm_start

    recipe = load_recipe(small_recipe(tmp_path))
    model, _ = network(recipe)
    (tmp_path / "broken.h5").write_bytes(b"no weights")
    (tmp_path / "empty").mkdir()
    stranger = tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / "stranger"))
    for path in (tmp_path / "broken.h5", tmp_path / "empty", Path(stranger)):
        with pytest.raises(InputError, match=r"no Keras weights|no TensorFlow 2 checkpoint|no network that sealpin"):
            warm_start(recipe, model, path, "detection")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recovered ImageNet weights are not at hand")
def test_the_two_forms_of_the_imagenet_weights_agree(tmp_path: Path) -> None:
    from sealpin_training.tasks.detect.warmstart import warm_start

    recipe = load_recipe(shipped_recipes() / "ssd_mobilenet_v2_fpnlite_640x640_120k.config")
    found = []
    for name in ("mobilenet_v2_backbone_ckpt", "mobilenet_v2_1.0_224_imagenet.weights.h5"):
        model, variables = network(recipe)
        start = warm_start(recipe, model, SHARED / name, "classification")
        found.append({name: variables[name].numpy() for name in start.loaded})
    assert len(found[0]) == 260
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_a_runs_predictor_is_kept_when_asked_and_only_for_its_own_classes(tmp_path: Path) -> None:
    recipe = load_recipe(small_recipe(tmp_path))
    assert recipe.warm_start_scope == "detection"
    folder = tmp_path / "mlruns" / "runs" / "first"
    (folder / "weights").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"name": "first", "classes": ["burr", "spatter"]}))
    for start in (folder, folder / "weights" / "ckpt-8"):
        assert with_predictor_of(start, recipe, ("burr", "spatter")).warm_start_scope == "full"
    for classes in (("spatter", "burr"), ("burr", "scratch"), ("burr",)):
        with pytest.raises(InputError, match="for other classes"):
            with_predictor_of(folder, recipe, classes)
    for start in (None, tmp_path / "pretrained" / "ckpt-0"):
        with pytest.raises(InputError, match="a predictor is kept of a run"):
            with_predictor_of(start, recipe, ("burr", "spatter"))


def test_a_run_that_goes_on_has_its_predictor_already() -> None:
    done = CliRunner().invoke(main, ["train", "--run", "first", "--resume", "--keep-predictor"])
    assert (done.exit_code, "--keep-predictor belongs to a new run" in done.output) == (2, True)
