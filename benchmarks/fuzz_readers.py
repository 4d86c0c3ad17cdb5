"""Every reader of files from outside, with sound files for it, small ones that sealpin's own writers make.

A reader is made in an empty folder, where its files may lie, and is then given one changed file after the other.
"""

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sealpin_edge.config import file as config_file
from sealpin_edge.errors import InputError
from sealpin_edge.inspection import checks
from sealpin_edge.model.card import CARD_FORMAT, CARD_NAME, ModelCard, foreign_classes, read_card
from sealpin_edge.model.label_file import read_labels
from sealpin_edge.model.photo import decode_photo, encode_jpeg
from sealpin_edge.model.tflite_file import TfliteFile, read_tflite
from sealpin_edge.release import bundle, golden, signature
from sealpin_edge.tasks.model import Model
from sealpin_training.tasks.recipe import Recipe, shipped_recipes

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Reader:
    """`make` returns sound files and the reader of one; `room_mb` is what it may take beyond what it has loaded."""

    name: str
    make: Callable[[Path], tuple[Sequence[bytes], Read]]
    room_mb: int = 256


SIDE = 48
BOXES = (("PR", 4, 6, 20, 30), ("QA", 22, 8, 40, 28))


def _pixels(seed: int = 0, side: int = SIDE) -> "np.ndarray":
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)


def _labels(name: str, *fixed: tuple[str, bytes], task: str = "detect") -> Callable[[Path, Sequence[bytes]], Read]:
    """Reads a folder of two photos as `dataset check`, `fix` and `convert` do, with a file `name` of labels."""
    from sealpin_training.dataset.convert import Plan, convert
    from sealpin_training.dataset.fix import fix
    from sealpin_training.dataset.survey import Rules, survey
    from sealpin_training.parallel import workers

    def prepare(folder: Path, seeds: Sequence[bytes]) -> Read:
        src = folder / "src"
        src.mkdir()
        rules = Rules(task=task, whole=task != "detect")
        for number, photo in enumerate(("a.jpg", "b.jpg")):
            (src / photo).write_bytes(encode_jpeg(_pixels(number)))
        for other, data in fixed:
            (src / other).write_bytes(data)

        def read(data: bytes) -> None:
            (src / name).write_bytes(data)
            with workers(1) as pool:
                found = survey(src, rules, pool)
            for one in found.findings:
                one.as_dict()
            if len(data) % 4 == 0:  # the rest of the way costs ten times as much
                steps = partial(fix, rules=rules), partial(convert, plan=Plan(rules=rules))
                for step in steps:
                    try:
                        step(src, folder / "out", processes=1)
                    except InputError:
                        pass
                    finally:
                        shutil.rmtree(folder / "out", ignore_errors=True)

        return read

    return prepare


def voc(folder: Path) -> tuple[Sequence[bytes], Read]:
    """LabelImg's XML."""
    from sealpin_training.dataset.formats import voc as form
    from sealpin_training.dataset.labels import Box

    boxes = [Box(*box) for box in BOXES]
    seeds = [form.encode("a.jpg", SIDE, SIDE, boxes), form.encode("a.jpg", SIDE, SIDE, [], proposed=True)]
    return seeds, _labels("a.xml")(folder, seeds)


def coco(folder: Path) -> tuple[Sequence[bytes], Read]:
    """COCO's JSON."""
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1 + (name == "QA"),
            "bbox": [x, y, right - x, low - y],
            "iscrowd": 0,
        }
        for number, (name, x, y, right, low) in enumerate(BOXES, start=1)
    ]
    polygon = {"id": 9, "image_id": 2, "category_id": 2, "segmentation": [[1, 2, 9, 2, 9, 9]], "iscrowd": 0}
    run_lengths = {**polygon, "segmentation": {"counts": [5, 9], "size": [SIDE, SIDE]}, "iscrowd": 1}
    document = {
        "images": [
            {"id": n, "file_name": f"{name}.jpg", "width": SIDE, "height": SIDE} for n, name in ((1, "a"), (2, "b"))
        ],
        "annotations": [*annotations, polygon, run_lengths],
        "categories": [{"id": 1, "name": "PR"}, {"id": 2, "name": "QA", "supercategory": "burr"}],
    }
    seeds = [json.dumps(document).encode(), json.dumps(document, indent=1).encode()]
    return seeds, _labels("labels.json")(folder, seeds)


