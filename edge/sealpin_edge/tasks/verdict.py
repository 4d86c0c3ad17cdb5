"""OK, NG or NOT INSPECTED. There is no fourth, and no default."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite

from ..errors import InputError
from .finding import Finding

Thresholds = float | Mapping[str, float]
"""What a user may give: one score for all categories, or some by their name; the others keep their own."""
UNSURE = "unsure"
"""What a part is called by a task that is not sure that it is good; its score is how little."""
MOST_DOUBT = 0.5
"""The highest threshold of doubt that is chosen for anybody: above it, a part would be OK that is rather bad."""
# Not 0: a part without any box would be bad by the number and good by the rule
ALLOWED_THRESHOLD = "a score above 0, at most 1"


class Verdict(Enum):
    """What the station says of a part."""

    OK = "OK"
    NG = "NG"
    NOT_INSPECTED = "NOT INSPECTED"


@dataclass(frozen=True)
class Rule:
    """By what a part is judged: the score in 0..1 from which each category counts, and those that do not reject."""

    thresholds: Mapping[str, float]
    notice: Set[str] = frozenset()

    def as_dict(self) -> dict[str, object]:
        """For JSON: `thresholds` by category, and `notice`."""
        return {
            "thresholds": {name: round(score, 4) for name, score in self.thresholds.items()},
            "notice": sorted(self.notice),
        }

    def __str__(self) -> str:
        told = ", ".join(
            f"{name} from {percent(score)}{' (shown only)' if name in self.notice else ''}"
            for name, score in self.thresholds.items()
        )
        return told or "nothing"


@dataclass(frozen=True)
class Inference:
    """A finished run of the model on one photo: all its findings, and the hash of the model that has them.

    `exposed_at` is when the photo's exposure began, in monotonic seconds.
    """

    exposed_at: float
    findings: Sequence[Finding]
    model_sha256: str


def departures(rule: Rule, own: Rule) -> list[str]:
    """How a rule lets more pass than a model's `own` would, in words; empty when it does not."""
    raised = [
        f"{name} counts from {percent(rule.thresholds[name])}"
        for name, score in own.thresholds.items()
        if rule.thresholds[name] > score
    ]
    told = [f"{', '.join(raised)}, above the model's own score"] if raised else []
    shown_only = sorted(rule.notice - own.notice)
    return [*told, f"{', '.join(shown_only)} never rejects"] if shown_only else told


def percent(score: float) -> str:
    """A score in 0..1 in words; a small one with two of its digits, for 0 % is no threshold."""
    return f"{score:.0%}" if score >= 0.1 else f"{100 * score:.2g}%"


def is_threshold(score: float) -> bool:
    """Whether a score may be a threshold: ALLOWED_THRESHOLD."""
    return 0 < score <= 1


def with_thresholds(own: Mapping[str, float], given: Thresholds, where: str) -> dict[str, float]:
    """A model's `own` thresholds with those that a user gave in their place.

    Of doubt, one score for all means no more than MOST_DOUBT. Raises InputError for a category that there is not, or a
    number that is no threshold, as above MOST_DOUBT none is of doubt; `where` is how messages call the place of it.
    """
    by_name = given if isinstance(given, Mapping) else dict.fromkeys(own, given)
    if not isinstance(given, Mapping) and UNSURE in own and is_threshold(given):
        by_name = {**by_name, UNSURE: min(given, MOST_DOUBT)}
    for name, score in by_name.items():
        if name not in own:
            raise InputError("the model knows no such category", where=where, found=name, allowed=", ".join(own))
        if not is_threshold(score):
            raise InputError("this is no threshold", where=where, found=f"{score:g}", allowed=ALLOWED_THRESHOLD)
        if name == UNSURE and score > MOST_DOUBT:
            raise InputError(
                "with this a part would be OK that is rather bad than good",
                where=where,
                found=f"{UNSURE} from {percent(score)}",
                allowed=f"a score above 0, at most {MOST_DOUBT:g}",
            )
    return {**own, **by_name}


def named_from(categories: Sequence[str], score: float) -> dict[str, float]:
    """Thresholds where a class is named from `score` on: doubt counts from what that leaves, or from MOST_DOUBT."""
    doubt = min(max(1 - score, 0.0001), MOST_DOUBT)
    return {name: doubt if name == UNSURE else score for name in categories}


def check_rule(rule: Rule, where: str) -> None:
    """Raise InputError for a rule that makes every part good, or names a category that there is not.

    `where` is how messages call the place of `notice`.
    """
    categories = ", ".join(rule.thresholds)
    for name in sorted(rule.notice - set(rule.thresholds)):
        raise InputError("the model knows no such category", where=where, found=name, allowed=categories)
    if UNSURE in rule.notice:
        raise InputError(
            "with this parts pass of which nobody knows whether they are good",
            where=where,
            found=UNSURE,
            allowed=", ".join(name for name in rule.thresholds if name != UNSURE),
        )
    if rule.notice >= set(rule.thresholds) - {UNSURE}:
        raise InputError(
            "with this no part would ever be rejected",
            where=where,
            found=", ".join(sorted(rule.notice)),
            allowed=f"not all of {categories}",
        )


def weighed(findings: Sequence[Finding], notice: Set[str]) -> Sequence[Finding]:
    """The findings, and of doubt only as much as no category that is shown alone explains."""
    if not notice or not any(one.category == UNSURE for one in findings):
        return findings
    known = sum(one.score for one in findings if one.category in notice)
    return [replace(one, score=max(one.score - known, 0.0)) if one.category == UNSURE else one for one in findings]


def counted(findings: Sequence[Finding], rule: Rule) -> tuple[Finding, ...]:
    """The findings that count: those with a score of at least their category's threshold.

    Where one that rejects has a name, doubt has nothing to add.
    """
    pairs = zip(findings, weighed(findings, rule.notice), strict=True)
    found = [one for one, weight in pairs if weight.score >= rule.thresholds[one.category]]
    if any(one.category != UNSURE and one.category not in rule.notice for one in found):
        return tuple(one for one in found if one.category != UNSURE)
    return tuple(found)


def judge(findings: Sequence[Finding], rule: Rule) -> tuple[Verdict, tuple[Finding, ...]]:
    """What findings mean for their part, and those that count: the one rule, from evaluation to PLC.

    NG when any that counts is of a category that rejects; NOT INSPECTED when a score is no number, else OK.
    """
    found = counted(findings, rule)
    if any(one.category not in rule.notice for one in found):
        return Verdict.NG, found
    if not all(isfinite(one.score) for one in findings):
        return Verdict.NOT_INSPECTED, found
    return Verdict.OK, found


def decide(
    inference: Inference, rule: Rule, *, triggered_at: float, expected_sha256: str
) -> tuple[Verdict, tuple[Finding, ...]]:
    """: `judge`, of a photo and a model that may be judged by.

    That is a frame exposed after the trigger (both in monotonic seconds), a finished inference, and the model that the
    station was given; anything else is NOT INSPECTED.
    """
    verdict, found = judge(inference.findings, rule)
    if inference.exposed_at < triggered_at or inference.model_sha256 != expected_sha256:
        return Verdict.NOT_INSPECTED, found
    return verdict, found
