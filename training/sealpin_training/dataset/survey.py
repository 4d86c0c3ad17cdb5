"""Look at every photo and label of a folder, on all cores: what is there, and everything that is wrong with it."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sealpin_edge.errors import quote

from ..parallel import Workers
from ..progress import progress_bar
from .aside import is_archive
from .boxes import check_boxes, check_names, check_size
from .duplicates import Fingerprints
from .faults import KINDS, SEVERITIES, Fault
from .files import PHOTO_ENDINGS, namesake
from .labels import Box, LabelledPhoto
from .names import check_classes, sounds_good
from .photos import FINGERPRINT, PhotoFacts, inspect_photo
from .source import Entry, Source, open_source
from .split import SPLITS, split_by_folder
from .spool import Photos
from .twins import Known, copies_of_bad_parts, find_twins
from .whole.check import GOOD, check_whole, class_of, contradictions

CHUNK = 32
LEAST_BOX_PX = 8
LEAST_BOXES = 20
# In a listing: a row that was cut off, or the rows of two photos under one name
_OF_A_GAP = ("labels-differ", "size-differs", "class-missing")
# Whatever the file is called: labels of any photo may be behind its end, or in it
_MAY_LACK_ANY = ("labels-cut", "labels-aside", "photo-mask")
# What programs put behind the name of a copy: "a (1)", "a (conflicted copy)", "a - Copy"
_COPY = re.compile(r"\s*(?:\([^()]*\)|-\s*copy|copy \d+)$", re.IGNORECASE)
# A mask as JPEG has more colours than its two
_MASK = re.compile(r"(?:^|[/_. -])(?:masks?|ground_?truth)(?:[/_. -]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Rules:
    """What a dataset is held against: the model's input (width, height, pixels), and the classes if they are known.

    `task` is what it is to train. `whole`: each photo has one class as a whole, be it by its boxes. `good` are
    the classes of good parts then, None where nobody named them.
    """

    input_size: tuple[int, int] = (640, 640)
    classes: tuple[str, ...] = ()
    task: str = "detect"
    whole: bool = False
    good: tuple[str, ...] | None = None

    @property
    def words(self) -> str:
        """The rules as a command's last words, with a blank before; "" when there are none."""
        told = [f"--classes {quote(','.join(self.classes))}"] if self.classes else []
        told += [f"--task {self.task}"] if self.whole else []
        told += [f"--good {quote(name)}" for name in (self.good or [""])] if self.good is not None else []
        return "".join(f" {words}" for words in told)


@dataclass
class Survey:
    """A folder as it was found.

    `photos`: every photo that could be decoded, in name order, with the boxes that are in order. `unlabelled`:
    names of those without labels, or with proposals only. `unplaced`: names of those whose labels tell of objects
    of which none is among the boxes, or are a proposal, or may be among those that could not be read or have no
    photo, or of which a copy is bad: no good parts, whatever else is taken for one. `twins`: pairs of positions in
    `photos` of the same shot. `folder_split`: the split of each photo where the folders give one. `named`: the
    photos of each class name as it is written, one for each object. `wrong`: the class names that are wrong, with
    the fault and what to use instead. `good`: the classes of good parts, where photos have a class as a whole; the
    first is that of labelled photos without one.
    """

    source: Source
    photos: Photos = field(default_factory=Photos)
    unlabelled: set[str] = field(default_factory=set)
    unplaced: set[str] = field(default_factory=set)
    findings: list[Fault] = field(default_factory=list)
    twins: list[tuple[int, int]] = field(default_factory=list)
    folder_split: dict[str, str] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    wrong: dict[str, tuple[str, str]] = field(default_factory=dict)
    good: tuple[str, ...] = ()

    def count(self, severity: str) -> int:
        """How many findings are that bad."""
        return sum(finding.severity == severity for finding in self.findings)


