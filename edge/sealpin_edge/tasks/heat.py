"""Where a heat map is hot, as boxes: for the eye, and never a part of a verdict."""

import numpy as np

from .finding import Edges, HeatMap

# Of the hottest place: what the field draws boxes around (Zhou et al., CVPR 2016, took a fifth for whole objects)
HOT_SHARE = 0.5


def hot_boxes(heat_map: HeatMap, height: int, width: int, share: float = HOT_SHARE) -> list[Edges]:
    """Boxes around the places of at least this `share` of the hottest, 0..1, the largest first.

    They are in pixels of a photo of `height` and `width`, over which the map is spread.
    """
    import cv2

    spread = cv2.resize(heat_map, (width, height), interpolation=cv2.INTER_LINEAR)
    hot = (spread >= max(share * float(spread.max()), 1e-6)).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    boxes = [(area, Edges(x, y, x + across, y + down)) for x, y, across, down, area in found[1:].tolist()]
    return [box for _, box in sorted(boxes, reverse=True)]
