"""Classification as the rest of training, evaluation and export knows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sealpin_edge.tasks.classify import Classify as OnStation
from sealpin_edge.tasks.classify import reading
from sealpin_edge.tasks.finding import Finding

from ...dataset.records import Record
from ..new import NewRecipe
from ..recipe import Problem
from ..task import WarmStart
from .recipe import Recipe, load_recipe


class Classify:
    """Whole photos, by TF-Vision's classification model; see tasks/task.py for what is asked of it."""

    name: ClassVar = "classify"
    whole: ClassVar = True
    input_size: ClassVar = (224, 224)
    wishes: ClassVar = ("size", "batch_size", "model", "aug", "frozen", "start_from")
    headline: ClassVar = ("likelihood", "accuracy", "balanced_accuracy", "auroc")
    proof: ClassVar = "accuracy"
    recipe_file: ClassVar = "recipe.yaml"
    charts: ClassVar = (
        ("train/total_loss", "loss"),
        ("train/accuracy", "accuracy of training batches"),
        ("train/learning_rate", "learning rate"),
        ("val/accuracy", "accuracy on val"),
        ("val/likelihood", "likelihood on val"),
        ("train/steps_per_second", "steps per second"),
    )

    categories = staticmethod(OnStation.categories)

    def new_recipe(self, dataset: Path, out: Path, wishes: Mapping[str, Any]) -> NewRecipe:
        """A network and an amount of augmentation by name, steps for the number of photos."""
        from .recipe.new import write_new_recipe

        return write_new_recipe(dataset, out, **wishes)

    def reads(self, recipe: Path) -> bool:
        """Every YAML file."""
        return recipe.suffix.lower() in (".yaml", ".yml")

    def load_recipe(self, path: Path) -> Recipe:
        """Read and check an experiment."""
        return load_recipe(path)

    def problems(self, recipe: Recipe, path: Path) -> list[Problem]:
        """What training cannot follow, and weights that are nowhere."""
        from .recipe.check import problems

        return problems(recipe, path)

    def cautions(self, recipe: Recipe) -> list[Problem]:
        """None."""
        return []

    def find_start(self, named: str, recipe_folder: Path, store: Path) -> Path:
        """A checkpoint, a run, or Keras's weights."""
        from ...start import find_checkpoint

        return find_checkpoint(named, recipe_folder, store)

    def labels(self, record: Record, classes: Sequence[str], good: Sequence[str]) -> tuple[Any, ...]:
        """Its class by number, and its boxes."""
        from .examples import labels

        return labels(record, classes, good)

    def loop(self, recipe: Recipe, photos: Any, seed: int, first_step: int) -> Any:
        """TF-Vision's classification task with the recipe's parts."""
        from .loop import ClassifyLoop

        return ClassifyLoop(recipe, photos, seed, first_step)

    def warm_start(self, recipe: Recipe, model: Any, start: Path) -> WarmStart:
        """As much of it as init_checkpoint_modules says."""
        from .network.weights import warm_start

        return warm_start(recipe, model, start)

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
        """See network.model.classifier."""
        from .network.model import classifier

        return classifier(recipe, model)

    def calibrate(
        self, recipe: Recipe, model: Any, predictor: Any, records: Sequence[Record], classes: Sequence[str]
    ) -> None:
        """See network.calibrated.calibrate."""
        from .network.calibrated import calibrate

        calibrate(recipe, model, predictor, records, classes)

    def findings(
        self, outputs: Sequence[Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """Every class that is not good, and doubt; as the station reads them."""
        return list(reading(outputs[0], classes, good))

    def score(self, records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: tuple[str, ...]) -> Any:
        """How often right, how well ranked, how honest."""
        from .score import ClassifyScore

        return ClassifyScore(records, found, classes)

    def shortcomings(self, evaluation: Mapping[str, Any]) -> list[str]:
        """Of a network that does not tell bad from good, or never names a class."""
        metrics, split = evaluation["metrics"], evaluation["split"]
        said = []
        if 0 <= metrics.get("auroc", -1) < 0.75:
            said.append(f"this network hardly tells bad parts from good ones: AUROC {metrics['auroc']:.3f} on {split}")
        never = [name for name, row in evaluation.get("by_category", {}).items() if row["photos"] and not row["recall"]]
        if never:
            said.append(f"never recognised on {split}: {', '.join(never)}")
        return said

    def allowed_drop(self, photos: int) -> float:
        """One in 200, or a single photo."""
        return max(0.005, 1 / photos)

    def serving(self, recipe: Recipe, model: Any) -> tuple[Any, Mapping[str, Any]]:
        """Probabilities and maps."""
        from .graph import serving_module

        return serving_module(recipe, model)

    def served_findings(
        self, outputs: Mapping[str, Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """Of the one photo."""
        return list(reading(outputs["probabilities"][0].numpy(), classes, good))

    def tflite(self, recipe: Recipe, model: Any, *, float_input: bool, least_score: float) -> Any:
        """Probabilities of all classes, whatever the least score, and the map."""
        from .graph import tflite_module

        return tflite_module(recipe, model, float_input=float_input)

    def add_metadata(self, model: bytes, name: str, description: str, labels: Path, threshold: float) -> bytes:
        """As the Task Library's ImageClassifier reads them."""
        from .metadata import add_metadata

        return add_metadata(model, name, description, labels)

    def outputs_described(self, told: Mapping[str, Any], threshold: float) -> bool:
        """Scores and the map."""
        from .metadata import described

        return described(told)
