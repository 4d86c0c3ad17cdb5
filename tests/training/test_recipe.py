"""Recipes: what is read, what is refused, and where training differs."""

import dataclasses
import json
import re
import shlex
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sealpin_edge.errors import InputError
from sealpin_training.dataset.manifest import Dataset
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tasks.detect.recipe.check import last_share
from sealpin_training.tasks.detect.recipe.schema.augment import PreprocessingStep
from sealpin_training.tasks.detect.recipe.schema.pipeline import (
    AdamOptimizer,
    CosineDecayLearningRate,
    MomentumOptimizer,
    Pipeline,
)
from sealpin_training.tasks.detect.recipe.schema.treatment import FIXED, IDLE
from sealpin_training.tasks.detect.recipe.text import pipeline_text, read_pipeline
from tests.commands import invoke

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
def test_every_recipe_that_comes_along_is_followed_to_the_letter(path: Path) -> None:
    recipe = load_recipe(path)
    assert isinstance(recipe.schedule, CosineDecayLearningRate)
    assert recipe.train.num_steps == recipe.schedule.total_steps
    assert f"{recipe.resizer.width}x{recipe.resizer.height}" in recipe.name
    assert recipe.differences == ()


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.config")), ids=lambda path: path.stem)
def test_what_is_written_reads_back(path: Path, tmp_path: Path) -> None:
    pipeline = load_recipe(path).pipeline
    (tmp_path / "again.config").write_text(pipeline_text(pipeline))
    assert read_pipeline(tmp_path / "again.config") == pipeline


@pytest.mark.parametrize("tag", ORIGINALS)
def test_the_originals_have_the_settings_of_the_original_runs(tag: str) -> None:
    recipe = load_recipe(PIPELINES / f"ssd_mobilenet_v2_fpnlite_640x640_{tag}.config")
    assert recipe.train.num_steps == ORIGINALS[tag]
    assert recipe.train.batch_size == 2
    schedule = recipe.schedule
    assert isinstance(schedule, CosineDecayLearningRate)
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


def test_the_text_format_is_read_in_all_its_forms(tmp_path: Path) -> None:
    path = changed(tmp_path, "batch_size: 8", "batch_size: 0x10, # hexadecimal, a comma, a comment\n")
    path.write_text(
        path.read_text().replace("train_config {", "train_config: <").replace("\n}\n\n# Paths", "\n>\n\n# Paths")
    )
    assert load_recipe(path).train.batch_size == 16


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("num_classes: 2", "num_clases: 2", r"changed\.config:\d+:\d+"),
        ("classification_weight", "hard_example_miner {} classification_weight", "does not train with it"),
        ("  ssd {", "  faster_rcnn {", "recipe for Faster R-CNN"),
        ("  ssd {", "  center_net {", "recipe for CenterNet"),
        ("      fpn {", "      bifpn {", "recipe for EfficientDet"),
        ("      fpn {", "      pad_to_multiple_resizer: 1\n      bifpn {", "recipe for EfficientDet"),
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
        ("random_horizontal_flip {}", "random_horizontal_flip {} rgb_to_gray {}", "data_augmentation_options"),
        ("kernel_size: 3", "kernel_size: 4", "kernel_size"),
        ("        unmatched_threshold: 0.5", "        unmatched_threshold: 0.7", "argmax_matcher"),
        ("warmup_learning_rate: 0.0008", "warmup_learning_rate: 0.8", "warmup_learning_rate"),
        ("batch_size: 8", "batch_size: 0", "batch_size"),
        ("      epsilon: 1e-7\n    }", "    }\n    momentum_optimizer {}", "train_config.optimizer"),
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
        ("num_classes: 2", "num_classes: 2 add_background_class: false", "add_background_class"),
        ("use_depthwise: true", "use_depthwise: true pad_to_multiple: 64", "pad_to_multiple"),
        ("iou_threshold: 0.5", "iou_threshold: 0.5 soft_nms_sigma: 0.5", "soft_nms_sigma"),
        ("shuffle: false", "shuffle: false sample_1_of_n_examples: 3", "sample_1_of_n_examples"),
        ("height: 320", "resize_method: AREA height: 320", "resize_method"),
    ],
)
def test_a_field_that_training_cannot_follow_is_named(tmp_path: Path, old: str, new: str, field: str) -> None:
    (difference,) = load_recipe(changed(tmp_path, old, new)).differences
    assert difference.field.endswith(field)
    assert difference.instead


