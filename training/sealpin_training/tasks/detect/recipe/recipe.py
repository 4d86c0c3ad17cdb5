"""A recipe that sealpin can train: the parts of a pipeline.config that it needs, all there and of a kind it knows.

What the file says is honoured, has no effect, or is a difference; the schema marks which, field by field. Nothing is
dropped in silence.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sealpin_edge.errors import InputError

from ...recipe import Difference, Setting, Words
from .schema import layers, model
from .schema import pipeline as messages
from .schema.treatment import FIXED
from .settings import settings
from .text import pipeline_text, read_pipeline

T = TypeVar("T")
Schedule = (
    messages.ConstantLearningRate
    | messages.ExponentialDecayLearningRate
    | messages.ManualStepLearningRate
    | messages.CosineDecayLearningRate
)

BACKBONES = {"ssd_mobilenet_v2_fpn_keras": "MobileNetV2", "ssd_resnet50_v1_fpn_keras": "ResNet50"}
# The API's own batch normalisation for a backbone that override_base_feature_extractor_hyperparams leaves alone
BACKBONE_DECAYS = {"MobileNetV2": 0.9997, "ResNet50": 0.997}
# A moving average with decay d is of the last 1 / (1 - d) steps. It lags while fewer than so many times that are done,
# and suits a training of six times as many
_HORIZONS = 5
_LEAST_DECAY = 0.9
_POLICIES = {
    messages.MixedPrecision.NONE: "float32",
    messages.MixedPrecision.BFLOAT16: "mixed_bfloat16",
    messages.MixedPrecision.FLOAT16: "mixed_float16",
}
# What the backbones need before the FPN begins, and the API's own least sizes (33 and 129 pixels)
SIZE_STEP = 32


@dataclass(frozen=True)
class Recipe:
    """A pipeline.config whose needed parts are all there and of a kind that sealpin trains."""

    name: str
    pipeline: messages.Pipeline
    backbone: str
    ssd: model.Ssd
    resizer: model.FixedShapeResizer
    extractor: model.SsdFeatureExtractor
    fpn: model.FeaturePyramidNetworks
    head: model.WeightSharedConvolutionalBoxPredictor
    hyperparams: layers.Hyperparams
    head_hyperparams: layers.Hyperparams
    anchors: model.MultiscaleAnchorGenerator
    coder: model.FasterRcnnBoxCoder
    matcher: model.ArgMaxMatcher
    loss: model.Loss
    focal: model.SigmoidFocalClassificationLoss
    smooth_l1: model.SmoothL1LocalizationLoss
    nms: model.BatchNonMaxSuppression
    logit_scale: float
    train: messages.TrainConfig
    optimizer: messages.MomentumOptimizer | messages.AdamOptimizer | messages.RMSPropOptimizer
    schedule: Schedule

    task: ClassVar = "detect"
    words: ClassVar = Words(
        classes="model.ssd.num_classes",
        batch_size="train_config.batch_size",
        steps="train_config.num_steps",
        start_from="fine_tune_checkpoint",
        half_precision="mixed_precision: BFLOAT16",
        clipping="gradient_clipping_by_norm: 10.0",
    )

    @property
    def network(self) -> str:
        """Its network in a few words."""
        return f"SSD {self.backbone} FPN"

    @property
    def height(self) -> int:
        """Of the network's input, pixels."""
        return self.resizer.height

    @property
    def width(self) -> int:
        """Of the network's input, pixels."""
        return self.resizer.width

    @property
    def num_classes(self) -> int:
        """How many classes the network knows."""
        return self.ssd.num_classes

    @property
    def batch_size(self) -> int:
        """Photos a step."""
        return self.train.batch_size

    @property
    def num_steps(self) -> int:
        """How long it trains."""
        return self.train.num_steps

    @property
    def precision(self) -> str:
        """Of Keras's policies: float32, mixed_bfloat16 or mixed_float16."""
        return _POLICIES[self.train.mixed_precision]

    @property
    def use_xla(self) -> bool:
        """Whether XLA compiles the steps."""
        return self.train.use_xla

    @property
    def start_from(self) -> str:
        """The weights to begin with, as the file names them; "" for none."""
        return self.train.fine_tune_checkpoint

    @property
    def own_average(self) -> bool:
        """Whether its optimiser keeps a moving average of the weights, which then is the network."""
        return bool(self.train.optimizer and self.train.optimizer.use_moving_average)

    @property
    def balanced_sampling(self) -> bool:
        """The API takes photos as they come."""
        return False

    @property
    def schedule_told(self) -> Mapping[str, Any]:
        """The learning rate's schedule, for whoever compares runs."""
        return {"kind": type(self.schedule).__name__, **asdict(self.schedule)}

    def settings(self) -> Iterator[Setting]:
        """Every value, the API's defaults filled in."""
        return settings(self.pipeline)

    def text(self) -> bytes:
        """The whole pipeline.config."""
        return pipeline_text(self.pipeline).encode()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where training does something else than the recipe says."""
        return tuple(
            Difference(setting.field, setting.shown, setting.effect)
            for setting in self.settings()
            if setting.kind == FIXED
        )

    @property
    def norm_decay(self) -> float:
        """The slowest batch normalisation's decay; 0 when there is none that follows the training."""
        if self.ssd.freeze_batchnorm:
            return 0.0
        norms = [one.batch_norm or one.sync_batch_norm for one in (self.hyperparams, self.head_hyperparams)]
        decays = [norm.decay for norm in norms if norm]
        if not self.extractor.override_base_feature_extractor_hyperparams:
            decays.append(BACKBONE_DECAYS[self.backbone])
        return max(decays, default=0.0)

    def norms_lag(self, step: int) -> bool:
        """Whether batch normalisation's moving averages are, after `step` steps, of weights long gone."""
        return step * (1.0 - self.norm_decay) < _HORIZONS

    def renews_norms(self, step: int) -> bool:
        """Whether they are estimated anew when the network is judged after `step` steps (precise_batch_norm)."""
        return self.train.precise_batch_norm and self.norm_decay > 0 and self.norms_lag(step)

    @property
    def anchors_per_location(self) -> int:
        """Boxes that are predicted at each place of a feature map."""
        return len(self.anchors.aspect_ratios) * self.anchors.scales_per_octave

    @property
    def warm_start_scope(self) -> str:
        """What is loaded of a checkpoint to start from: classification, detection or full (config_util.py)."""
        train = self.train
        if train.fine_tune_checkpoint_type or not train.fine_tune_checkpoint:
            return train.fine_tune_checkpoint_type or "detection"
        return "detection" if train.from_detection_checkpoint else "classification"

    def starting_with_all(self) -> "Recipe":
        """The same recipe, which loads all of a checkpoint to start from, the predictor too."""
        train = replace(self.train, fine_tune_checkpoint_type="full")
        return Recipe.of(self.name, replace(self.pipeline, train_config=train))

    @classmethod
    def of(cls, name: str, source: messages.Pipeline, path: str | None = None) -> "Recipe":
        """A pipeline.config as a recipe; `path` stands in messages. Raises InputError as `load_recipe` does."""
        return _recipe(name, source, path or name)

    def with_steps(self, steps: int) -> "Recipe":
        """The same recipe squeezed into `steps` steps: its schedule keeps its shape, and ends with them."""
        share = steps / self.train.num_steps
        schedule = _squeezed(self.schedule, share)
        if isinstance(schedule, messages.CosineDecayLearningRate):
            schedule = replace(schedule, total_steps=max(steps, schedule.total_steps))
        return self._trained_with(schedule, num_steps=steps)

    def with_batch_size(self, photos: int) -> "Recipe":
        """The same recipe with batches of so many photos."""
        return self._trained_with(self.schedule, batch_size=photos)

    @property
    def highest_learning_rate(self) -> float:
        """The highest rate that the schedule names."""
        return max(_rates(self.schedule))

    def with_learning_rate(self, highest: float) -> "Recipe":
        """The same recipe with every rate of its schedule scaled, so that the highest is this one."""
        return self._trained_with(_scaled(self.schedule, highest / self.highest_learning_rate))

    def _trained_with(self, schedule: Schedule, **changes: Any) -> "Recipe":
        rate: Any = self.optimizer.learning_rate
        optimizer = replace(self.optimizer, learning_rate=replace(rate, **{_one(rate): schedule}))
        holder: Any = self.train.optimizer
        train = replace(self.train, **changes, optimizer=replace(holder, **{_one(holder): optimizer}))
        return Recipe.of(self.name, replace(self.pipeline, train_config=train))


