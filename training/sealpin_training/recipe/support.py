"""What sealpin does with a recipe: the parts it needs, what it refuses, and where training differs from the text.

Everything that stands in a recipe is honoured by network.py and experiment.py, has no effect on the result (queue
sizes, replicas, `use_matmul_gather`), or is listed here as a difference. Nothing is dropped in silence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from sealpin_edge.errors import InputError

from . import schema
from .text import read_pipeline

T = TypeVar("T")

BACKBONES = {"ssd_mobilenet_v2_fpn_keras": "MobileNetV2", "ssd_resnet50_v1_fpn_keras": "ResNet50"}
HEAD_STDDEV = 0.01
CLASS_BIAS = -4.6


@dataclass(frozen=True)
class Difference:
    """A field that training cannot follow, and what happens instead."""

    field: str
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.field} = {self.found}: {self.instead}"


@dataclass(frozen=True)
class Recipe:
    """A pipeline.config whose needed parts are all there and of a kind that sealpin trains."""

    name: str
    backbone: str
    ssd: schema.Ssd
    resizer: schema.FixedShapeResizer
    extractor: schema.SsdFeatureExtractor
    fpn: schema.FeaturePyramidNetworks
    head: schema.WeightSharedConvolutionalBoxPredictor
    hyperparams: schema.Hyperparams
    batch_norm: schema.BatchNorm
    anchors: schema.MultiscaleAnchorGenerator
    coder: schema.FasterRcnnBoxCoder
    matcher: schema.ArgMaxMatcher
    focal: schema.SigmoidFocalClassificationLoss
    smooth_l1: schema.SmoothL1LocalizationLoss
    nms: schema.BatchNonMaxSuppression
    train: schema.TrainConfig
    optimizer: schema.MomentumOptimizer | schema.AdamOptimizer
    schedule: schema.CosineDecayLearningRate

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where training does something else than the recipe says."""
        return tuple(_differences(self))

    @property
    def l2_weight(self) -> float:
        """Weight of the L2 regulariser, 0 without one."""
        regularizer = self.hyperparams.regularizer
        return regularizer.l2_regularizer.weight if regularizer and regularizer.l2_regularizer else 0.0

    def with_steps(self, steps: int) -> "Recipe":
        """The same recipe squeezed into `steps` steps: the cosine ends there, the warm-up keeps its share."""
        warmup = round(self.schedule.warmup_steps * steps / self.train.num_steps)
        return replace(
            self,
            train=replace(self.train, num_steps=steps),
            schedule=replace(self.schedule, total_steps=steps, warmup_steps=warmup),
        )


def load_recipe(path: Path) -> Recipe:
    """Read and check the recipe at `path`.

    Raises InputError for a missing part, another model family, or a contradiction; each names the field.
    """
    pipeline = read_pipeline(path)

    def need(part: T | None, field: str, allowed: str = "this part of an SSD FPN recipe") -> T:
        if part is None:
            raise InputError("the recipe lacks a part that training needs", where=f"{path}: {field}", allowed=allowed)
        return part

    def require(ok: bool, field: str, found: object, allowed: str) -> None:
        if not ok:
            raise InputError("sealpin cannot train this", where=f"{path}: {field}", found=str(found), allowed=allowed)

    ssd = need(
        need(pipeline.model, "model").ssd, "model.ssd", "model { ssd { ... } }: other families are not supported"
    )
    extractor = need(ssd.feature_extractor, "model.ssd.feature_extractor")
    require(
        extractor.type in BACKBONES, "model.ssd.feature_extractor.type", extractor.type, " or ".join(sorted(BACKBONES))
    )
    resizer = need(
        need(ssd.image_resizer, "model.ssd.image_resizer").fixed_shape_resizer,
        "model.ssd.image_resizer.fixed_shape_resizer",
        "fixed_shape_resizer { height: ... width: ... }",
    )
    head = need(
        need(ssd.box_predictor, "model.ssd.box_predictor").weight_shared_convolutional_box_predictor,
        "model.ssd.box_predictor.weight_shared_convolutional_box_predictor",
    )
    hyperparams = need(extractor.conv_hyperparams, "model.ssd.feature_extractor.conv_hyperparams")
    loss = need(ssd.loss, "model.ssd.loss")
    post = need(ssd.post_processing, "model.ssd.post_processing")
    train = need(pipeline.train_config, "train_config")
    chosen = need(train.optimizer, "train_config.optimizer")
    optimizer: schema.MomentumOptimizer | schema.AdamOptimizer = chosen.momentum_optimizer or need(
        chosen.adam_optimizer, "train_config.optimizer", "momentum_optimizer { ... } or adam_optimizer { ... }"
    )
    schedule = need(
        need(optimizer.learning_rate, "train_config.optimizer...learning_rate").cosine_decay_learning_rate,
        "train_config.optimizer...learning_rate.cosine_decay_learning_rate",
        "cosine_decay_learning_rate { ... }",
    )
    recipe = Recipe(
        name=path.stem,
        backbone=BACKBONES[extractor.type],
        ssd=ssd,
        resizer=resizer,
        extractor=extractor,
        fpn=extractor.fpn or schema.FeaturePyramidNetworks(),
        head=head,
        hyperparams=hyperparams,
        batch_norm=need(hyperparams.batch_norm, "model.ssd.feature_extractor.conv_hyperparams.batch_norm"),
        anchors=need(
            need(ssd.anchor_generator, "model.ssd.anchor_generator").multiscale_anchor_generator,
            "model.ssd.anchor_generator.multiscale_anchor_generator",
        ),
        coder=need(
            need(ssd.box_coder, "model.ssd.box_coder").faster_rcnn_box_coder,
            "model.ssd.box_coder.faster_rcnn_box_coder",
        ),
        matcher=need(need(ssd.matcher, "model.ssd.matcher").argmax_matcher, "model.ssd.matcher.argmax_matcher"),
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
        train=train,
        optimizer=optimizer,
        schedule=schedule,
    )
    _check_values(recipe, post, require)
    return recipe


