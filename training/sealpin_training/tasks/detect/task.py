"""Detection as the rest of training, evaluation and export knows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sealpin_edge.errors import InputError
from sealpin_edge.tasks.detect import Detect as OnStation
from sealpin_edge.tasks.finding import Edges, Finding

from ...dataset.records import Record
from ..new import NewRecipe
from ..recipe import Problem
from ..task import WarmStart
from .recipe import Recipe, load_recipe


class Detect:
    """Boxes, by an SSD with FPN; see tasks/task.py for what is asked of it."""

    name: ClassVar = "detect"
    whole: ClassVar = False
    input_size: ClassVar = (640, 640)
    wishes: ClassVar = ("size", "batch_size", "backbone")
    headline: ClassVar = ("AP", "AP50", "AP75")
    proof: ClassVar = "AP"
    recipe_file: ClassVar = "recipe.config"
    charts: ClassVar = (
        ("train/cls_loss", "classification loss"),
        ("train/box_loss", "localisation loss"),
        ("train/learning_rate", "learning rate"),
        ("val/AP50", "AP50 on val"),
        ("val/AP", "AP on val"),
        ("train/steps_per_second", "steps per second"),
    )

    categories = staticmethod(OnStation.categories)

    def new_recipe(self, dataset: Path, out: Path, wishes: Mapping[str, Any]) -> NewRecipe:
        """Anchors fitted to the dataset's boxes, steps for the number of photos."""
        from .recipe.new import SIZES, write_new_recipe

        if (size := wishes.get("size")) not in (None, *SIZES):
            raise InputError("there is no such network", where="--size", found=str(size), allowed="320, 640 or 1024")
        return write_new_recipe(dataset, out, **wishes)

    def reads(self, recipe: Path) -> bool:
        """Every pipeline.config, whatever it is called."""
        return recipe.suffix.lower() not in (".yaml", ".yml")

    def load_recipe(self, path: Path) -> Recipe:
        """Read and check a pipeline.config."""
        return load_recipe(path)

    def problems(self, recipe: Recipe, path: Path) -> list[Problem]:
        """See recipe/check.py."""
        from .recipe.check import problems

        return problems(recipe, path)

    def cautions(self, recipe: Recipe) -> list[Problem]:
        """Batch normalisation that will lag."""
        from .recipe.check import slow_norms

        return slow_norms(recipe)

    def find_start(self, named: str, recipe_folder: Path, store: Path) -> Path:
        """A checkpoint, a run, or Keras's weights."""
        from ...start import find_checkpoint

        return find_checkpoint(named, recipe_folder, store)

    def labels(self, record: Record, classes: Sequence[str], good: Sequence[str]) -> tuple[Any, ...]:
        """Boxes and their classes."""
        from .examples import labels

        return labels(record, classes)

    def loop(self, recipe: Recipe, photos: Any, seed: int, first_step: int) -> Any:
        """TF-Vision's RetinaNet task with the recipe's parts."""
        from .loop import DetectLoop

        return DetectLoop(recipe, photos, seed, first_step)

    def warm_start(self, recipe: Recipe, model: Any, start: Path) -> WarmStart:
        """As much of it as fine_tune_checkpoint_type says."""
        from .warmstart import warm_start

        return warm_start(recipe, model, start, recipe.warm_start_scope)

    def network(self, recipe: Recipe, weights: Path) -> Any:
        """In float32."""
        from ...checkpoints import restore
        from ...tf import tf_keras
        from .network.model import build_network

        tf_keras.mixed_precision.set_global_policy("float32")
        model = build_network(recipe)
        restore(model, weights)
        return model

    def predictor(self, recipe: Recipe, model: Any) -> Any:
        """See network.model.detector."""
        from .network.model import detector

        return detector(recipe, model)

    def calibrate(
        self, recipe: Recipe, model: Any, predictor: Any, records: Sequence[Record], classes: Sequence[str]
    ) -> None:
        """Nothing: a box counts from a threshold on, whatever its score says."""

    def findings(
        self, outputs: Sequence[Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """Boxes, scores, classes from 0, and how many of them there are."""
        boxes, scores, labels, count = outputs
        return _findings(boxes[:count], scores, labels, record, classes)

    def score(self, records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: tuple[str, ...]) -> Any:
        """COCO's figures, and what counts of each class."""
        from .score import DetectScore

        return DetectScore(records, found, classes)

    def shortcomings(self, evaluation: Mapping[str, Any]) -> list[str]:
        """Of a network that finds almost nothing, or a class never."""
        from .boxes import shortcomings

        return shortcomings(evaluation)

    def allowed_drop(self, photos: int) -> float:
        """As int8 takes of a network that was trained well, however many photos there are."""
        return 0.01

    def serving(self, recipe: Recipe, model: Any) -> tuple[Any, Mapping[str, Any]]:
        """As the Object Detection API's exported models are."""
        from .graph import serving_module

        return serving_module(recipe, model)

    def served_findings(
        self, outputs: Mapping[str, Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """Classes count from 1 there."""
        count = int(outputs["num_detections"][0])
        boxes, scores, labels = (
            outputs[name][0, :count].numpy() for name in ("detection_boxes", "detection_scores", "detection_classes")
        )
        return _findings(boxes, scores, labels - 1, record, classes)

    def tflite(self, recipe: Recipe, model: Any, *, float_input: bool, least_score: float) -> Any:
        """With TFLite_Detection_PostProcess at the end."""
        from .graph import tflite_module

        return tflite_module(recipe, model, float_input=float_input, least_score=least_score)

    def add_metadata(self, model: bytes, name: str, description: str, labels: Path, threshold: float) -> bytes:
        """As the Task Library's ObjectDetector reads them."""
        from .metadata import add_metadata

        return add_metadata(model, name, description, labels, threshold)

    def outputs_described(self, told: Mapping[str, Any], threshold: float) -> bool:
        """Location, category, score and count, and the score's threshold."""
        from .metadata import described

        return described(told, threshold)


def _findings(boxes: Any, scores: Any, labels: Any, record: Record, classes: Sequence[str]) -> list[Finding]:
    """Boxes [N, 4] are ymin, xmin, ymax, xmax in 0..1 of the photo; of scores and labels, the first N."""
    width, height = record.width, record.height
    return [
        Finding(
            classes[int(label)],
            float(score),
            Edges(float(xmin) * width, float(ymin) * height, float(xmax) * width, float(ymax) * height),
        )
        for (ymin, xmin, ymax, xmax), score, label in zip(boxes, scores, labels, strict=False)
    ]