def fitting_decay(steps: int, most: float = 1.0) -> float:
    """The decay of batch normalisation that suits a training of `steps` steps, at most `most`."""
    return min(most, max(_LEAST_DECAY, round(1.0 - 6.0 * _HORIZONS / steps, 4)))


def load_recipe(path: Path) -> Recipe:
    """Read and check the recipe at `path`.

    Raises InputError for a missing part, another model family, or a contradiction; each names the field.
    """
    return Recipe.of(path.stem, read_pipeline(path), str(path))


def _squeezed(schedule: Schedule, share: float) -> Schedule:
    def scaled(steps: int) -> int:
        return round(steps * share)

    if isinstance(schedule, messages.CosineDecayLearningRate):
        return replace(
            schedule,
            total_steps=scaled(schedule.total_steps),
            warmup_steps=scaled(schedule.warmup_steps),
            hold_base_rate_steps=scaled(schedule.hold_base_rate_steps),
        )
    if isinstance(schedule, messages.ExponentialDecayLearningRate):
        return replace(
            schedule,
            decay_steps=max(1, scaled(schedule.decay_steps)),
            burnin_steps=scaled(schedule.burnin_steps),
        )
    if isinstance(schedule, messages.ManualStepLearningRate):
        return replace(
            schedule, schedule=tuple(replace(one, step=max(1, scaled(one.step))) for one in schedule.schedule)
        )
    return schedule


