"""Shared parts: a real, tiny TFLite detector made in seconds, photos for it, free ports."""

import fcntl
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The networks are small, and a test process has the other cores for its neighbours; NumPy's threads take a tenth of a
# second of each program that a test starts
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A test's process trains and looks at single photos in turns, and what it has begun, programs that it starts go on with
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# As sealpin_training.quiet sets it before TensorFlow is loaded; the modules of tests load it first
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from sealpin_edge.model.card import CARD_FORMAT, ModelCard
from sealpin_edge.model.photo import Photo, encode_jpeg

pytest_plugins = ["tests.skips"]

# How long an example takes is the machine's business, which may have other work
hypothesis.settings.register_profile("sealpin", deadline=None)
hypothesis.settings.load_profile("sealpin")

# Started in the background, Ctrl-C is ignored, and so it would be in every program that a test starts and interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)

# What takes minutes begins first, and what mostly waits beside what computes, so that no core is idle; xdist hands out
# whole files in this order
SLOW_FIRST = (
    "training/test_training.py",
    "deploy/test_deploy.py",
    "export/",
    "chain/test_readme.py",
    "training/test_workers.py",
    "training/test_judging.py",
    "training/classify/test_cam.py",
    "training/classify/test_chain.py",
    "chain/test_site.py",
    "chain/test_scl.py",
    "training/test_runs.py",
    "training/test_tracking.py",
    "edge/test_bad_servers.py",
    "edge/test_servers.py",
    "edge/test_cameras.py",
    "chain/test_page.py",
    "chain/test_station.py",
    "training/test_warmstart.py",
    "training/test_network.py",
)
GRID = 8
CELL = 32
SIDE = GRID * CELL
# What the converter makes TFLite_Detection_PostProcess of (tensorflow/compiler/mlir/lite/utils/nms_utils.cc)
DETECTION_ATTRIBUTES = (
    'name: "TFLite_Detection_PostProcess" attr { key: "max_detections" value { i: 10 } } '
    'attr { key: "max_classes_per_detection" value { i: 1 } } attr { key: "use_regular_nms" value { b: false } } '
    'attr { key: "nms_score_threshold" value { f: 0.05 } } attr { key: "nms_iou_threshold" value { f: 0.5 } } '
    'attr { key: "y_scale" value { f: 1.0 } } attr { key: "x_scale" value { f: 1.0 } } '
    'attr { key: "h_scale" value { f: 1.0 } } attr { key: "w_scale" value { f: 1.0 } } '
    'attr { key: "num_classes" value { i: 2 } }'
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files go to one process; those of export/ to the same, for they share a run and its export."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/export" if nodeid.startswith("tests/export/") else str(super()._split_scope(nodeid))

    return Files(config, log)


def pytest_collection() -> None:
    """What is imported from here on stays, and need not be looked over again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on, garbage is made."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first."""

    def place(item: pytest.Item) -> int:
        return next(
            (n for n, name in enumerate(SLOW_FIRST) if item.nodeid.startswith(f"tests/{name}")), len(SLOW_FIRST)
        )

    items.sort(key=place)


def part_photo(*burrs: tuple[str, int, int], seed: int = 0) -> Photo:
    """A grey photo of SIDE x SIDE pixels with a red (PR) or blue (QA) square in grid cells (column, row)."""
    photo = np.random.default_rng(seed).integers(100, 140, (SIDE, SIDE, 1), np.uint8).repeat(3, axis=2)
    for category, column, row in burrs:
        colour = (250, 20, 20) if category == "PR" else (20, 20, 250)
        photo[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    return photo


def write_parts(folder: Path, parts: list[list[tuple[str, int, int]]]) -> None:
    """Photos for a folder camera, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, burrs in enumerate(parts):
        (folder / f"part_{number:03d}.jpg").write_bytes(encode_jpeg(part_photo(*burrs, seed=number)))


def toy_card(**changes: object) -> ModelCard:
    """The toy model's sealpin.json."""
    card = {
        "format": CARD_FORMAT, "task": "detect", "classes": ("PR", "QA"), "input_height": SIDE, "input_width": SIDE,
        "colour": "RGB", "resize": "stretch", "interpolation": "bilinear_tf1", "thresholds": {"PR": 0.5, "QA": 0.5},
        "threshold_chosen": "by hand", "run": "toy", "run_id": "0" * 32, "dataset_digest": "0" * 64, "metrics": {},
        "quantisation": "none", "sealpin_version": "0",
    }  # fmt: skip
    return ModelCard(**{**card, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def toy_tflite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """TFLite bytes without metadata, made by the first process that wants them: TensorFlow takes seconds to load."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "toy.tflite"
    with open(folder / "toy.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(convert_toy(tmp_path_factory.mktemp("toy")))
    return made.read_bytes()


def convert_toy(folder: Path) -> bytes:
    """A detector with one anchor a grid cell, whose scores tell how red and how blue the cell is."""
    import tensorflow as tf

    centres = (np.arange(GRID) + 0.5) / GRID
    rows, columns = np.meshgrid(centres, centres, indexing="ij")
    anchors = np.stack([rows, columns, np.full_like(rows, 1 / GRID), np.full_like(rows, 1 / GRID)], axis=-1)
    anchors = anchors.reshape(-1, 4).astype(np.float32)

    @tf.function(experimental_implements=DETECTION_ATTRIBUTES)
    def post_process(boxes, scores, anchors):  # type: ignore[no-untyped-def]
        zero = tf.constant(0.0)
        return zero, zero, zero, zero

    class Toy(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.uint8, name="images")])
        def detect(self, images):  # type: ignore[no-untyped-def]
            cells = tf.nn.avg_pool2d(tf.cast(images, tf.float32) / 255.0, CELL, CELL, "VALID")
            red, green, blue = tf.split(tf.reshape(cells, [1, GRID * GRID, 3]), 3, axis=-1)
            logits = tf.concat([red - tf.maximum(green, blue), blue - tf.maximum(red, green)], axis=-1) * 16.0 - 6.0
            boxes, classes, scores, count = post_process(tf.zeros([1, GRID * GRID, 4]), tf.sigmoid(logits), anchors)
            return {
                "detection_boxes": boxes, "detection_classes": classes, "detection_scores": scores,
                "num_detections": count,
            }  # fmt: skip

    toy = Toy()
    tf.saved_model.save(toy, str(folder), signatures={"serving_default": toy.detect})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["serving_default"])
    converter.allow_custom_ops = True
    return bytes(converter.convert())


@pytest.fixture(scope="session")
def toy_model(toy_tflite: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy detector as a model file with metadata and sealpin.json."""
    from sealpin_export.metadata import add_metadata

    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(add_metadata(toy_tflite, toy_card()))
    return path


@pytest.fixture
def cut_off() -> Iterator[list[Callable[[], None]]]:
    """Things to stop at the end of a test, last first."""
    stops: list[Callable[[], None]] = []
    yield stops
    for stop in reversed(stops):
        stop()
