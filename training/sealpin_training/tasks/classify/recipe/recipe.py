"""An experiment's YAML as a recipe: TF-Vision's own configuration classes hold it.

Beside TF-Vision's fields there are some of our own, below `sealpin`. `class_balance`: each class is worth as much as
the others, however rare it is, by the "weights" of its photos or by "sampling" them as often. `places_weight`: how
much, beside the photo's class, the class of each place weighs where boxes or masks tell the defects' places.
`frozen_normalisation`: the backbone's batch normalisation stays as it was loaded. `vertical_flip`: half of the photos
are turned over.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import yaml

from ...recipe import FIXED, HONOURED, Difference, Setting, Words
from .treatment import treatment

EXPERIMENT = "image_classification"
BALANCES = ("none", "weights", "sampling")
OWN = {"class_balance": "none", "places_weight": 0.0, "frozen_normalisation": False, "vertical_flip": False}
_RATES = ("learning_rate", "initial_learning_rate", "base_lr", "warmup_learning_rate")


@dataclass(frozen=True)
class Recipe:
    """A checked experiment. `given` is what its file says, `path` where it was, for messages."""

    name: str
    given: Mapping[str, Any]

    task: ClassVar[str] = "classify"
    words: ClassVar = Words(
        classes="task.model.num_classes",
        batch_size="task.train_data.global_batch_size",
        steps="trainer.train_steps",
        start_from="task.init_checkpoint",
        half_precision="runtime.mixed_precision_dtype: bfloat16",
        clipping="trainer.optimizer_config.optimizer.adam.global_clipnorm",
    )

    @cached_property
    def experiment(self) -> Any:
        """TF-Vision's ExperimentConfig, defaults filled in."""
        return experiment_of(self.given, self.name)

    @property
    def model(self) -> Any:
        """TF-Vision's model configuration."""
        return self.experiment.task.model

    @property
    def network(self) -> str:
        """The backbone's name, and whether it is frozen."""
        frozen = ", frozen" if self.experiment.task.freeze_backbone else ""
        return f"{backbone_name(self.model)}{frozen}"

    @property
    def height(self) -> int:
        """Of the input, pixels."""
        return int(self.model.input_size[0])

    @property
    def width(self) -> int:
        """Of the input, pixels."""
        return int(self.model.input_size[1])

    @property
    def num_classes(self) -> int:
        """Classes; one unit with a sigmoid tells two."""
        return 2 if self.one_unit else int(self.model.num_classes)

    @property
    def one_unit(self) -> bool:
        """Whether one unit tells the second of two classes."""
        return int(self.model.num_classes) == 1

    @property
    def batch_size(self) -> int:
        """Photos a step."""
        return int(self.experiment.task.train_data.global_batch_size)

    @property
    def num_steps(self) -> int:
        """How long it trains."""
        return int(self.experiment.trainer.train_steps)

    @property
    def class_balance(self) -> str:
        """Of BALANCES: how each class is made worth as much as the others."""
        return str(self._own["class_balance"])

    @property
    def balanced_sampling(self) -> bool:
        """Whether batches have as many photos of each class as of the others."""
        return self.class_balance == "sampling"

    @property
    def places_weight(self) -> float:
        """How much the class of labelled places weighs, the photo's being 1."""
        return float(self._own["places_weight"])

    @property
    def frozen_normalisation(self) -> bool:
        """Whether the backbone's batch normalisation stays as it was loaded."""
        return bool(self._own["frozen_normalisation"])

    @property
    def vertical_flip(self) -> bool:
        """Whether half of the photos are turned over."""
        return bool(self._own["vertical_flip"])

    @property
    def _own(self) -> dict[str, Any]:
        return {**OWN, **self.given.get("sealpin", {})}

    @property
    def precision(self) -> str:
        """Of Keras's policies."""
        kind = self.experiment.runtime.mixed_precision_dtype
        return f"mixed_{kind}" if kind in ("float16", "bfloat16") else "float32"

    @property
    def use_xla(self) -> bool:
        """Whether XLA compiles the steps."""
        return bool(self.experiment.runtime.enable_xla)

    @property
    def start_from(self) -> str:
        """The weights to begin with."""
        return str(self.experiment.task.init_checkpoint or "")

    @property
    def own_average(self) -> bool:
        """Whether the optimiser keeps a moving average of the weights."""
        return self.experiment.trainer.optimizer_config.ema is not None

    @property
    def highest_learning_rate(self) -> float:
        """The highest rate of its schedule."""
        return max(rates_of(self.schedule_told))

    @property
    def schedule_told(self) -> Mapping[str, Any]:
        """The learning rate's schedule and its warm-up."""
        config = self.experiment.trainer.optimizer_config
        return {
            "learning_rate": {config.learning_rate.type: config.learning_rate.get().as_dict()},
            **({"warmup": {config.warmup.type: config.warmup.get().as_dict()}} if config.warmup.type else {}),
        }

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where training does something else than the recipe says."""
        return tuple(Difference(one.field, one.shown, one.effect) for one in self.settings() if one.kind == FIXED)

    def renews_norms(self, step: int) -> bool:
        """Unless the backbone keeps its own: moving averages lag behind in the few steps of fine-tuning."""
        return not (self.experiment.task.freeze_backbone or self.frozen_normalisation)

    def settings(self) -> Iterator[Setting]:
        """Every value, defaults filled in."""
        defaults = dict(_leaves(experiment_of({}, self.name).as_dict()))
        # Which fields a part has depends on its kind; where there is none by default, all of a part is said
        of_kind = dict(_leaves(experiment_of(types_of(self.given), self.name).as_dict()))
        absent = tuple(f"{field}." for field, value in defaults.items() if value is None)
        for field, value in _leaves(self.experiment.as_dict()):
            known = of_kind if field not in defaults and not field.startswith(absent) else defaults
            default = field in known and known[field] == value
            kind, effect = treatment(field, default=default)
            yield Setting(field, value, _shown(value), default, kind, effect)
        for key, value in self._own.items():
            yield Setting(f"sealpin.{key}", value, _shown(value), value == OWN[key], HONOURED, "")

    def text(self) -> bytes:
        """Its file."""
        return str(yaml.safe_dump(dict(self.given), sort_keys=False, allow_unicode=True)).encode()

    def with_steps(self, steps: int) -> "Recipe":
        """The same recipe squeezed into `steps` steps."""
        share = steps / self.num_steps
        changed = self._with("trainer.train_steps", steps)
        for field, value in _leaves(self.experiment.trainer.optimizer_config.as_dict()):
            if (
                field.rpartition(".")[2] in ("decay_steps", "warmup_steps", "boundaries")
                and value
                and _is_used(self, field)
            ):
                scaled = (
                    [max(1, round(one * share)) for one in value]
                    if isinstance(value, list)
                    else max(1, round(value * share))
                )
                changed = changed._with(f"trainer.optimizer_config.{field}", scaled)
        return changed

    def with_batch_size(self, photos: int) -> "Recipe":
        """The same recipe with batches of so many photos."""
        return self._with("task.train_data.global_batch_size", photos)

    def with_learning_rate(self, highest: float) -> "Recipe":
        """The same recipe with every rate of its schedule scaled."""
        share, changed = highest / self.highest_learning_rate, self
        for field, value in _leaves(self.experiment.trainer.optimizer_config.as_dict()):
            last = field.rpartition(".")[2]
            if (last in _RATES or last == "values") and value and _is_used(self, field):
                scaled = [one * share for one in value] if isinstance(value, list) else value * share
                changed = changed._with(f"trainer.optimizer_config.{field}", scaled)
        return changed

    def starting_with_all(self) -> "Recipe":
        """The same recipe, which loads the last layer too."""
        return self._with("task.init_checkpoint_modules", "all")

    def _with(self, field: str, value: Any) -> "Recipe":
        changed = deepcopy(dict(self.given))
        *folders, last = field.split(".")
        place = changed
        for name in folders:
            place = place.setdefault(name, {})
        place[last] = value
        return Recipe(self.name, changed)


def backbone_name(model: Any) -> str:
    """A backbone in a word or two: EfficientNet-Lite0, MobileNetV2, ResNet50."""
    kind, config = model.backbone.type, model.backbone.get()
    if kind == "efficientnet":
        lite = not config.se_ratio and model.norm_activation.activation == "relu6"
        return f"EfficientNet-{'Lite0' if lite and config.model_id == 'b0' else config.model_id.upper()}"
    return f"ResNet{config.model_id}" if kind == "resnet" else str(config.model_id)


def experiment_of(given: Mapping[str, Any], name: str) -> Any:
    """TF-Vision's ExperimentConfig with what is given in place of its defaults; `name` is for its messages."""
    from ....quiet import tensorflow

    tensorflow()
    from official.core import config_definitions
    from official.modeling import hyperparams, optimization
    from official.vision.configs import image_classification

    config = config_definitions.ExperimentConfig(
        task=image_classification.ImageClassificationTask(),
        trainer=config_definitions.TrainerConfig(
            optimizer_config=optimization.OptimizationConfig(
                {"optimizer": {"type": "adam"}, "learning_rate": {"type": "constant"}}
            )
        ),
    )
    content = {key: value for key, value in given.items() if key != "sealpin"}
    return hyperparams.override_params_dict(config, content, is_strict=True) if content else config


def types_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is given only which kind each part is of: it tells which fields there are."""
    parts = {key: types_of(value) for key, value in given.items() if isinstance(value, dict)}
    kind = {"type": given["type"]} if "type" in given else {}
    return {key: value for key, value in parts.items() if value} | kind


def rates_of(schedule: Any) -> list[float]:
    """The learning rates above 0 of a schedule as `Recipe.schedule_told` has it."""
    found = []
    for field, value in _leaves(schedule):
        last = field.rpartition(".")[2]
        if last in _RATES and value:
            found.append(float(value))
        if last == "values" and value:
            found += [float(one) for one in value]
    return found


def _is_used(recipe: Recipe, field: str) -> bool:
    """Whether a field of the optimizer_config is of the chosen kind."""
    config = recipe.experiment.trainer.optimizer_config
    part, kind, *_ = [*field.split("."), ""]
    return getattr(getattr(config, part, None), "type", None) == kind


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("\n").removesuffix("...").strip()
