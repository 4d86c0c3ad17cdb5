"""What all of training asks of a recipe, whatever its task and its file's format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

HONOURED, IDLE, FIXED = "honoured", "idle", "fixed"


@dataclass(frozen=True)
class Difference:
    """A field that training cannot follow, and what happens instead."""

    field: str
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.field} = {self.found}: {self.instead}"


@dataclass(frozen=True)
class Problem:
    """A field, what it says, what is wrong with that, and what to do: in words, and as the next command.

    `treatment` is what becomes of the field, "" when it is honoured all the same.
    """

    field: str
    found: str
    problem: str
    treatment: str = ""
    advice: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [f"{self.field} = {self.found}: {self.problem}"]
        lines += [f"  {label}: {text}" for label, text in (("advice", self.advice), ("next", self.hint)) if text]
        return "\n".join(lines)


@dataclass(frozen=True)
class Setting:
    """One value of a recipe, `shown` as its file writes it. `kind` is HONOURED, IDLE (no effect) or FIXED.

    Of one that is fixed, training does `effect` instead. `allowed` is what the value may be, when it may not be this
    one: a recipe with such a value is refused.
    """

    field: str
    value: Any
    shown: str
    default: bool
    kind: str
    effect: str
    allowed: str = ""


@dataclass(frozen=True)
class Words:
    """How a recipe's file calls what messages speak of."""

    classes: str
    batch_size: str
    steps: str
    start_from: str
    half_precision: str
    clipping: str


class Recipe(Protocol):
    """A recipe that can be trained, read and checked by its task. Sizes are pixels."""

    words: ClassVar[Words]

    @property
    def task(self) -> str:
        """Its task's name."""

    @property
    def name(self) -> str:
        """Its file's name, without an ending."""

    @property
    def network(self) -> str:
        """Its network in a few words."""

    @property
    def height(self) -> int:
        """Of the network's input."""

    @property
    def width(self) -> int:
        """Of the network's input."""

    @property
    def num_classes(self) -> int:
        """How many classes the network knows."""

    @property
    def batch_size(self) -> int:
        """Photos a step."""

    @property
    def num_steps(self) -> int:
        """How long it trains."""

    @property
    def precision(self) -> str:
        """Of Keras's policies: float32, mixed_bfloat16 or mixed_float16."""

    @property
    def use_xla(self) -> bool:
        """Whether XLA compiles the steps."""

    @property
    def start_from(self) -> str:
        """The weights to begin with, as the file names them; "" for none."""

    @property
    def own_average(self) -> bool:
        """Whether its optimiser keeps a moving average of the weights, which then is the network."""

    @property
    def balanced_sampling(self) -> bool:
        """Whether batches have as many photos of each class as of the others."""

    @property
    def highest_learning_rate(self) -> float:
        """The highest rate of its schedule."""

    @property
    def schedule_told(self) -> Mapping[str, Any]:
        """The learning rate's schedule, for whoever compares runs."""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where training does something else than the recipe says."""

    def renews_norms(self, step: int) -> bool:
        """Whether batch normalisation is estimated anew when the network is judged after `step` steps."""

    def settings(self) -> Iterator[Setting]:
        """Every value, defaults filled in."""

    def text(self) -> bytes:
        """Its file, with all that was overridden."""

    def with_steps(self, steps: int) -> Self:
        """The same recipe squeezed into `steps` steps: its schedule keeps its shape, and ends with them."""

    def with_batch_size(self, photos: int) -> Self:
        """The same recipe with batches of so many photos."""

    def with_learning_rate(self, highest: float) -> Self:
        """The same recipe with every rate of its schedule scaled, so that the highest is this one."""

    def starting_with_all(self) -> Self:
        """The same recipe, which loads all of a checkpoint to start from, the predictor too."""


def differing(a: Recipe, b: Recipe) -> list[tuple[str, str, str]]:
    """Fields in which two recipes differ: name, value in `a`, value in `b`; "-" where one has no such field."""
    first, second = ({one.field: one.shown for one in recipe.settings()} for recipe in (a, b))
    fields = [*first, *(field for field in second if field not in first)]
    return [
        (field, first.get(field, "-"), second.get(field, "-"))
        for field in fields
        if first.get(field) != second.get(field)
    ]


def shipped_recipes() -> Path:
    """pipelines/ of a checkout, or the copy that an installed sealpin carries."""
    package = Path(__file__).parents[1]
    return next(folder for folder in (package / "pipelines", package.parents[1] / "pipelines") if folder.is_dir())
