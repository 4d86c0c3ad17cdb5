"""Numbers of a recipe: each that is honoured has a range; what lies outside is refused by name, whoever reads it."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from math import inf, nextafter
from pathlib import Path
from typing import Any

import pytest

from sealpin_training.dataset.manifest import Dataset
from sealpin_training.run import Run
from sealpin_training.tasks.detect.recipe.schema import augment, layers
from sealpin_training.tasks.detect.recipe.schema import pipeline as messages
from sealpin_training.tasks.detect.recipe.schema.treatment import FIXED, IDLE, WITHIN, Range
from sealpin_training.tasks.detect.recipe.text import pipeline_text, read_pipeline
from tests.commands import invoke

from .conftest import small_recipe

PIPELINES = Path(__file__).parents[2] / "pipelines"
DEMO = PIPELINES / "ssd_mobilenet_v2_fpnlite_320x320_demo.config"
# Stands in a recipe's text where a test wants what no number of Python's is
PLACE = 987654321987
# Messages of which one part may be set
EITHER = (
    messages.LearningRate,
    messages.Optimizer,
    augment.PreprocessingStep,
    layers.Initializer,
    layers.Regularizer,
)
# Messages whose other numbers a recipe has to say
BEGUN: dict[type, Any] = {
    messages.LearningRateSchedule: messages.LearningRateSchedule(step=9),
    augment.SSDRandomCropOperation: augment.SSDRandomCropOperation(0.0, 0.5, 2.0, 0.1, 1.0),
}
# Defaults that are no recipe's: these have to be said, or say nothing when left out
MUST_BE_SAID = {"num_classes", "num_steps", "depth", "step", "alpha", "SSDRandomCropOperation"}


@dataclasses.dataclass(frozen=True)
class Number:
    """A field of the schema that holds a number, or several, and is honoured: the way to it from a whole recipe."""

    way: tuple[str, ...]
    owner: type
    kind: type
    several: bool
    range: Range | None
    default: Any

    def __str__(self) -> str:
        return ".".join(self.way)


def numbers(cls: type = messages.Pipeline, way: tuple[str, ...] = ()) -> Iterator[Number]:
    """Every one, however deep."""
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        hint = hints[item.name]
        kinds = [kind for kind in (hint, *typing.get_args(hint)) if isinstance(kind, type)]
        if IDLE in item.metadata or FIXED in item.metadata:
            continue
        if message := next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None):
            yield from numbers(message, (*way, item.name))
        elif kind := next((kind for kind in kinds if kind in (int, float)), None):
            several = typing.get_origin(hint) is tuple
            yield Number((*way, item.name), cls, kind, several, item.metadata.get(WITHIN), item.default)


NUMBERS = list(numbers())


def said(cls: Any, message: Any, number: Number, way: tuple[str, ...]) -> Any:
    """A message (None: a new one) in which the field says PLACE, and nothing is set that excludes it."""
    name, hint = way[0], typing.get_type_hints(cls)[way[0]]
    message = message or BEGUN.get(cls) or cls()
    several = typing.get_origin(hint) is tuple
    if not way[1:]:
        value: Any = number.kind(PLACE)
    else:
        value = said(typing.get_args(hint)[0], None if several else getattr(message, name), number, way[1:])
    parts = [item.name for item in dataclasses.fields(cls) if dataclasses.is_dataclass(getattr(message, item.name))]
    others = parts if cls in EITHER else ["batch_norm"] if name == "sync_batch_norm" else []
    if cls is messages.Optimizer and way[1:] and value.learning_rate is None:
        rate = messages.LearningRate(constant_learning_rate=messages.ConstantLearningRate())
        value = dataclasses.replace(value, learning_rate=rate)
    cleared = {} if cls is messages.Optimizer and not way[1:] else dict.fromkeys(others)
    return dataclasses.replace(message, **{**cleared, name: (value,) if several else value})


def recipe_with(folder: Path, number: Number, value: str) -> Path:
    """The demo's recipe, with `value` for this field."""
    text = pipeline_text(said(messages.Pipeline, read_pipeline(DEMO), number, number.way))
    written = f"{PLACE}.0" if number.kind is float else str(PLACE)
    assert text.count(written) == 1
    path = folder / "said.config"
    path.write_text(text.replace(written, value))
    return path


def test_every_number_that_is_honoured_has_a_range() -> None:
    assert len(NUMBERS) > 100
    without = {f"{number.owner.__name__}.{number.way[-1]}" for number in NUMBERS if number.range is None}
    assert without == {"FixedShapeResizer.height", "FixedShapeResizer.width"}, "the backbone decides of those"


