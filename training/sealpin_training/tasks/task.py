"""The tasks that a training can be for. What only one of them knows is in its folder beside this file."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from sealpin_edge.errors import InputError
from sealpin_edge.tasks.finding import Finding

from ..dataset.records import Record
from .new import NewRecipe
from .recipe import Problem, Recipe
from .score import Score

R = TypeVar("R", bound=Recipe)

TASKS = {
    "detect": "sealpin_training.tasks.detect.task:Detect",
    "classify": "sealpin_training.tasks.classify.task:Classify",
}
"""By the name that datasets, runs and model cards have for it: where its class is."""


@dataclass(frozen=True)
class WarmStart:
    """What was loaded from where, by names of tensors; the rest of the network is `new`.

    `parts` are what names begin with, and what that part of the network is called.
    """

    source: str
    kind: str
    type: str
    loaded: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    parts: Mapping[str, str]

    def __str__(self) -> str:
        told = f"starting from {self.source} ({self.kind}): loaded {self._counted(self.loaded)}"
        told += f"; new: {self._counted(self.new)}" if self.new else ""
        return told + (f"; not used: {self._counted(self.unused)}" if self.unused else "")

    def _counted(self, names: Sequence[str]) -> str:
        counts = Counter(
            next((told for prefix, told in self.parts.items() if name.startswith(prefix)), "others") for name in names
        )
        return ", ".join(f"{part} ({count} tensors)" for part, count in counts.items()) or "nothing"


class Task(Protocol[R]):
    """What training, evaluation and export ask of a task.

    TensorFlow is loaded by what needs it, not with the task. `R` is the kind of its recipes; a photo is uint8 RGB
    [height, width, 3], photos of the network's size [B, height, width, 3].
    """

    name: ClassVar[str]
    """As TASKS has it."""
    whole: ClassVar[bool]
    """Whether each photo of its datasets has one class as a whole; else there are objects with boxes."""
    input_size: ClassVar[tuple[int, int]]
    """Width and height in pixels that photos are held against where no recipe is told."""
    wishes: ClassVar[Collection[str]]
    """What can be wished of a new recipe, by the options of `recipe new`."""
    headline: ClassVar[Sequence[str]]
    """The figures of Score.metrics that are shown first. The first is the key metric: the higher, the better."""
    proof: ClassVar[str]
    """The figure of Score.metrics of which an exported file may lose little."""
    recipe_file: ClassVar[str]
    """What a recipe is called within a run."""
    charts: ClassVar[Sequence[tuple[str, str]]]
    """Metrics of a training whose curves are drawn, with titles; shares of one whole begin with val/."""

    def categories(self, classes: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
        """What its findings can be called, of these classes, of which some are `good`."""

    def new_recipe(self, dataset: Path, out: Path, wishes: Mapping[str, Any]) -> NewRecipe:
        """Write a recipe for a converted dataset. Raises InputError where it cannot be as it is wished."""

    def reads(self, recipe: Path) -> bool:
        """Whether a recipe's file is one of this task's."""

    def load_recipe(self, path: Path) -> R:
        """Read and check a recipe. Raises InputError, which names the field."""

    def problems(self, recipe: R, path: Path) -> list[Problem]:
        """What will not work as the recipe says."""

    def cautions(self, recipe: R) -> list[Problem]:
        """Those of them that a training tells before it begins."""

    def find_start(self, named: str, recipe_folder: Path, store: Path) -> Path:
        """The weights that a recipe or --start-from names. Raises InputError when they are nowhere."""

    def labels(self, record: Record, classes: Sequence[str], good: Sequence[str]) -> tuple[Any, ...]:
        """What a photo's labels are to the training, as arrays; `good` are the classes of good parts."""

    def loop(self, recipe: R, photos: Any, seed: int, first_step: int) -> Any:
        """What TF-Vision's trainer asks: model, inputs, losses, optimiser. A loop.Loop."""

    def warm_start(self, recipe: R, model: Any, start: Path) -> WarmStart:
        """Load weights into a network that is to be trained."""

    def network(self, recipe: R, weights: Path) -> Any:
        """The recipe's network in float32, with the weights of a run."""

    def predictor(self, recipe: R, model: Any) -> Any:
        """A tf.function from photos of the network's size to its outputs, a list of tensors."""

    def calibrate(
        self, recipe: R, model: Any, predictor: Any, records: Sequence[Record], classes: Sequence[str]
    ) -> None:
        """Make a trained network's scores as honest on val as they can be, before it is judged there."""

    def findings(
        self, outputs: Sequence[Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """What the predictor's outputs for one photo say of it."""

    def score(self, records: Sequence[Record], found: Sequence[Sequence[Finding]], classes: tuple[str, ...]) -> Score:
        """What findings, a sequence for each photo, are worth against the labels."""

    def shortcomings(self, evaluation: Mapping[str, Any]) -> list[str]:
        """What must be said loudly of a network, by its evaluation as it is kept."""

    def allowed_drop(self, photos: int) -> float:
        """How much of `proof` an exported file may lose on so many photos."""

    def serving(self, recipe: R, model: Any) -> tuple[Any, Mapping[str, Any]]:
        """The network as a tf.Module for TensorFlow Serving, and its signatures."""

    def served_findings(
        self, outputs: Mapping[str, Any], record: Record, classes: Sequence[str], good: Sequence[str]
    ) -> list[Finding]:
        """What the default signature's outputs for one photo say of it."""

    def tflite(self, recipe: R, model: Any, *, float_input: bool, least_score: float) -> Any:
        """The network as a tf.Module for the TFLite converter; findings below `least_score` may be left out.

        `function` of it takes one photo of the network's size, uint8, or float32 of 0..255 with `float_input`.
        """

    def add_metadata(self, model: bytes, name: str, description: str, labels: Path, threshold: float) -> bytes:
        """A TFLite file with the metadata that other runtimes read. `labels` is a label file, one a line."""

    def outputs_described(self, told: Mapping[str, Any], threshold: float) -> bool:
        """Whether metadata that were read back, by the outputs' names, say what `add_metadata` wrote."""


@cache
def task_named(name: str) -> Task[Any]:
    """The task of this name. Raises InputError when there is none."""
    if name not in TASKS:
        raise InputError(
            "there is no such task", where=f"task {name}", found="made by a newer sealpin?", allowed=", ".join(TASKS)
        )
    module, _, kind = TASKS[name].partition(":")
    task: Task[Any] = getattr(import_module(module), kind)()
    return task


def load_recipe(path: Path) -> Recipe:
    """Read and check the recipe at `path`, whichever task's it is.

    Raises InputError for a missing part, another model family, or a contradiction; each names the field.
    """
    tasks = [task_named(name) for name in TASKS]
    # The first takes files of any name, and so is asked last
    reading = next((task for task in reversed(tasks) if task.reads(path)), tasks[0])
    recipe: Recipe = reading.load_recipe(path)
    return recipe