def _rates(schedule: object) -> list[float]:
    """Every learning rate that a schedule's message names."""
    values = [(item.name, getattr(schedule, item.name)) for item in fields(schedule)]  # type: ignore[arg-type]
    found = [float(value) for name, value in values if "learning_rate" in name]
    return found + [rate for _, value in values if isinstance(value, tuple) for one in value for rate in _rates(one)]


def _scaled(message: T, factor: float) -> T:
    """A schedule's message with every learning rate that it names multiplied."""

    def changed(name: str, value: Any) -> Any:
        if "learning_rate" in name:
            return value * factor
        return tuple(_scaled(one, factor) for one in value) if isinstance(value, tuple) else value

    values = {item.name: getattr(message, item.name) for item in fields(message)}  # type: ignore[arg-type]
    return replace(message, **{name: changed(name, value) for name, value in values.items()})  # type: ignore[type-var]


def _one(holder: object) -> str:
    """Name of the field that is set in a message of which one may be."""
    found = [item.name for item in fields(holder) if is_dataclass(getattr(holder, item.name))]  # type: ignore[arg-type]
    return found[0] if len(found) == 1 else ", ".join(found)


def _recipe(name: str, source: messages.Pipeline, path: str) -> Recipe:
    def need(part: T | None, field: str, allowed: str = "this part of an SSD FPN recipe") -> T:
        if part is None:
            raise InputError("the recipe lacks a part that training needs", where=f"{path}: {field}", allowed=allowed)
        return part

    def require(ok: bool, field: str, found: object, allowed: str) -> None:
        if not ok:
            raise InputError("sealpin cannot train this", where=f"{path}: {field}", found=str(found), allowed=allowed)

    def chosen(holder: object, field: str) -> object:
        kind = _one(holder)
        names = ", ".join(item.name for item in fields(holder))  # type: ignore[arg-type]
        require(bool(kind) and "," not in kind, field, kind or "nothing", f"one of {names}")
        return getattr(holder, kind)

    ssd = need(need(source.model, "model").ssd, "model.ssd", "model { ssd { ... } }: other families are not supported")
    extractor = need(ssd.feature_extractor, "model.ssd.feature_extractor")
    require(
        extractor.type in BACKBONES, "model.ssd.feature_extractor.type", extractor.type, " or ".join(sorted(BACKBONES))
    )
    predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
    head = need(need(ssd.box_predictor, "model.ssd.box_predictor").weight_shared_convolutional_box_predictor, predictor)
    loss = need(ssd.loss, "model.ssd.loss")
    post = need(ssd.post_processing, "model.ssd.post_processing")
    train = need(source.train_config, "train_config")
    holder = need(train.optimizer, "train_config.optimizer")
    optimizer = chosen(holder, "train_config.optimizer")
    assert isinstance(optimizer, messages.MomentumOptimizer | messages.AdamOptimizer | messages.RMSPropOptimizer)
    rate = f"train_config.optimizer.{_one(holder)}.learning_rate"
    schedule = chosen(need(optimizer.learning_rate, rate), rate)
    assert isinstance(schedule, Schedule)
    recipe = Recipe(
        name=name,
        pipeline=source,
        backbone=BACKBONES[extractor.type],
        ssd=ssd,
        resizer=need(
            need(ssd.image_resizer, "model.ssd.image_resizer").fixed_shape_resizer,
            "model.ssd.image_resizer.fixed_shape_resizer",
            "fixed_shape_resizer { height: ... width: ... }",
        ),
        extractor=extractor,
        fpn=extractor.fpn or model.FeaturePyramidNetworks(),
        head=head,
        hyperparams=need(extractor.conv_hyperparams, "model.ssd.feature_extractor.conv_hyperparams"),
        head_hyperparams=need(head.conv_hyperparams, f"{predictor}.conv_hyperparams"),
        anchors=need(
            need(ssd.anchor_generator, "model.ssd.anchor_generator").multiscale_anchor_generator,
            "model.ssd.anchor_generator.multiscale_anchor_generator",
        ),
        coder=need(
            need(ssd.box_coder, "model.ssd.box_coder").faster_rcnn_box_coder,
            "model.ssd.box_coder.faster_rcnn_box_coder",
        ),
        matcher=need(need(ssd.matcher, "model.ssd.matcher").argmax_matcher, "model.ssd.matcher.argmax_matcher"),
        loss=loss,
        focal=need(
            need(loss.classification_loss, "model.ssd.loss.classification_loss").weighted_sigmoid_focal,
            "model.ssd.loss.classification_loss.weighted_sigmoid_focal",
            "weighted_sigmoid_focal { alpha gamma }",
        ),
        smooth_l1=need(
            need(loss.localization_loss, "model.ssd.loss.localization_loss").weighted_smooth_l1,
            "model.ssd.loss.localization_loss.weighted_smooth_l1",
            "weighted_smooth_l1 { }",
        ),
        nms=need(post.batch_non_max_suppression, "model.ssd.post_processing.batch_non_max_suppression"),
        logit_scale=post.logit_scale,
        train=train,
        optimizer=optimizer,
        schedule=schedule,
    )
    require(
        post.score_converter is model.ScoreConverter.SIGMOID,
        "model.ssd.post_processing.score_converter",
        post.score_converter.name,
        "SIGMOID",
    )
    _check_ranges(source, path)
    _check_model(recipe, require)
    _check_training(recipe, rate, require)
    return recipe