def all_messages(cls: type, seen: set[type] | None = None) -> set[type]:
    seen = seen if seen is not None else set()
    if cls not in seen and dataclasses.is_dataclass(cls):
        seen.add(cls)
        for hint in typing.get_type_hints(cls).values():
            for kind in (hint, *typing.get_args(hint)):
                if isinstance(kind, type):
                    all_messages(kind, seen)
    return seen


def test_every_field_without_effect_or_followed_at_one_value_says_why() -> None:
    messages = all_messages(Pipeline)
    assert len(messages) > 60
    marks = [item.metadata for message in messages for item in dataclasses.fields(message)]  # type: ignore[arg-type]
    told = [text for mark in marks for kind, text in mark.items() if kind in (IDLE, FIXED)]
    assert len(told) > 80
    assert all(isinstance(text, str) and len(text) > 5 for text in told)


def test_every_augmentation_of_the_schema_has_its_function() -> None:
    from sealpin_training.tasks.detect.augment import _COLOURING, _SHAPING

    names = {item.name for item in dataclasses.fields(PreprocessingStep)}
    assert names == {*_COLOURING, *_SHAPING}


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "marked.config"
    path.write_bytes(b"\xef\xbb\xbf" + DEMO.read_bytes())
    assert load_recipe(path).pipeline == load_recipe(DEMO).pipeline


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("model { ssd { } }".encode("utf-16"), "UTF-16"),
        (b"# caf\xe9\nmodel { }", "config:1: this text is not in UTF-8"),
    ],
)
def test_a_recipe_in_another_encoding_is_told_as_that(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.config").write_bytes(content)
    with pytest.raises(InputError, match=told):
        load_recipe(tmp_path / "a.config")


def test_a_folder_is_no_recipe_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"this recipe cannot be read\s+found: +a folder, where a file should be"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "instead"),
    [
        (
            "multiscale_anchor_generator {",
            "ssd_anchor_generator { num_layers: 6 } multiscale_anchor_generator {",
            "multiscale_anchor_generator",
        ),
        (
            "weight_shared_convolutional_box_predictor {",
            "convolutional_box_predictor { } weight_shared_convolutional_box_predictor {",
            "weight_shared_convolutional_box_predictor",
        ),
    ],
)
@pytest.mark.parametrize(
    "recipe", [DEMO, PIPELINES / "ssd_resnet50_v1_fpn_640x640.config"], ids=["mobilenet", "resnet"]
)
def test_a_network_with_fpn_and_a_part_of_one_without_is_told_as_that(
    old: str, new: str, instead: str, recipe: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(changed(tmp_path, old, new, recipe))
    assert "this network has an FPN" in str(caught.value)
    assert instead in caught.value.allowed
    assert "fpn_keras" in caught.value.found


def test_an_ssd_without_fpn_is_told_as_one(tmp_path: Path) -> None:
    path = changed(tmp_path, "multiscale_anchor_generator {", "ssd_anchor_generator { } multiscale_anchor_generator {")
    path.write_text(path.read_text().replace("ssd_mobilenet_v2_fpn_keras", "ssd_mobilenet_v2_keras"))
    with pytest.raises(InputError, match="this is a recipe for an SSD without FPN"):
        load_recipe(path)


def test_a_missing_recipe_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such recipe"):
        load_recipe(tmp_path / "none.config")


def test_fewer_steps_keep_the_shape_of_the_schedule() -> None:
    recipe = load_recipe(PIPELINES / "ssd_mobilenet_v2_fpnlite_640x640_120k.config").with_steps(12_000)
    assert isinstance(recipe.schedule, CosineDecayLearningRate)
    assert (recipe.train.num_steps, recipe.schedule.total_steps, recipe.schedule.warmup_steps) == (12_000, 12_000, 100)


COSINE = re.compile(r"cosine_decay_learning_rate \{.*?\}", re.DOTALL)
EXPONENTIAL = """exponential_decay_learning_rate {
  initial_learning_rate: 0.1 decay_steps: 200 decay_factor: 0.5 staircase: STAIRS burnin_learning_rate: 0.01
  burnin_steps: 50 min_learning_rate: 0.02 }"""
MANUAL = """manual_step_learning_rate { initial_learning_rate: 0.1 warmup: WARM
  schedule { step: 300 learning_rate: 0.05 } schedule { step: 900 learning_rate: 0.01 } }"""


def exponential(step: int, stairs: bool) -> float:
    power = (step - 50) / 200
    return 0.01 if step < 50 else 0.1 * 0.5 ** (np.floor(power) if stairs else power)


def manual(step: int, warm: bool) -> float:
    if warm and step < 300:
        return 0.1 + (0.05 - 0.1) / 300 * step
    return 0.1 if step < 300 else 0.05 if step < 900 else 0.01


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("constant_learning_rate { learning_rate: 0.007 }", lambda step: 0.007),
        (EXPONENTIAL.replace("STAIRS", "true"), lambda step: max(0.02, exponential(step, True))),
        (EXPONENTIAL.replace("STAIRS", "false"), lambda step: max(0.02, exponential(step, False))),
        (MANUAL.replace("WARM", "false"), lambda step: manual(step, False)),
        (MANUAL.replace("WARM", "true"), lambda step: manual(step, True)),
        (
            "cosine_decay_learning_rate { learning_rate_base: 0.08 total_steps: 1200 warmup_learning_rate: 0.02"
            " warmup_steps: 100 hold_base_rate_steps: 200 }",
            lambda step: (
                0.02 + 0.06 / 100 * step
                if step < 100
                else 0.08
                if step <= 300
                else 0.04 * (1 + np.cos(np.pi * (step - 300) / 900))
            ),
        ),
    ],
)
def test_the_learning_rate_is_the_apis(tmp_path: Path, text: str, formula: Callable[[int], float]) -> None:
    """Formulas: object_detection/utils/learning_schedules.py."""
    from sealpin_training.tasks.detect.schedule import LearningRate

    path = tmp_path / "rate.config"
    path.write_text(COSINE.sub(text, DEMO.read_text()))
    rate = LearningRate(load_recipe(path).schedule)
    steps = [0, 10, 49, 50, 99, 100, 299, 300, 450, 899, 900, 1199]
    np.testing.assert_allclose([float(rate(step)) for step in steps], [formula(step) for step in steps], 1e-4, 1e-8)
    highest = max(formula(step) for step in steps)
    for last in (450, 1199):  # no longer warming up
        share = last_share(load_recipe(path).schedule, last + 1)
        assert share == pytest.approx(formula(last) / highest, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("adam_optimizer { RATE epsilon: 1e-7 }", "Adam"),
        ("momentum_optimizer { RATE momentum_optimizer_value: 0.8 }", "SGD"),
        ("rms_prop_optimizer { RATE decay: 0.95 epsilon: 0.1 }", "RMSprop"),
    ],
)
def test_the_optimisers_have_the_recipes_numbers(tmp_path: Path, text: str, name: str) -> None:
    from sealpin_training.tasks.detect.schedule import build_optimizer

    path = tmp_path / "optimizer.config"
    rate = "learning_rate { constant_learning_rate { learning_rate: 0.003 } }"
    optimizer = re.compile(r"optimizer \{\n    adam.*?use_moving_average: false", re.DOTALL)
    changed = optimizer.sub(
        "optimizer { " + text.replace("RATE", rate) + " use_moving_average: false", DEMO.read_text()
    )
    path.write_text(changed.replace("batch_size: 8", "batch_size: 8 gradient_clipping_by_norm: 10"))
    built = build_optimizer(load_recipe(path))
    assert type(built).__name__ == name
    assert built.global_clipnorm == 10
    config = built.get_config()
    wanted = {
        "Adam": {"epsilon": 1e-7},
        "SGD": {"momentum": 0.8},
        "RMSprop": {"rho": 0.95, "epsilon": 0.1, "momentum": 0.9},
    }
    assert {key: pytest.approx(value) for key, value in wanted[name].items()} == {
        key: config[key] for key in wanted[name]
    }


