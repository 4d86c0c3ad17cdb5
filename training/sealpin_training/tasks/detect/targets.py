"""What the network should say at each anchor, and what it costs when it says something else.

Follows the Object Detection API: matchers/argmax_matcher.py, core/target_assigner.py,
box_coders/faster_rcnn_box_coder.py and, for the loss, core/losses.py and meta_architectures/ssd_meta_arch.py.
"""

from collections.abc import Callable
from typing import Any

from ...tf import tf
from .network.model import anchors, raw_outputs
from .recipe import Recipe

IGNORED = -1
BACKGROUND = 0
_SMALLEST_SIDE = 1e-8  # the coder's own: no logarithm of 0


def assigner(recipe: Recipe) -> Callable[[Any, Any], dict[str, Any]]:
    """A function from one photo's boxes [N, 4] (ymin, xmin, ymax, xmax in 0..1) and labels [N] (from 1) to targets.

    Targets are `classes` [A], int32: the label, BACKGROUND or IGNORED; and `boxes` [A, 4], float32: the encoding of the
    box that the anchor matched, zero where it matched none.
    """
    height, width = recipe.resizer.height, recipe.resizer.width
    grid = tf.constant(anchors(recipe) / [height, width, height, width], tf.float32)

    def assign(boxes: Any, labels: Any) -> dict[str, Any]:
        match = tf.cond(
            tf.shape(boxes)[0] > 0,
            lambda: _match(recipe, _overlaps(boxes, grid)),
            lambda: tf.fill([len(grid)], -1),
        )
        # One row more than there are boxes: what an anchor without a box gets
        boxes = tf.concat([boxes, tf.zeros([1, 4])], axis=0)
        labels = tf.concat([labels, [BACKGROUND]], axis=0)
        row = tf.where(match < 0, tf.shape(labels)[0] - 1, match)
        classes = tf.where(match == -2, IGNORED, tf.gather(labels, row))
        encoded = tf.where((match >= 0)[:, None], _encode(recipe, tf.gather(boxes, row), grid), 0.0)
        return {"classes": classes, "boxes": encoded}

    return assign


def losses(recipe: Recipe, outputs: Any, targets: Any) -> tuple[Any, Any]:
    """Classification and localisation loss of a batch, each with its weight in the recipe, for the network's outputs.

    Both are normalised by the number of matched anchors in the whole batch, on however many replicas it lies.
    """
    encoded, logits = raw_outputs(recipe, outputs)
    matched = targets["classes"] > BACKGROUND
    positives = tf.cast(matched, tf.float32)
    normalizer = tf.constant(1.0)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if recipe.ssd.normalize_loss_by_num_matches:
        count = tf.reduce_sum(positives)
        if replicas > 1:
            count = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, count)
        normalizer = tf.maximum(count, 1.0)
    per_box = normalizer * 4.0 if recipe.ssd.normalize_loc_loss_by_codesize else normalizer
    # TF-Vision divides by the number of replicas, and sums their gradients
    scale = float(replicas)
    classification = tf.reduce_sum(_focal(recipe, logits, targets["classes"]) * _weights(recipe, targets["classes"]))
    localisation = tf.reduce_sum(_huber(encoded - targets["boxes"], recipe.smooth_l1.delta) * positives[..., None])
    return (
        classification * recipe.loss.classification_weight / normalizer * scale,
        localisation * recipe.loss.localization_weight / per_box * scale,
    )


def _overlaps(boxes: Any, grid: Any) -> Any:
    """[N, A]: intersection over union of boxes and anchors; 0 for a box without area."""
    ymin, xmin, ymax, xmax = tf.split(boxes, 4, axis=1)
    a_ymin, a_xmin, a_ymax, a_xmax = tf.unstack(grid, axis=1)
    height = tf.maximum(tf.minimum(ymax, a_ymax) - tf.maximum(ymin, a_ymin), 0.0)
    width = tf.maximum(tf.minimum(xmax, a_xmax) - tf.maximum(xmin, a_xmin), 0.0)
    shared = height * width
    union = (ymax - ymin) * (xmax - xmin) + (a_ymax - a_ymin) * (a_xmax - a_xmin) - shared
    return tf.where(shared > 0, shared / union, 0.0)


def _match(recipe: Recipe, overlaps: Any) -> Any:
    """[A], int32: the box that each anchor matches, -1 for background, -2 for neither."""
    matcher = recipe.matcher
    best = tf.reduce_max(overlaps, axis=0)
    match = tf.argmax(overlaps, axis=0, output_type=tf.int32)
    if not matcher.ignore_thresholds:
        below = best < matcher.unmatched_threshold
        between = ~below & (best < matcher.matched_threshold)
        far, near = (-1, -2) if matcher.negatives_lower_than_unmatched else (-2, -1)
        match = tf.where(below, far, tf.where(between, near, match))
    if matcher.force_match_for_each_row:
        # Every box gets its best anchor; when two want the same one, the first has it
        favourite = tf.argmax(overlaps, axis=1, output_type=tf.int32)
        rows = tf.range(tf.shape(overlaps)[0])
        forced = tf.fill([tf.shape(overlaps)[1]], tf.int32.max)
        forced = tf.tensor_scatter_nd_min(forced, favourite[:, None], rows)
        match = tf.where(forced < tf.int32.max, forced, match)
    return match


def _encode(recipe: Recipe, boxes: Any, grid: Any) -> Any:
    def sides(edges: Any) -> tuple[Any, ...]:
        ymin, xmin, ymax, xmax = tf.unstack(edges, axis=-1)
        height, width = ymax - ymin, xmax - xmin
        return ymin + height / 2, xmin + width / 2, height + _SMALLEST_SIDE, width + _SMALLEST_SIDE

    (y, x, height, width), (a_y, a_x, a_height, a_width) = sides(boxes), sides(grid)
    coder = recipe.coder
    return tf.stack(
        [
            coder.y_scale * (y - a_y) / a_height,
            coder.x_scale * (x - a_x) / a_width,
            coder.height_scale * tf.math.log(height / a_height),
            coder.width_scale * tf.math.log(width / a_width),
        ],
        axis=-1,
    )


def _weights(recipe: Recipe, classes: Any) -> Any:
    """[B, A, 1]: how much an anchor's classification counts."""
    background = tf.where(classes == BACKGROUND, recipe.ssd.negative_class_weight, 0.0)
    return tf.where(classes > BACKGROUND, 1.0, background)[..., None]


def _focal(recipe: Recipe, logits: Any, classes: Any) -> Any:
    """[B, A, classes + 1]: sigmoid focal loss (Lin et al. 2017, equation 5); column 0 is the background."""
    wanted = tf.one_hot(classes, logits.shape[-1])
    if recipe.ssd.encode_background_as_zeros:
        wanted *= [0.0] + [1.0] * recipe.ssd.num_classes
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits)
    loss = entropy
    if recipe.focal.gamma:
        # The probability of the truth is exp(-entropy)
        loss *= (-tf.math.expm1(-entropy)) ** recipe.focal.gamma
    if recipe.focal.alpha is not None:
        loss *= wanted * recipe.focal.alpha + (1.0 - wanted) * (1.0 - recipe.focal.alpha)
    return loss


def _huber(difference: Any, delta: float) -> Any:
    size = tf.abs(difference)
    inside = tf.minimum(size, delta)
    return 0.5 * inside * inside + delta * (size - inside)