class Looked(NamedTuple):
    """What a process sends back of one entry; `photo` is None where there is none, or it could not be decoded.

    `lost`: what labels without a photo, which tell of objects, call it.
    """

    name: str
    photo: LabelledPhoto | None
    labelled: bool
    unplaced: bool
    grey: bool
    findings: list[Fault]
    names: list[str]
    lost: tuple[str, ...] = ()


def survey(src: Path, rules: Rules, pool: Workers, *, unlabelled_good: bool = False) -> Survey:
    """Look at everything below `src`; `unlabelled_good`: photos without labels will be taken for good parts.

    Raises InputError when it holds no photos, or no labels.
    """
    source = open_source(src, (*(rules.good or ()), GOOD)[0] if rules.whole else "")
    result = Survey(source, findings=list(source.findings))
    grey = []
    lost: list[str] = []
    with Fingerprints() as prints, progress_bar(len(source.entries), "check", "photo") as bar:
        for looked, some_prints in pool.map(partial(_look, source.opened(), rules), source.entries, CHUNK):
            prints.append(some_prints)
            result.photos.append([one.photo for one in looked if one.photo])
            for one in looked:
                result.findings += one.findings
                lost += one.lost
                for name in one.names:
                    result.named[name].append(one.name)
                if one.photo:
                    grey += [one.photo.name] if one.grey else []
                    if not one.labelled:
                        result.unlabelled.add(one.photo.name)
                    if one.unplaced:
                        result.unplaced.add(one.photo.name)
            bar.update(len(looked))
        split = _check_split(result)
        classes = (
            _check_whole(result, rules, unlabelled_good=unlabelled_good)
            if rules.whole
            else _check_classes(result, rules)
        )
        known = Known(result.photos, result.unlabelled, result.unplaced, result.folder_split, result.good)
        pairs = find_twins(known, prints)
        result.unplaced |= copies_of_bad_parts(known, pairs)
        result.unplaced |= _in_doubt(result, lost)
    if len(grey) < len(result.photos):
        result.findings += [Fault(name, "photo-grey", "1 channel") for name in grey]
    result.findings += classes
    result.twins = [pair.at for pair in pairs]
    result.findings += [*split, *(pair.finding for pair in pairs)]
    order = {kind: number for number, kind in enumerate(KINDS)}
    result.findings.sort(
        key=lambda one: (SEVERITIES.index(one.severity), order[one.kind], one.file, one.number or 0, one.found)
    )
    return result


def _look(source: Source, rules: Rules, entries: list[Entry]) -> tuple[list[Looked], npt.NDArray[np.uint8]]:
    """What is told of each entry, and the fingerprints of the photos among them that could be decoded."""
    looked, prints = [], []
    for entry in entries:
        if entry.photo is None:
            looked.append(_look_at_orphan(source, entry))
        else:
            facts = inspect_photo(source.root, entry.photo)
            looked.append(_look_at(source, rules, entry, entry.photo, facts))
            prints += [facts.fingerprint] if facts.fingerprint is not None else []
    return looked, np.array(prints, np.uint8).reshape(-1, FINGERPRINT**2)


