"""A recipe as a TF-Vision `retinanet` experiment: every setting of a pipeline.config has its one line here.

Left: TF-Vision's names (official.vision.configs.retinanet). Right: the recipe's. Formulas that differ between the two
are turned here and nowhere else.
"""

from pathlib import Path
from typing import Any

from .augment import crops
from .recipe import Recipe
from .recipe.schema import Activation, AdamOptimizer

# Decoded photos are kept up to this size, so that small datasets are read from disk once
CACHE_BYTES = 1 << 30
_ACTIVATIONS = {Activation.NONE: "linear", Activation.RELU: "relu", Activation.RELU_6: "relu6"}


def model_config(recipe: Recipe, *, decoded: bool) -> Any:
    """TF-Vision's RetinaNet configuration for the recipe's network.

    `decoded` makes the network return all boxes and scores; otherwise it ends in TFLite_Detection_PostProcess.
    """
    from official.vision.configs import backbones, common, decoders, retinanet

    anchors, coder, nms = recipe.anchors, recipe.coder, recipe.nms
    weights = [coder.y_scale, coder.x_scale, coder.height_scale, coder.width_scale]
    if recipe.backbone == "MobileNetV2":
        backbone = backbones.Backbone(
            type="mobilenet",
            mobilenet=backbones.MobileNet(model_id="MobileNetV2", filter_size_scale=recipe.extractor.depth_multiplier),
        )
    else:
        backbone = backbones.Backbone(type="resnet", resnet=backbones.ResNet(model_id=50))
    return retinanet.RetinaNet(
        num_classes=recipe.ssd.num_classes + 1,  # TF-Vision counts the background
        input_size=[recipe.resizer.height, recipe.resizer.width, 3],
        min_level=recipe.fpn.min_level,
        max_level=recipe.fpn.max_level,
        anchor=retinanet.Anchor(
            num_scales=anchors.scales_per_octave,
            aspect_ratios=list(anchors.aspect_ratios),
            anchor_size=anchors.anchor_scale,
        ),
        backbone=backbone,
        decoder=decoders.Decoder(
            type="fpn",
            fpn=decoders.FPN(
                num_filters=recipe.fpn.additional_layer_depth, use_separable_conv=recipe.extractor.use_depthwise
            ),
        ),
        head=retinanet.RetinaNetHead(
            num_convs=recipe.head.num_layers_before_predictor,
            num_filters=recipe.head.depth,
            use_separable_conv=recipe.head.use_depthwise,
        ),
        norm_activation=common.NormActivation(
            activation=_ACTIVATIONS[recipe.hyperparams.activation],
            use_sync_bn=False,
            norm_momentum=recipe.batch_norm.decay,
            norm_epsilon=recipe.batch_norm.epsilon,
        ),
        detection_generator=retinanet.DetectionGenerator(
            apply_nms=not decoded,
            nms_version="tflite",
            box_coder_weights=weights,
            tflite_post_processing=common.TFLitePostProcessingConfig(
                max_detections=nms.max_total_detections,
                max_classes_per_detection=nms.max_classes_per_detection,
                detections_per_class=nms.max_detections_per_class,
                use_regular_nms=not nms.use_class_agnostic_nms,
                nms_score_threshold=nms.score_threshold,
                nms_iou_threshold=nms.iou_threshold,
                normalize_anchor_coordinates=True,
            ),
        ),
    )


def experiment_config(recipe: Recipe, train_records: str, photos: int, *, steps_per_loop: int) -> Any:
    """The whole experiment: network, losses, anchor targets, optimiser and schedule (augment.py has the augmentations).

    `train_records` is a file pattern of TFRecord shards that hold so many photos; metrics are reported every
    `steps_per_loop` steps.
    """
    from official.core import config_definitions as cfg
    from official.modeling import optimization
    from official.vision.configs import retinanet

    train, schedule = recipe.train, recipe.schedule
    parser = retinanet.Parser(
        match_threshold=recipe.matcher.matched_threshold,
        unmatched_threshold=recipe.matcher.unmatched_threshold,
        max_num_instances=train.max_number_of_boxes,
        pad=False,
        keep_aspect_ratio=False,  # fixed_shape_resizer stretches
    )
    task = retinanet.RetinaNetTask(
        model=model_config(recipe, decoded=True),
        train_data=retinanet.DataConfig(
            input_path=train_records,
            is_training=True,
            global_batch_size=train.batch_size,
            dtype="float32",
            cache=not crops(recipe) and photos * recipe.resizer.height * recipe.resizer.width * 3 <= CACHE_BYTES,
            shuffle_buffer_size=256,  # whole photos: more would fill the memory, not mix better
            parser=parser,
        ),
        validation_data=retinanet.DataConfig(is_training=False, dtype="float32"),
        losses=retinanet.Losses(
            focal_loss_alpha=recipe.focal.alpha,
            focal_loss_gamma=recipe.focal.gamma,
            huber_loss_delta=recipe.smooth_l1.delta,
            box_loss_weight=_box_loss_weight(recipe),
            l2_weight_decay=recipe.l2_weight,
        ),
    )
    trainer = cfg.TrainerConfig(
        train_steps=train.num_steps,
        steps_per_loop=steps_per_loop,
        summary_interval=steps_per_loop,
        checkpoint_interval=max(steps_per_loop, min(1000, train.num_steps)),
        max_to_keep=3,
        optimizer_config=optimization.OptimizationConfig(
            {
                "optimizer": _optimizer(recipe),
                # The API's cosine runs from the end of the warm-up to total_steps
                "learning_rate": {
                    "type": "cosine",
                    "cosine": {
                        "initial_learning_rate": schedule.learning_rate_base,
                        "decay_steps": schedule.total_steps - schedule.warmup_steps,
                        "offset": schedule.warmup_steps,
                    },
                },
                "warmup": {
                    "type": "linear",
                    "linear": {
                        "warmup_steps": schedule.warmup_steps,
                        "warmup_learning_rate": schedule.warmup_learning_rate,
                    },
                },
            }
        ),
    )
    return cfg.ExperimentConfig(task=task, trainer=trainer)


def record_pattern(dataset: Path, split: str) -> str:
    """File pattern of one split's TFRecord shards."""
    return str(dataset / f"{split}-*.tfrecord")


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    clip = recipe.train.gradient_clipping_by_norm or None
    if isinstance(recipe.optimizer, AdamOptimizer):
        return {"type": "adam", "adam": {"epsilon": recipe.optimizer.epsilon, "global_clipnorm": clip}}
    return {"type": "sgd", "sgd": {"momentum": recipe.optimizer.momentum_optimizer_value, "global_clipnorm": clip}}


def _box_loss_weight(recipe: Recipe) -> float:
    weight = recipe.ssd.loss.localization_weight if recipe.ssd.loss else 1.0
    # TF-Vision's Huber loss is the mean over the 4 box numbers, the API's their sum unless told otherwise
    return weight if recipe.ssd.normalize_loc_loss_by_codesize else 4.0 * weight
