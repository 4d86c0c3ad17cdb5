"""Golden photos: what the model found when it was released, it must find on this machine too, before the first part.

And what was NG then must be NG by this station's own thresholds and notice: a config must not blind it.

A folder of photos with `golden.json`, which is what `sealpin predict --json` printed of them.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ..config.station import StationConfig
from ..errors import InputError, in_words
from ..files import parse_json, read_text
from ..model.photo import Photo, read_photo
from ..tasks.finding import Edges, Finding
from ..tasks.model import Model
from ..tasks.verdict import UNSURE, Rule, Verdict, counted, judge
from .bundle import check_unpacked

log = logging.getLogger(__name__)

GOLDEN_FILE = "golden.json"
# The same file on another processor: arithmetic differs in the last bits, and int8 rounds them to a step or two
SCORE_TOLERANCE = 0.05
BOX_TOLERANCE = 0.02
SHOWN = 5


@dataclass(frozen=True)
class _Golden:
    """What is expected of a photo."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def proven_model(config: StationConfig) -> tuple[Model, Rule]:
    """The model, loaded, warm, the one that the config names, and right about the golden photos; and its rule.

    Raises InputError when it is not, or when the photos are no longer those that came with it.
    """
    check_unpacked(config.folder)
    model = Model(config.model.file, good=config.model.good)
    if model.sha256 != config.model.sha256:
        raise InputError(
            "this is not the model that the station was given",
            where=f"[model] file = {config.model.file}",
            found=f"SHA-256 {model.sha256}",
            allowed=f"[model] sha256 = {config.model.sha256}",
            advice="unpack the bundle again",
            hint="sealpin-edge unpack BUNDLE DIR",
        )
    rule = model.rule(config.model.threshold, config.model.notice, where="[model] {}")
    if config.model.golden:
        proven = prove_on_golden(model, rule, config.model.golden)
        log.info("%d golden photos are judged as they should be", proven)
    return model, rule


def golden_photos(folder: Path) -> list[Photo]:
    """The photos themselves, uint8 RGB."""
    return [read_photo(folder / Path(name).name) for name in _expected(folder)]


def golden_verdicts(folder: Path) -> Counter[Verdict]:
    """How many of the photos are expected to be OK, and how many NG."""
    return Counter(one.verdict for one in _expected(folder).values())


def _expected(folder: Path) -> dict[str, _Golden]:
    path = folder / GOLDEN_FILE
    try:
        photos = parse_json(read_text(path))["photos"]
        return {
            str(one["photo"]): _Golden(Verdict(one["verdict"]), tuple(map(_finding, one["detections"])))
            for one in photos
        }
    except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise InputError(
            "these golden photos cannot be used",
            where=str(path),
            found=in_words(error),
            allowed="what `sealpin predict MODEL PHOTOS --json` prints, beside the photos",
        ) from None


def prove_on_golden(model: Model, rule: Rule, folder: Path) -> int:
    """Judge the golden photos; returns how many. Boxes may differ by BOX_TOLERANCE of the photo's longer side.

    Raises InputError when the model finds anything else in one of them than it did, one that was NG would be OK by
    this `rule`, or the folder is broken.
    """
    expected = _expected(folder)
    for name, known in expected.items():
        photo = read_photo(folder / Path(name).name)
        found = model.read(photo).findings
        if not _same(found, counted(known.findings, rule), rule, max(photo.shape)):
            raise InputError(
                "the model does not find in a golden photo what it found when it was released",
                where=str(folder / name),
                found=_told(counted(found, rule)),
                allowed=_told(known.findings),
                advice="unpack the bundle again; if it stays so, this machine does not run this model as it should",
            )
        if known.verdict is Verdict.NG and judge(found, rule)[0] is Verdict.OK:
            raise InputError(
                "a golden photo of a bad part would be OK on this station",
                where=f"{folder / name}, by [model] threshold and notice",
                found=f"{_told(found)}; what counts: {rule}",
                allowed="thresholds and notice with which it is NG, as it was when the model was released",
                advice="mend [model] in the station's config, or make the bundle anew with it if it shall be so",
            )
    return len(expected)


def _finding(found: Mapping[str, Any]) -> Finding:
    score = float(found["score"])
    box = None if found["box"] is None else Edges(*map(float, found["box"]))
    if not (0 <= score <= 1 and all(map(isfinite, box or ()))):  # it would be expected of no model
        raise ValueError(f"a finding of score {found['score']} at {found['box']}")
    return Finding(str(found["category"]), score, box)


def _same(found: Sequence[Finding], known: Sequence[Finding], rule: Rule, side: int) -> bool:
    """Whether each known finding is found, and nothing else that counts for certain.

    Beside a defect that has a name, how little the part is sure to be good is left out, as by `counted`.
    """
    left = list(found)
    for one in known:
        near = [
            other
            for other in left
            if other.category == one.category
            and abs(other.score - one.score) <= SCORE_TOLERANCE
            and _same_place(other.box, one.box, BOX_TOLERANCE * side)
        ]
        if not near:
            return False
        left.remove(near[0])
    surely = Rule({name: score + SCORE_TOLERANCE for name, score in rule.thresholds.items()}, rule.notice)
    named = any(one.category != UNSURE for one in known)
    return not any(other in left and not (named and other.category == UNSURE) for other in counted(found, surely))


def _same_place(one: Edges | None, other: Edges | None, tolerance_px: float) -> bool:
    if one is None or other is None:
        return one is other
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= tolerance_px


def _told(findings: Sequence[Finding]) -> str:
    told = [
        f"{one.category} {one.score:.3f}" + (f" at {', '.join(f'{edge:.0f}' for edge in one.box)}" if one.box else "")
        for one in findings[:SHOWN]
    ]
    more = [f"{len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
    return "; ".join(told + more) or "nothing"
