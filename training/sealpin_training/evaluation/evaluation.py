"""What an evaluation found: its figures, and what must be said of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealpin_edge.tasks.verdict import Rule

from ..tasks.score import Account, Score
from ..tasks.task import task_named
from .choice import Choice
from .line import Outcome, Share


@dataclass(frozen=True)
class Evaluation:
    """Result on one split. A part is NG in truth when it has a label of a category that rejects.

    `step` is the network's, `weights` tells which of its weights (State.best). An escape is an NG part judged OK, a
    false reject the opposite; both by name. `score` and `account` are the task's own, the second by the rule.
    `by_threshold` and `curve` are outcomes with one threshold for all categories.
    """

    task: str
    split: str
    step: int
    weights: str
    choice: Choice
    score: Score
    rule: Rule
    threshold_chosen: str
    parts: int
    bad_parts: int
    escapes: tuple[str, ...]
    false_rejects: tuple[str, ...]
    by_threshold: tuple[Outcome, ...]
    curve: tuple[Outcome, ...]
    account: Account

    @property
    def metrics(self) -> Mapping[str, float]:
        """The task's own figures."""
        return self.score.metrics

    @property
    def escaped(self) -> Share:
        """Escapes among the bad parts."""
        return Share(len(self.escapes), self.bad_parts)

    @property
    def rejected(self) -> Share:
        """False rejects among the good parts."""
        return Share(len(self.false_rejects), self.parts - self.bad_parts)

    @property
    def line_told(self) -> str:
        """What the parts' verdicts say where parts of one kind are missing, in a sentence."""
        if self.bad_parts:
            return (
                f"All {self.parts} parts are bad, and {len(self.escapes)} escape:"
                " that says little as long as no good part shows what the same thresholds reject."
            )
        return (
            f"All {self.parts} parts are good, and {len(self.false_rejects)} are rejected:"
            " that says little as long as no bad part shows what the same thresholds let escape."
        )

    @property
    def caution(self) -> str:
        """What must be known of the figures, in a sentence; empty on photos that chose nothing."""
        chose = "These photos chose the step and the thresholds, so that they flatter: judge by --split test."
        return chose if self.split == "val" else ""

    @property
    def shortcomings(self) -> list[str]:
        """What must be said loudly of the network; empty when it finds something of everything."""
        return task_named(self.task).shortcomings(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """For JSON, and for later stages."""
        return {
            "task": self.task,
            "split": self.split,
            "step": self.step,
            "weights": self.weights,
            "choice": {
                "escape_cost": self.choice.escape_cost,
                "max_false_rejects": self.choice.max_false_rejects,
            },
            "metrics": dict(self.metrics),
            "thresholds": dict(self.rule.thresholds),
            "notice": sorted(self.rule.notice),
            "threshold_chosen": self.threshold_chosen,
            "parts": self.parts,
            "bad_parts": self.bad_parts,
            "escapes": list(self.escapes),
            "false_rejects": list(self.false_rejects),
            "per_1000": {"escapes": self.escaped.as_dict(), "false_rejects": self.rejected.as_dict()},
            "by_category": {name: dict(values) for name, values in self.score.by_category.items()},
            "by_threshold": [
                {"threshold": threshold, "escapes": escapes.as_dict(), "false_rejects": false_rejects.as_dict()}
                for threshold, escapes, false_rejects in self.by_threshold
            ],
            **self.account.as_dict(),
        }
