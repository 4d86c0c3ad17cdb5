"""Masks beside photos: black pictures that are white, coloured or of a class's number where a defect is.

As DAGM, KolektorSDD, MVTec and others have them:

Class1/Train/0576.PNG          Class1/Train/Label/0576_label.PNG          (DAGM 2007)
kos01/Part0.jpg                kos01/Part0_label.bmp                      (KolektorSDD)
test/crack/000.png             ground_truth/crack/000_mask.png            (MVTec AD)
MT_Blowhole/exp1_num_108889.jpg    MT_Blowhole/exp1_num_108889.png        (magnetic tile)
"""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import read_photo
from sealpin_edge.tasks.finding import Edges

from ..faults import Fault
from ..files import Files
from ..labels import RawLabels, RawObject

SUFFIX = re.compile(r"[-_. ](?:label|labels|mask|masks|gt|ground_?truth|seg)$", re.IGNORECASE)
FOLDERS = re.compile(r"^(?:labels?|masks?|ground_?truth|gt|segmentations?|annotations?)$", re.IGNORECASE)
LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif")
# A mask with so few values beside 0 has numbers of classes, all of which mark; with more, edges are anti-aliased, and
# marked from half of its brightest
NUMBERS = 8
# JPEG leaves nothing of small numbers, and something where nothing was
LEAST_IN_JPEG = 128
# Of a mask's pixels, black or white with what JPEG and anti-aliasing make of them
PLAIN_SHARE, PLAIN = 0.9, 32
# Pixels
LEAST_SIDE = 2
DEFECT = "defect"


def take_masks(files: Files) -> dict[str, str]:
    """Find which of a folder's pictures are masks, of which photo, and take them out of `files.photos`.

    Returns the mask of each photo that has one. A mask without a photo is a finding.
    """
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in files.photos:
        by_stem[_stem(name)].append(name)
    masks: dict[str, str] = {}
    for name in files.photos:
        stem = _stem(name)
        if SUFFIX.search(stem):
            owners = by_stem.get(SUFFIX.sub("", stem), [])
            if not owners and not _below_masks(name) and not _looks_like_mask(files, name):
                continue
        elif _below_masks(name):
            owners = [other for other in by_stem[stem] if not _below_masks(other)]
        else:
            owners = _pair(files, name, by_stem[stem])
            if not owners:
                continue
        masks[name] = _nearest(name, owners)
    found: dict[str, str] = {}
    for mask, photo in masks.items():
        if not photo or photo in masks:
            files.findings.append(Fault(mask, "mask-without-photo", "a mask"))
        elif photo in found:
            files.findings.append(Fault(photo, "labels-several", f"{found[photo]}, {mask}"))
        else:
            found[photo] = mask
    files.photos = [name for name in files.photos if name not in masks]
    return found


def read_mask(files: Files, name: str) -> RawLabels:
    """What a mask marks: a box around each of its places that are not black, called DEFECT.

    One that cannot be read, or does not say plainly what it marks, is a finding.
    """
    import cv2

    labels = RawLabels(name)
    try:
        marked = _marked(files.root / name)
    except InputError as error:
        labels.findings.append(Fault(name, "labels-not-read", error.found or error.problem))
        return labels
    height, width = marked.shape
    labels.size = (width, height)
    _, _, places, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    boxes = [Edges(x, y, x + across, y + down) for x, y, across, down, _ in places[1:].tolist()]
    # A speck is what anti-aliasing or JPEG left, unless there is nothing else: then it says that the part is bad
    large = [box for box in boxes if min(box.xmax - box.xmin, box.ymax - box.ymin) >= LEAST_SIDE]
    if boxes and not large:
        xmin, ymin = min(box.xmin for box in boxes), min(box.ymin for box in boxes)
        xmax, ymax = max(box.xmax for box in boxes), max(box.ymax for box in boxes)
        large = [Edges(xmin - 1, ymin - 1, xmax + 1, ymax + 1)]
    labels.objects += [RawObject(number, DEFECT, box) for number, box in enumerate(large, start=1)]
    return labels


def _marked(path: Path) -> npt.NDArray[np.uint8]:
    """1 where a mask marks a place, else 0, [height, width]. Raises InputError when nobody can tell."""
    import cv2

    read_photo(path)  # which refuses what is damaged, or too large
    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels: npt.NDArray[Any] = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    channels = pixels if pixels.ndim == 3 else pixels[..., None]
    # In 16 bits, a class's number would be lost as a colour; what is transparent marks nothing, whatever colour it has
    values = channels[..., :3].max(axis=2)
    if channels.shape[2] == 4:
        values = values * (channels[..., 3] > 0)
        if not values.any() and channels[..., 3].any() and not channels[..., 3].all():
            raise InputError("this mask is not clear", where=str(path), found="a mask of transparency alone")
    most = values.max(initial=0)
    if path.suffix.lower() not in LOSSLESS:
        if 0 < most < LEAST_IN_JPEG:
            raise InputError("this mask is not clear", where=str(path), found=f"a JPEG whose brightest value is {most}")
        marked = values >= LEAST_IN_JPEG
    elif len(np.unique(values)) <= NUMBERS + 1:
        marked = values > 0
    else:
        marked = values >= most / 2
    return np.asarray(marked, np.uint8)


def _pair(files: Files, name: str, namesakes: Sequence[str]) -> list[str]:
    """The JPEG beside which a lossless picture of the same name is its mask; none when it is no mask."""
    folder, ending = os.path.dirname(name), os.path.splitext(name)[1].lower()
    owners = [other for other in namesakes if other != name and os.path.dirname(other) == folder]
    owners = [other for other in owners if os.path.splitext(other)[1].lower() not in LOSSLESS]
    if ending not in LOSSLESS or len(owners) != 1:
        return []
    return owners if _looks_like_mask(files, name) else []


def _looks_like_mask(files: Files, name: str) -> bool:
    """Whether a picture is grey and nearly all of it black or white."""
    try:
        pixels = read_photo(files.root / name)
    except InputError:
        return False
    grey = pixels.max(axis=2)
    plain = (grey < PLAIN) | (grey > 255 - PLAIN)
    return bool(plain.mean() >= PLAIN_SHARE and (grey - pixels.min(axis=2)).max() < PLAIN)


def _below_masks(name: str) -> bool:
    return any(FOLDERS.match(part) for part in name.split("/")[:-1])


def _stem(name: str) -> str:
    return os.path.splitext(name.rpartition("/")[2])[0].casefold()


def _nearest(mask: str, owners: Sequence[str]) -> str:
    """The photo in the most of the mask's own folders, such as the class's; "" when there is none, or several."""
    folders = set(mask.split("/")[:-1])
    ranked = sorted((-len(folders & set(other.split("/")[:-1])), len(other.split("/")), other) for other in owners)
    if not ranked or (len(ranked) > 1 and ranked[0][:2] == ranked[1][:2]):
        return ""
    return ranked[0][2]