def _check_ranges(source: messages.Pipeline, path: str) -> None:
    """Every number by the range that the schema gives its field: before all else, since other checks compare them."""
    for setting in settings(source):
        if setting.allowed:
            raise InputError(
                "this number is out of range",
                where=f"{path}: {setting.field}",
                found=str(list(setting.value) if isinstance(setting.value, tuple) else setting.value),
                allowed=setting.allowed,
                advice="mend the number; pipelines/ holds recipes to compare with",
            )


Require = Callable[[bool, str, object, str], None]


def _check_model(recipe: Recipe, require: Require) -> None:
    anchors, fpn, extractor, head = recipe.anchors, recipe.fpn, recipe.extractor, recipe.head
    least = 64 if recipe.backbone == "MobileNetV2" else 160
    for side in ("height", "width"):
        pixels = getattr(recipe.resizer, side)
        require(
            least <= pixels <= 1536 and pixels % SIZE_STEP == 0,
            f"model.ssd.image_resizer.fixed_shape_resizer.{side}",
            pixels,
            f"a multiple of {SIZE_STEP} from {least} to 1536",
        )
    require(
        (anchors.min_level, anchors.max_level) == (fpn.min_level, fpn.max_level),
        "model.ssd.anchor_generator.multiscale_anchor_generator",
        f"levels {anchors.min_level} to {anchors.max_level}",
        f"those of feature_extractor.fpn, {fpn.min_level} to {fpn.max_level}",
    )
    require(bool(anchors.aspect_ratios), "...multiscale_anchor_generator.aspect_ratios", "none", "one or more")
    predictor = "...weight_shared_convolutional_box_predictor"
    require(
        head.kernel_size % 2 == 1 and not (head.use_depthwise and head.kernel_size == 1),
        f"{predictor}.kernel_size",
        head.kernel_size,
        "an odd number, and more than 1 with use_depthwise",
    )
    if recipe.backbone == "ResNet50":
        for name in ("use_depthwise", "use_explicit_padding"):
            require(not getattr(extractor, name), f"model.ssd.feature_extractor.{name}", "true", "false with ResNet50")
    for where, hyperparams in (("feature_extractor", recipe.hyperparams), (predictor, recipe.head_hyperparams)):
        require(
            not (hyperparams.batch_norm and hyperparams.sync_batch_norm),
            f"{where}.conv_hyperparams",
            "batch_norm and sync_batch_norm",
            "one of the two",
        )
        for setting in (hyperparams.initializer, hyperparams.regularizer):
            if setting is not None:
                require("," not in _one(setting), f"{where}.conv_hyperparams", _one(setting), "one of the two")
    matcher = recipe.matcher
    require(
        matcher.ignore_thresholds
        or matcher.negatives_lower_than_unmatched
        or matcher.unmatched_threshold < matcher.matched_threshold,
        "model.ssd.matcher.argmax_matcher.negatives_lower_than_unmatched",
        f"false, with both thresholds {matcher.matched_threshold}: no anchor would be background",
        "true, or an unmatched_threshold below matched_threshold",
    )
    require(
        matcher.ignore_thresholds or matcher.unmatched_threshold <= matcher.matched_threshold,
        "model.ssd.matcher.argmax_matcher",
        f"unmatched_threshold {matcher.unmatched_threshold}, matched_threshold {matcher.matched_threshold}",
        "0 <= unmatched_threshold <= matched_threshold <= 1",
    )


