"""A model's proposals for the next labelling round: XML that labelImg opens, marked as looked at by nobody."""

from dataclasses import dataclass
from pathlib import Path

from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import write_whole
from sealpin_edge.model.photo import read_photo
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Thresholds, counted

from ..progress import progress
from .boxes import clip
from .files import PHOTO_ENDINGS, find_files, match
from .formats import FORMATS, voc
from .labels import Box


@dataclass(frozen=True)
class Proposals:
    """What was written: XML files, and boxes in them; how many photos had labels, and which cannot be read."""

    photos: int
    boxes: int
    labelled: int
    unreadable: tuple[str, ...]


def prelabel(photos: Path, model_file: Path, threshold: Thresholds | None = None) -> Proposals:
    """Write an XML proposal beside each photo below `photos` that has none; labels that are there stay as they are.

    `threshold` is the least score, of all categories or by name; the model's own unless given. A proposal counts as
    unlabelled until a person saves it in labelImg. Raises InputError when there are no photos, or the model cannot be
    used.
    """
    model = Model(model_file)
    model.check_boxes(str(model_file))
    files = find_files(photos)
    if not files.photos:
        raise InputError("no photos here", where=str(photos), allowed="photos that end in " + ", ".join(PHOTO_ENDINGS))
    for name, module in FORMATS.items():
        if name != "voc" and (other := module.find(files)) and other.of_photo:
            raise InputError(
                "these photos have labels of another format",
                where=str(photos),
                found=name,
                allowed="labelImg's XML, or no labels",
                advice="write them as XML first",
                hint=f"sealpin dataset fix {quote(photos)} FIXED",
            )
    matched, _ = match(files.labels.get(".xml", ()), files.photos)
    rule = model.rule(threshold, where="--{}")
    written, boxes, unreadable = 0, 0, []
    for photo in progress([photo for photo in files.photos if photo not in matched], "prelabel", "photo"):
        path = photos / photo
        if path.with_suffix(".xml").exists():  # written a moment ago, for a photo of the same name
            continue
        try:
            pixels = read_photo(path)
        except InputError:
            unreadable.append(photo)
            continue
        height, width = pixels.shape[:2]
        found = [
            Box(one.category, *edges)
            for one in counted(model.read(pixels).findings, rule)
            # What lies at the edge only is no box to draw
            if (edges := clip(one.edges, width, height)).xmax > edges.xmin and edges.ymax > edges.ymin
        ]
        boxes += len(found)
        write_whole(path.with_suffix(".xml"), voc.encode(path.name, width, height, found, proposed=True))
        written += 1
    return Proposals(written, boxes, len(files.photos) - written - len(unreadable), tuple(unreadable))
