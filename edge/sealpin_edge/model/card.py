"""sealpin.json: what a model file tells about itself beyond the standard metadata, and what stands in for it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from ..errors import InputError
from ..files import parse_json
from .tflite_file import TfliteFile

CARD_NAME = "sealpin.json"
CARD_FORMAT = 1
# Taken for a model of someone else's that tells none: what the Object Detection API's own programs show boxes from
DEFAULT_THRESHOLD = 0.5
# Of a thousand classes
SHOWN = 12
# What label files call a place that no class has; the first one is often the background's, which no operator counts
PLACEHOLDERS = ("???", "", "background", "__background__")


@dataclass(frozen=True)
class ModelCard:
    """sealpin.json. `thresholds` are scores in 0..1; sizes are pixels; `resize` is "stretch": photo.py.

    `good` are the classes of good parts, where they have one. `thresholds` has what a finding can be called: every
    other class, and `unsure` where the task can be. `notice` are those that are shown and do not reject. A card of an
    earlier sealpin has neither good nor notice.
    """

    format: int
    task: str
    classes: tuple[str, ...]
    input_height: int
    input_width: int
    colour: str
    resize: str
    interpolation: str
    thresholds: Mapping[str, float]
    threshold_chosen: str
    run: str
    run_id: str
    dataset_digest: str
    metrics: Mapping[str, float]
    quantisation: str
    sealpin_version: str
    notice: tuple[str, ...] = ()
    good: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What a finding or a good part can be called: the classes in their order, and then what is none."""
        return (*self.classes, *(name for name in self.thresholds if name not in self.classes))


def read_card(file: TfliteFile, name: str) -> ModelCard | None:
    """The card in a model file, or None; `name` stands in messages. Raises InputError for a broken one."""
    if CARD_NAME not in file.files:
        return None

    def refuse(found: str) -> InputError:
        return InputError(
            f"the {CARD_NAME} in this model cannot be used",
            where=name,
            found=found,
            advice="copy the model again, or export it anew",
            hint="sealpin export RUN --out DIR",
        )

    try:
        content: dict[str, Any] = parse_json(file.files[CARD_NAME])
    except ValueError as error:
        raise refuse(str(error)) from None
    names = {item.name for item in fields(ModelCard)}
    needed = {item.name for item in fields(ModelCard) if item.default is MISSING}
    if not isinstance(content, dict):
        raise refuse(f"a {type(content).__name__} where the card should be")
    if not needed <= set(content):
        raise refuse("it lacks " + ", ".join(sorted(needed - set(content))))
    names &= set(content)
    if strange := sorted(name for name in names if type(content[name]) is not _KINDS.get(name, str)):
        raise refuse(f"{strange[0]} = {str(content[strange[0]])[:60]}")
    lists = {key: tuple(content[key]) for key in names if _KINDS.get(key) is list}
    card = ModelCard(**{**{key: content[key] for key in names}, **lists})
    made = (card.format, card.colour, card.resize, card.interpolation)
    if made != (CARD_FORMAT, "RGB", "stretch", "bilinear_tf1"):
        raise refuse("format {}, {}, {}, {}: made by a newer sealpin?".format(*made))
    if not card.classes or not all(isinstance(one, str) and one for one in card.classes):
        raise refuse(f"classes {card.classes}")
    if len(set(card.classes)) < len(card.classes) or not set(card.thresholds) >= set(card.classes) - set(card.good):
        raise refuse("its thresholds are not those of its classes")
    if not set(card.good) < set(card.classes) or set(card.good) & set(card.thresholds):
        raise refuse(f"good {list(card.good)}, of classes {list(card.classes)}")
    if not all(map(_is_score, card.thresholds.values())):
        raise refuse(f"thresholds {dict(card.thresholds)}, which are no scores from 0 to 1")
    if not all(name in card.thresholds for name in card.notice) or len(set(card.notice)) == len(card.thresholds):
        raise refuse(f"notice {list(card.notice)}, of classes {list(card.classes)}")
    return card


