"""Are the classes of whole photos in order: which are good, is any of them alone or rare, do marks contradict them?"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from sealpin_edge.errors import InputError, quote
from sealpin_edge.tasks.verdict import UNSURE

from ..faults import Fault
from ..labels import Box, LabelledPhoto
from ..names import check_classes, same_for_the_eye, sounds_good

GOOD = "good"
"""What good parts are called where labels only tell of defects, and nobody gave another name."""
LEAST_PHOTOS = 20


def class_of(category: str, boxes: Sequence[Box], good: Sequence[str] | None) -> str:
    """A photo's class: its own `category`, else that of the boxes which cover most; "" for a photo without any.

    A box of a good class makes no bad part good.
    """
    if category or not boxes:
        return category
    areas: dict[str, float] = defaultdict(float)
    for box in boxes:
        areas[box.category] += (box.xmax - box.xmin) * (box.ymax - box.ymin)
    bad = {name: area for name, area in areas.items() if not is_good(name, good)}
    return max(bad or areas, key=lambda name: areas[name])


def is_good(name: str, good: Sequence[str] | None) -> bool:
    """Whether a class is one of those that were named as good, or where nobody did, is called as good parts are."""
    return sounds_good(name) if good is None else any(same_for_the_eye(name, one) for one in good)


def good_classes(names: Mapping[str, str], good: Sequence[str] | None, *, others: bool) -> tuple[str, ...]:
    """The good classes of a folder. `names` are what classes are called, by how they are written.

    `others`: there are photos of good parts that no class names. Where nobody named the good classes, they are those
    that sound good.
    """
    if good is not None:
        return tuple(dict.fromkeys(names.get(name, name) for name in good))
    sounding = sorted({name for name in names.values() if sounds_good(name)})
    return tuple(sounding) or ((GOOD,) if others else ())


def check_whole(
    counts: Mapping[str, int], good: Sequence[str] | None, *, others: int, allowed: Sequence[str]
) -> tuple[dict[str, tuple[str, str]], tuple[str, ...], list[Fault]]:
    """What is wrong with class names (names.check_classes), the good classes, and every finding.

    `counts` are photos by class as it is written; `others` are photos of good parts that no class names.
    """
    wrong = check_classes(counts, allowed)
    findings = [
        Fault(".", kind, f"{name!r}, {counts[name]} photos", allowed=repr(instead) if instead else ", ".join(allowed))
        for name, (kind, instead) in wrong.items()
    ]
    merged: Counter[str] = Counter()
    for name, count in counts.items():
        merged[wrong.get(name, ("", ""))[1] or name] += count
    found = good_classes({name: wrong.get(name, ("", ""))[1] or name for name in counts}, good, others=bool(others))
    if others and found:
        merged[found[0]] += others
    findings += _about_good(merged, found, good, others=bool(others))
    findings += [
        Fault(".", "class-rare", f"{name}: {count} photos")
        for name, count in sorted(merged.items())
        if count < LEAST_PHOTOS
    ]
    if UNSURE in merged:
        findings.append(Fault(".", "class-reserved", f"{UNSURE}: {merged[UNSURE]} photos"))
    if len(merged) < 2:
        findings.append(Fault(".", "class-alone", ", ".join(merged) or "none"))
    return wrong, found, findings


def _about_good(
    counts: Mapping[str, int], found: Sequence[str], good: Sequence[str] | None, *, others: bool
) -> Iterator[Fault]:
    told = ", ".join(sorted(counts))
    if unknown := [name for name in found if name not in counts]:
        yield Fault(".", "good-unknown", ", ".join(unknown), allowed=told)
    elif found and set(found) == set(counts):
        yield Fault(".", "good-alone", ", ".join(found))
    if good is None and len(found) > 1:
        yield Fault(".", "good-ambiguous", ", ".join(found))
    elif not found:
        yield Fault(".", "good-none" if good == () and not others else "good-missing", told)


def check_renamed(renamed: Mapping[str, str], good: Collection[str], option: str) -> None:
    """Raise InputError when an `option` gives a class that is not good the name of a good one, or the reverse.

    Also when it leaves one class, or one that is called UNSURE. `renamed` are all classes, by what they were called.
    """
    if len(set(renamed.values())) < 2 or UNSURE in renamed.values():
        raise InputError(
            "nothing could be trained of these classes",
            where=option,
            found=", ".join(sorted(set(renamed.values()))),
            allowed=f"two and more, none of them {UNSURE}",
        )
    of_new: dict[str, set[str]] = defaultdict(set)
    for old, new in renamed.items():
        of_new[new].add(old)
    for new, olds in of_new.items():
        bad = sorted(olds - set(good))
        if bad and (olds & set(good) or new in good):
            raise InputError(
                "this would make good parts of bad ones",
                where=f"{option} {bad[0]}={new}",
                found=f"{bad[0]} is not good, {', '.join(sorted((olds & set(good)) | ({new} & set(good))))} is",
                allowed="classes that are all good, or all bad",
                advice=f"name what is good, --good {quote(bad[0])} too, when its parts are",
            )


def contradictions(photos: Sequence[LabelledPhoto], good: Sequence[str]) -> Iterator[Fault]:
    """Photos of a good class, however it is spelled, on which something is marked."""
    for photo in photos:
        if photo.category and photo.boxes and is_good(photo.category, good):
            yield Fault(photo.name, "good-marked", f"{photo.category}, with {len(photo.boxes)} marked places")
