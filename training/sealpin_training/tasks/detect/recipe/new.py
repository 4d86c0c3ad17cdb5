"""A recipe fitted to a dataset: its classes, anchors from its boxes, steps from its size."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import write_whole

from ....dataset.manifest import load_dataset
from ....dataset.records import RecordFile
from ....pretrained import is_here
from ...new import NewRecipe, check_free
from ...recipe import shipped_recipes
from ..anchors import Anchors
from . import Recipe, load_recipe
from .recipe import fitting_decay
from .schema import augment, layers, model, pipeline
from .text import pipeline_text

EPOCHS = 60
LEAST_STEPS, MOST_STEPS = 3000, 120_000
# The rate that suits batches of 8 in fine-tuning; it grows with the square root of the batch
RATE_FOR_8 = 0.03
WARMUP_SHARE = 0.06
_RATIOS = (3.0, 1 / 3, 4.0, 0.25, 7.0, 1 / 7)
_SCALES = (2.0, 3.0, 4.0)
_MOST_RATIOS = 7
_WORTH_IT = 0.01  # of all boxes: what another aspect ratio must add to those that an anchor matches


BASES = {
    "mobilenet_v2": "ssd_mobilenet_v2_fpnlite_640x640_120k.config",
    "resnet50_v1": "ssd_resnet50_v1_fpn_640x640.config",
}
# The zoo's model of the same network and size, which a new recipe starts from
ZOO_SIZES = {"mobilenet_v2": (320, 640), "resnet50_v1": (640, 1024)}
ZOO_NAMES = {"mobilenet_v2": "ssd_mobilenet_v2_fpnlite", "resnet50_v1": "ssd_resnet50_v1_fpn"}


SIZES = (320, 640, 1024)


def write_new_recipe(
    dataset_path: Path, out: Path, *, size: int = 640, batch_size: int = 8, backbone: str = "mobilenet_v2"
) -> NewRecipe:
    """Write a recipe for a converted dataset to `out`; `backbone` is one of BASES, `size` the input's side in pixels.

    Raises InputError when the dataset is none or has no boxes to fit anchors to, or `out` exists.
    """
    check_free(out, dataset_path)
    dataset = load_dataset(dataset_path)
    records = RecordFile(dataset_path, "train", dataset.classes)
    edges: npt.NDArray[np.float64] = np.array(
        [
            (box.xmin / one.width, box.ymin / one.height, box.xmax / one.width, box.ymax / one.height)
            for one in records
            for box in one.boxes
        ]
    ).reshape(-1, 4)
    if not len(edges):
        raise InputError(
            "there is no box to fit anchors to", where=f"{dataset_path}: train", advice="label more photos"
        )
    base = load_recipe(shipped_recipes() / BASES[backbone])
    recipe = fit_recipe(base, dataset.classes, len(records), edges, size, batch_size)
    zoo = min(ZOO_SIZES[backbone], key=lambda side: abs(side - size))
    weights = f"{ZOO_NAMES[backbone]}_{zoo}x{zoo}_coco17_tpu-8"
    train = replace(recipe.train, fine_tune_checkpoint=f"{weights}/checkpoint/ckpt-0")
    note = (
        f"# Fitted to {dataset_path.name} ({', '.join(dataset.classes)}; {len(records)} photos, {len(edges)} boxes) by"
        " `sealpin recipe new`.\n"
    )
    text = pipeline_text(replace(recipe.pipeline, train_config=train))
    write_whole(out, (note + text).encode())
    matched = (Anchors.of(recipe).best_overlap(edges * size) >= recipe.matcher.matched_threshold).mean()
    return NewRecipe(
        len(dataset.classes),
        recipe.train.num_steps,
        weights,
        "" if is_here(weights, out.parent) else f"sealpin pretrained get {quote(weights)}",
        f"of {len(edges)} boxes {matched:.1%} match an anchor",
        {"boxes_matched": round(float(matched), 4)},
    )


def fit_recipe(
    base: Recipe, classes: Sequence[str], photos: int, edges: npt.NDArray[np.float64], size: int, batch: int
) -> Recipe:
    """`base` for `classes`, `photos` of training, and boxes `edges` [N, 4]: xmin, ymin, xmax, ymax in 0..1.

    The input becomes `size` x `size` pixels and the batch `batch` photos. Everything else stays as `base` has it, but
    for a crop that suits parts that fill the photo, and for batch normalisation that follows in so many steps.
    """
    anchors = fit_anchors(edges * size, size)
    steps = min(MOST_STEPS, max(LEAST_STEPS, -(-EPOCHS * photos // batch // 100) * 100))
    rate = RATE_FOR_8 * sqrt(batch / 8)

    def in_time(hyperparams: layers.Hyperparams) -> layers.Hyperparams:
        norm = hyperparams.batch_norm
        return replace(hyperparams, batch_norm=norm and replace(norm, decay=fitting_decay(steps, norm.decay)))

    extractor = replace(
        base.extractor,
        fpn=replace(base.fpn, min_level=anchors.min_level, max_level=anchors.max_level),
        conv_hyperparams=in_time(base.hyperparams),
    )
    head = replace(base.head, conv_hyperparams=in_time(base.head_hyperparams))
    generator = replace(
        base.anchors,
        min_level=anchors.min_level,
        max_level=anchors.max_level,
        anchor_scale=anchors.scale,
        aspect_ratios=tuple(round(ratio, 4) for ratio in anchors.aspect_ratios),
    )
    ssd = replace(
        base.ssd,
        num_classes=len(classes),
        image_resizer=model.ImageResizer(replace(base.resizer, height=size, width=size)),
        feature_extractor=extractor,
        anchor_generator=model.AnchorGenerator(generator),
        box_predictor=model.BoxPredictor(head),
    )
    schedule = pipeline.CosineDecayLearningRate(
        learning_rate_base=round(rate, 4),
        total_steps=steps,
        warmup_learning_rate=round(rate / 10, 5),
        warmup_steps=round(steps * WARMUP_SHARE),
    )
    optimizer = pipeline.MomentumOptimizer(pipeline.LearningRate(cosine_decay_learning_rate=schedule))
    crop = augment.RandomCropImage(min_object_covered=0.0, min_area=0.5, overlap_thresh=0.3)
    train = replace(
        base.train,
        batch_size=batch,
        num_steps=steps,
        precise_batch_norm=True,
        optimizer=pipeline.Optimizer(momentum_optimizer=optimizer, use_moving_average=False),
        data_augmentation_options=(
            augment.PreprocessingStep(random_horizontal_flip=augment.RandomHorizontalFlip()),
            augment.PreprocessingStep(random_crop_image=crop),
            augment.PreprocessingStep(random_adjust_brightness=augment.RandomAdjustBrightness(0.1)),
            augment.PreprocessingStep(random_adjust_contrast=augment.RandomAdjustContrast()),
        ),
    )
    return Recipe.of(base.name, replace(base.pipeline, model=model.DetectionModel(ssd), train_config=train))


def fit_anchors(edges: npt.NDArray[np.float64], size: int) -> Anchors:
    """Anchors for boxes [N, 4] in pixels of a `size` x `size` input: as few as match nearly all of them.

    Scale and topmost level first, then aspect ratios one by one, as long as each is worth it.
    """

    def matched(anchors: Anchors) -> float:
        return float((anchors.best_overlap(edges) >= anchors.matched).mean()) if len(edges) else 0.0

    candidates = [
        Anchors(size, size, 3, top, scale) for scale in _SCALES for top in (5, 6, 7) if 2**top * scale <= 1.5 * size
    ]
    # Among equals the fewest levels, and the API's own scale
    best = max(candidates, key=lambda one: (round(matched(one), 2), -one.max_level, one.scale))
    while len(best.aspect_ratios) < _MOST_RATIOS:
        wider = [
            replace(best, aspect_ratios=(*best.aspect_ratios, ratio))
            for ratio in _RATIOS
            if ratio not in best.aspect_ratios
        ]
        found = max(wider, key=matched)
        if matched(found) < matched(best) + _WORTH_IT:
            break
        best = found
    return best