# What JSON has for each field that is no text
_KINDS = {
    "format": int,
    "input_height": int,
    "input_width": int,
    "classes": list,
    "thresholds": dict,
    "metrics": dict,
    "notice": list,
    "good": list,
}


def _is_score(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def card_for_foreign(
    file: TfliteFile,
    task: str,
    classes: tuple[str, ...],
    good: tuple[str, ...],
    thresholds: Callable[[float], Mapping[str, float]],
    height: int,
    width: int,
    input_type: str,
    name: str,
) -> ModelCard:
    """A card for a model of someone else's; `thresholds` are the task's, for the score from which a class is named.

    Raises InputError when its metadata tell a threshold that is none.
    """
    said = [one.score_threshold for one in file.output_metadata if one.score_threshold is not None]
    if not all(map(_is_score, said)):
        raise InputError("this model's metadata give no usable threshold", where=name, found=f"{said[0]}, not 0 to 1")
    return ModelCard(
        format=CARD_FORMAT,
        task=task,
        classes=classes,
        input_height=height,
        input_width=width,
        colour="RGB",
        resize="stretch",
        interpolation="bilinear_tf1",
        thresholds=dict(thresholds(said[0] if said else DEFAULT_THRESHOLD)),
        threshold_chosen="by the model's metadata" if said else "the model tells none",
        run="",
        run_id="",
        dataset_digest="",
        metrics={},
        quantisation=f"input {input_type}",
        sealpin_version="",
        good=good,
    )


def foreign_classes(file: TfliteFile, labels: Sequence[str] | None, count: int, name: str) -> tuple[str, ...]:
    """What the `count` classes of a model of someone else's are called: by `labels`, else by its metadata.

    Raises InputError when it is known nowhere, or told wrongly; `name` stands in messages.
    """
    given = labels or file.labels() or ()
    classes = tuple(_classes(given, count))
    if len(set(classes)) != count or len(classes) != count:
        raise InputError(
            "it is not known what this model's classes are called",
            where=name,
            found="a label twice" if len(given) == count else f"{len(given)} labels for {count} classes",
            allowed="a text file with one label a line, in the order of the classes",
            advice="name that file: --labels FILE",
        )
    return classes


def good_classes(
    classes: Sequence[str], own: Sequence[str] | None, given: Sequence[str] | None, *, has_good: bool, name: str
) -> tuple[str, ...]:
    """Which of a model's classes are good: its `own`, or of a model that tells none the `given`.

    Raises InputError when that is known nowhere, told twice and differently, or leaves nothing that is bad; `has_good`
    is the task's.
    """

    def refuse(problem: str, found: str, allowed: str, advice: str) -> InputError:
        return InputError(problem, where=name, found=found, allowed=allowed, advice=advice)

    named, told = tuple(dict.fromkeys(given or ())), ", ".join(given or ())
    if own is not None and (given is None or set(own) == set(named)):
        return tuple(own)
    if not has_good:
        if not named:
            return ()
        raise refuse(
            "this model has no class of good parts", told, "nothing", "leave `good` out: good is where nothing is found"
        )
    if own is not None:
        raise refuse(
            "the model's good classes are others",
            f"good {told or 'none'}",
            f"good {', '.join(own) or 'none'}",
            "leave `good` out, or export the model anew from a dataset with these good classes",
        )
    if not named or not set(named) < set(classes):
        raise refuse(
            "it is not known which of this model's classes are good",
            f"good {told or 'none'}",
            f"one or more of {', '.join(classes[:SHOWN])}{', ...' if len(classes) > SHOWN else ''}, and not all",
            "name each: --good CLASS, on a station good = [...] in [model]",
        )
    return named


def _classes(labels: Sequence[str], count: int) -> list[str]:
    """A label for each class, without the background's place; other places that no class has are told apart."""
    named = list(labels)
    while named and not named[-1].strip():
        named.pop()
    if len(named) == count + 1 and named[0].strip().lower() in PLACEHOLDERS:
        named = named[1:]
    repeated = Counter(named)
    return [
        f"class {index}" if label in PLACEHOLDERS and (not label or repeated[label] > 1) else label
        for index, label in enumerate(named)
    ]
