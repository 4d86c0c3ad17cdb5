"""Other people's model files: SSD detectors of several exporters run, what is no such detector is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError, NoJudgement
from sealpin_edge.model.tflite_file import read_tflite
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Verdict, judge
from sealpin_export.metadata import _load_libusb, with_labels
from tests.conftest import CELL, DETECTION_ATTRIBUTES, GRID, SIDE, part_photo

BURRS = (("PR", 2, 3), ("QA", 5, 6))


def detector(reverse: bool = False, moving: bool = False, shift: float = 0.0, after: bool = False) -> Any:
    """The toy of conftest.py with pixels in -1..1, as the API's exporters leave it; outputs in TF2's order or TF1's.

    With `moving`, boxes hang on the photo a little, not on the anchors alone. They lie `shift` photos further to the
    right. With `after`, the detection operator is not the last.
    """
    import tensorflow as tf

    centres = (np.arange(GRID) + 0.5) / GRID
    rows, columns = np.meshgrid(centres, centres, indexing="ij")
    sides = np.full_like(rows, 1 / GRID)
    anchors = np.stack([rows, columns, sides, sides], axis=-1).reshape(-1, 4).astype(np.float32)

    @tf.function(experimental_implements=DETECTION_ATTRIBUTES)
    def post_process(boxes: Any, scores: Any, anchors: Any) -> Any:
        zero = tf.constant(0.0)
        return zero, zero, zero, zero

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="input")])
    def detect(photo: Any) -> Any:
        cells = tf.nn.avg_pool2d(photo, CELL, CELL, "VALID")
        red, green, blue = tf.split(tf.reshape(cells, [1, GRID * GRID, 3]), 3, axis=-1)
        logits = tf.concat([red - tf.maximum(green, blue), blue - tf.maximum(red, green)], axis=-1) * 8.0 - 6.0
        encoded = tf.zeros([1, GRID * GRID, 4])
        if moving:
            encoded += tf.reduce_mean(photo) * 1e-6
        scored = tf.sigmoid(logits)
        boxes, classes, scores, count = post_process(encoded, scored, anchors + np.float32([0, shift, 0, 0]))
        if after:  # work that waits for the operator and writes over what it was given
            seen = tf.broadcast_to(tf.reshape(scores, [1, -1])[:, :1], [1, SIDE * SIDE])
            return boxes, classes, scores, count, tf.nn.softmax(tf.exp(seen) * 2.0)
        return (scores, boxes, count, classes) if reverse else (boxes, classes, scores, count)

    return detect


def converted(function: Any, input_type: str = "float32") -> bytes:
    """A tf.function as TFLite bytes; with an input of bytes, quantised as a whole."""
    import tensorflow as tf

    holder = tf.Module()
    holder.function = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], holder)
    converter.allow_custom_ops = True
    if input_type != "float32":
        photos = [part_photo(*BURRS, seed=seed).astype(np.float32) / 127.5 - 1 for seed in range(4)]
        photos[0][0, 0], photos[0][0, 1] = -1, 1
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = getattr(tf, input_type)
    return bytes(converter.convert())


def described(model: bytes, folder: Path) -> bytes:
    """Metadata as the API's TF1 models in the wild have it: 127.5 and 127.5, and labels that begin with ???."""
    _load_libusb()
    from tensorflow_lite_support.metadata.python.metadata_writers import object_detector

    labels = folder / "labelmap.txt"
    labels.write_text("???\nPR\nQA\n")
    writer = object_detector.MetadataWriter.create_for_inference(bytearray(model), [127.5], [127.5], [str(labels)])
    return bytes(writer.populate())


def found(model: Model) -> list[tuple[str, int, int]]:
    return sorted(
        (one.category, round(one.edges.xmin / CELL), round(one.edges.ymin / CELL))
        for one in model.read(part_photo(*BURRS)).findings
        if one.score > 0.5
    )


@pytest.fixture(scope="module")
def plain() -> bytes:
    return converted(detector(reverse=True))


