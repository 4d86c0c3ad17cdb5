"""A folder of labelled photos into a dataset: checked, split, and written as TFRecord shards.

SRC (photos and labels, anywhere below it)  -->  OUT/{train,val,test}-*.tfrecord
                                                 OUT/label_map.pbtxt, OUT/dataset.json
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealpin_edge.errors import InputError, quote, raise_all
from sealpin_edge.files import new_folder

from ..parallel import workers
from .content import Content
from .labels import LabelledPhoto
from .manifest import Dataset, load_dataset, write_manifest
from .names import check_classes
from .records import write_shards
from .split import SPLITS, Part, same_part, split
from .survey import Rules, Survey, survey
from .whole.check import check_renamed


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

    Raises InputError that lists every error of the survey: what `dataset check` lets pass is not refused here. Also
    when `merge` names a category that no box has, `group` matches no photo, `keep` is no dataset, or `out` is taken.
    """
    plan = plan or Plan()
    kept = load_dataset(plan.keep).splits if plan.keep else {}
    with new_folder(out, src) as partial, workers(processes) as pool:
        found = survey(src, plan.rules, pool, unlabelled_good=plan.unlabelled_good)
        errors = [one.as_error(src) for one in found.findings if one.severity == "error"]
        raise_all(errors, hint=f"sealpin dataset check {quote(src)}{plan.rules.words}")
        categories = _categories(found, plan)
        members = _members(found, categories, plan, kept)
        if plan.rules.whole:
            check_renamed(categories, found.good, "--merge")
        good = tuple(dict.fromkeys(categories.get(name, name) for name in found.good))
        content = Content(found.photos, members, categories, plan.rules.task, plan.rules.whole, good)
        check_sums = write_shards(partial, src, content, pool)
        write_manifest(
            partial, content, check_sums, {"seed": plan.seed, "merge": dict(plan.merge), "group": plan.group}
        )
    return load_dataset(out), found


def _categories(found: Survey, plan: Plan) -> dict[str, str]:
    """What each category is called in the dataset."""
    names = sorted(set(found.named) | _unnamed(found, plan))
    for old in sorted(set(plan.merge) - set(names)):
        raise InputError(
            "no box has the category to merge",
            where=f"--merge {old}={plan.merge[old]}",
            found=old,
            allowed=", ".join(names) or "no boxes at all in this folder",
        )
    merged = {name: plan.merge.get(name, name) for name in names}
    for name, (kind, other) in check_classes(dict.fromkeys(merged.values(), 1)).items():
        meant = {name, other} <= set(plan.rules.classes)
        if kind == "class-spelling" and {name, other} & set(plan.merge.values()) and not meant:
            raise InputError(
                "this would be one class in two spellings",
                where="--merge",
                found=f"{name!r}, beside {other!r}",
                allowed=repr(other),
            )
    return merged


def _unnamed(found: Survey, plan: Plan) -> set[str]:
    """The class of the photos of good parts that name none, if there are any."""
    if not plan.rules.whole:
        return set()
    unnamed = any(not photo.category and _is_taken(photo, found, plan) for photo in found.photos)
    return set(found.good[:1]) if unnamed else set()


def _is_taken(photo: LabelledPhoto, found: Survey, plan: Plan) -> bool:
    """Whether a photo is to be in the dataset."""
    taken_as_good = plan.unlabelled_good and photo.name not in found.unplaced
    return taken_as_good or photo.name not in found.unlabelled


def _check_homes(pairs: Iterable[tuple[str, str]], homes: Mapping[str, str]) -> None:
    """Raise InputError when two photos of one part have places in different splits, which no dealing can mend.

    `pairs` are each part's first photo and every one of its photos.
    """
    at_home: dict[str, str] = {}
    for part, name in pairs:
        before = at_home.setdefault(part, name) if name in homes else name
        if name in homes and homes[name] != homes[before]:
            raise InputError(
                "photos of one part are in different splits, by their folders or by --keep",
                where="--group",
                found=f"{before} in {homes[before]}, {name} in {homes[name]}",
                allowed="each part's photos in one split",
                advice="put them together, in a folder without train, val and test; or leave --group out",
            )


def _members(found: Survey, categories: Mapping[str, str], plan: Plan, kept: Mapping[str, str]) -> dict[str, list[int]]:
    """The positions of each split's photos: as the folders say, as they were, or dealt."""
    parts, positions, homes = [], [], {}
    for position, photo in enumerate(found.photos):
        if _is_taken(photo, found, plan):
            named = {photo.category} if photo.category else {box.category for box in photo.boxes}
            parts.append(Part(photo.name, tuple(sorted({categories[name] for name in named}))))
            positions.append(position)
            if home := kept.get(photo.sha256) or kept.get(photo.name):
                homes[photo.name] = home
    at = {position: index for index, position in enumerate(positions)}
    together = [(at[one], at[two]) for one, two in found.twins if one in at and two in at]
    if set(found.folder_split.values()) == set(SPLITS):
        homes = found.folder_split
    if plan.group:
        pairs = same_part([part.name for part in parts], plan.group)
        _check_homes([(parts[one].name, parts[other].name) for one, other in pairs], homes)
        together += pairs
    splits = split(parts, plan.seed, together=together, kept=homes)
    members: dict[str, list[int]] = {name: [] for name in SPLITS}
    for position, part in zip(positions, parts, strict=True):
        members[splits[part.name]].append(position)
    return members