def test_adam_is_an_optimiser_too() -> None:
    from sealpin_training.tasks.detect.schedule import build_optimizer

    recipe = load_recipe(DEMO)
    assert isinstance(recipe.optimizer, AdamOptimizer)
    assert type(build_optimizer(recipe)).__name__.startswith("Adam")


def test_check_tells_what_happens_to_each_field(tmp_path: Path) -> None:
    found = invoke("recipe", "check", PIPELINES / "ssd_mobilenet_v2_fpnlite_640x640_120k.config", "--json")
    assert found.exit_code == 0
    fields = {one["field"]: one for one in json.loads(found.stdout)["fields"]}
    assert fields["train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate.learning_rate_base"]["treatment"] == "honoured"  # fmt: skip  # noqa: E501
    assert fields["train_config.sync_replicas"]["treatment"] == "without effect"
    bad = invoke("recipe", "check", changed(tmp_path, "num_classes: 2", "num_classes: 2 add_background_class: false"))
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[1].startswith("problem: model.ssd.add_background_class = false: not followed: ")
    assert " = 320" not in bad.stdout
    assert "  model.ssd.num_classes = 2\n" in invoke("recipe", "check", DEMO, "--all").stdout
    assert invoke("recipe", "check", tmp_path / "none.config").exit_code == 2