def _check_values(
    recipe: Recipe, post: schema.PostProcessing, require: Callable[[bool, str, object, str], None]
) -> None:
    ssd, anchors, fpn, train, schedule = recipe.ssd, recipe.anchors, recipe.fpn, recipe.train, recipe.schedule
    require(ssd.num_classes >= 1, "model.ssd.num_classes", ssd.num_classes, "1 or more")
    for side in ("height", "width"):
        pixels = getattr(recipe.resizer, side)
        require(
            64 <= pixels <= 1536 and pixels % 64 == 0,
            f"model.ssd.image_resizer.fixed_shape_resizer.{side}",
            pixels,
            "a multiple of 64 from 64 to 1536",
        )
    require(
        (anchors.min_level, anchors.max_level) == (fpn.min_level, fpn.max_level),
        "model.ssd.anchor_generator.multiscale_anchor_generator",
        f"levels {anchors.min_level} to {anchors.max_level}",
        f"those of feature_extractor.fpn, {fpn.min_level} to {fpn.max_level}",
    )
    require(bool(anchors.aspect_ratios), "...multiscale_anchor_generator.aspect_ratios", "none", "one or more")
    require(recipe.head.depth > 0, "...weight_shared_convolutional_box_predictor.depth", recipe.head.depth, "1 or more")
    require(
        post.score_converter is schema.ScoreConverter.SIGMOID,
        "model.ssd.post_processing.score_converter",
        post.score_converter.name,
        "SIGMOID",
    )
    require(train.num_steps >= 1, "train_config.num_steps", train.num_steps, "1 or more")
    require(train.batch_size >= 1, "train_config.batch_size", train.batch_size, "1 or more")
    require(
        schedule.warmup_steps < schedule.total_steps,
        "...cosine_decay_learning_rate.warmup_steps",
        schedule.warmup_steps,
        f"less than total_steps, {schedule.total_steps}",
    )
    require(
        train.num_steps <= schedule.total_steps,
        "train_config.num_steps",
        train.num_steps,
        f"at most the schedule's total_steps, {schedule.total_steps}: beyond them the learning rate is 0",
    )
    for step in train.data_augmentation_options:
        kinds = [item.name for item in fields(step) if getattr(step, item.name) is not None]
        require(
            len(kinds) == 1,
            "train_config.data_augmentation_options",
            ", ".join(kinds) or "nothing",
            "one of " + ", ".join(item.name for item in fields(step)),
        )