def test_the_apis_defaults_are_in_their_ranges() -> None:
    for number in NUMBERS:
        if number.range and not MUST_BE_SAID & {number.way[-1], number.owner.__name__}:
            assert not number.range.refusal(number.default, number.owner()), f"{number}: {number.default}"


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_what_is_no_number_and_what_is_beyond_all_bounds_is_refused_by_name(number: Number, tmp_path: Path) -> None:
    for value in ("-99999999999", "99999999999") if number.kind is int else ("nan", "inf", "-inf", "1e39", "-1e39"):
        found = invoke("recipe", "check", recipe_with(tmp_path, number, value))
        assert (found.exit_code, type(found.exception)) == (2, SystemExit), f"{value}: {found.output}"
        first = found.output.replace("[0]", "").splitlines()[0]
        assert f"said.config: {number}: " in first, f"{value}: {found.output}"
        assert "  allowed: " in found.output
    for value in ("nan", "inf", "9" * 400) if number.kind is int else ():
        found = invoke("recipe", "check", recipe_with(tmp_path, number, value))
        assert found.exit_code == 2
        assert re.match(r"error: .*said\.config:\d+:\d+: this recipe cannot be read", found.output), found.output


@pytest.mark.parametrize("number", [one for one in NUMBERS if one.range], ids=str)
def test_a_range_ends_where_it_says(number: Number, tmp_path: Path) -> None:
    assert number.range
    least, most = number.range.least, number.range.most
    if number.kind is int:
        outside: tuple[float, float] = int(least) - 1, int(most) + 1
    else:
        outside = nextafter(least, -inf), nextafter(most, inf)
    for value in outside:
        found = invoke("recipe", "check", recipe_with(tmp_path, number, repr(value)))
        assert f"{number}: this number is out of range" in found.output.replace("[0]", "")
        assert f"allowed: from {least:.12g} to {most:.12g}" in found.output
    for value in (least, most):
        found = invoke("recipe", "check", recipe_with(tmp_path, number, repr(number.kind(value))))
        assert found.exception is None or isinstance(found.exception, SystemExit), found.output
        out = f"{number}: this number is out of range" in found.output.replace("[0]", "")
        assert not out or "and no less than" in found.output, found.output


RATE = "learning_rate_base: 0.008"


