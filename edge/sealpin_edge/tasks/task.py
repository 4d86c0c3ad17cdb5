"""The tasks that a model can be for: how a file's outputs become findings."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from ..model.card import ModelCard
from ..model.runtime import Tensor, model_refused
from ..model.tflite_file import TfliteFile
from .classify import Classify
from .detect import Detect
from .finding import Reading


class Task(Protocol):
    """One kind of model, bound to one file. A task is one file beside this one, and a line in TASKS.

    No doubt ends as OK: a task gives a finding for every part that it is not sure is good.
    """

    takes: ClassVar[str]
    """What kind of file it reads, in words."""
    operators: ClassVar[frozenset[str]]
    """The operators that are no built-ins of TensorFlow Lite and that its files may have."""
    has_boxes: ClassVar[bool]
    """Whether each finding has a box; else the whole photo is meant."""
    has_good: ClassVar[bool]
    """Whether a part is good by a class of its own; else by nothing being found."""
    classes: int
    """How many classes the file's outputs tell."""
    least_score: float
    """The score in 0..1 below which the file tells no finding."""
    keep_all: bool
    """Whether `read` looks at tensors that later operators write over, unless each has memory of its own."""

    def __init__(self, file: TfliteFile, name: str) -> None:
        """Bind a file's outputs; `name` stands in messages. Raises InputError when they are not this task's."""

    @classmethod
    def fits(cls, file: TfliteFile) -> bool:
        """Whether a file that does not tell its task, as others' do not, is of this one."""

    @staticmethod
    def categories(classes: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
        """What its findings can be called, of a model with these classes, of which some are `good`."""

    @property
    def roles(self) -> Mapping[int, str]:
        """What each of the tensors that are read is, by its index."""

    def threads(self, wanted: int) -> int:
        """With how many threads the file runs right where so many are wanted."""

    def read(self, tensor: Tensor, card: ModelCard, height: int, width: int) -> Reading:
        """What the last run says of a photo of `height` and `width` pixels, of the model that the card is of.

        Raises NoJudgement when the network gave something that is no number, or a class that there is not.
        """


TASKS: dict[str, type[Task]] = {"detect": Detect, "classify": Classify}
"""By the name that sealpin.json has for it."""


def task_of(file: TfliteFile, card: ModelCard | None, name: str) -> str:
    """The name of a file's task, by its card, else by what the file looks like; `name` stands in messages.

    Raises InputError when it is of none.
    """
    if len(file.inputs) != 1:
        found = f"{len(file.inputs)} inputs (a recurrent model's states?)"
        raise model_refused(name, found, "one photo as the only input")
    known = {one for task in TASKS.values() for one in task.operators}
    if unknown := [one for one in file.custom_operators if one not in known]:
        found = "custom operators " + ", ".join(unknown)
        raise model_refused(name, found, f"built-in operators and {', '.join(sorted(known))}")
    if card:
        if card.task not in TASKS:
            raise model_refused(name, f"task {card.task}: made by a newer sealpin?", ", ".join(TASKS))
        return card.task
    fitting = next((kind for kind, task in TASKS.items() if task.fits(file)), None)
    if fitting is None:
        raise model_refused(name, "outputs of no task", " or ".join(task.takes for task in TASKS.values()))
    return fitting