def test_a_file_of_the_apis_tf2_exporter_runs_with_labels(plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(plain)
    with pytest.raises(InputError, match="--labels"):
        Model(path)
    assert found(Model(path, labels=["PR", "QA"])) == sorted(BURRS)
    with pytest.raises(InputError, match="a label twice"):
        Model(path, labels=["PR", "PR"])


def test_each_file_of_a_benchmark_has_labels_of_its_own(plain: bytes, toy_model: Path, tmp_path: Path) -> None:
    for name, text in (("one", "PR\nQA\n"), ("two", "item { id: 1 name: 'PR' } item { id: 2 name: 'QA' }")):
        (tmp_path / f"{name}.tflite").write_bytes(plain)
        (tmp_path / f"{name}.txt").write_text(text)
    one, two = (str(tmp_path / name) for name in ("one", "two"))

    def timed(*words: str) -> Result:
        return CliRunner().invoke(main, ["benchmark", *words, "--threads", "1", "--photos", "10", "--json"])

    for words in (
        (f"{one}.tflite", "--labels", f"{one}.txt", "--against", f"{two}.tflite", "--against-labels", f"{two}.txt"),
        (str(toy_model), "--against", f"{two}.tflite", "--against-labels", f"{two}.txt"),
    ):
        assert [row["model"] for row in json.loads(timed(*words).stdout)["results"]] == [words[0], f"{two}.tflite"]
    assert "--labels FILE" in timed(f"{one}.tflite").output
    alone = timed(f"{one}.tflite", "--labels", f"{one}.txt", "--against-labels", f"{two}.txt")
    assert (alone.exit_code, "belongs to --against" in alone.output) == (2, True)


@pytest.mark.parametrize("input_type", ["uint8", "int8"])
def test_a_quantised_file_with_metadata_runs_as_it_is(tmp_path: Path, input_type: str) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(described(converted(detector(), input_type), tmp_path))
    model = Model(path)
    assert model.card.classes == ("PR", "QA"), "the placeholder is no class"
    assert found(model) == sorted(BURRS)
    assert model.prepare(part_photo()).dtype == np.dtype(input_type)


def test_its_thresholds_are_the_fields_habit_when_it_tells_none(plain: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(with_labels(plain, ["PR", "QA"], "x"))
    card = Model(path).card
    assert (card.thresholds, card.threshold_chosen) == ({"PR": 0.5, "QA": 0.5}, "the model tells none")


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5, 8])
def test_no_class_is_lost_with_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    """TensorFlow Lite's per-class suppression loses the class whose index is the number of threads."""
    import tensorflow as tf

    classes = 6
    attributes = DETECTION_ATTRIBUTES.replace('"num_classes" value { i: 2 }', f'"num_classes" value {{ i: {classes} }}')
    attributes = attributes.replace('"use_regular_nms" value { b: false }', '"use_regular_nms" value { b: true }')
    attributes += ' attr { key: "detections_per_class" value { i: 10 } }'
    anchors = np.array([[0.5, (index + 0.5) / classes, 0.1, 0.1] for index in range(classes)], np.float32)
    scores = np.eye(classes, dtype=np.float32)[None] * 0.8

    @tf.function(experimental_implements=attributes)
    def post_process(boxes: Any, scores: Any, anchors: Any) -> Any:
        zero = tf.constant(0.0)
        return zero, zero, zero, zero

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32)])
    def detect(photo: Any) -> Any:
        brightness = tf.reduce_mean(photo) * 0.0
        return post_process(tf.zeros([1, classes, 4]), scores + brightness, anchors)

    path = tmp_path / "classes.tflite"
    path.write_bytes(converted(detect))
    model = Model(path, threads, labels=[f"class {index}" for index in range(classes)])
    assert sorted(one.category for one in model.read(part_photo()).findings if one.score > 0.5) == sorted(
        model.card.classes
    )


def recurrent() -> Any:
    import tensorflow as tf

    @tf.function(
        input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32), tf.TensorSpec([1, 8], tf.float32, name="state")]
    )
    def step(photo: Any, state: Any) -> Any:
        return tf.reduce_mean(photo) + state

    return step


def with_an_unknown_operator() -> Any:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32)])
    def detect(photo: Any) -> Any:
        return tf.math.betainc(tf.abs(photo), tf.abs(photo), tf.sigmoid(photo))

    return detect


def embedding() -> Any:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32)])
    def embed(photo: Any) -> Any:
        return tf.nn.avg_pool2d(photo, CELL, CELL, "VALID")

    return embed


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (recurrent, "2 inputs"),
        (with_an_unknown_operator, "custom operators .*Betainc"),
        (embedding, "outputs of no task"),
    ],
)
def test_what_a_station_cannot_run_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[], Any], told: str
) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(make()))
    with pytest.raises(InputError, match=told):
        Model(path, labels=["PR", "QA"])
    shown = CliRunner().invoke(main, ["model", "show", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "no station can run it" in shown.output


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("PR", "QA"), ("PR", "QA")),
        (("???", "PR", "QA", ""), ("PR", "QA")),
        (("background", "PR", "QA"), ("PR", "QA")),
        (("", "QA"), ("class 0", "QA")),
        (("???", "???"), ("class 0", "class 1")),
        (("PR",), None),
        (("PR", "QA", "XX"), None),
        (("???", "PR"), ("???", "PR")),
    ],
)
def test_labels_are_as_many_as_the_classes(
    plain: bytes, tmp_path: Path, labels: tuple[str, ...], classes: tuple[str, ...] | None
) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(plain)
    if classes:
        assert Model(path, labels=labels).card.classes == classes
        return
    with pytest.raises(InputError, match="for 2 classes"):
        Model(path, labels=labels)


def test_a_certain_box_wholly_outside_the_photo_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(detector(shift=2.0)))
    model = Model(path, labels=["PR", "QA"])
    detections = model.read(part_photo(("PR", 2, 3))).findings
    assert [(one.category, one.edges.xmin, one.edges.xmax) for one in detections if one.score > 0.5] == [
        ("PR", SIDE, SIDE)
    ]
    assert judge(detections, model.rule())[0] is Verdict.NG


@pytest.mark.parametrize("after", [False, True])
def test_a_network_that_gives_no_number_is_never_a_good_part(tmp_path: Path, after: bool) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(converted(detector(moving=True, after=after)))
    model = Model(path, labels=["PR", "QA"])
    pixels = model.prepare(part_photo())
    pixels[0, 0, 0, 0] = np.nan
    model.invoke(pixels)
    with pytest.raises(NoJudgement, match="no number"):
        model.interpret(SIDE, SIDE)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), cut=st.floats(0, 1))
def test_a_damaged_file_is_read_or_refused_but_never_breaks(
    toy_model: Path, places: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(toy_model.read_bytes())
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    for damaged in (bytes(data), bytes(data[: int(cut * len(data))])):
        try:
            read_tflite(damaged, "damaged").labels()
        except InputError:
            continue