def _check_training(recipe: Recipe, rate: str, require: Require) -> None:
    train, schedule = recipe.train, recipe.schedule
    if isinstance(schedule, messages.CosineDecayLearningRate):
        cosine = f"{rate}.cosine_decay_learning_rate"
        require(
            schedule.warmup_steps + schedule.hold_base_rate_steps < schedule.total_steps,
            f"{cosine}.warmup_steps",
            f"{schedule.warmup_steps}, and hold_base_rate_steps {schedule.hold_base_rate_steps}",
            f"together less than total_steps, {schedule.total_steps}",
        )
        require(
            schedule.warmup_steps == 0 or schedule.warmup_learning_rate <= schedule.learning_rate_base,
            f"{cosine}.warmup_learning_rate",
            schedule.warmup_learning_rate,
            f"at most learning_rate_base, {schedule.learning_rate_base}",
        )
        require(
            train.num_steps <= schedule.total_steps,
            "train_config.num_steps",
            train.num_steps,
            f"at most the schedule's total_steps, {schedule.total_steps}: beyond them the learning rate is 0",
        )
    if isinstance(schedule, messages.ManualStepLearningRate):
        steps = [one.step for one in schedule.schedule]
        require(
            bool(steps) and steps == sorted(set(steps)) and steps[0] > 0,
            f"{rate}.manual_step_learning_rate.schedule",
            steps,
            "steps above 0 that rise",
        )
        require(
            recipe.highest_learning_rate > 0,
            f"{rate}.manual_step_learning_rate",
            "learning rates that are all 0",
            "one or more above 0",
        )
    require(
        not train.fine_tune_checkpoint
        or train.fine_tune_checkpoint_type in ("", "classification", "detection", "full"),
        "train_config.fine_tune_checkpoint_type",
        train.fine_tune_checkpoint_type,
        "classification, detection or full",
    )
    require(
        not (
            train.mixed_precision is messages.MixedPrecision.FLOAT16
            and train.optimizer is not None
            and train.optimizer.use_moving_average
        ),
        "train_config.mixed_precision",
        "FLOAT16 with use_moving_average",
        "BFLOAT16, or use_moving_average: false",
    )
    for step in train.data_augmentation_options:
        kind = _one(step)
        require(
            bool(kind) and "," not in kind,
            "train_config.data_augmentation_options",
            kind or "nothing",
            "one of " + ", ".join(item.name for item in fields(step)),
        )
