"""A repaired copy of a folder, and a list of everything that was changed. The source is never touched.

A photo that labels told of any object on is no good part in the copy: where none is left, its labels are a proposal
without boxes, which counts as unlabelled until a person has saved it.
"""

import csv
import os
import re
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from math import isfinite
from pathlib import Path, PurePosixPath

from sealpin_edge.errors import InputError
from sealpin_edge.files import new_folder
from sealpin_edge.tasks.finding import Edges

from ..parallel import workers
from ..progress import progress_bar
from .boxes import check_boxes, clip
from .duplicates import Groups
from .faults import KINDS, Fault
from .formats import voc
from .labels import LabelledPhoto, RawLabels, RawObject
from .names import same_for_the_eye
from .photos import PhotoFacts, inspect_photo, open_picture
from .source import Entry, Source
from .survey import Rules, Survey, survey
from .whole.check import check_renamed
from .whole.folders import class_folders

CHUNK = 32
REDRAWN = {"photo-format", "photo-animated", "photo-cmyk", "photo-16-bit", "photo-alpha", "photo-rotated"}
Told = Callable[[Fault, str], None]
SAME_ASPECT = 0.01
# What no folder's name has, and how long one may be with room for a number
_NO_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")
MOST_BYTES = 200
JPEG_QUALITY = 95
LEFT_OUT = {kind for kind, row in KINDS.items() if row.fix.startswith("leave")} | {"file-unreadable"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise in the copy: the file and object of the source, the fault, what was done."""

    file: str
    object: int | None
    kind: str
    found: str
    change: str


@dataclass(frozen=True)
class Orders:
    """What the whole folder decides for its photos.

    Their names in the copy, which to leave out and why, which are no good parts though nothing is found on them, and
    what classes are called. `whole`: photos have a class each, and lie in folders of that name.
    """

    names: Mapping[str, str]
    left_out: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unplaced: frozenset[str] = frozenset()
    classes: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def fix(
    src: Path,
    out: Path,
    *,
    rename: Mapping[str, str] | None = None,
    rules: Rules | None = None,
    processes: int | None = None,
) -> tuple[int, list[Change]]:
    """Write a repaired copy of `src`, labels as labelImg XML, to the new folder `out`, and `changes.csv` into it.

    Where photos have a class as a whole, they lie in a folder of its name instead, and boxes and masks are left behind.

    `rename` gives classes other names. Returns the number of photos in the copy and the changes. Raises InputError when
    `rename` names a class that no object has.
    """
    changes: list[Change] = []
    kept = 0
    with new_folder(out, src) as partial_out, workers(processes) as pool:
        found = survey(src, rules or Rules(), pool)
        for old in sorted(set(rename or {}) - set(found.named)):
            raise InputError(
                "no object has this class",
                where=f"--rename {old}={(rename or {})[old]}",
                found=old,
                allowed=", ".join(sorted(found.named)),
            )
        orders = _orders(found, rename or {}, whole=bool(rules and rules.whole))
        changes += [
            Change(one.file, one.number, one.kind, one.found, "left out")
            for one in found.source.findings
            if KINDS[one.kind].fix.startswith("drop")
        ]
        entries = found.source.entries
        with progress_bar(len(entries), "fix", "photo") as bar:
            for seen, written, more in pool.map(
                partial(_repair, found.source.opened(), orders, partial_out), entries, CHUNK
            ):
                kept += written
                changes += more
                bar.update(seen)
        with open(partial_out / "changes.csv", "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            table = csv.writer(file)
            table.writerow(("file", "object", "fault", "found", "change"))
            table.writerows((one.file, one.object or "", one.kind, one.found, one.change) for one in changes)
    return kept, changes


def _orders(found: Survey, rename: Mapping[str, str], *, whole: bool) -> Orders:
    left_out: dict[str, tuple[str, str]] = {}
    for one in found.findings:
        if one.kind in ("photo-duplicate", "photo-good-and-bad", "good-marked", "class-differs"):
            left_out[one.file] = (one.kind, one.found)
    left_out |= _one_split_each(found)
    classes = {name: rename.get(instead, instead) for name, (_, instead) in found.wrong.items() if instead} | dict(
        rename
    )
    if whole and rename:
        right_names = {found.wrong.get(name, ("", ""))[1] or name for name in found.named} | set(found.good)
        check_renamed({name: rename.get(name, name) for name in right_names}, found.good, "--rename")
    folders = _folders(classes.get(name, name) for name in (*found.named, *found.good)) if whole else {}
    names: dict[str, str] = {}
    taken: set[str] = set()
    for photo in found.photos:
        stem, ending = os.path.splitext(photo.name)
        if whole:
            folder = _class_folder(found, photo, classes, folders)
            if not folder:
                left_out.setdefault(photo.name, ("photo-unlabelled", "no class"))
            stem = f"{folder}/{PurePosixPath(stem).name}"
        right = {"jpeg": (".jpg", ".jpeg", ".jpe", ".jfif")}.get(photo.encoding, (".png",))
        stem = unicodedata.normalize("NFC", stem.encode(errors="replace").decode())
        name = wanted = stem + (ending if ending.lower() in right else right[0])
        number = 1
        while os.path.splitext(name)[0] in taken:  # a label file is found by its photo's name without ending
            number += 1
            name = f"{os.path.splitext(wanted)[0]}_{number}{os.path.splitext(wanted)[1]}"
        taken.add(os.path.splitext(name)[0])
        names[photo.name] = name
    return Orders(names, left_out, frozenset(found.unplaced), classes, whole)


def _folders(classes: Iterable[str]) -> dict[str, str]:
    """The folder of each class in the copy. Raises InputError where two would have one, or one none."""
    folders: dict[str, str] = {}
    for name in classes:
        plain = _NO_NAME.sub("_", name).lstrip(".")
        folders[name] = plain.encode(errors="replace")[:MOST_BYTES].decode(errors="ignore").strip()
    # As the copy will be read: a folder that says no class, and one that is taken for another's in another spelling
    wrong = [name for name, folder in folders.items() if not class_folders(f"{folder}/a.jpg")]
    for one, other in combinations(folders, 2):
        wrong += [one, other] if same_for_the_eye(folders[one], folders[other]) else []
    if wrong:
        raise InputError(
            "these classes cannot be told apart as names of folders",
            where="--rename",
            found=", ".join(map(repr, wrong))[:200],
            allowed=f"names of up to {MOST_BYTES} bytes, none as folders of no class have, such as train or images",
            advice="give them others: --rename OLD=NEW",
        )
    return folders


def _class_folder(found: Survey, photo: LabelledPhoto, classes: Mapping[str, str], folders: Mapping[str, str]) -> str:
    """The folder of a photo in the copy, by its split and its class as a whole; "" for one without."""
    good = next(iter(found.good), "") if photo.name not in found.unlabelled | found.unplaced else ""
    category = photo.category or good
    name = folders.get(classes.get(category, category), "")
    split = found.folder_split.get(photo.name, "")
    return f"{split}/{name}" if split and name else name


def _one_split_each(found: Survey) -> dict[str, tuple[str, str]]:
    """The photos to leave out so that no shot is in two splits.

    It stays where it has boxes, else where it is labelled, and rather in test.
    """
    if not found.folder_split:
        return {}
    groups = Groups(len(found.photos))
    for one, other in found.twins:
        groups.join(one, other)
    shots: dict[int, list[str]] = defaultdict(list)
    for position in {position for pair in found.twins for position in pair}:
        shots[groups.of(position)].append(found.photos[position].name)
    left_out = {}
    with_boxes = {found.photos[at].name for pair in found.twins for at in pair if found.photos[at].boxes}

    def preference(name: str) -> tuple[bool, bool, bool, int, str]:
        home = ("test", "val", "train").index(found.folder_split[name])
        return name not in with_boxes, name not in found.unplaced, name in found.unlabelled, home, name

    for names in shots.values():
        kept = min(names, key=preference)
        for name in names:
            if found.folder_split[name] != found.folder_split[kept]:
                left_out[name] = ("photo-across-splits", kept)
    return left_out


def _repair(source: Source, orders: Orders, out: Path, entries: list[Entry]) -> tuple[int, int, list[Change]]:
    """How many entries were looked at, how many photos were written, and what was changed."""
    changes: list[Change] = []
    return len(entries), sum(_repair_one(source, orders, out, entry, changes) for entry in entries), changes


def _repair_one(source: Source, orders: Orders, out: Path, entry: Entry, changes: list[Change]) -> bool:
    """Copy one photo and its labels, put right; False when it is left out."""
    if entry.photo is None:
        changes.append(Change(str(entry.labels[0][1]), None, "labels-without-photo", "", "left out"))
        return False

    def changed(finding: Fault, what: str) -> None:
        changes.append(Change(finding.file, finding.number, finding.kind, finding.found, what))

    facts = inspect_photo(source.root, entry.photo)
    labels = source.read(entry)
    reasons = [one for one in (*facts.findings, *(labels.findings if labels else ())) if one.kind in LEFT_OUT]
    if entry.photo in orders.left_out:
        reasons.append(Fault(entry.photo, *orders.left_out[entry.photo]))
    if reasons:
        changed(reasons[0], "photo and labels left out")
        return False
    if labels and labels.size and not _fits(labels.size, facts):
        found = f"{labels.size[0]}x{labels.size[1]}; the photo has {facts.width}x{facts.height}"
        changed(Fault(labels.file, "size-differs", found), "photo and labels left out")
        return False
    name = orders.names[entry.photo]
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if name != entry.photo:
        changes.append(Change(entry.photo, None, "name", entry.photo, f"renamed {name}"))
    width, height = _copy_photo(source.root / entry.photo, target, facts, changed)
    if orders.whole:
        return True
    if labels is None:
        if entry.photo not in orders.unplaced:
            return True
        labels = RawLabels(entry.photo)
    boxes = _repair_objects(labels, facts, width, height, orders.classes, changed)
    for one in labels.findings:  # objects that are no objects, and what is written anew
        changed(one, KINDS[one.kind].fix or "written anew")
    checked, _ = check_boxes(replace_objects(labels, boxes), width, height)
    in_doubt = entry.photo in orders.unplaced and not labels.proposed
    lost = not checked and (labels.tells_of_objects or in_doubt)
    if lost:
        why = "no object is left" if labels.tells_of_objects else "labels that were left out may be its own"
        changed(Fault(entry.photo, "labels-proposed", why), "counts as unlabelled: label it again")
    depth = 1 if facts.channels == 1 else 3
    proposed = labels.proposed or lost
    xml = voc.encode(PurePosixPath(name).name, width, height, checked, depth=depth, proposed=proposed)
    target.with_suffix(".xml").write_bytes(xml)
    return True


def replace_objects(labels: RawLabels, objects: list[RawObject]) -> RawLabels:
    """The same labels with other objects, in pixels."""
    return replace(labels, objects=objects, relative=False)


def _fits(size: tuple[int, int], facts: PhotoFacts) -> bool:
    """Can boxes drawn at this size be put on the photo? At its own, turned with it, or another of the same shape."""
    if facts.orientation >= 5 and size == (facts.height, facts.width):
        return True
    return abs(size[0] * facts.height / (size[1] * facts.width) - 1) <= SAME_ASPECT


def _copy_photo(path: Path, target: Path, facts: PhotoFacts, changed: Told) -> tuple[int, int]:
    """Copy a photo, or draw it again where it has to be; returns its width and height."""
    from PIL import Image, ImageOps

    redrawn = [one for one in facts.findings if one.kind in REDRAWN]
    if not redrawn:
        shutil.copyfile(path, target)
        return facts.width, facts.height
    with open_picture(path.read_bytes()) as picture:
        picture.seek(0)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I") or upright.mode == "F":
            upright = upright.convert("I").point(lambda value: value / 256).convert("L")
        elif "A" in upright.mode or "transparency" in upright.info:
            opaque = Image.new("RGB", upright.size)
            opaque.paste(upright.convert("RGBA"), mask=upright.convert("RGBA").getchannel("A"))
            upright = opaque
        upright = upright if upright.mode in ("L", "RGB") else upright.convert("RGB")
        upright.info.clear()
        if facts.encoding == "JPEG":
            upright.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        else:
            upright.save(target, "PNG")
    for one in redrawn:
        changed(one, KINDS[one.kind].fix)
    return upright.size


def _repair_objects(
    labels: RawLabels, facts: PhotoFacts, width: int, height: int, classes: Mapping[str, str], changed: Told
) -> list[RawObject]:
    """The objects in pixels of the photo as it stands in the copy, without those that mean nothing."""
    objects: list[RawObject] = []
    frame = labels.size or (width, height)
    seen: set[tuple[str, Edges]] = set()
    for item in labels.objects:

        def told(kind: str, what: str, item: RawObject = item) -> None:
            found = f"{item.name} ({', '.join(f'{edge:g}' for edge in item.edges)})"
            changed(Fault(labels.file, kind, found, item.number), what)

        name, edges = classes.get(item.name, item.name), item.edges
        if name != item.name:
            told("class-spelling", f"renamed {name}")
        if not all(map(isfinite, edges)):
            told("box-nan", "dropped")
            continue
        if labels.relative:
            edges = Edges(edges[0] * frame[0], edges[1] * frame[1], edges[2] * frame[0], edges[3] * frame[1])
        if edges[0] > edges[2] or edges[1] > edges[3]:
            edges = Edges(*map(min, edges[:2], edges[2:]), *map(max, edges[:2], edges[2:]))
            told("box-inverted", "edges swapped")
        if facts.orientation >= 5 and labels.size == (facts.width, facts.height) != (width, height):
            edges = turned(edges, facts.orientation, facts.width, facts.height)
            told("photo-rotated", "box turned with the photo")
        elif labels.size and labels.size != (width, height):
            across, down = width / labels.size[0], height / labels.size[1]
            edges = Edges(edges[0] * across, edges[1] * down, edges[2] * across, edges[3] * down)
            told("size-differs", "box scaled with the photo")
        one = item._replace(name=name, edges=edges)
        faults = {fault.kind for fault in check_boxes(replace_objects(labels, [one]), width, height)[1]}
        if "box-outside" in faults:
            one = one._replace(edges=clip(edges, width, height))
            told("box-outside", "clipped")
            faults = {fault.kind for fault in check_boxes(replace_objects(labels, [one]), width, height)[1]}
        gone = faults & {"box-empty", "box-off-photo", "box-sliver"}
        rounded = Edges._make(map(round, one.edges))
        if gone or (name, rounded) in seen:
            told(next(iter(gone), "box-duplicate"), "dropped")
            continue
        seen.add((name, rounded))
        objects.append(one)
    return objects


def turned(edges: Edges, orientation: int, width: int, height: int) -> Edges:
    """Edges on the photo as stored (`width` x `height`), turned as EXIF orientation 5 to 8 turns it (EXIF 2.3)."""
    xmin, ymin, xmax, ymax = edges
    left, right = (ymin, ymax) if orientation in (5, 8) else (height - ymax, height - ymin)
    top, bottom = (xmin, xmax) if orientation in (5, 6) else (width - xmax, width - xmin)
    return Edges(left, top, right, bottom)