def test_weights_that_are_not_there_are_told_first_and_not_called_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = PIPELINES / "ssd_mobilenet_v2_fpnlite_640x640_120k.config"
    weights = "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8"
    found = json.loads(invoke("recipe", "check", path, "--json").stdout)
    (problem,) = found["problems"]
    assert (problem["field"], problem["hint"]) == (
        "train_config.fine_tune_checkpoint",
        f"sealpin pretrained get {weights}",
    )
    treated = {one["field"]: one["treatment"] for one in found["fields"]}
    assert treated["train_config.fine_tune_checkpoint"] == "not here"
    text = invoke("recipe", "check", path).stdout
    assert text.index("it is not here") < text.index("without effect")
    (tmp_path / "pretrained" / weights / "checkpoint").mkdir(parents=True)
    (tmp_path / "pretrained" / weights / "checkpoint" / "ckpt-0.index").touch()
    assert json.loads(invoke("recipe", "check", path, "--json").stdout)["problems"] == []


def test_a_learning_rate_that_does_not_fall_is_a_problem(tmp_path: Path) -> None:
    steps = load_recipe(DEMO).train.num_steps
    assert "problem" not in invoke("recipe", "check", DEMO).stdout
    slow = changed(tmp_path, f"total_steps: {steps}", f"total_steps: {100 * steps}")
    told = invoke("recipe", "check", slow).stdout
    assert "the learning rate is still at 100% of its highest when training ends" in told
    text = COSINE.sub("constant_learning_rate { learning_rate: 0.01 }", DEMO.read_text())
    (tmp_path / "constant.config").write_text(text)
    told = invoke("recipe", "check", tmp_path / "constant.config")
    assert (told.exit_code, "the learning rate never falls" in told.stdout) == (0, True)


def test_show_fills_in_defaults_and_diff_compares_them(tmp_path: Path) -> None:
    shown = invoke("recipe", "show", DEMO)
    assert "train_config.optimizer.moving_average_decay = 0.9999  (default)" in shown.stdout
    assert "model.ssd.num_classes = 2\n" in shown.stdout
    other = changed(tmp_path, "batch_size: 8", "sync_replicas: false batch_size: 16")
    assert invoke("recipe", "diff", DEMO, other).stdout == "train_config.batch_size: 8 -> 16\n"
    assert invoke("recipe", "diff", DEMO, DEMO).stdout == "the same\n"


def test_a_new_recipe_fits_its_dataset(tmp_path: Path, dataset: Dataset) -> None:
    out = tmp_path / "new.config"
    made = invoke("recipe", "new", dataset.folder, out, "--size", "320", "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    recipe = load_recipe(out)
    assert recipe.differences == ()
    assert (recipe.ssd.num_classes, recipe.resizer.height, recipe.train.num_steps) == (2, 320, told["steps"])
    assert told["boxes_matched"] > 0.4, "half of the boxes are the small ones of the corner"
    assert recipe.train.fine_tune_checkpoint.startswith("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8/")
    assert invoke("recipe", "check", out, "--dataset", dataset.folder).exit_code == 0
    blank = invoke("recipe", "new", dataset.folder, tmp_path / "my new.config", "--size", "320")
    fetch, train = blank.stdout.strip().rpartition("next: ")[2].split(" && ")
    assert shlex.split(fetch) == ["sealpin", "pretrained", "get", told["weights"]]
    assert shlex.split(train)[2] == str(tmp_path / "my new.config")
    (tmp_path / told["weights"] / "checkpoint").mkdir(parents=True)
    assert "pretrained" not in invoke("recipe", "new", dataset.folder, tmp_path / "b.config", "--size", "320").stdout
    itself = invoke("recipe", "new", dataset.folder, dataset.folder)
    assert (itself.exit_code, "this is the source itself" in itself.output) == (2, True)
    assert invoke("recipe", "new", dataset.folder, out).exit_code == 2, "it would overwrite"
    assert invoke("recipe", "new", tmp_path, tmp_path / "x.config").exit_code == 2
    resnet = invoke(
        "recipe", "new", dataset.folder, tmp_path / "r.config", "--backbone", "resnet50_v1", "--batch-size", "4"
    )
    assert resnet.exit_code == 0
    assert load_recipe(tmp_path / "r.config").backbone == "ResNet50"
