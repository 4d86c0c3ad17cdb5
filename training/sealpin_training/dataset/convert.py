"""A folder of labelled photos into a dataset: checked, split, and written as TFRecord shards.

SRC (photos and labels, anywhere below it)  -->  OUT/{train,val,test}-*.tfrecord
                                                 OUT/label_map.pbtxt, OUT/dataset.json
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealpin_edge.errors import InputError, raise_all
from sealpin_edge.files import new_folder

from ..parallel import workers
from .boxes import renamed
from .labels import LabelledPhoto
from .manifest import Dataset, load_dataset, write_manifest
from .records import write_shards
from .split import SPLITS, same_part, split
from .survey import Rules, Survey, survey


@dataclass(frozen=True)
class Plan:
    """How to convert.

    `merge` folds categories, old to new. `group` is a regular expression on names: photos with the same match are of
    one part. `keep` is an earlier dataset whose photos stay in their splits. `unlabelled_good`: a photo without labels
    shows a good part, else it is left out.
    """

    merge: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    group: str = ""
    keep: Path | None = None
    unlabelled_good: bool = False
    rules: Rules = field(default_factory=Rules)


def convert(src: Path, out: Path, plan: Plan | None = None, *, processes: int | None = None) -> tuple[Dataset, Survey]:
    """Write the dataset of folder `src` to the new folder `out`. The same input and plan give the same bytes.

    Raises InputError that lists every error of the photos and labels, and when no photo has a box, `merge` names a
    category that no box has, or `out` is taken.
    """
    plan = plan or Plan()
    kept = load_dataset(plan.keep).splits if plan.keep else {}
    with new_folder(out) as partial, workers(processes) as pool:
        found = survey(src, plan.rules, pool)
        raise_all([one.as_error(src) for one in found.findings if one.severity == "error"], hint=_hint(src))
        photos = _chosen(found, plan)
        classes = sorted({box.category for photo in photos for box in photo.boxes})
        if not classes:
            raise InputError("no photo has a box", where=str(src), allowed="burrs marked with labelImg on some photos")
        members = _members(found, photos, plan, kept)
        write_shards(partial, src, members, classes, pool)
        settings = {"seed": plan.seed, "merge": dict(plan.merge), "group": plan.group}
        write_manifest(partial, members, classes, settings)
    return load_dataset(out), found


def _hint(src: Path) -> str:
    return f"sealpin dataset check {src}; sealpin dataset fix {src} FIXED repairs what it can in a copy"


def _chosen(found: Survey, plan: Plan) -> list[LabelledPhoto]:
    """The photos to convert, with their categories folded."""
    categories = {box.category for photo in found.photos for box in photo.boxes}
    for old in sorted(set(plan.merge) - categories):
        raise InputError(
            "no box has the category to merge",
            where=f"--merge {old}={plan.merge[old]}",
            found=old,
            allowed=", ".join(sorted(categories)) or "no boxes at all in this folder",
        )
    names = dict(plan.merge)
    return [
        photo._replace(boxes=tuple(renamed(box, names) for box in photo.boxes)) if photo.boxes and names else photo
        for photo in found.photos
        if plan.unlabelled_good or photo.name not in found.unlabelled
    ]


def _members(
    found: Survey, photos: list[LabelledPhoto], plan: Plan, kept: Mapping[str, str]
) -> dict[str, list[LabelledPhoto]]:
    """The photos of each split: as the folders say, as they were, or dealt."""
    at = {photo.name: index for index, photo in enumerate(photos)}
    names = [photo.name for photo in found.photos]
    together = [(at[names[one]], at[names[two]]) for one, two in found.twins if names[one] in at and names[two] in at]
    if plan.group:
        together += same_part(photos, plan.group)
    homes = {photo.name: kept.get(photo.name) or kept.get(photo.sha256, "") for photo in photos}
    if set(found.folder_split.values()) == set(SPLITS):
        homes = dict(found.folder_split)
    homes = {name: home for name, home in homes.items() if home}
    splits = split(photos, plan.seed, together=together, kept=homes)
    return {name: [photo for photo in photos if splits[photo.name] == name] for name in SPLITS}
