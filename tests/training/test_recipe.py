"""Recipes: what is read, what is refused, and where training differs."""

from pathlib import Path

import pytest

from sealpin_edge.errors import InputError
from sealpin_training.recipe import load_recipe
from sealpin_training.recipe.schema import AdamOptimizer, MomentumOptimizer

PIPELINES = Path(__file__).parents[2] / "pipelines"
DEMO = PIPELINES / "ssd_mobilenet_v2_fpnlite_320x320_demo.config"
ORIGINALS = {"120k": 120_000, "240k": 240_000, "921k": 921_600}


def changed(folder: Path, old: str, new: str, recipe: Path = DEMO) -> Path:
    text = recipe.read_text()
    assert old in text
    path = folder / "changed.config"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.config")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_can_be_trained(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.train.num_steps == recipe.schedule.total_steps
    assert f"{recipe.resizer.width}x{recipe.resizer.height}" in recipe.name


def test_the_demo_recipe_is_followed_to_the_letter() -> None:
    assert load_recipe(DEMO).differences == ()


@pytest.mark.parametrize("tag", ORIGINALS)
def test_the_originals_have_the_settings_of_the_original_runs(tag: str) -> None:
    recipe = load_recipe(PIPELINES / f"ssd_mobilenet_v2_fpnlite_640x640_{tag}.config")
    assert recipe.train.num_steps == ORIGINALS[tag]
    assert recipe.train.batch_size == 2
    schedule = recipe.schedule
    assert (schedule.learning_rate_base, schedule.warmup_learning_rate, schedule.warmup_steps) == (0.08, 0.026666, 1000)
    assert isinstance(recipe.optimizer, MomentumOptimizer)
    assert recipe.optimizer.momentum_optimizer_value == 0.9
    flip, crop = recipe.train.data_augmentation_options
    assert flip.random_horizontal_flip
    assert crop.random_crop_image
    found = crop.random_crop_image
    assert (found.min_object_covered, found.min_aspect_ratio, found.max_aspect_ratio) == (0.0, 0.75, 3.0)
    assert (found.min_area, found.max_area, found.overlap_thresh) == (0.75, 1.0, 0.0)
    assert recipe.train.fine_tune_checkpoint.startswith("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8/")
    assert recipe.train.fine_tune_checkpoint_type == "detection"
    assert {difference.field.rpartition(".")[2] for difference in recipe.differences} == {
        "fine_tune_checkpoint",
        "share_prediction_tower",
        "initializer",
    }


def test_the_text_format_is_read_in_all_its_forms(tmp_path: Path) -> None:
    path = changed(tmp_path, "batch_size: 8", "batch_size: 0x10, # hexadecimal, a comma, a comment\n")
    path.write_text(
        path.read_text().replace("train_config {", "train_config: <").replace("\n}\n\n# Paths", "\n>\n\n# Paths")
    )
    assert load_recipe(path).train.batch_size == 16


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("num_classes: 2", "num_classes: 2 hard_example_miner {}", r"changed\.config:\d+:\d+"),
        ("num_classes: 2", "num_classes: two", r"changed\.config:\d+:\d+"),
        ("num_classes: 2", "num_classes: 2 }", "cannot be read"),
        ("num_classes: 2", "num_classes: 0", "model.ssd.num_classes"),
        ("ssd_mobilenet_v2_fpn_keras", "ssd_inception_v3", "feature_extractor.type"),
        ("max_level: 4", "max_level: 5", "multiscale_anchor_generator"),
        ("height: 320", "height: 300", "fixed_shape_resizer.height"),
        ("SIGMOID", "SOFTMAX", "score_converter"),
        ("weighted_smooth_l1 {}", "", "weighted_smooth_l1"),
        ("random_horizontal_flip {}", "", "data_augmentation_options"),
        ("random_horizontal_flip {}", "random_jitter_boxes {}", "random_jitter_boxes"),
        ("total_steps: ", "total_steps: 1", "num_steps|warmup_steps|learning rate"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    if old == "total_steps: ":
        new, old = "total_steps: 3 #", "total_steps:"
    with pytest.raises(InputError, match=told):
        load_recipe(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("use_moving_average: false", "use_moving_average: true", "use_moving_average"),
        ("encode_background_as_zeros: true", "encode_background_as_zeros: false", "encode_background_as_zeros"),
        ("classification_weight: 1.0", "classification_weight: 2.0", "classification_weight"),
        ("kernel_size: 3", "kernel_size: 1", "kernel_size"),
        ("stddev: 0.01", "stddev: 0.03", "initializer"),
        ("num_classes: 2", "num_classes: 2 freeze_batchnorm: true", "freeze_batchnorm"),
    ],
)
def test_a_field_that_training_cannot_follow_is_named(tmp_path: Path, old: str, new: str, field: str) -> None:
    (difference,) = load_recipe(changed(tmp_path, old, new)).differences
    assert difference.field.endswith(field)
    assert difference.instead


def test_a_missing_recipe_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such recipe"):
        load_recipe(tmp_path / "none.config")


def test_fewer_steps_keep_the_shape_of_the_schedule() -> None:
    recipe = load_recipe(PIPELINES / "ssd_mobilenet_v2_fpnlite_640x640_120k.config").with_steps(12_000)
    assert (recipe.train.num_steps, recipe.schedule.total_steps, recipe.schedule.warmup_steps) == (12_000, 12_000, 100)


def test_the_learning_rate_is_the_apis(tmp_path: Path) -> None:
    import numpy as np
    from official.modeling import optimization

    from sealpin_training.experiment import experiment_config

    recipe = load_recipe(PIPELINES / "ssd_mobilenet_v2_fpnlite_640x640_120k.config")
    config = experiment_config(recipe, "none", 1000, steps_per_loop=100).trainer.optimizer_config
    rate = optimization.OptimizerFactory(config).build_learning_rate()
    steps = np.array([0, 500, 1000, 60_000, 119_999])
    # object_detection/utils/learning_schedules.py, cosine_decay_with_warmup
    cosine = 0.04 * (1 + np.cos(np.pi * (steps - 1000) / 119_000))
    warmup = 0.026666 + (0.08 - 0.026666) / 1000 * steps
    np.testing.assert_allclose(
        [rate(step) for step in steps], np.where(steps < 1000, warmup, cosine), rtol=1e-3, atol=1e-7
    )


def test_adam_is_an_optimiser_too() -> None:
    assert isinstance(load_recipe(DEMO).optimizer, AdamOptimizer | MomentumOptimizer)
