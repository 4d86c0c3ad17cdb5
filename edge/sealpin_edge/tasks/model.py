"""A model file on its runtime: a photo in, findings out.

sealpin's own models and other people's run here alike. Input and outputs are bound by what the file tells.
"""

import hashlib
import os
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, NoJudgement, in_words
from ..model.card import CARD_NAME, ModelCard, card_for_foreign, foreign_classes, good_classes, read_card
from ..model.photo import Photo
from ..model.runtime import Runtime, model_refused, read_model
from ..model.tflite_file import TfliteFile, read_tflite
from .finding import Reading
from .task import TASKS, task_of
from .verdict import MOST_DOUBT, UNSURE, Rule, Thresholds, check_rule, named_from, with_thresholds

# What runtime, NumPy and our own look-ups raise on a file whose parts do not fit together
_UNUSABLE = (ValueError, RuntimeError, TypeError, KeyError, OverflowError, MemoryError)


class Model:
    """A loaded model. Not thread-safe: one thread calls `read`.

    `card` tells what it is, `least_score` the score below which it tells nothing, `warm_up_s` how long its first photo
    took.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        labels: Sequence[str] | None = None,
        good: Sequence[str] | None = None,
    ) -> None:
        """Load and warm a model file; `labels` name the classes of a file that does not, and `good` the good ones.

        `threads` is the number of cores unless given, at most 4; a task may need others (Task.threads).

        Raises InputError when it is none that sealpin can run.
        """
        name = str(path)
        data = read_model(path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        file = read_tflite(data, name)
        try:
            self._load(file, data, name, threads or min(4, os.cpu_count() or 1), labels, good)
        except NoJudgement as error:
            raise model_refused(name, f"{error.problem} ({error.found})" if error.found else error.problem) from None
        except _UNUSABLE as error:
            raise model_refused(name, in_words(error)) from None

    def _load(
        self,
        file: TfliteFile,
        data: bytes,
        name: str,
        threads: int,
        labels: Sequence[str] | None,
        good: Sequence[str] | None,
    ) -> None:
        own = read_card(file, name)
        if own and labels:
            raise InputError("this model carries its own labels", where=name, found=", ".join(own.classes))
        kind = task_of(file, own, name)
        self._task = task = TASKS[kind](file, name)
        self.least_score, self.threads = task.least_score, task.threads(threads)
        self._runtime = runtime = Runtime(data, file, name, self.threads, keep_all=task.keep_all)
        height, width = runtime.height, runtime.width
        classes = own.classes if own else foreign_classes(file, labels, task.classes, name)
        good = good_classes(classes, own.good if own else None, good, has_good=task.has_good, name=name)
        categories = task.categories(classes, good)
        self.card: ModelCard = own or card_for_foreign(
            file, kind, classes, good, partial(named_from, categories), height, width, runtime.input_type, name
        )
        if (self.card.input_height, self.card.input_width) != (height, width):
            raise model_refused(name, f"input {[1, height, width, 3]}, and {CARD_NAME} tells another size")
        if len(self.card.classes) != task.classes:
            raise model_refused(name, f"{task.classes} classes, and {CARD_NAME} tells {len(self.card.classes)}")
        if len(set(categories)) < len(categories):
            raise model_refused(name, f"classes {', '.join(classes)}", f"no class that is called {categories[-1]}")
        if set(self.card.thresholds) != set(categories):
            raise model_refused(name, f"thresholds of {', '.join(self.card.thresholds)}", ", ".join(categories))
        if self.card.thresholds.get(UNSURE, 0.0) > MOST_DOUBT:
            found = f"{UNSURE} from {self.card.thresholds[UNSURE]:g}, by which parts are OK that are rather bad"
            raise model_refused(name, found, f"at most {MOST_DOUBT:g}")
        began = time.perf_counter()
        self.read(np.zeros((height, width, 3), np.uint8))
        self.warm_up_s = time.perf_counter() - began

    @property
    def assumes_range(self) -> bool:
        """Whether its photos are given as -1..1 since nothing in the file says how it wants them."""
        return self._runtime.assumes_range

    def rule(
        self, threshold: Thresholds | None = None, notice: Collection[str] | None = None, *, where: str = "{}"
    ) -> Rule:
        """By what its findings are judged: its own thresholds and notice, or what is given in their place.

        Raises InputError when a threshold is none, of no category, or below all that the model tells, or when `notice`
        leaves nothing to reject; `where` is how messages call a setting, with {} for its name.
        """
        thresholds, place = self.card.thresholds, where.format("threshold")
        if threshold is not None:
            thresholds = with_thresholds(thresholds, threshold, place)
            lowest = min(threshold.values(), default=1.0) if isinstance(threshold, Mapping) else threshold
            if lowest < self.least_score:
                raise InputError(
                    "the model tells nothing of so low a score",
                    where=place,
                    found=f"{lowest:g}",
                    allowed=f"{self.least_score:g} to 1",
                )
        rule = Rule(thresholds, frozenset(self.card.notice if notice is None else notice))
        check_rule(rule, where.format("notice"))
        return rule

    def check_boxes(self, where: str) -> None:
        """Raise InputError for a model that gives no boxes; `where` is what was to be done with them."""
        if not self._task.has_boxes:
            raise InputError(
                "this model gives no boxes: what it finds is said of the whole photo",
                where=where,
                found=f"a model to {self.card.task}",
                allowed="a model that gives boxes",
            )

    def read(self, photo: Photo) -> Reading:
        """What it says of a photo [height, width, 3], boxes in the photo's pixels and inside it, surest first.

        Raises NoJudgement when the network gave something that is no number.
        """
        self.invoke(self.prepare(photo))
        return self.interpret(*photo.shape[:2])

    def prepare(self, photo: Photo) -> npt.NDArray[Any]:
        """A photo as the model's input, [1, height, width, 3] of its type."""
        return self._runtime.prepare(photo)

    def invoke(self, pixels: npt.NDArray[Any]) -> None:
        """Run the network on prepared pixels."""
        self._runtime.invoke(pixels)

    def interpret(self, height: int, width: int) -> Reading:
        """What the last run says, for a photo of that many pixels; see `read`."""
        reading = self._task.read(self._runtime.tensor, self.card, height, width)
        return Reading(sorted(reading.findings, key=lambda one: -one.score), reading.heat_map)
