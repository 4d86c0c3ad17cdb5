"""Other people's runtimes give the boxes that sealpin gives: TFLite Task Library, MediaPipe Tasks, tflite-runtime.

They want NumPy below 2, so they run in an environment of their own: `make peers`.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sealpin_edge.model.photo import stretch
from sealpin_edge.tasks.model import Model
from sealpin_training.run import Run
from tests.export.test_export import photo_of

PYTHON = Path(__file__).parents[2] / ".venv-peers/bin/python"
needs_peers = pytest.mark.skipif(not PYTHON.exists(), reason="other people's runtimes are not installed: make peers")

TASK_LIBRARY = """
import ctypes, json, sys
import libusb_package, numpy as np
ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
from tflite_support.task import core, processor, vision
options = vision.ObjectDetectorOptions(
    core.BaseOptions(file_name=sys.argv[1]), processor.DetectionOptions(score_threshold=0.0, max_results=100)
)
pixels = np.load(sys.argv[2])  # the image below is a view of it
found = vision.ObjectDetector.create_from_options(options).detect(vision.TensorImage.create_from_array(pixels))
print(json.dumps([
    [one.categories[0].category_name, one.categories[0].score, one.bounding_box.origin_x, one.bounding_box.origin_y,
     one.bounding_box.width, one.bounding_box.height]
    for one in found.detections
]))
"""
MEDIAPIPE = """
import json, sys
import mediapipe, numpy as np
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ObjectDetectorOptions(
    base_options=BaseOptions(model_asset_path=sys.argv[1]), score_threshold=0.0, max_results=100
)
with vision.ObjectDetector.create_from_options(options) as detector:
    found = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(sys.argv[2])))
print(json.dumps([
    [one.categories[0].category_name, one.categories[0].score, one.bounding_box.origin_x, one.bounding_box.origin_y,
     one.bounding_box.width, one.bounding_box.height]
    for one in found.detections
]))
"""
TFLITE_RUNTIME = """
import json, sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1])
photo = np.load(sys.argv[2])
found = interpreter.get_signature_runner("serving_default")(images=photo[None])
count = int(found["num_detections"][0])
names = ["PR", "QA"]
labels, scores, boxes = (found[f"detection_{name}"][0, :count] for name in ("classes", "scores", "boxes"))
boxes = np.clip(boxes, 0, 1) * photo.shape[0]
print(json.dumps([
    [names[int(label)], float(score), *map(float, (xmin, ymin, xmax - xmin, ymax - ymin))]
    for label, score, (ymin, xmin, ymax, xmax) in zip(labels, scores, boxes)
]))
"""


@needs_peers
@pytest.mark.parametrize(
    ("program", "file", "score", "pixels"),
    [
        (TASK_LIBRARY, "model.tflite", 0.005, 1.0),  # it tells whole pixels
        (TASK_LIBRARY, "model_float32.tflite", 1e-4, 1.0),
        (MEDIAPIPE, "model.tflite", 0.005, 1.0),
        (MEDIAPIPE, "model_float32.tflite", 1e-4, 1.0),
        (TFLITE_RUNTIME, "model.tflite", 0.02, 1.0),  # an older runtime, whose int8 kernels round otherwise
        (TFLITE_RUNTIME, "model_float32.tflite", 1e-4, 0.01),
    ],
)
def test_another_runtime_gives_the_same_boxes(
    run: Run, exported: Path, tmp_path: Path, program: str, file: str, score: float, pixels: float
) -> None:
    model = Model(exported / file)
    photo = stretch(photo_of(run)[1], model.card.input_height, model.card.input_width)
    np.save(tmp_path / "photo.npy", photo)
    words = [PYTHON, "-c", program, exported / file, tmp_path / "photo.npy"]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    peers = json.loads(done.stdout)
    own = [one for one in model.read(photo).findings if one.score > 0.1]
    assert own
    side = photo.shape[0]
    edges = {
        index: np.clip([left, top, left + width, top + height], 0, side)
        for index, (_, _, left, top, width, height) in enumerate(peers)
    }
    for one in own:
        box = list(one.edges)
        nearest = min(edges, key=lambda index: (peers[index][0] != one.category, np.abs(edges[index] - box).max()))
        peer = peers[nearest]
        assert peer[0] == one.category
        assert peer[1] == pytest.approx(one.score, abs=score)
        assert np.abs(edges.pop(nearest) - box).max() <= 2 * pixels, (peer, one)
