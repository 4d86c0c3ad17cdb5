"""Judge a run on a split: its field's figures for the data scientist, parts OK and NG against truth for the factory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError
from sealpin_edge.tasks.finding import Finding
from sealpin_edge.tasks.verdict import judge

from ..dataset.records import Record, RecordFile, without_photos
from ..run import Run, State, write_json
from ..tasks.task import task_named
from .choice import AS_CHOSEN, Choice, choose_rule, kept_rule
from .evaluation import Evaluation
from .line import STEPS, bad_parts, curve, escapes_and_rejects, outcomes
from .predict import predict_photos, trained_predictor
from .report import write_report
from .threshold import part_scores


def evaluate(
    run: Run,
    split: str,
    choice: Choice = AS_CHOSEN,
    report: Path | None = None,
    predictor: Any = None,
    anew: bool = False,
) -> Evaluation:
    """Run the best network (`predictor`, if it is loaded already) over a split and judge what it finds.

    val chooses the rule, thresholds and notice, that every other split and the export take; of a choice that is none of
    val's, nothing is kept. `report` is an HTML file to write. `anew` passes over a last evaluation that is damaged.
    Raises InputError when it is and must not be, the split is empty, the dataset has changed, the run has no
    checkpoint, or another split than val is to choose thresholds.
    """
    if split != "val" and (choice.escape_cost is not None or choice.max_false_rejects is not None):
        raise InputError(
            "thresholds are chosen on val only: on the others they would fit themselves to what they are tested with",
            where=f"--split {split}",
            advice=f"choose them on val, then judge {split} without",
            hint=f"sealpin evaluate {run.words} --split val",
        )
    choice.check(run.categories)
    if split == "val":  # what is not there, or damaged, is told before long work
        run.last_evaluation("val", anew=anew)
    else:
        kept_rule(run)
    records, found = found_on(run, split, predictor)
    evaluation = judge_photos(run, split, without_photos(records), found, choice, anew)
    if report:
        write_report(run, evaluation, records, report)
    return evaluation


def found_on(run: Run, split: str, predictor: Any = None) -> tuple[RecordFile, list[list[Finding]]]:
    """A split's photos, and what a run's best network finds on each.

    Raises InputError when the split is empty, the dataset has changed, or the run has no checkpoint.
    """
    dataset = run.load_dataset()
    if not dataset.counts[split]:
        raise InputError(f"the {split} split is empty", where=str(dataset.folder), allowed="a split with photos")
    records = RecordFile(dataset.folder, split, dataset.classes)
    predictor = predictor or trained_predictor(run)
    return records, predict_photos(task_named(run.task), run.recipe(), predictor, records, run.classes, run.good)


def judge_photos(
    run: Run,
    split: str,
    records: Sequence[Record],
    found: Sequence[Sequence[Finding]],
    choice: Choice = AS_CHOSEN,
    anew: bool = False,
) -> Evaluation:
    """What findings on a split's photos are worth; also written into the run, unless it is a what-if (`Choice`).

    On val it goes on from what was chosen last; `anew` passes over that where it is damaged.
    """
    if split == "val":
        choice = choice.after(run.last_evaluation("val", anew=anew))
    score = task_named(run.task).score(records, found, run.classes)
    rule, chosen = choose_rule(run, split, choice, score, records, found)
    bad = bad_parts(records, rule.notice)
    escapes, false_rejects = escapes_and_rejects([judge(photo, rule)[0] for photo in found], bad)
    scores = part_scores(found, run.categories, rule.notice)
    state = State.load(run)
    evaluation = Evaluation(
        run.task,
        split,
        state.best_step,
        state.best,
        choice,
        score,
        rule,
        chosen,
        len(records),
        sum(bad),
        tuple(records[place].name for place in escapes),
        tuple(records[place].name for place in false_rejects),
        tuple(outcomes(scores, bad, STEPS)),
        tuple(curve(scores, bad)),
        score.account(rule),
    )
    if choice.kept(split):  # a what-if must not become what export and the other splits take
        content = {**evaluation.as_dict(), **run.identity()}
        write_json(run.folder / f"evaluation_{split}.json", content, sealed=True)
    return evaluation
