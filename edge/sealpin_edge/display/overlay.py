"""What the operator sees: a full green frame and OK, a full red frame and NG, each defect with category and %."""

from collections.abc import Sequence

import numpy as np

from ..model.photo import Photo
from ..tasks.finding import Finding, HeatMap
from ..tasks.heat import hot_boxes
from ..tasks.verdict import Verdict

COLOURS = {Verdict.OK: (0, 170, 60), Verdict.NG: (220, 20, 30), Verdict.NOT_INSPECTED: (235, 160, 0)}
WHITE = (255, 255, 255)
TAG_SCALE = 0.22
HEAT_SHARE = 0.5  # of a pixel, where the map is 1


def draw_overlay(photo: Photo, verdict: Verdict, findings: Sequence[Finding], heat_map: HeatMap | None = None) -> Photo:
    """A copy of the photo with the verdict's frame and word, and the findings.

    A finding's outline is drawn, else its box; one of the whole photo stands below the verdict. The heat map lies over
    the photo, and where something was found, its hot places have boxes.
    """
    import cv2

    marked = photo.copy() if heat_map is None else heated(photo, heat_map)
    height, width = marked.shape[:2]
    unit = max(1, round(min(height, width) / 250))  # lines and letters grow with the photo
    scale = 0.7 * unit
    (word_width, word_height), _ = cv2.getTextSize(verdict.value, cv2.FONT_HERSHEY_DUPLEX, scale, 2 * unit)
    below = word_height + 16 * unit
    for found in findings:
        text = f"{found.category} {found.score:.0%}"
        if found.box is None:
            below = _tag(marked, text, 4 * unit, below + 2 * unit, unit)
            continue
        xmin, ymin, xmax, ymax = map(round, found.box)
        corners = np.round(found.outline or ((xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax))).astype(np.int32)
        cv2.polylines(marked, [corners], True, WHITE, 2 * unit)
        cv2.polylines(marked, [corners], True, COLOURS[Verdict.NG], unit)
        above = ymin - _tag_size(text, unit)[1] - unit
        _tag(marked, text, xmin, above if above >= 0 else ymax + unit, unit)
    for box in hot_boxes(heat_map, height, width) if heat_map is not None and findings else ():
        xmin, ymin, xmax, ymax = map(round, box)
        cv2.rectangle(marked, (xmin, ymin), (xmax - 1, ymax - 1), WHITE, unit)
    colour = COLOURS[verdict]
    cv2.rectangle(marked, (0, 0), (width - 1, height - 1), colour, 8 * unit)
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


def heated(photo: Photo, heat_map: HeatMap) -> Photo:
    """The photo with the map over it: red where it is 1, and the photo as it is where it is 0."""
    import cv2

    height, width = photo.shape[:2]
    share = HEAT_SHARE * cv2.resize(heat_map, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.asarray(photo * (1 - share) + np.array(COLOURS[Verdict.NG], np.float32) * share, np.uint8)


def _tag(marked: Photo, text: str, left: int, top: int, unit: int) -> int:
    """A text on the colour of a bad part, always inside the photo; returns where it ends below, in pixels."""
    import cv2

    width, height = _tag_size(text, unit)
    left = int(np.clip(left, 0, max(0, marked.shape[1] - width)))
    cv2.rectangle(marked, (left, top), (left + width, top + height), COLOURS[Verdict.NG], cv2.FILLED)
    place = left + unit, top + height - 2 * unit
    cv2.putText(marked, text, place, cv2.FONT_HERSHEY_SIMPLEX, TAG_SCALE * unit, WHITE, unit, cv2.LINE_AA)
    return top + height


def _tag_size(text: str, unit: int) -> tuple[int, int]:
    """A tag's width and height in pixels."""
    import cv2

    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, TAG_SCALE * unit, unit)
    return width + 2 * unit, height + 3 * unit
