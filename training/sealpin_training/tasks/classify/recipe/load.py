"""A recipe's file read, and every value in it held against what can be trained."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sealpin_edge.errors import InputError
from sealpin_edge.files import read_text

from ....plain_yaml import PlainNodes
from .recipe import BALANCES, OWN, Recipe, experiment_of, rates_of, types_of
from .treatment import BACKBONES

MOST_STEPS = 100_000_000
DTYPES = (None, "float32", "float16", "bfloat16")


class _Loader(PlainNodes, yaml.SafeLoader):  # type: ignore[misc]
    """YAML without aliases, no deeper or longer than a recipe is."""


def load_recipe(path: Path) -> Recipe:
    """Read and check an experiment's YAML. Raises InputError, which names the field."""
    try:
        given = yaml.load(read_text(path), Loader=_Loader)  # noqa: S506  a SafeLoader with limits
    except OSError as error:
        raise InputError("this recipe cannot be read", where=str(path), found=str(error.strerror)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            "this recipe is no YAML",
            where=f"{path}:{mark.line + 1}" if mark else str(path),
            found=str(getattr(error, "problem", error)),
            allowed="an experiment of TF-Vision for image classification",
        ) from None
    if not isinstance(given, dict):
        raise InputError(
            "this recipe is no experiment",
            where=str(path),
            found=f"a {type(given).__name__}",
            allowed="task, trainer, runtime",
        )
    recipe = Recipe(path.stem, given)
    _check_given(given, str(path))
    _check(recipe, str(path))
    return recipe


def _check_given(given: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a field that nobody knows, or a value of another kind than its default's."""
    try:
        known = experiment_of(types_of(given), where).as_dict() | {"sealpin": dict(OWN)}
    except KeyError as error:
        raise InputError("nobody knows this field", where=where, found=str(error)[:200]) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "this recipe is no experiment for image classification", where=where, found=str(error)[:200]
        ) from None

    def look(part: Any, allowed: Any, field: str) -> None:
        if isinstance(part, dict) and isinstance(allowed, dict):
            for key, value in part.items():
                if key not in allowed:
                    raise InputError(
                        "nobody knows this field",
                        where=f"{where}: {field}{key}",
                        allowed=", ".join(map(str, list(allowed)[:20])),
                    )
                look(value, allowed[key], f"{field}{key}.")
        elif not _fits(part, allowed):
            raise InputError(
                "this value is of another kind",
                where=f"{where}: {field.removesuffix('.')}",
                found=str(part)[:60],
                allowed=type(allowed).__name__ if not isinstance(allowed, float) else "a number",
            )

    look(given, known, "")


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None:
        return default is None
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list) and all(_fits(one, default[0]) for one in value if default)
    return isinstance(value, type(default))


