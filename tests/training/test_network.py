"""The network that a recipe names is the Object Detection API's: its layers, names, anchors, decoding and losses."""

from math import ceil, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.model.photo import stretch
from sealpin_training.tasks.detect.anchors import Anchors
from sealpin_training.tasks.detect.recipe import load_recipe
from sealpin_training.tasks.recipe import shipped_recipes

from .conftest import REFERENCE_DATA, small_recipe

REFERENCE = REFERENCE_DATA / "odapi-reference"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the API's reference checkpoint is not at hand")
ORIGINAL = shipped_recipes() / "ssd_mobilenet_v2_fpnlite_640x640_120k.config"


@needs_reference
def test_the_apis_checkpoint_gives_the_apis_outputs() -> None:
    import tensorflow as tf

    from sealpin_training.serving import stretch_in_graph
    from sealpin_training.tasks.detect.network import model as network
    from sealpin_training.tasks.detect.warmstart import warm_start

    recipe = load_recipe(REFERENCE / "pipeline.config")
    wanted = np.load(REFERENCE / "reference_io.npz")
    model = network.build_network(recipe)
    start = warm_start(recipe, model, REFERENCE / "ckpt-0", "full")
    assert (len(start.loaded), start.new, start.unused) == (384, (), ())

    def far(found: object, name: str) -> float:
        return float(np.abs(np.asarray(found) - wanted[name]).max())

    inputs = network.preprocess(recipe, wanted["image_uint8"])
    assert far(inputs, "preprocessed") < 1e-6
    resized = stretch_in_graph(wanted["image_uint8_resize"], 320, 320)
    assert far(network.preprocess(recipe, resized), "preprocessed_resize") < 1e-6
    features = model.backbone(inputs, training=False)
    for level in (3, 4, 5):
        assert far(features[str(level)], f"backbone_C{level}") < 1e-4
    pyramid = model.decoder(features, training=False)
    for level in range(3, 8):
        assert far(pyramid[str(level)], f"fpn_P{level}") < 1e-4
    assert far(network.anchors(recipe) / 320, "anchors") < 1e-5
    for suffix in ("", "_resize"):
        inputs = tf.constant(wanted[f"preprocessed{suffix}"])
        encoded, logits = network.raw_outputs(recipe, network.forward(model, inputs))
        assert far(encoded, f"box_encodings{suffix}") < 1e-3
        assert far(logits, f"class_predictions_with_background{suffix}") < 1e-3
        boxes, scores, classes, count = network.detections(recipe, model, inputs)
        assert far(boxes, f"detection_boxes{suffix}") < 1e-4
        assert far(scores, f"detection_scores{suffix}") < 1e-5
        assert far(classes, f"detection_classes{suffix}") == 0
        assert far(count, f"num_detections{suffix}") == 0


