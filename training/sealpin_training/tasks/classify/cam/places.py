"""What a heat map is worth against labelled boxes."""

from collections.abc import Sequence

import numpy as np

from sealpin_edge.tasks.finding import Edges, HeatMap, overlap

# How far beside a labelled box the hottest place may lie, in pixels of the photo: labels are loose
POINTING_MARGIN = 10.0


def points_at(heat_map: HeatMap, boxes: Sequence[Edges], height: int, width: int) -> bool:
    """The pointing game: whether the middle of the hottest place lies in one of the boxes, or POINTING_MARGIN beside.

    Boxes are in pixels of a photo of `height` and `width`, over which the map [rows, columns] is spread. A map that is
    0 everywhere points at nothing. Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016.
    """
    if not heat_map.max() > 0:
        return False
    row, column = np.unravel_index(int(heat_map.argmax()), heat_map.shape)
    y, x = (row + 0.5) * height / heat_map.shape[0], (column + 0.5) * width / heat_map.shape[1]
    margin = POINTING_MARGIN
    return any(
        box.xmin - margin <= x <= box.xmax + margin and box.ymin - margin <= y <= box.ymax + margin for box in boxes
    )


def best_overlap(hot: Sequence[Edges], boxes: Sequence[Edges]) -> float:
    """The mean over labelled boxes of the intersection over union with the hot box that fits best, 0..1."""
    return float(np.mean([max((overlap(box, one) for one in hot), default=0.0) for box in boxes])) if boxes else 0.0