def _check(recipe: Recipe, where: str) -> None:
    try:
        experiment = recipe.experiment
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "this recipe is no experiment for image classification", where=where, found=str(error)[:200]
        ) from None

    def require(right: bool, field: str, found: Any, allowed: str) -> None:
        if not right:
            raise InputError(
                "this recipe cannot be trained", where=f"{where}: {field}", found=str(found), allowed=allowed
            )

    model, size = experiment.task.model, list(experiment.task.model.input_size)
    require(model.backbone.type in BACKBONES, "task.model.backbone.type", model.backbone.type, ", ".join(BACKBONES))
    whole = len(size) == 3 and all(type(side) is int for side in size)
    require(
        # A map of one place would tell nothing
        whole and size[2] == 3 and min(size[:2]) >= 32 and 32 < max(size[:2]) <= 1024,
        "task.model.input_size",
        size,
        "[height, width, 3], 32 to 1024 pixels, one of them above 32",
    )
    binary = experiment.task.losses.use_binary_cross_entropy
    require(
        model.num_classes >= 2 or (model.num_classes == 1 and binary),
        "task.model.num_classes",
        model.num_classes,
        "2 and more; or 1 with losses.use_binary_cross_entropy, for two classes",
    )
    require(
        not binary or model.num_classes == 1,
        "task.losses.use_binary_cross_entropy",
        binary,
        "false, or one unit: task.model.num_classes: 1",
    )
    require(recipe.batch_size >= 1, recipe.words.batch_size, recipe.batch_size, "1 and more")
    require(1 <= recipe.num_steps <= MOST_STEPS, recipe.words.steps, recipe.num_steps, f"1 to {MOST_STEPS:,}")
    dtype = experiment.runtime.mixed_precision_dtype
    require(dtype in DTYPES, "runtime.mixed_precision_dtype", dtype, "float32, float16 or bfloat16")
    norm = model.norm_activation
    own = "task.model.norm_activation"
    require(0 <= norm.norm_momentum < 1, f"{own}.norm_momentum", norm.norm_momentum, "0 to below 1")
    require(0 < norm.norm_epsilon <= 1, f"{own}.norm_epsilon", norm.norm_epsilon, "above 0, up to 1")
    erasing = experiment.task.train_data.random_erasing
    require(erasing is None or _can_erase(erasing), "task.train_data.random_erasing", erasing and erasing.as_dict(),
            "probability 0 to 1, min_area above 0 and up to max_area up to 1, min_aspect above 0 and up to max_aspect,"
            " min_count 1 and up to max_count up to 100, trials 1 to 100")  # fmt: skip
    require(0 <= model.dropout_rate < 1, "task.model.dropout_rate", model.dropout_rate, "0 to below 1")
    require(
        0 <= experiment.task.losses.label_smoothing < 1,
        "task.losses.label_smoothing",
        experiment.task.losses.label_smoothing,
        "0 to below 1",
    )
    area = experiment.task.train_data.crop_area_range
    require(
        len(area) == 2 and 0 < area[0] <= area[1] <= 1,
        "task.train_data.crop_area_range",
        area,
        "[least, most], above 0, at most 1",
    )
    require(
        0 <= experiment.task.train_data.color_jitter <= 1,
        "task.train_data.color_jitter",
        experiment.task.train_data.color_jitter,
        "0 to 1",
    )
    require(
        experiment.task.init_checkpoint_modules in ("all", "backbone"),
        "task.init_checkpoint_modules",
        experiment.task.init_checkpoint_modules,
        "all or backbone",
    )
    rates = rates_of(recipe.schedule_told)
    require(
        bool(rates) and all(0 <= one < 1e3 for one in rates) and max(rates) > 0,
        "trainer.optimizer_config.learning_rate",
        rates,
        "rates above 0",
    )
    require(recipe.class_balance in BALANCES, "sealpin.class_balance", recipe.class_balance, " or ".join(BALANCES))
    require(0 <= recipe.places_weight <= 100, "sealpin.places_weight", recipe.places_weight, "0 to 100")
    _check_parts(model, experiment.trainer.optimizer_config, require)
    strided = getattr(model.backbone.get(), "output_stride", None)
    require(
        not (recipe.places_weight and strided),
        "sealpin.places_weight",
        recipe.places_weight,
        f"0 with task.model.backbone.{model.backbone.type}.output_stride",
    )


def _check_parts(model: Any, optimizer: Any, require: Callable[[bool, str, Any, str], None]) -> None:
    """Hold against TF-Vision what it has by name: networks, activations, initialisers, optimisers, schedules."""
    from official.modeling import optimization, tf_utils
    from official.vision.modeling.backbones import efficientnet, mobilenet, resnet

    from ....tf import tf_keras

    config, field = model.backbone.get(), f"task.model.backbone.{model.backbone.type}"
    known = {
        "efficientnet": efficientnet.SCALING_MAP,
        "mobilenet": mobilenet.SUPPORTED_SPECS_MAP,
        "resnet": resnet.RESNET_SPECS,
    }[model.backbone.type]
    require(config.model_id in known, f"{field}.model_id", config.model_id, ", ".join(map(str, known)))
    for name in ("filter_size_scale", "depth_multiplier"):
        scale = getattr(config, name, 1.0)
        require(0.05 <= scale <= 10, f"{field}.{name}", scale, "0.05 to 10")
    parts: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "task.model.norm_activation.activation": (model.norm_activation.activation, tf_utils.get_activation),
        "task.model.kernel_initializer": (model.kernel_initializer, tf_keras.initializers.get),
    }
    for name, (value, make) in parts.items():
        try:
            make(value)
        except (KeyError, TypeError, ValueError, AttributeError):
            require(False, name, value, "what TF-Vision knows by this name")
    try:
        factory = optimization.OptimizerFactory(optimizer)
        factory.build_optimizer(factory.build_learning_rate())
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as error:
        require(
            False, "trainer.optimizer_config", str(error)[:200], "an optimiser and a schedule that TF-Vision builds"
        )


def _can_erase(config: Any) -> bool:
    numbers = [config.probability, config.min_area, config.max_area, config.min_aspect, config.max_aspect or 1.0]
    counts = [config.min_count, config.max_count, config.trials]
    if not all(type(one) in (int, float) for one in numbers) or not all(type(one) is int for one in counts):
        return False
    most = config.max_aspect or 1 / config.min_aspect if config.min_aspect else 0.0
    return bool(
        0 <= config.probability <= 1
        and 0 < config.min_area <= config.max_area <= 1
        and 0 < config.min_aspect <= most
        and 1 <= config.min_count <= config.max_count <= 100
        and 1 <= config.trials <= 100
    )
