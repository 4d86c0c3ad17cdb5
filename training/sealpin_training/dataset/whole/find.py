"""What a folder says of whole photos: by a table, else by folders, else by masks."""

from collections.abc import Mapping
from dataclasses import replace

from ...progress import progress
from ..faults import Fault
from ..files import Files
from ..labels import RawLabels
from .folders import class_folders, outer_class
from .masks import read_mask, take_masks
from .table import take_tables

FORMAT = "whole"
LOOKS_LIKE = "a folder for each class, a CSV with the columns file and class, or masks beside photos"
SHOWN = 5


def find_whole(files: Files, good: str) -> dict[str, list[RawLabels]]:
    """The labels of each photo that has some; tables and masks are taken out of `files`.

    Boxes are those of masks. Where in every folder some photos are marked by masks and some are not, as in DAGM and
    KolektorSDD, folders are products and no classes, and the mask alone tells.
    """
    masks = take_masks(files)
    tables = take_tables(files, good)
    marked = {photo: read_mask(files, masks[photo]) for photo in progress(list(masks), "masks", "mask")}
    # A mask speaks for itself of a photo of which nothing else says what it is
    alone = {photo: [labels] for photo, labels in marked.items() if labels.objects or labels.findings}
    if tables:
        classes = {one.category for given in tables.values() for one in given}
        for photo, given in tables.items():
            if outer := outer_class([given[0].category, *class_folders(photo)], classes):
                told = f"{given[0].category} by {given[0].file}, {outer} by its folder"
                files.findings.append(Fault(photo, "class-differs", told))
        listed = {photo: [_with_boxes(one, marked.get(photo)) for one in given] for photo, given in tables.items()}
        return alone | listed
    above = {photo: class_folders(photo) for photo in files.photos}
    folders = {photo: (found or [""])[0] for photo, found in above.items()}
    names = set(folders.values()) - {""}
    if len(names) < 2:
        return {photo: [labels] for photo, labels in marked.items()}
    if all(_is_product(name, folders, marked) for name in names):
        files.findings.append(Fault(".", "folders-mixed", ", ".join(sorted(names)[:SHOWN])))
        return {photo: [labels] for photo, labels in marked.items()}
    for photo, found in above.items():
        if outer := outer_class(found, names):
            told = f"{found[0]} by its folder, {outer} by one around it"
            files.findings.append(Fault(photo, "class-differs", told))
    return alone | {
        photo: [_with_boxes(RawLabels(f"{photo.rpartition('/')[0]}/", category=folder), marked.get(photo))]
        for photo, folder in folders.items()
        if folder
    }


def _is_product(name: str, folders: Mapping[str, str], marked: Mapping[str, RawLabels]) -> bool:
    """Whether a folder has photos on which something is marked, and photos on which nothing is."""
    of_it = [photo for photo, folder in folders.items() if folder == name]
    return len({photo in marked and bool(marked[photo].objects) for photo in of_it}) == 2


def _with_boxes(labels: RawLabels, mask: RawLabels | None) -> RawLabels:
    """What says the class of a photo, with what its mask marks, called by that class."""
    if mask is None:
        return labels
    objects = [item._replace(name=labels.category or item.name) for item in mask.objects]
    return replace(labels, file=mask.file, objects=objects, size=mask.size, findings=[*labels.findings, *mask.findings])
