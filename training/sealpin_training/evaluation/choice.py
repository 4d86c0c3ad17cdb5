"""The rule by which a split's parts are judged: chosen on val, kept there, and taken by other splits and the export."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sealpin_edge.errors import InputError, in_words
from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import (
    MOST_DOUBT,
    UNSURE,
    Rule,
    Thresholds,
    check_rule,
    percent,
    with_thresholds,
)

from ..dataset.records import Record
from ..run import Run
from ..tasks.score import Score
from .line import bad_parts
from .threshold import ESCAPE_COST, LEAST, part_scores, threshold_for_false_rejects, thresholds_by_class, to_threshold

# Where nothing on val says better: what the Object Detection API's own programs show boxes from
UNKNOWN = 0.5


@dataclass(frozen=True)
class Choice:
    """What a user says of the rule; None for what is to stay as it was chosen last.

    Thresholds are given, or chosen on val by what an escape costs, or by how many of 1,000 good parts may be rejected.
    `notice` are the categories that a station only shows.
    """

    threshold: Thresholds | None = None
    escape_cost: float | None = None
    max_false_rejects: float | None = None
    notice: frozenset[str] | None = None

    def check(self, classes: Sequence[str]) -> None:
        """Raise InputError for a category that there is not, a score that is no threshold, or nothing to reject."""
        own = dict.fromkeys(classes, UNKNOWN)
        if self.threshold is not None:
            with_thresholds(own, self.threshold, "--threshold")
        check_rule(Rule(own, self.notice or frozenset()), "--notice")

    def kept(self, split: str) -> bool:
        """Whether what comes of it is the run's own; else it answers "what if"."""
        return self.threshold is None and (split == "val" or self.notice is None)

    def after(self, last: dict[str, Any]) -> "Choice":
        """This choice on val, and where it leaves something open that of the `last` evaluation there, as JSON."""
        weighed, said = (self.escape_cost, self.max_false_rejects), last.get("choice", {})
        if weighed == (None, None):
            weighed = said.get("escape_cost"), said.get("max_false_rejects")
        notice = frozenset(last.get("notice", ())) if self.notice is None else self.notice
        return Choice(self.threshold, *weighed, notice)


AS_CHOSEN = Choice()


def kept_rule(run: Run) -> tuple[Rule, str]:
    """The rule that was chosen on val, and how, in words.

    Raises InputError when the run's best network was not evaluated there, or what was kept is no rule.
    """
    said = run.evaluation("val")
    try:
        # An evaluation of an earlier sealpin has one threshold for all, which could be 0, and no notice
        given = said.get("thresholds") or dict.fromkeys(run.categories, max(LEAST, float(said["threshold"])))
        thresholds = {name: float(given[name]) for name in run.categories}
        chosen = str(said["threshold_chosen"])
        rule = Rule(with_thresholds(thresholds, thresholds, "thresholds"), frozenset(said.get("notice", ())))
        check_rule(rule, "notice")
    except (KeyError, TypeError, ValueError, OverflowError, InputError) as error:
        raise InputError(
            "what an evaluation on val has chosen cannot be used",
            where=str(run.folder / "evaluation_val.json"),
            found=in_words(error),
            hint=f'sealpin evaluate {run.words} --split val --notice ""',  # which may be what is wrong
        ) from None
    return rule, chosen


def choose_rule(
    run: Run,
    split: str,
    choice: Choice,
    score: Score,
    records: Sequence[Record],
    found: Sequence[Sequence[Finding]],
) -> tuple[Rule, str]:
    """The rule for a split, and how it came about, in words. On val, `choice` is complete (`Choice.after`).

    Raises InputError for a choice that the photos do not allow, and when another split's rule is to be taken from val
    and the best network was not evaluated there.
    """
    own, how = _chosen(run, choice, score, records, found) if split == "val" else (kept_rule(run)[0], "on val")
    notice = own.notice if choice.notice is None else choice.notice
    if choice.threshold is None:
        return Rule(own.thresholds, notice), how
    return Rule(with_thresholds(own.thresholds, choice.threshold, "--threshold"), notice), "given"


def _chosen(
    run: Run, choice: Choice, score: Score, records: Sequence[Record], found: Sequence[Sequence[Finding]]
) -> tuple[Rule, str]:
    """What val says: for classes that reject by what the parts' verdicts cost, for the others by the task's own."""
    notice = choice.notice or frozenset()
    bad = bad_parts(records, notice)
    of_its_own = {name: to_threshold(best) for name, best in score.best_thresholds.items()}
    if len(set(bad)) == 1:
        kind = "good" if bad[0] else "bad"
        if choice.escape_cost is not None or choice.max_false_rejects is not None:
            raise InputError(
                f"a threshold cannot be weighed without {kind} parts",
                where=f"{run.dataset}: val",
                advice=f"add photos of {kind} parts, or give it: --threshold",
            )
        common = sum(of_its_own.values()) / len(of_its_own) if of_its_own else UNKNOWN
        thresholds = {name: of_its_own.get(name, to_threshold(common)) for name in run.categories}
        return Rule(thresholds, notice), f"{score.best_told} on val, which has no {kind} parts"
    scores = part_scores(found, run.categories, notice)
    if choice.max_false_rejects is not None:
        common = threshold_for_false_rejects(scores.max(axis=1), bad, choice.max_false_rejects)
        thresholds = dict.fromkeys(run.categories, common)
        how = f"at most {choice.max_false_rejects:g} false rejects per 1,000 good parts on val"
    else:
        cost = ESCAPE_COST if choice.escape_cost is None else choice.escape_cost
        # Of a class that val does not show, only its false alarms are known: they must not raise its threshold
        labelled = {name for record in records for name in record.defects}
        movable = {place for place, name in enumerate(run.categories) if name in labelled - notice}
        thresholds = dict(zip(run.categories, map(float, thresholds_by_class(scores, bad, movable, cost)), strict=True))
        how = f"least cost on val, an escape counted as {cost:g} false rejects"
    thresholds |= {name: of_its_own[name] for name in notice & set(of_its_own)}
    if thresholds.get(UNSURE, 0.0) > MOST_DOUBT:
        # However few that costs on val: what is rather bad than good is never OK
        thresholds[UNSURE] = MOST_DOUBT
        how += f"; {UNSURE} from {percent(MOST_DOUBT)}, where that would allow more"
    return Rule(thresholds, notice), how
