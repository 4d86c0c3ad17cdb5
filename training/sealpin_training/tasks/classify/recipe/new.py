"""A recipe for a dataset of whole photos: a model and an amount of augmentation by name, steps from its size."""

from math import ceil
from pathlib import Path
from typing import Any

import yaml

from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole

from ....dataset.manifest import load_dataset
from ....dataset.records import RecordFile
from ...new import NewRecipe, check_free

EPOCHS = 30
LEAST_STEPS = 300
RATE, FROZEN_RATE = 5e-4, 1e-3
# Of labelled places beside the photo's class: good places and the defects' weigh 1 each, as the photo does
PLACES = 2.0
# A recipe's own normalisation follows slowly: what was learned on ImageNet is kept for long
MOMENTUM = 0.99

MODELS: dict[str, dict[str, Any]] = {
    "efficientnet_lite0": {
        "backbone": {"type": "efficientnet", "efficientnet": {"model_id": "b0", "se_ratio": 0.0}},
        "norm_activation": {"activation": "relu6", "norm_momentum": MOMENTUM, "norm_epsilon": 0.001},
    },
    "efficientnet_b0": {
        "backbone": {"type": "efficientnet", "efficientnet": {"model_id": "b0", "se_ratio": 0.25}},
        "norm_activation": {"activation": "swish", "norm_momentum": MOMENTUM, "norm_epsilon": 0.001},
    },
    "mobilenet_v2": {
        "backbone": {"type": "mobilenet", "mobilenet": {"model_id": "MobileNetV2"}},
        "norm_activation": {"activation": "relu6", "norm_momentum": MOMENTUM, "norm_epsilon": 0.001},
    },
    "resnet50": {
        "backbone": {"type": "resnet", "resnet": {"model_id": 50}},
        "norm_activation": {"activation": "relu", "norm_momentum": MOMENTUM, "norm_epsilon": 0.00001},
    },
}
"""By the name that --model has: the network in TF-Vision's fields."""

AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "none": {"aug_rand_hflip": False, "aug_crop": False},
    "light": {"aug_rand_hflip": True, "aug_crop": False, "color_jitter": 0.1},
    "medium": {"aug_rand_hflip": True, "aug_crop": True, "crop_area_range": [0.7, 1.0], "color_jitter": 0.2},
    "heavy": {
        "aug_rand_hflip": True, "aug_crop": True, "crop_area_range": [0.4, 1.0], "color_jitter": 0.4,
        "random_erasing": {"probability": 0.25},
    },
}  # fmt: skip
"""By the name that --aug has. Crops may cut a small defect off: light has none."""

WEIGHTS = {
    "efficientnet_lite0": "efficientnet_lite0_imagenet.weights.h5",
    "mobilenet_v2": "mobilenet_v2_1.0_224_imagenet.weights.h5",
}


def write_new_recipe(
    dataset_path: Path,
    out: Path,
    *,
    model: str = "efficientnet_lite0",
    aug: str = "light",
    size: int = 224,
    batch_size: int = 16,
    frozen: bool = False,
    start_from: str = "",
) -> NewRecipe:
    """Write a recipe for a converted dataset to `out`; `model` is one of MODELS, `aug` of AUGMENTATIONS.

    `size` is the input's side in pixels, `start_from` the backbone's weights. Raises InputError when the dataset is
    none, or `out` exists.
    """
    check_free(out, dataset_path)
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise InputError("a recipe for whole photos is YAML", where=str(out), allowed="a name that ends in .yaml")
    dataset = load_dataset(dataset_path)
    start_from = "" if start_from == "scratch" else start_from
    steps = max(LEAST_STEPS, ceil(EPOCHS * dataset.counts["train"] / batch_size))
    binary = len(dataset.classes) == 2
    rate = FROZEN_RATE if frozen else RATE
    task = {
        "model": {
            "num_classes": 1 if binary else len(dataset.classes),
            "input_size": [size, size, 3],
            **MODELS[model],
        },
        "losses": {"use_binary_cross_entropy": binary},
        "freeze_backbone": frozen,
        **({"init_checkpoint": start_from, "init_checkpoint_modules": "backbone"} if start_from else {}),
        "train_data": {"global_batch_size": batch_size, **AUGMENTATIONS[aug]},
    }
    trainer = {
        "train_steps": steps,
        "optimizer_config": {
            "optimizer": {"type": "adam"},
            "learning_rate": {"type": "cosine", "cosine": {"initial_learning_rate": rate, "decay_steps": steps}},
            "warmup": {"type": "linear", "linear": {"warmup_steps": max(1, steps // 20), "warmup_learning_rate": 0}},
        },
    }
    placed = any(record.boxes and record.defects for record in RecordFile(dataset_path, "train", dataset.classes))
    own = {
        "class_balance": "sampling",
        # What was learned on ImageNet is kept: batches of parts that look alike would tell other statistics
        "frozen_normalisation": bool(start_from) and not frozen,
        "places_weight": PLACES if placed else 0.0,
        "vertical_flip": aug != "none",
    }
    content = {"task": task, "trainer": trainer, "sealpin": own}
    note = f"# For {dataset_path.name} ({', '.join(dataset.classes)}) by `sealpin recipe new`.\n"
    write_whole(out, (note + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)).encode())
    return NewRecipe(len(dataset.classes), steps, start_from)