@pytest.mark.parametrize(
    ("old", "new", "field", "found"),
    [
        ("max_total_detections: 20", "max_total_detections: 0", "max_total_detections", "0"),
        ("max_detections_per_class: 20", "max_detections_per_class: 0", "max_detections_per_class", "0"),
        ("iou_threshold: 0.5", "iou_threshold: nan", "iou_threshold", "nan"),
        ("iou_threshold: 0.5", "iou_threshold: -1", "iou_threshold", "-1.0"),
        ("score_threshold: 0.01", "score_threshold: 2", "score_threshold", "2.0"),
        ("score_threshold: 0.01", "score_threshold: 1", "score_threshold", "1.0"),
        ("score_threshold: 0.01", "score_threshold: nan", "score_threshold", "nan"),
        (RATE, "learning_rate_base: nan", "learning_rate_base", "nan"),
        (RATE, "learning_rate_base: inf", "learning_rate_base", "inf"),
        (RATE, "learning_rate_base: 0", "learning_rate_base", "0.0"),
        (RATE, "learning_rate_base: -1", "learning_rate_base", "-1.0"),
        ("batch_size: 8", "batch_size: 99999999999", "train_config.batch_size", "99999999999"),
        ("num_steps: 1200", "num_steps: 9000000000", "train_config.num_steps", "9000000000"),
        ("kernel_size: 3", "kernel_size: -3", "kernel_size", "-3"),
        ("aspect_ratios: 2.0", "aspect_ratios: -2.0", "multiscale_anchor_generator.aspect_ratios", "[1.0, -2.0, 0.5]"),
    ],
)
def test_the_field_itself_is_to_blame(tmp_path: Path, old: str, new: str, field: str, found: str) -> None:
    text = DEMO.read_text()
    assert old in text
    path = tmp_path / "changed.config"
    path.write_text(text.replace(old, new, 1))
    told = invoke("recipe", "check", path)
    first, second, third, fourth = told.output.splitlines()
    assert told.exit_code == 2
    assert first.startswith(f"error: {path}: ")
    assert first.endswith(f"{field}: this number is out of range")
    assert second == f"  found:   {found}"
    assert third.startswith("  allowed: from ")
    assert fourth.startswith("  advice:  ")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("random_adjust_contrast { min_delta: 1.5 max_delta: 0.5 }", "no less than min_delta, 1.5"),
        ("random_adjust_saturation { min_delta: 2 }", "no less than min_delta, 2"),
        ("random_image_scale { max_scale_ratio: 0.2 }", "no less than min_scale_ratio, 0.5"),
        ("random_pixel_value_scale { minval: 2 }", "no less than minval, 2"),
        ("random_crop_image { min_area: 0.5 max_area: 0.4 }", "no less than min_area, 0.5"),
        ("random_crop_image { max_aspect_ratio: 0.5 }", "no less than min_aspect_ratio, 0.75"),
        ("ssd_random_crop { operations { min_object_covered: 0.5 } }", "operations[0].min_aspect_ratio"),
        ("random_distort_color { color_ordering: 2 }", "color_ordering"),
    ],
)
def test_an_augmentation_that_nothing_can_be_drawn_for_is_refused(step: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "changed.config"
    path.write_text(DEMO.read_text().replace("random_horizontal_flip {}", step, 1))
    found = invoke("recipe", "check", path)
    assert found.exit_code == 2
    assert told in found.output


def test_a_padding_without_a_most_may_have_a_least(tmp_path: Path) -> None:
    path = tmp_path / "changed.config"
    step = "random_pad_image { min_image_height: 500 min_image_width: 500 pad_color: [114, 114, 114] }"
    path.write_text(DEMO.read_text().replace("random_horizontal_flip {}", step, 1))
    assert invoke("recipe", "check", path).exit_code == 0


def test_steps_whose_rates_are_all_nothing_are_refused(tmp_path: Path) -> None:
    text = DEMO.read_text()
    start = text.index("cosine_decay_learning_rate")
    rates = "manual_step_learning_rate { initial_learning_rate: 0 schedule { step: 9 learning_rate: RATE } }"
    for rate, code in (("0", 2), ("0.1", 0)):
        path = tmp_path / "changed.config"
        path.write_text(text[:start] + rates.replace("RATE", rate) + text[text.index("}", start) + 1 :])
        found = invoke("recipe", "check", path)
        assert found.exit_code == code, found.output
        assert ("learning rates that are all 0" in found.output) == (code == 2)


def test_whoever_reads_a_recipe_refuses_it(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = small_recipe(tmp_path, ("max_total_detections: 20", "max_total_detections: 0"))
    old = Run(
        "old", "", path.stem, "0" * 64, 0, dataset.classes, str(dataset.folder), dataset.digest, "sealpin train",
        4, None, "", store=tmp_path / "mlruns",
    )  # fmt: skip
    old.folder.mkdir(parents=True)
    (old.folder / "recipe.config").write_text(path.read_text())
    old.save()
    for words in (
        ("train", path, "--dataset", dataset.folder, "--run", "new"),
        ("recipe", "show", path),
        ("recipe", "diff", DEMO, path),
        ("dataset", "check", dataset.folder.parent / "labelled", "--recipe", path),
        ("dataset", "stats", dataset.folder.parent / "labelled", "--recipe", path),
        ("evaluate", "old", "--split", "val"),
        ("export", "old", "--out", "export"),
    ):
        found = invoke(*words)
        assert found.exit_code == 2, f"{words}: {found.output}"
        assert "batch_non_max_suppression.max_total_detections: this number is out of range" in found.output, words
    assert not (tmp_path / "mlruns/runs/new").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--batch-size", "99999999999"), ("--steps", "99999999999"), ("--learning-rate", "inf"),
        ("--learning-rate", "nan"), ("--learning-rate", "1e31"),
    ],
)  # fmt: skip
def test_what_the_command_line_says_instead_has_the_same_range(
    option: str, value: str, tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = small_recipe(tmp_path)
    found = invoke("train", path, "--dataset", dataset.folder, "--run", "new", option, value)
    assert found.exit_code == 2, found.output
    told = "no number that anything could be held against" if value in ("inf", "nan") else "this number is out of range"
    assert told in found.output
    assert not (tmp_path / "mlruns/runs/new").exists()


def test_numbers_as_the_zoo_has_them_pass(tmp_path: Path) -> None:
    text = DEMO.read_text()
    for old, new in (
        ("score_threshold: 0.01", "score_threshold: 9.99999993922529e-09"),
        ("iou_threshold: 0.5", "iou_threshold: 0.6000000238418579"),
        ("max_total_detections: 20", "max_total_detections: 100"),
        ("stddev: 0.01", "stddev: 0.009999999776482582"),
        ("class_prediction_bias_init: -4.6", "class_prediction_bias_init: -4.599999904632568"),
        ("batch_size: 8", "batch_size: 512 startup_delay_steps: 0.0 replicas_to_aggregate: 8"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "zoo.config"
    path.write_text(text)
    assert invoke("recipe", "check", path).exit_code == 0