def _differences(recipe: Recipe) -> Iterator[Difference]:
    ssd, extractor, head, train = recipe.ssd, recipe.extractor, recipe.head, recipe.train
    predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
    features = "model.ssd.feature_extractor"

    def when(differs: bool, field: str, found: object, instead: str) -> Iterator[Difference]:
        if differs:
            yield Difference(field, str(found), instead)

    yield from when(
        bool(train.fine_tune_checkpoint),
        "train_config.fine_tune_checkpoint",
        train.fine_tune_checkpoint,
        "training starts from random weights",
    )
    yield from when(
        head.share_prediction_tower,
        f"{predictor}.share_prediction_tower",
        "true",
        "boxes and classes get a tower each (TF-Vision's RetinaNet)",
    )
    yield from when(
        head.conv_hyperparams is not None
        and replace(head.conv_hyperparams, initializer=None) != replace(recipe.hyperparams, initializer=None),
        f"{predictor}.conv_hyperparams",
        "other than the feature extractor's",
        "the feature extractor's values are used for both",
    )
    initializer = head.conv_hyperparams.initializer if head.conv_hyperparams else None
    normal = initializer.random_normal_initializer if initializer else None
    yield from when(
        normal is None or normal != schema.NormalInitializer(0.0, HEAD_STDDEV),
        f"{predictor}.conv_hyperparams.initializer",
        normal or "another kind",
        f"the head starts from a normal distribution with stddev {HEAD_STDDEV}",
    )
    initializer = recipe.hyperparams.initializer
    scaling = initializer.variance_scaling_initializer if initializer else None
    yield from when(
        scaling != schema.VarianceScalingInitializer(factor=1.0),
        f"{features}.conv_hyperparams.initializer",
        "another than variance_scaling_initializer { factor: 1.0 }",
        "backbone and FPN start from variance scaling over the fan-in, factor 1",
    )
    yield from when(
        abs(head.class_prediction_bias_init - CLASS_BIAS) > 0.01,
        f"{predictor}.class_prediction_bias_init",
        head.class_prediction_bias_init,
        f"the class bias starts at {CLASS_BIAS}",
    )
    yield from when(head.kernel_size != 3, f"{predictor}.kernel_size", head.kernel_size, "the kernels are 3x3")
    yield from when(head.use_dropout, f"{predictor}.use_dropout", "true", "there is no dropout")
    regularizer = recipe.hyperparams.regularizer
    yield from when(
        bool(regularizer and regularizer.l1_regularizer),
        f"{features}.conv_hyperparams.regularizer.l1_regularizer",
        "set",
        "weights are not L1-regularised",
    )
    yield from when(
        not extractor.override_base_feature_extractor_hyperparams,
        f"{features}.override_base_feature_extractor_hyperparams",
        "false",
        "the backbone takes conv_hyperparams too",
    )
    yield from when(
        extractor.pad_to_multiple != 1, f"{features}.pad_to_multiple", extractor.pad_to_multiple, "no padding"
    )
    yield from when(
        extractor.depth_multiplier != 1.0 and recipe.backbone != "MobileNetV2",
        f"{features}.depth_multiplier",
        extractor.depth_multiplier,
        "the backbone has its full depth",
    )
    yield from when(not recipe.batch_norm.scale, "...batch_norm.scale", "false", "batch normalisation learns a scale")
    yield from when(ssd.freeze_batchnorm, "model.ssd.freeze_batchnorm", "true", "batch normalisation keeps learning")
    yield from when(
        not ssd.encode_background_as_zeros, "model.ssd.encode_background_as_zeros", "false", "background is all zeros"
    )
    yield from when(
        ssd.negative_class_weight != 1.0,
        "model.ssd.negative_class_weight",
        ssd.negative_class_weight,
        "the weight is 1",
    )
    yield from when(
        not ssd.normalize_loss_by_num_matches,
        "model.ssd.normalize_loss_by_num_matches",
        "false",
        "losses are normalised",
    )
    yield from when(
        bool(ssd.loss and ssd.loss.classification_weight != 1.0),
        "model.ssd.loss.classification_weight",
        ssd.loss and ssd.loss.classification_weight,
        "the weight is 1",
    )
    yield from when(
        recipe.matcher.ignore_thresholds or not recipe.matcher.negatives_lower_than_unmatched,
        "model.ssd.matcher.argmax_matcher",
        "ignore_thresholds or not negatives_lower_than_unmatched",
        "anchors below unmatched_threshold are negatives",
    )
    yield from when(
        not recipe.matcher.force_match_for_each_row,
        "model.ssd.matcher.argmax_matcher.force_match_for_each_row",
        "false",
        "every object gets at least its best anchor",
    )
    yield from when(
        recipe.nms.soft_nms_sigma != 0.0, "...soft_nms_sigma", recipe.nms.soft_nms_sigma, "hard suppression"
    )
    yield from when(
        bool(train.optimizer and train.optimizer.use_moving_average),
        "train_config.optimizer.use_moving_average",
        "true",
        "the weights are used as trained, without averaging",
    )
    yield from when(
        recipe.schedule.hold_base_rate_steps != 0,
        "...cosine_decay_learning_rate.hold_base_rate_steps",
        recipe.schedule.hold_base_rate_steps,
        "the decay begins right after the warm-up",
    )
    yield from when(train.use_bfloat16, "train_config.use_bfloat16", "true", "training runs in float32")