def _look_at(source: Source, rules: Rules, entry: Entry, name: str, facts: PhotoFacts) -> Looked:
    findings = facts.findings
    labels = source.read(entry)
    boxes: tuple[Box, ...] = ()
    category = ""
    other_size: list[Fault] = []
    if labels is None:
        findings.append(Fault(name, "photo-unlabelled", "no label file of this name"))
        if facts.colours or _MASK.search(name):
            told = f"{facts.colours} colours" if facts.colours else "called a mask"
            findings.append(Fault(name, "photo-mask", told))
    else:
        findings += labels.findings
        turned = facts.orientation >= 5
        width, height = labels.size or (facts.width, facts.height)
        if facts.width:
            other_size = check_size(labels, facts.width, facts.height, turned)
            findings += other_size
            if labels.depth not in (None, facts.channels):
                findings.append(Fault(labels.file, "depth-differs", str(labels.depth), allowed=str(facts.channels)))
        if labels.filename is not None:
            findings += check_names(labels, name, str(source.root))
        # Drawn in the frame that the labels name: one wrong size is one finding, not one more for each box
        boxes, faults = check_boxes(labels, width, height) if width or not labels.relative else ((), [])
        findings += faults
        refused = {fault.number for fault in faults if fault.severity == "error"}
        numbers = [item.number for item in labels.objects if item.number not in refused]
        findings += (
            []
            if rules.whole
            else _check_scale(labels.file, zip(numbers, boxes, strict=False), facts.width, facts.height, rules)
        )
        if rules.whole:
            category = class_of(labels.category, boxes, rules.good)
            boxes = tuple(box._replace(category=category) for box in boxes)
        if other_size:
            boxes = ()  # nobody knows where they are on this photo
        if labels.proposed:
            findings.append(Fault(labels.file, "labels-proposed", f"{len(boxes)} boxes"))
            boxes, category = (), ""
    photo = None
    if facts.width:
        scale = max(rules.input_size[0] / facts.width, rules.input_size[1] / facts.height)
        if scale > 2:
            allowed = f"half of {rules.input_size[0]}x{rules.input_size[1]} and more"
            findings.append(Fault(name, "photo-small", f"{facts.width}x{facts.height}", allowed=allowed))
        encoding = {"JPEG": "jpeg", "PNG": "png"}.get(facts.encoding, facts.encoding)
        photo = LabelledPhoto.of(name, facts.sha256, (facts.width, facts.height), encoding, boxes, category)
    labelled = labels is not None and not labels.proposed
    names = [item.name for item in labels.objects] if labels and not labels.proposed else []
    if rules.whole:
        names = [category] if category else []
    unplaced = not (boxes or category) and (
        labels.tells_of_objects or labels.proposed if labels else any(one.kind == "photo-mask" for one in findings)
    )
    return Looked(name, photo, labelled, unplaced, facts.channels == 1, findings, names)


def _look_at_orphan(source: Source, entry: Entry) -> Looked:
    """Labels without a photo are read all the same, and held against the size and name that they give."""
    labels = source.read(entry)
    assert labels is not None
    findings = [Fault(labels.file, "labels-without-photo", f"{len(labels.objects)} objects"), *labels.findings]
    if labels.filename:
        stem, ending = os.path.splitext(labels.file)[0], os.path.splitext(labels.filename)[1]
        findings += check_names(labels, stem + (ending or PHOTO_ENDINGS[0]), str(source.root))
    if not labels.relative:
        findings += check_boxes(labels, *(labels.size or (0, 0)))[1]
    lost = (labels.file, *filter(None, (labels.filename,))) if labels.tells_of_objects else ()
    return Looked(labels.file, None, False, False, False, findings, [], lost)


def _in_doubt(result: Survey, lost: list[str]) -> set[str]:
    """Photos without boxes that labels may be about which could not be read, or have no photo.

    These may be of any photo without labels. A file that could not be read at all may also speak against the labels of
    the photo that is called like it, or of any when it is a listing. `lost`: names in labels without a photo.
    A listing that was cut off, or has one photo's boxes under the name of another, may lack any photo without labels.
    """
    stems = {namesake(photo.name) for photo in result.photos}
    gaps = any(
        one.kind in _MAY_LACK_ANY
        or (one.kind in _OF_A_GAP and namesake(one.file) not in stems)
        or (one.kind == "photo-unreadable" and is_archive(result.source.root / one.file))
        for one in result.findings
    )
    about = {stem for name in lost for stem in _stems(name)}
    any_of_them = False
    for one in result.source.findings:
        of_photo = one.file.lower().endswith(PHOTO_ENDINGS)
        if one.kind == "labels-without-photo":  # of a listing, which gives the photo's name
            about |= _stems(one.found)
        if one.severity == "error" and KINDS[one.kind].fix.startswith("drop") and not of_photo:
            about |= _stems(one.file)
            listing = one.kind not in ("labels-without-photo", "annotation-astray") and namesake(one.file) not in stems
            any_of_them |= listing
    return {
        photo.name
        for photo in result.photos
        if not (photo.boxes or photo.category)
        and (any_of_them or namesake(photo.name) in about or ((about or gaps) and photo.name in result.unlabelled))
    }