@needs_reference
def test_every_tensor_of_the_zoos_model_has_its_place() -> None:
    from sealpin_training.tasks.detect.network.model import build_network, named_variables

    path = REFERENCE / "variables_640_c90.tsv"
    listed = [line.split("\t")[:2] for line in path.read_text().splitlines() if line.startswith("model/")]
    wanted = {
        name.removeprefix("model/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): [int(n) for n in shape.split("x")]
        for name, shape in listed
    }
    recipe = load_recipe(ORIGINAL)
    ssd = recipe.pipeline.model.ssd  # type: ignore[union-attr]
    from dataclasses import replace

    coco = replace(recipe, ssd=replace(ssd, num_classes=90))
    found = {name: list(variable.shape) for name, variable in named_variables(build_network(coco)).items()}
    assert found == wanted


@pytest.mark.parametrize("name", ["ssd_mobilenet_v2_fpnlite_640x640_120k.config", "ssd_resnet50_v1_fpn_640x640.config"])
def test_a_shipped_recipe_has_the_anchors_and_outputs_that_belong_together(name: str) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.network import model as network

    recipe = load_recipe(shipped_recipes() / name)
    model = network.build_network(recipe)
    encoded, logits = network.raw_outputs(recipe, network.forward(model, tf.zeros([1, 640, 640, 3])))
    assert encoded.shape == (1, *network.anchors(recipe).shape) == (1, 51150, 4)
    assert logits.shape == (1, 51150, recipe.ssd.num_classes + 1)
    names = network.named_variables(model)
    assert len(names) == len(model.variables)
    towers = {name.split("/")[2] for name in names if "_head_scope_conv_layers" in name}
    shared = recipe.head.share_prediction_tower
    assert towers == ({"PredictionTower"} if shared else {"BoxPredictionTower", "ClassPredictionTower"})


@given(
    side=st.integers(2, 40).map(lambda n: 32 * n),
    levels=st.tuples(st.integers(2, 5), st.integers(0, 3)),
    ratios=st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
    octave=st.integers(1, 3),
    scale=st.floats(1, 8),
)
@settings(max_examples=30, deadline=None)
def test_anchors_are_a_grid_of_equal_shapes(
    side: int, levels: tuple[int, int], ratios: list[float], octave: int, scale: float
) -> None:
    low, high = levels[0], levels[0] + levels[1]
    boxes = Anchors(side, side, low, high, scale, tuple(ratios), octave).boxes()
    assert list(boxes) == list(range(low, high + 1))
    for level, found in boxes.items():
        grid, cells = 2**level, ceil(side / 2**level)
        assert found.shape == (cells, cells, len(ratios) * octave, 4)
        # Aspect ratio outside, scale inside
        size, ratio = scale * grid * 2 ** ((octave - 1) / octave), ratios[0]
        ymin, xmin, ymax, xmax = found[0, 0, octave - 1]
        assert ymax - ymin == pytest.approx(size / sqrt(ratio), rel=1e-4)
        assert xmax - xmin == pytest.approx(size * sqrt(ratio), rel=1e-4)
        middle = grid / 2 if side % grid == 0 else 0.0
        assert (ymin + ymax) / 2 == pytest.approx(middle, abs=1e-3 * size)
        if cells > 1:
            np.testing.assert_allclose(found[1, 1] - found[0, 0], grid, atol=1e-3 * grid)


def test_the_stations_resize_is_the_apis() -> None:
    import tensorflow as tf

    from sealpin_training.serving import stretch_in_graph

    random = np.random.default_rng(3)
    for height, width in ((200, 200), (641, 333), (1024, 1280)):
        photo = random.integers(0, 256, (height, width, 3), np.uint8)
        wanted = stretch_in_graph(tf.constant(photo[None]), 320, 320)[0].numpy()
        assert np.abs(stretch(photo, 320, 320) - wanted).max() <= 1.0


def test_decoding_undoes_encoding_and_a_matched_anchor_finds_its_box(tmp_path: Path) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.network.model import anchors, decode
    from sealpin_training.tasks.detect.targets import assigner

    recipe = load_recipe(small_recipe(tmp_path))
    boxes = np.array([[0.1, 0.2, 0.4, 0.5], [0.5, 0.5, 0.9, 0.95]], np.float32)
    targets = assigner(recipe)(tf.constant(boxes), tf.constant([1, 2]))
    grid = anchors(recipe) / 96.0
    found = decode(recipe, targets["boxes"], tf.constant(grid, tf.float32)).numpy()
    classes = targets["classes"].numpy()
    assert set(classes) >= {0, 1, 2}
    for label in (1, 2):
        for box in found[classes == label]:
            np.testing.assert_allclose(box, boxes[label - 1], atol=1e-5)


def overlap(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    height, width = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    shared = max(height, 0.0) * max(width, 0.0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


FRACTION = st.floats(0, 0.8)
SIDE = st.floats(0.05, 0.9)


@given(
    corners=st.lists(st.tuples(FRACTION, FRACTION, SIDE, SIDE), max_size=5),
    thresholds=st.sampled_from([(0.5, 0.5), (0.5, 0.4), (0.7, 0.3)]),
    force=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_anchors_match_as_the_apis_matcher_says(
    corners: list[tuple[float, float, float, float]],
    thresholds: tuple[float, float],
    force: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.network.model import anchors
    from sealpin_training.tasks.detect.targets import assigner

    high, low = thresholds
    numbers = f"matched_threshold: {high} unmatched_threshold: {low}"
    changes = (
        ("matched_threshold: 0.5\n        unmatched_threshold: 0.5", numbers),
        ("force_match_for_each_row: true", f"force_match_for_each_row: {str(force).lower()}"),
    )
    recipe = load_recipe(small_recipe(tmp_path_factory.mktemp("match"), *changes))
    boxes = np.array([(y, x, min(1, y + h), min(1, x + w)) for y, x, h, w in corners], np.float32).reshape(-1, 4)
    found = assigner(recipe)(tf.constant(boxes), tf.range(1, len(boxes) + 1))["classes"].numpy()
    grid = anchors(recipe) / 96.0
    table = np.array([[overlap(box, anchor) for anchor in grid] for box in boxes]).reshape(len(boxes), len(grid))
    favourites = table.argmax(axis=1) if len(boxes) else []
    for number in range(len(grid)):
        column = table[:, number]
        best = column.max(initial=0.0)
        if any(abs(best - edge) < 1e-5 for edge in thresholds) or np.sum(np.abs(column - best) < 1e-6) > 1:
            continue  # a tie that float32 may decide otherwise
        wanted = 0 if best < low else -1 if best < high else int(column.argmax()) + 1
        if force:
            wanted = next((row + 1 for row, favourite in enumerate(favourites) if favourite == number), wanted)
            if any(np.sum(np.abs(table[row] - table[row].max()) < 1e-6) > 1 for row in range(len(boxes))):
                continue
        assert found[number] == wanted


def test_the_losses_are_the_formulas(tmp_path: Path) -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.targets import losses

    recipe = load_recipe(small_recipe(tmp_path))
    random = np.random.default_rng(0)
    shape = {"3": (2, 3, 3), "4": (2, 2, 2)}
    per_place = recipe.anchors_per_location
    outputs = {
        "cls_outputs": {k: random.normal(0, 2, (*s, per_place * 3)).astype(np.float32) for k, s in shape.items()},
        "box_outputs": {k: random.normal(0, 2, (*s, per_place * 4)).astype(np.float32) for k, s in shape.items()},
    }
    anchors = 13 * per_place
    classes = random.choice([-1, 0, 0, 0, 1, 2], (2, anchors)).astype(np.int32)
    wanted_boxes = random.normal(0, 1, (2, anchors, 4)).astype(np.float32)
    targets = {"classes": tf.constant(classes), "boxes": tf.constant(wanted_boxes)}
    found = losses(recipe, tf.nest.map_structure(tf.constant, outputs), targets)

    logits = np.concatenate([outputs["cls_outputs"][k].reshape(2, -1, 3) for k in shape], axis=1).astype(np.float64)
    boxes = np.concatenate([outputs["box_outputs"][k].reshape(2, -1, 4) for k in shape], axis=1).astype(np.float64)
    truth = np.stack([np.zeros_like(classes), classes == 1, classes == 2], axis=-1)
    p = 1 / (1 + np.exp(-logits))
    entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p))
    p_t, alpha = np.where(truth, p, 1 - p), np.where(truth, 0.25, 0.75)
    focal = (alpha * (1 - p_t) ** 2 * entropy)[classes >= 0].sum()
    difference = np.abs(boxes - wanted_boxes)
    huber = np.where(difference < 1, difference**2 / 2, difference - 0.5)[classes > 0].sum()
    matched = (classes > 0).sum()
    np.testing.assert_allclose(found[0], focal / matched, rtol=1e-5)
    np.testing.assert_allclose(found[1], 2.0 * huber / (4 * matched), rtol=1e-5)  # localization_weight: 2


def test_boxes_are_suppressed_as_they_are_and_cut_at_the_edge_then() -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.network import model

    recipe = load_recipe(ORIGINAL)
    boxes = tf.constant([[[-0.2, 0.0, 0.1, 0.5], [-0.02, 0.0, 0.1, 0.5], [-0.5, 0.0, -0.1, 0.5], [0.5, 0.5, 0.9, 0.9]]])
    scored = tf.constant([[[0.9, 0.0], [0.8, 0.0], [0.7, 0.0], [0.6, 0.0]]])
    found = [tensor.numpy() for tensor in model._clipped(*model._suppress(boxes, scored, recipe))]
    assert found[3].tolist() == [3], "their overlap is 0.4 before they are cut; the one outside is left out"
    np.testing.assert_allclose(found[1][0, :4], [0.9, 0.8, 0.6, 0.0])
    np.testing.assert_allclose(found[0][0, :3], [[0, 0, 0.1, 0.5], [0, 0, 0.1, 0.5], [0.5, 0.5, 0.9, 0.9]])


def test_boxes_are_suppressed_as_by_the_function_of_tf_image() -> None:
    import tensorflow as tf

    from sealpin_training.tasks.detect.network import model

    recipe = load_recipe(shipped_recipes() / "ssd_mobilenet_v2_fpnlite_320x320_demo.config")
    assert recipe.nms.use_class_agnostic_nms
    random = np.random.default_rng(3)
    centres, sides = random.uniform(0, 1, (8, 600, 2)), random.uniform(0, 0.3, (8, 600, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1).astype(np.float32)
    scored = random.uniform(0, 1, (8, 600, 2)).astype(np.float32) ** 3
    scored[::2] = scored[::2].round(2)  # equal scores
    scored[1] *= 1e-9
    found = [tensor.numpy() for tensor in model._suppress(tf.constant(boxes), tf.constant(scored), recipe)]
    for photo in range(8):
        kept, count = tf.image.non_max_suppression_padded(
            boxes[photo],
            scored[photo].max(axis=-1),
            recipe.nms.max_total_detections,
            iou_threshold=recipe.nms.iou_threshold,
            score_threshold=recipe.nms.score_threshold,
            pad_to_max_output_size=True,
        )
        assert found[3][photo] == count
        index = kept.numpy()[:count]
        np.testing.assert_array_equal(found[0][photo][:count], boxes[photo][index])
        np.testing.assert_array_equal(found[1][photo][:count], scored[photo].max(axis=-1)[index])
        np.testing.assert_array_equal(found[2][photo][:count], scored[photo].argmax(axis=-1)[index])


def test_a_level_is_doubled_in_training_as_when_a_part_is_judged() -> None:
    from sealpin_training.tasks.detect.network.layers import Doubled

    features = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    for training in (False, True):
        found = Doubled()(features, training=training).numpy()
        assert np.array_equal(found, features.repeat(2, axis=1).repeat(2, axis=2))


def test_xla_compiles_a_step_and_trains_as_without(tmp_path: Path) -> None:
    """Pyramid, predictor, losses, optimiser and moving average; the backbone would take a minute more."""
    import tensorflow as tf

    from sealpin_training.average import WeightAverage
    from sealpin_training.tasks.detect.network.fpn import build_fpn
    from sealpin_training.tasks.detect.network.head import build_head
    from sealpin_training.tasks.detect.network.model import anchors
    from sealpin_training.tasks.detect.schedule import build_optimizer
    from sealpin_training.tasks.detect.targets import losses
    from sealpin_training.tf import tf_keras

    recipe = load_recipe(small_recipe(tmp_path, ("height: 96 width: 96", "height: 64 width: 64")))
    random = np.random.default_rng(0)
    shapes = {str(level): (None, 64 >> level, 64 >> level, 8) for level in (3, 4, 5)}
    features = {level: random.normal(size=(2, *shape[1:])).astype(np.float32) for level, shape in shapes.items()}
    classes = random.choice([0, 0, 0, 1, 2], (2, len(anchors(recipe)))).astype(np.int32)
    targets = {"classes": classes, "boxes": np.zeros((*classes.shape, 4), np.float32)}

    def curve(compiled: bool) -> tuple[list[float], float]:
        tf_keras.utils.set_random_seed(0)
        pyramid = build_fpn(recipe, shapes)
        head = build_head(recipe, {level: tensor.shape for level, tensor in pyramid.output.items()})
        inputs = {level: tf_keras.Input(shape[1:]) for level, shape in shapes.items()}
        network = tf_keras.Model(inputs, head(pyramid(inputs)))
        average, optimizer = WeightAverage(network), build_optimizer(recipe)
        optimizer._create_all_weights(network.trainable_variables)

        @tf.function(jit_compile=compiled)
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                scores, boxes, _ = network(features, training=True)
                loss = sum(losses(recipe, {"cls_outputs": scores, "box_outputs": boxes}, targets))
            weights = network.trainable_variables
            optimizer.apply_gradients(list(zip(tape.gradient(loss, weights), weights, strict=True)))
            average.update(network)
            return loss

        return [float(step()) for _ in range(4)], float(tf.reduce_sum(average.values[0]))

    (plain, first), (compiled, second) = curve(False), curve(True)
    assert plain[-1] < plain[0]
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
    assert second == pytest.approx(first, rel=1e-3)


def test_what_a_recipe_says_of_compiling_and_of_precision_reaches_the_trainer(tmp_path: Path) -> None:
    from sealpin_training.experiment import experiment_config

    for said, compiled, precision in (("", False, ""), ("use_xla: true mixed_precision: BFLOAT16", True, "bfloat16")):
        recipe = load_recipe(small_recipe(tmp_path, ("batch_size: 4", f"batch_size: 4 {said}")))
        runtime = experiment_config(recipe, None, steps_per_loop=1, checkpoint_interval=1).runtime
        assert (runtime.enable_xla, runtime.mixed_precision_dtype or "") == (compiled, precision)