def csv(folder: Path) -> tuple[Sequence[bytes], Read]:
    """The CSV of xml_to_csv.py."""
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    lines += [f"a.jpg,{SIDE},{SIDE},{name},{x},{y},{right},{low}" for name, x, y, right, low in BOXES]
    text = "\n".join(lines) + "\n"
    seeds = [text.encode(), ("sep=;\n" + text.replace(",", ";")).encode(), text.encode("utf-16")]
    return seeds, _labels("labels.csv")(folder, seeds)


def class_table(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A CSV of file and class."""
    text = "file,class\na.jpg,PR\nb.jpg,ok\n"
    seeds = [text.encode(), text.replace(",", ";").encode(), text.encode("utf-16"), b"1\n1\t1\ta.jpg\t0\ta_label.PNG\n"]
    return seeds, _labels("classes.csv", task="classify")(folder, seeds)


def masks(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A mask beside a photo: of numbers, anti-aliased, in 16 bits, with transparency, as JPEG."""
    import cv2

    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:20, 8:30] = 255
    soft = cv2.GaussianBlur(mask, (0, 0), 2)
    clear = np.dstack([mask, mask, mask, mask])
    kinds = [(mask // 255, ".png"), (soft, ".png"), (mask.astype(np.uint16), ".png"), (clear, ".png"), (mask, ".jpg")]
    seeds = [cv2.imencode(ending, pixels)[1].tobytes() for pixels, ending in kinds]
    sound = cv2.imencode(".png", mask * 0)[1].tobytes()
    return seeds, _labels("a_mask.png", ("b_mask.png", sound), task="classify")(folder, seeds)


def yolo(folder: Path) -> tuple[Sequence[bytes], Read]:
    """YOLO's lines."""
    seeds = [b"0 0.25 0.375 0.3 0.5\n1 0.6 0.4 0.3 0.4\n", b"1 0.1 0.1 0.9 0.1 0.9 0.9\n", b""]
    return seeds, _labels("a.txt", ("data.yaml", b"names: [PR, QA]\n"))(folder, seeds)


def yolo_names(folder: Path) -> tuple[Sequence[bytes], Read]:
    """YOLO's data.yaml."""
    seeds = [
        b"path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames: ['PR', 'QA']\n",
        b"# ours\nnames:\n  0: PR\n  1: QA\nkpt_shape: [17, 3]\n",
        b"base: &base {nc: 2}\nnames: [PR, QA]\nmore: {<<: *base}\n",
    ]
    return seeds, _labels("data.yaml", ("a.txt", b"0 0.25 0.375 0.3 0.5\n"))(folder, seeds)


def photos(folder: Path) -> tuple[Sequence[bytes], Read]:
    """Photos, as the station and `predict` decode them and as `dataset check` looks at them."""
    from PIL import Image

    from sealpin_edge.model.photo_header import FORMATS
    from sealpin_training.dataset.photos import inspect_photo

    seeds = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in FORMATS:
        for mode, options in (
            ("RGB", {}),
            ("L", {}),
            ("P", {}),
            ("RGBA", {}),
            ("RGB", {"progressive": True, "exif": exif}),
        ):
            file = io.BytesIO()
            try:
                Image.fromarray(_pixels(side=24)).convert(mode).save(file, kind, **options)
            except (OSError, ValueError):  # a mode that this format has not
                continue
            seeds.append(file.getvalue())
    deep = io.BytesIO()
    Image.fromarray(np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) * 100).save(deep, "PNG")

    def read(data: bytes) -> None:
        (folder / "photo.jpg").write_bytes(data)
        facts = inspect_photo(folder, "photo.jpg")
        for one in facts.findings:
            one.as_dict()
        decode_photo(data)

    return [*seeds, deep.getvalue()], read


def _dataset(folder: Path) -> Path:
    """A converted dataset."""
    from sealpin_training.dataset.convert import convert
    from sealpin_training.dataset.formats import voc as form
    from sealpin_training.dataset.labels import Box

    for number, split in enumerate(("train", "val", "test")):
        (folder / "src" / split).mkdir(parents=True)
        (folder / f"src/{split}/{split}.jpg").write_bytes(encode_jpeg(_pixels(number)))
        form.write(folder / f"src/{split}/{split}.xml", f"{split}.jpg", SIDE, SIDE, [Box(*box) for box in BOXES])
    convert(folder / "src", folder / "dataset", processes=1)
    return folder / "dataset"


def records(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A TFRecord shard."""
    from sealpin_training.dataset.records import RecordFile

    dataset = _dataset(folder)
    shard = dataset / "train-00000-of-00001.tfrecord"
    seed = shard.read_bytes()

    def read(data: bytes) -> None:
        shard.write_bytes(data)
        list(RecordFile(dataset, "train", ("PR", "QA")))

    return [seed], read


def record_contents(folder: Path) -> tuple[Sequence[bytes], Read]:
    """What is in a record, its check sums sound; photos as training decodes them."""
    from sealpin_training.dataset.tfrecord import frame, record_places

    seeds, read_shard = records(folder)
    shard = folder / "dataset/train-00000-of-00001.tfrecord"
    ((start, length),) = record_places(shard)
    return [seeds[0][start : start + length]], lambda data: read_shard(frame(data))


def manifest(folder: Path) -> tuple[Sequence[bytes], Read]:
    """dataset.json."""
    from sealpin_training.dataset.manifest import load_dataset

    path = _dataset(folder) / "dataset.json"
    return [path.read_bytes()], lambda data: (path.write_bytes(data), load_dataset(path.parent))


def run_files(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A run's run.json, state.json and evaluation."""
    from sealpin_training import run as runs

    run = runs.Run(
        "r", "0" * 32, "demo", "0" * 64, 0, ("PR", "QA"), "data", "0" * 64, "sealpin train", 4, None, "",
        store=folder / "mlruns",
    )  # fmt: skip
    place = run.folder
    place.mkdir(parents=True)
    run.save()
    runs.State(step=8, best_step=4, best_score=0.5).save(run)
    seeds = [(place / name).read_bytes() for name in ("run.json", "state.json")]
    seeds.append(b'{"step": 4, "AP": 0.5, "thresholds": {"PR": 0.5}}')

    def read(data: bytes) -> None:
        refused = []
        readers: dict[str, Callable[[], object]] = {
            "run.json": lambda: runs.load_run("r", run.store),
            "state.json": lambda: runs.State.load(run),
            "evaluation_val.json": lambda: run.last_evaluation("val"),
        }
        for name, reader in readers.items():
            (place / name).write_bytes(data)
            try:
                reader()
            except InputError as fault:
                refused.append(fault)
        if len(refused) == len(readers):
            raise refused[0]

    return seeds, read


def _shipped(folder: Path, pattern: str, load: Callable[[Path], Recipe]) -> tuple[Sequence[bytes], Read]:
    path = folder / pattern.replace("*", "recipe")
    seeds = [one.read_bytes() for one in sorted(shipped_recipes().glob(pattern))]

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for one in load(path).settings():
            str(one)

    return seeds, read


def recipes(folder: Path) -> tuple[Sequence[bytes], Read]:
    """pipeline.config, and what `recipe check` tells of it."""
    from sealpin_training.tasks.detect.recipe import load_recipe

    return _shipped(folder, "*.config", load_recipe)


def whole_recipes(folder: Path) -> tuple[Sequence[bytes], Read]:
    """The experiment's YAML, and what `recipe check` tells of it."""
    from sealpin_training.tasks.classify.recipe import load_recipe

    return _shipped(folder, "*.yaml", load_recipe)


def _card() -> ModelCard:
    return ModelCard(
        format=CARD_FORMAT, task="detect", classes=("PR", "QA"), input_height=8, input_width=8, colour="RGB",
        resize="stretch", interpolation="bilinear_tf1", thresholds={"PR": 0.5, "QA": 0.4}, threshold_chosen="by hand",
        run="r", run_id="0" * 32, dataset_digest="0" * 64, metrics={"AP": 0.5}, quantisation="none",
        sealpin_version="0",
    )  # fmt: skip


def cards(folder: Path) -> tuple[Sequence[bytes], Read]:
    """sealpin.json, and a label file in its place."""
    path = folder / "labels.txt"

    def read(data: bytes) -> None:
        read_card(TfliteFile((), (), (), (), (), (), {CARD_NAME: data}), "model")
        path.write_bytes(data)
        foreign_classes(TfliteFile((), (), (), (), (), (), {}), read_labels(path), 2, "model")

    return [json.dumps(asdict(_card()), indent=1).encode(), b"PR\nQA\n", b"???\nPR\nQA\n"], read


def tflite(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A TFLite file's own account of itself: `model show` and the station before the runtime sees it."""
    return [tiny_model()], lambda data: read_tflite(data, "model").labels()


def models(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A TFLite file on its runtime, with a photo."""
    path = folder / "model.tflite"
    photo = _pixels(side=16)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        Model(path, threads=1).read(photo)

    return [tiny_model()], read


def gates(folder: Path) -> tuple[Sequence[bytes], Read]:
    """The gate.json beside a model file."""
    from sealpin_export.gate import GATE, Gate, check_proven

    gate = Gate(
        "model.tflite",
        4,
        "AP",
        (0.9, 0.9),
        {"PR": (0.9, 0.9)},
        (0.0, 0.0),
        (0.0, 0.0),
        1,
        0,
        {},
        (2, 0),
        (),
        0.01,
        "0" * 64,
    )

    def read(data: bytes) -> None:
        (folder / GATE).write_bytes(data)
        check_proven(folder / "model.tflite", gate.sha256)

    return [json.dumps([gate.as_dict()], indent=1).encode()], read


def bundles(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A bundle: archive, manifest, members."""
    path = folder / "b.sealpin"
    members = {"model.tflite": bytes(500), "station.toml": b"[station]\n", "sealpin-edge.service": b"[Unit]\n" * 9}
    bundle.write_bundle(path, members, {"version": "1.2", "model": {"run_id": "x"}}, {bundle.SIGNATURE: b"s"})
    seeds = [path.read_bytes()]
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds[0])) as old, zipfile.ZipFile(stored, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    seeds.append(stored.getvalue())

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            bundle.unpack(path, folder / "out")
        finally:
            shutil.rmtree(folder / "out", ignore_errors=True)
        assert {one.name for one in folder.iterdir()} <= {path.name}, "something is left beside the folder"

    return seeds, read


def manifests(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A bundle's manifest.json."""
    members = {name: bytes(9) for name in (*bundle.REQUIRED, "golden/golden.json", "wheels/a-1-py3-none-any.whl")}
    about = {"version": "1.2", "model": {"run_id": "x"}, "versions": {"config": 1}, "platforms": ["cp311-aarch64"]}

    def read(data: bytes) -> None:
        found = bundle.parse_manifest(data, "bundle")
        _ = found.release, found.run_id, found.wheels, bundle.version_order(found.version)

    return [bundle.make_manifest(members, about).head], read


def signatures(folder: Path) -> tuple[Sequence[bytes], Read]:
    """A manifest's signature, which OpenSSH verifies."""
    key = folder / "key"
    public = signature.new_key(key, "fuzz")
    signers = folder / "allowed_signers"
    signers.write_text(signature.allowed_signers([public]))
    return [signature.sign(b"manifest", key)], lambda data: signature.verify(b"manifest", data, signers, "bundle")


STATION = """[station]
name = "welding 1"
mode = "full"
[plc]
driver = "s7"
host = "192.168.0.1"
block = "DB100"
[camera]
driver = "folder"
path = "photos"
crop = [0, 0, 10, 10]
[model]
file = "model.tflite"
sha256 = "{sha}"
threshold = 0.5
notice = ["QA"]
[photos]
url = "ftp://user@host:2121/photos"
password_file = "secret"
[results]
url = "http://host:8000/results"
[display]
address = "127.0.0.1:8080"
[timers]
poll_ms = 5
"""


def stations(folder: Path) -> tuple[Sequence[bytes], Read]:
    """station.toml."""
    path = folder / "station.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        config_file.load_config(path)

    return [STATION.format(sha="0" * 64).encode()], read


def golden_files(folder: Path) -> tuple[Sequence[bytes], Read]:
    """golden.json, as `golden_photos` and a station's start read it."""
    (folder / "a.jpg").write_bytes(encode_jpeg(_pixels()))
    box = {"category": "PR", "score": 0.9, "box": [1.0, 2.0, 9.0, 9.0]}
    seed = {"photos": [{"photo": "a.jpg", "verdict": "NG", "detections": [box], "why": ""}]}

    def read(data: bytes) -> None:
        (folder / golden.GOLDEN_FILE).write_bytes(data)
        golden.golden_verdicts(folder)
        golden.golden_photos(folder)

    return [json.dumps(seed, indent=1).encode()], read


def camera_limits(folder: Path) -> tuple[Sequence[bytes], Read]:
    """What teach-camera wrote."""
    thumbnail = tuple(0.0 for _ in range(checks.THUMBNAIL**2))
    limits = checks.Limits(darkest=20.0, brightest=230.0, width=64, height=64, likeness=0.5, thumbnail=thumbnail)
    path = checks.save_limits(limits, folder)
    return [path.read_bytes()], lambda data: (path.write_bytes(data), checks.read_limits(path))


def tiny_model() -> bytes:
    """A TFLite detector of some kilobytes with metadata and card; its scores are the photo's own bytes."""
    from sealpin_export.metadata import add_metadata

    return add_metadata(_graph(), _card())


def _graph() -> bytes:
    """uint8 [1, 8, 8, 3] -> CAST -> RESHAPE [1, 64, 3] -> LOGISTIC -> TFLite_Detection_PostProcess."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import flexbuffers

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers = 3, "tiny", [schema.BufferT()]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []

    def tensor(name: str, shape: list[int], kind: int, data: "np.ndarray | None" = None) -> int:
        one = schema.TensorT()
        one.name, one.shape, one.type, one.buffer = name, shape, kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            one.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(one)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], outputs: list[int], custom: str = "", options: bytes = b"") -> None:
        kind, one = schema.OperatorCodeT(), schema.OperatorT()
        kind.builtinCode, kind.deprecatedBuiltinCode, kind.version = code, code, 1
        kind.customCode = custom or None
        one.opcodeIndex, one.inputs, one.outputs = len(model.operatorCodes), inputs, outputs
        one.customOptions = np.frombuffer(options, np.uint8) if options else None
        model.operatorCodes.append(kind)
        graph.operators.append(one)

    kinds, codes = schema.TensorType, schema.BuiltinOperator
    anchors = 64
    image = tensor("image", [1, 8, 8, 3], kinds.UINT8)
    real = tensor("real", [1, 8, 8, 3], kinds.FLOAT32)
    shape = tensor("shape", [3], kinds.INT32, np.array([1, anchors, 3], np.int32))
    logits = tensor("logits", [1, anchors, 3], kinds.FLOAT32)
    scores = tensor("class scores", [1, anchors, 3], kinds.FLOAT32)
    boxes = tensor("box codes", [1, anchors, 4], kinds.FLOAT32, np.zeros((1, anchors, 4), np.float32))
    corners = np.random.default_rng(0).random((anchors, 4), np.float32) / 2 + 0.1
    places = tensor("anchors", [anchors, 4], kinds.FLOAT32, corners)
    found = [
        tensor(name, size, kinds.FLOAT32)
        for name, size in (("boxes", [1, 10, 4]), ("classes", [1, 10]), ("scores", [1, 10]), ("count", [1]))
    ]
    operator(codes.CAST, [image], [real])
    operator(codes.RESHAPE, [real, shape], [logits])
    operator(codes.LOGISTIC, [logits], [scores])
    options = {
        "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 10, "use_regular_nms": False,
        "nms_score_threshold": 0.05, "nms_iou_threshold": 0.5, "num_classes": 2, "y_scale": 1.0, "x_scale": 1.0,
        "h_scale": 1.0, "w_scale": 1.0,
    }  # fmt: skip
    operator(
        codes.CUSTOM, [boxes, scores, places], found, "TFLite_Detection_PostProcess", bytes(flexbuffers.Dumps(options))
    )
    graph.inputs, graph.outputs, graph.name = [image], found, "main"
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


READERS = {
    reader.name: reader
    for reader in (
        Reader("voc", voc),
        Reader("coco", coco),
        Reader("csv", csv),
        Reader("class-table", class_table),
        Reader("masks", masks),
        Reader("yolo", yolo),
        Reader("yolo-names", yolo_names),
        Reader("photos", photos, room_mb=2048),
        Reader("records", records, room_mb=512),
        Reader("record-contents", record_contents, room_mb=512),
        Reader("dataset", manifest),
        Reader("run", run_files),
        Reader("recipe", recipes),
        Reader("whole-recipe", whole_recipes),
        Reader("tflite", tflite),
        Reader("model", models, room_mb=1024),
        Reader("card", cards),
        Reader("gate", gates),
        Reader("bundle", bundles, room_mb=1024),
        Reader("bundle-manifest", manifests),
        Reader("signature", signatures),
        Reader("station", stations),
        Reader("golden", golden_files),
        Reader("camera-limits", camera_limits),
    )
}
