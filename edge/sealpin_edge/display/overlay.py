"""What the operator sees: a full green frame and OK, a full red frame and NG, each defect's box with category and %."""

from collections.abc import Sequence

import numpy as np

from ..model.photo import Photo
from ..tasks.finding import Detection
from ..tasks.verdict import Verdict

COLOURS = {Verdict.OK: (0, 170, 60), Verdict.NG: (220, 20, 30), Verdict.NOT_INSPECTED: (235, 160, 0)}
WHITE = (255, 255, 255)


def draw_overlay(photo: Photo, verdict: Verdict, detections: Sequence[Detection]) -> Photo:
    """A copy of the photo with the verdict's frame and word, and a labelled box for each detection."""
    import cv2

    marked = photo.copy()
    height, width = marked.shape[:2]
    unit = max(1, round(min(height, width) / 250))  # lines and letters grow with the photo
    colour = COLOURS[verdict]
    for found in detections:
        corner, opposite = (round(found.xmin), round(found.ymin)), (round(found.xmax), round(found.ymax))
        cv2.rectangle(marked, corner, opposite, WHITE, 2 * unit)
        cv2.rectangle(marked, corner, opposite, COLOURS[Verdict.NG], unit)
        _tag(marked, f"{found.category} {found.score:.0%}", corner, opposite, unit)
    cv2.rectangle(marked, (0, 0), (width - 1, height - 1), colour, 8 * unit)
    scale = 0.7 * unit
    (word_width, word_height), _ = cv2.getTextSize(verdict.value, cv2.FONT_HERSHEY_DUPLEX, scale, 2 * unit)
    cv2.rectangle(marked, (0, 0), (word_width + 16 * unit, word_height + 16 * unit), colour, cv2.FILLED)
    cv2.putText(
        marked,
        verdict.value,
        (8 * unit, word_height + 8 * unit),
        cv2.FONT_HERSHEY_DUPLEX,
        scale,
        WHITE,
        2 * unit,
        cv2.LINE_AA,
    )
    return np.asarray(marked, dtype=np.uint8)


def _tag(marked: Photo, text: str, corner: tuple[int, int], opposite: tuple[int, int], unit: int) -> None:
    """A box's label above it, or below where there is no room above, always inside the photo."""
    import cv2

    scale = 0.22 * unit
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, unit)
    left = int(np.clip(corner[0], 0, max(0, marked.shape[1] - width - 2 * unit)))
    top = corner[1] - height - 4 * unit
    if top < 0:
        top = opposite[1] + unit
    cv2.rectangle(
        marked, (left, top), (left + width + 2 * unit, top + height + 3 * unit), COLOURS[Verdict.NG], cv2.FILLED
    )
    cv2.putText(
        marked, text, (left + unit, top + height + unit), cv2.FONT_HERSHEY_SIMPLEX, scale, WHITE, unit, cv2.LINE_AA
    )
