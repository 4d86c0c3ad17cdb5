"""TF-Vision's experiment YAML: every field is honoured, without effect, not followed and told, or refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sealpin_edge.errors import InputError
from sealpin_training.tasks.classify.recipe import Recipe, load_recipe
from sealpin_training.tasks.classify.recipe.check import problems
from sealpin_training.tasks.classify.recipe.new import AUGMENTATIONS, MODELS
from sealpin_training.tasks.recipe import differing

PLAIN: dict[str, Any] = {
    "task": {
        "model": {"num_classes": 3, "input_size": [64, 64, 3], **MODELS["mobilenet_v2"]},
        "train_data": {"global_batch_size": 4},
    },
    "trainer": {
        "train_steps": 100,
        "optimizer_config": {
            "optimizer": {"type": "adam"},
            "learning_rate": {"type": "cosine", "cosine": {"initial_learning_rate": 0.01, "decay_steps": 100}},
            "warmup": {"type": "linear", "linear": {"warmup_steps": 10, "warmup_learning_rate": 0}},
        },
    },
}


def changed(field: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(PLAIN))
    *folders, last = field.split(".")
    place = content
    for name in folders:
        place = place.setdefault(name, {})
    place[last] = value
    return content


def written(folder: Path, content: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_recipe_tells_what_training_asks(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, PLAIN))
    assert (recipe.task, recipe.network) == ("classify", "MobileNetV2")
    assert (recipe.height, recipe.width, recipe.num_classes, recipe.batch_size, recipe.num_steps) == (64, 64, 3, 4, 100)
    assert (recipe.precision, recipe.own_average, recipe.highest_learning_rate) == ("float32", False, 0.01)
    assert recipe.differences == ()
    again = load_recipe(written(tmp_path, recipe.text().decode()))
    assert differing(recipe, again) == []


@pytest.mark.parametrize("model", MODELS)
def test_each_model_by_name_is_a_recipe(tmp_path: Path, model: str) -> None:
    content = changed("task.model", {"num_classes": 3, "input_size": [64, 64, 3], **MODELS[model]})
    recipe = load_recipe(written(tmp_path, content))
    assert recipe.network == {
        "efficientnet_lite0": "EfficientNet-Lite0", "efficientnet_b0": "EfficientNet-B0", "mobilenet_v2": "MobileNetV2",
        "resnet50": "ResNet50",
    }[model]  # fmt: skip


@pytest.mark.parametrize("aug", AUGMENTATIONS)
def test_each_augmentation_by_name_is_followed(tmp_path: Path, aug: str) -> None:
    content = changed("task.train_data", {"global_batch_size": 4, **AUGMENTATIONS[aug]})
    assert load_recipe(written(tmp_path, content)).differences == ()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("task.model.bacbone", {"type": "resnet"}, "nobody knows this field"),
        ("task.model.backbone.mobilenet.width", 2, "nobody knows this field"),
        ("sealpin.weights", "balanced", "nobody knows this field"),
        ("task.model.backbone.type", "vit", "task.model.backbone"),
        ("task.model.num_classes", "three", "of another kind"),
        ("task.model.num_classes", 0, "task.model.num_classes"),
        ("task.model.num_classes", 1, "task.model.num_classes"),
        ("task.model.input_size", [64, 64], "task.model.input_size"),
        ("task.model.input_size", [8, 8, 3], "task.model.input_size"),
        ("task.model.dropout_rate", 1.0, "task.model.dropout_rate"),
        ("task.train_data.global_batch_size", 0, "task.train_data.global_batch_size"),
        ("task.train_data.crop_area_range", [0.9, 0.1], "task.train_data.crop_area_range"),
        ("trainer.train_steps", 0, "trainer.train_steps"),
        ("trainer.optimizer_config.learning_rate.cosine.initial_learning_rate", 0.0, "learning_rate"),
        ("task.init_checkpoint_modules", "decoder", "task.init_checkpoint_modules"),
        ("sealpin.class_balance", "some", "sealpin.class_balance"),
        ("task.losses.use_binary_cross_entropy", True, "task.losses.use_binary_cross_entropy"),
        ("task.model.input_size", [32, 32, 3], "one of them above 32"),
        ("task", None, "of another kind"),
        ("task.model.num_classes", None, "of another kind"),
        ("task.train_data.global_batch_size", None, "of another kind"),
        ("task.train_data.crop_area_range", ["a", "b"], "of another kind"),
        ("task.train_data.random_erasing", {"probability": 5.0}, "task.train_data.random_erasing"),
        ("task.train_data.random_erasing", {"min_count": 3, "max_count": 1}, "task.train_data.random_erasing"),
        ("task.train_data.random_erasing", {"min_aspect": 0.0}, "task.train_data.random_erasing"),
        ("task.train_data.random_erasing", {"min_aspect": "x"}, "task.train_data.random_erasing"),
        ("task.model.backbone", {"type": "mobilenet", "mobilenet": {"model_id": "V9"}}, "mobilenet.model_id"),
        ("task.model.backbone", {"type": "resnet", "resnet": {"model_id": 51}}, "resnet.model_id"),
        ("task.model.backbone", {"type": "efficientnet", "efficientnet": {"model_id": "b9"}}, "efficientnet.model_id"),
        ("task.model.backbone.mobilenet", {"filter_size_scale": 0.0}, "filter_size_scale"),
        ("task.model.norm_activation.norm_momentum", 5.0, "norm_momentum"),
        ("task.model.norm_activation.activation", "nope", "norm_activation.activation"),
        ("task.model.kernel_initializer", "nope", "kernel_initializer"),
        ("runtime", {"mixed_precision_dtype": "float8"}, "runtime.mixed_precision_dtype"),
        ("trainer.train_steps", 10**30, "trainer.train_steps"),
        (
            "trainer.optimizer_config.learning_rate",
            {"type": "stepwise", "stepwise": {"boundaries": [1, 2], "values": [0.1]}},
            "trainer.optimizer_config",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_field(tmp_path: Path, field: str, value: Any, told: str) -> None:
    with pytest.raises(InputError) as refused:
        load_recipe(written(tmp_path, changed(field, value)))
    assert told in str(refused.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: &a [x]\nb: *a", "task: {", "task: {model: 1, model: 2}"])
def test_what_is_no_experiment_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        load_recipe(written(tmp_path, text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task.train_data.aug_type", {"type": "randaug"}),
        ("task.train_data.mixup_and_cutmix", {"mixup_alpha": 0.5}),
        ("task.model.output_softmax", True),
        ("task.train_data.is_multilabel", True),
    ],
)
def test_what_is_not_followed_is_told(tmp_path: Path, field: str, value: Any) -> None:
    path = written(tmp_path, changed(field, value))
    recipe = load_recipe(path)
    assert any(one.field.startswith(field) for one in recipe.differences)
    assert any(one.treatment == "not followed" for one in problems(recipe, path))


def test_what_is_frozen_without_weights_is_told(tmp_path: Path) -> None:
    for field, told in (("task.freeze_backbone", "random"), ("sealpin", "learned nothing")):
        value: Any = {"frozen_normalisation": True} if field == "sealpin" else True
        path = written(tmp_path, changed(field, value))
        assert any(told in one.problem for one in problems(load_recipe(path), path))


def test_overrides_scale_the_schedule() -> None:
    recipe = Recipe("plain", PLAIN).with_steps(50).with_learning_rate(0.002).with_batch_size(8)
    config = recipe.experiment.trainer.optimizer_config
    assert (recipe.num_steps, recipe.batch_size) == (50, 8)
    assert (config.learning_rate.get().decay_steps, config.warmup.get().warmup_steps) == (50, 5)
    assert recipe.highest_learning_rate == pytest.approx(0.002)
    assert PLAIN["trainer"]["train_steps"] == 100


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "pipelines").glob("*.yaml")), ids=lambda one: one.stem
)
def test_the_shipped_recipes_are_followed_and_named(path: Path) -> None:
    recipe = load_recipe(path)
    assert (recipe.differences, recipe.num_classes, recipe.one_unit) == ((), 2, True)
    assert f"`{path.stem}`" in (path.parent / "README.md").read_text()
