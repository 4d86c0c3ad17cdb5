"""What training does with each field of an experiment for image classification.

Fields are those of official/vision/configs/image_classification.py and official/core/config_definitions.py. A pattern
is a field's beginning; the longest that fits counts. What fits none is not followed, and says so.
"""

from collections.abc import Mapping

from ...recipe import FIXED, HONOURED, IDLE

FIELDS: Mapping[str, tuple[str, str]] = {
    "task.model.": (HONOURED, ""),
    "task.model.output_softmax": (FIXED, "the network always ends in probabilities"),
    "task.model.norm_activation.use_sync_bn": (IDLE, "statistics are always taken over all replicas"),
    "task.losses.": (HONOURED, ""),
    "task.losses.one_hot": (IDLE, "the same loss, written otherwise"),
    "task.losses.soft_labels": (FIXED, "each photo has one class"),
    "task.freeze_backbone": (HONOURED, ""),
    "task.init_checkpoint": (HONOURED, ""),
    "task.train_data.global_batch_size": (HONOURED, ""),
    "task.train_data.aug_rand_hflip": (HONOURED, ""),
    "task.train_data.aug_crop": (HONOURED, ""),
    "task.train_data.crop_area_range": (HONOURED, ""),
    "task.train_data.color_jitter": (HONOURED, ""),
    "task.train_data.random_erasing": (HONOURED, ""),
    "task.train_data.aug_type": (FIXED, "no AutoAugment or RandAugment"),
    "task.train_data.aug_policy": (FIXED, "no AutoAugment or RandAugment"),
    "task.train_data.randaug_magnitude": (IDLE, "there is no RandAugment"),
    "task.train_data.three_augment": (FIXED, "none of its three augmentations"),
    "task.train_data.mixup_and_cutmix": (FIXED, "no photo is mixed with another"),
    "task.train_data.repeated_augment": (FIXED, "each photo is once in an epoch"),
    "task.train_data.is_multilabel": (FIXED, "each photo has one class"),
    "task.train_data.weights": (FIXED, "each photo is once in an epoch"),
    "task.train_data.center_crop_fraction": (IDLE, "the whole photo is judged, as on the station"),
    "task.train_data.tf_resize_method": (IDLE, "photos are resized as on the station"),
    "task.train_data.": (IDLE, "photos come from the dataset, in an order that its seed gives"),
    "task.validation_data.": (IDLE, "the dataset's val split is judged, whole photos as on the station"),
    "task.evaluation.": (IDLE, "sealpin has figures of its own"),
    "task.name": (IDLE, "a name"),
    "task.": (FIXED, "as TF-Vision has it by default"),
    "task.differential_privacy_config": (FIXED, "no differential privacy"),
    "trainer.train_steps": (HONOURED, ""),
    "trainer.optimizer_config.": (HONOURED, ""),
    "trainer.": (IDLE, "checkpoints, evaluations and logs are sealpin's own"),
    "runtime.mixed_precision_dtype": (HONOURED, ""),
    "runtime.enable_xla": (HONOURED, ""),
    "runtime.": (IDLE, "devices are those that sealpin finds"),
}
"""By the beginning of a field's name: what becomes of it, and what happens instead."""

BACKBONES = ("efficientnet", "mobilenet", "resnet")
"""What task.model.backbone.type may be."""


def treatment(field: str, *, default: bool) -> tuple[str, str]:
    """What becomes of a field, and what happens instead; one that is at its default is followed."""
    beginning = max((one for one in FIELDS if field.startswith(one)), key=len, default="")
    kind, effect = FIELDS.get(beginning, (FIXED, "nothing of it"))
    return (HONOURED, "") if kind == FIXED and default else (kind, effect)
