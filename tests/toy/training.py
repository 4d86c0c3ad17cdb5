"""The toy task in training: the mean colour of a photo, and one unit."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import stretch
from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import Rule
from sealpin_training.dataset.records import Record
from sealpin_training.tasks.new import NewRecipe, check_free
from sealpin_training.tasks.recipe import HONOURED, Problem, Setting, Words
from sealpin_training.tasks.task import WarmStart

from .station import Redness, reading

SIDE = 32


@dataclass(frozen=True)
class ToyRecipe:
    name: str
    steps: int
    batch: int
    rate: float

    task: ClassVar = "redness"
    words: ClassVar = Words("-", "batch", "steps", "-", "-", "-")
    network, precision, start_from = "one unit", "float32", ""
    height = width = SIDE
    num_classes, use_xla, own_average, balanced_sampling, differences = 2, False, False, False, ()

    @property
    def batch_size(self) -> int:
        return self.batch

    @property
    def num_steps(self) -> int:
        return self.steps

    @property
    def highest_learning_rate(self) -> float:
        return self.rate

    @property
    def schedule_told(self) -> Mapping[str, Any]:
        return {"rate": self.rate}

    def renews_norms(self, step: int) -> bool:
        return False

    def settings(self) -> Iterator[Setting]:
        for name in ("steps", "batch", "rate"):
            yield Setting(name, getattr(self, name), str(getattr(self, name)), False, HONOURED, "")

    def text(self) -> bytes:
        return json.dumps({"steps": self.steps, "batch": self.batch, "rate": self.rate}).encode()

    def with_steps(self, steps: int) -> "ToyRecipe":
        return replace(self, steps=steps)

    def with_batch_size(self, photos: int) -> "ToyRecipe":
        return replace(self, batch=photos)

    def with_learning_rate(self, highest: float) -> "ToyRecipe":
        return replace(self, rate=highest)

    def starting_with_all(self) -> "ToyRecipe":
        return self


class ToyExamples:
    def __init__(self) -> None:
        from sealpin_training.tf import tf

        self._tf, self.types = tf, (tf.float32, tf.float32)

    def make(self, photo: Any, *labels: Any, draw: Callable[[int], np.random.Generator]) -> Sequence[Any]:
        return stretch(photo, SIDE, SIDE).astype(np.float32), labels[0]

    def finish(self, *arrays: Any) -> Any:
        return self._tf.ensure_shape(arrays[0], [SIDE, SIDE, 3]), self._tf.ensure_shape(arrays[1], [])


def make_loop(recipe: ToyRecipe, photos: Any, seed: int, first_step: int) -> Any:
    from official.core import base_task
    from official.core import config_definitions as cfg

    from sealpin_training.loop import Loop
    from sealpin_training.tf import tf, tf_keras

    class ToyLoop(Loop, base_task.Task):  # type: ignore[misc]
        def build_model(self) -> Any:
            return build_network()

        def create_optimizer(self, *_: Any, **__: Any) -> Any:
            return tf_keras.optimizers.legacy.Adam(recipe.rate)

        def build_losses(self, labels: Any, model_outputs: Any, aux_losses: Any = None) -> Any:
            told = tf.nn.sigmoid_cross_entropy_with_logits(labels[:, None], model_outputs)
            loss = tf.reduce_mean(told)
            self.watch(loss)
            return loss

    return ToyLoop(recipe, cfg.TaskConfig(), ToyExamples(), photos, seed, first_step)


def build_network() -> Any:
    from sealpin_training.tf import tf_keras

    photo = tf_keras.Input([SIDE, SIDE, 3])
    mean = tf_keras.layers.GlobalAveragePooling2D()(tf_keras.layers.Rescaling(1 / 255)(photo))
    return tf_keras.Model(photo, tf_keras.layers.Dense(1)(mean))


@dataclass(frozen=True)
class ToyScore:
    scores: Any
    bad: Any
    names: tuple[str, ...]
    title: ClassVar = "redness"
    best_told: ClassVar = "accuracy"

    @property
    def metrics(self) -> dict[str, float]:
        return {"rightness": float(((self.scores >= 0.5) == self.bad).mean())}

    @property
    def best_thresholds(self) -> dict[str, float]:
        return dict.fromkeys(self.names, 0.5)

    @property
    def by_category(self) -> dict[str, dict[str, float]]:
        return {name: self.metrics for name in self.names}

    lines: ClassVar[list[str]] = []

    def resampled(self, times: Any) -> float:
        return float(np.average((self.scores >= 0.5) == self.bad, weights=times))

    def account(self, rule: Rule) -> "ToyAccount":
        return ToyAccount()


class ToyAccount:
    told, lines = "tells red", ()

    def answer(self) -> dict[str, Any]:
        return {}

    as_dict = answer

    def figures(self) -> list[str]:
        return []

    def pictures(self, records: Sequence[Record]) -> list[str]:
        return []


class RednessTask:
    name, whole, input_size, wishes = "redness", True, (SIDE, SIDE), ("batch_size",)
    headline, proof, recipe_file = ("rightness",), "rightness", "recipe.json"
    charts: ClassVar = (("train/total_loss", "loss"), ("val/rightness", "rightness"))
    categories = staticmethod(Redness.categories)

    def new_recipe(self, dataset: Path, out: Path, wishes: Mapping[str, Any]) -> NewRecipe:
        check_free(out, dataset)
        recipe = ToyRecipe(out.stem, 60, wishes.get("batch_size", 8), 0.1)
        out.write_bytes(recipe.text())
        return NewRecipe(2, recipe.steps)

    def reads(self, recipe: Path) -> bool:
        return recipe.suffix == ".json"

    def load_recipe(self, path: Path) -> ToyRecipe:
        try:
            return ToyRecipe(path.stem, **json.loads(path.read_text()))
        except (ValueError, TypeError, OSError) as error:
            raise InputError("no recipe", where=str(path), found=str(error)) from None

    def problems(self, recipe: ToyRecipe, path: Path) -> list[Problem]:
        return []

    def cautions(self, recipe: ToyRecipe) -> list[Problem]:
        return []

    def find_start(self, named: str, recipe_folder: Path, store: Path) -> Path:
        raise InputError("nothing to start from", where=named)

    def labels(self, record: Record, classes: Sequence[str], good: Sequence[str]) -> tuple[Any, ...]:
        return (np.float32(record.category not in good),)

    def loop(self, recipe: ToyRecipe, photos: Any, seed: int, first_step: int) -> Any:
        return make_loop(recipe, photos, seed, first_step)

    def warm_start(self, recipe: ToyRecipe, model: Any, start: Path) -> WarmStart:
        raise InputError("nothing to start from", where=str(start))

    def network(self, recipe: ToyRecipe, weights: Path) -> Any:
        from sealpin_training.checkpoints import restore

        model = build_network()
        restore(model, weights)
        return model

    def predictor(self, recipe: ToyRecipe, model: Any) -> Any:
        from sealpin_training.tf import tf

        return lambda photos: [tf.sigmoid(model(tf.cast(photos, tf.float32)))]

    def calibrate(self, recipe: ToyRecipe, *_: Any) -> None:
        """Nothing."""

    def findings(
        self, outputs: Sequence[Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        return reading(float(outputs[0][0]), classes, good)

    def score(
        self, records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: tuple[str, ...]
    ) -> ToyScore:
        scores = np.array([max(one.score for one in ones) for ones in found])
        names = tuple(dict.fromkeys(one.category for ones in found for one in ones))
        return ToyScore(scores, np.array([bool(record.defects) for record in records]), names)

    def shortcomings(self, evaluation: Mapping[str, Any]) -> list[str]:
        return []

    def allowed_drop(self, photos: int) -> float:
        return 0.1

    def serving(self, recipe: ToyRecipe, model: Any) -> tuple[Any, Mapping[str, Any]]:
        from sealpin_training.serving import with_decoders
        from sealpin_training.tf import tf

        def redness(photos: Any) -> dict[str, Any]:
            return {"redness": tf.sigmoid(model(tf.cast(photos, tf.float32)))}

        return with_decoders(model, redness, SIDE, SIDE)

    def served_findings(
        self, outputs: Mapping[str, Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        return reading(float(outputs["redness"][0, 0]), classes, good)

    def tflite(self, recipe: ToyRecipe, model: Any, *, float_input: bool, least_score: float) -> Any:
        from sealpin_training.tf import tf

        kind = tf.float32 if float_input else tf.uint8

        @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], kind, name="images")], autograph=False)
        def redness(images: Any) -> dict[str, Any]:
            return {"redness": tf.sigmoid(model(tf.cast(images, tf.float32)))}

        module = tf.Module()
        module.weights, module.function = model.variables, redness
        return module

    def add_metadata(self, model: bytes, name: str, description: str, labels: Path, threshold: float) -> bytes:
        from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
        from tensorflow_lite_support.metadata.python.metadata_writers import (
            metadata_info,
            metadata_writer,
            writer_utils,
        )

        photo = metadata_info.InputImageTensorMd(
            name="image", norm_mean=[0.0], norm_std=[1.0], color_space_type=schema.ColorSpaceType.RGB,
            tensor_type=writer_utils.get_input_tensor_types(bytearray(model))[0],
        )  # fmt: skip
        general = metadata_info.GeneralMd(name=name, description=description)
        writer = metadata_writer.MetadataWriter.create_from_metadata_info(
            bytearray(model), general, [photo], [metadata_info.TensorMd(name="redness")], [str(labels)]
        )
        return bytes(writer.populate())

    def outputs_described(self, told: Mapping[str, Any], threshold: float) -> bool:
        return set(told) == {"redness"}