def _stems(name: str) -> set[str]:
    """Photos that a name may be of, as namesake has them: of `a`, `a.jpg`, `.a.xml` and `a.jpg.txt` it is `a`."""
    last = name.replace("\\", "/").rpartition("/")[2].strip().lstrip(".")
    whole = namesake(f"{last}.")
    stem = namesake(last).strip()
    return {whole, stem, namesake(stem), _COPY.sub("", stem)}


def _check_scale(file: str, boxes: Iterable[tuple[int, Box]], width: int, height: int, rules: Rules) -> list[Fault]:
    """Boxes that are too small where the model sees them."""
    findings = []
    for number, box in boxes:
        if not width:
            break
        side = min(
            (box.xmax - box.xmin) * rules.input_size[0] / width, (box.ymax - box.ymin) * rules.input_size[1] / height
        )
        if side < LEAST_BOX_PX:
            findings.append(Fault(file, "box-small", f"{box.category}, {side:.1f} pixels there", number))
    return findings


def _check_classes(result: Survey, rules: Rules) -> list[Fault]:
    counts = {name: len(photos) for name, photos in result.named.items()}
    allowed = rules.classes or result.source.classes
    result.wrong = check_classes(counts, allowed)
    if not rules.classes:  # the format's own list may hold one class in two spellings
        listed = check_classes(dict.fromkeys(result.source.classes, 1))
        same = {name: fault for name, fault in listed.items() if fault[0] == "class-spelling" and name in counts}
        result.wrong |= same
    findings = []
    suspects = {photo for name in result.wrong for photo in result.named[name]}
    for entry in result.source.entries:
        labels = result.source.read(entry) if entry.photo in suspects else None
        for item in labels.objects if labels else ():
            if item.name in result.wrong:
                kind, instead = result.wrong[item.name]
                found = f"{item.name!r}, on {counts[item.name]} boxes"
                wanted = repr(instead) if instead else ", ".join(allowed)
                findings.append(Fault(labels.file if labels else "", kind, found, item.number, wanted))
    merged: Counter[str] = Counter()
    for name, count in counts.items():
        merged[result.wrong.get(name, ("", ""))[1] or name] += count
    for name, count in sorted(merged.items()):
        if sounds_good(name):
            findings.append(Fault(".", "class-good", f"{name}: {count} boxes"))
        if count < LEAST_BOXES:
            findings.append(Fault(".", "class-few", f"{name}: {count} boxes"))
    labelled = [photo for photo in result.photos if photo.name not in result.unlabelled]
    if not result.named:
        findings.append(Fault(".", "no-boxes", f"{len(labelled)} labelled photos"))
    if labelled and all(photo.boxes for photo in labelled):
        findings.append(Fault(".", "no-good-parts", f"{len(labelled)} labelled photos, all with boxes"))
    return findings


def _check_whole(result: Survey, rules: Rules, *, unlabelled_good: bool) -> list[Fault]:
    counts = {name: len(photos) for name, photos in result.named.items()}
    left_out = result.unplaced if unlabelled_good else result.unplaced | result.unlabelled
    others = sum(not photo.category and photo.name not in left_out for photo in result.photos)
    result.wrong, result.good, findings = check_whole(counts, rules.good, others=others, allowed=rules.classes)
    return [*findings, *contradictions(result.photos, result.good)]


def _check_split(result: Survey) -> list[Fault]:
    """The split that the folders give, if they give one to every photo."""
    split = split_by_folder([photo.name for photo in result.photos])
    if len(split) == len(result.photos) and len(set(split.values())) > 1:
        result.folder_split = split
    if not split or (len(split) == len(result.photos) and set(split.values()) == set(SPLITS)):
        return []
    count = Counter(split.values())
    told = ", ".join(f"{name} {count[name]}" for name in SPLITS)
    return [Fault(".", "split-incomplete", f"{told}; elsewhere {len(result.photos) - len(split)}")]
