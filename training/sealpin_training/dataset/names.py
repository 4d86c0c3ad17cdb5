"""Class names that are one class spelled in several ways: a typing error drops half the boxes."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

RARE = 0.1  # a typing error is rare beside what was meant
# What people call parts without a fault, in data sets and competitions
GOOD = {
    "good",
    "ok",
    "okay",
    "pass",
    "passed",
    "none",
    "normal",
    "nodefect",
    "nofault",
    "defectfree",
    "background",
    "gut",
    "io",
}
BAD = {"bad", "ng", "nok", "notok", "defect", "defects", "defective", "faulty", "fail", "failed", "reject", "rejects",
       "rejected", "scrap", "schlecht", "nio"}  # fmt: skip
SHORTEST_WORD = 4  # names this long differ by one letter by mistake; PR and QA do not


def check_classes(counts: Mapping[str, int], allowed: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """The kind of fault and the name to use instead (empty: nobody knows) for each class name that is wrong.

    `counts` are boxes by name as it is written; one that the list of a YOLO folder has no name for goes by its number.
    With `allowed`, those are the classes and no other is right.
    """
    wrong: dict[str, tuple[str, str]] = {}
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in allowed or counts:
        by_key[_key(name)].append(name)
    for name in counts:
        if allowed:
            if name in allowed:
                continue
            same, near = by_key.get(_key(name), []), [other for other in allowed if _one_slip(name, other)]
            if same or len(near) == 1:
                wrong[name] = ("class-spelling" if same else "class-typo", (same or near)[0])
            else:
                wrong[name] = ("class-list-short" if name.isdecimal() else "class-unknown", "")
        elif _mixes_scripts(name):
            wrong[name] = ("class-scripts", "")
    if not allowed:
        for names in by_key.values():
            best = max(names, key=lambda name: (name.isprintable(), name == " ".join(name.split()), counts[name], name))
            right = " ".join(best.split())
            wrong.update({name: ("class-spelling", right) for name in names if name != right and name not in wrong})
        merged: Counter[str] = Counter()
        for name, count in counts.items():
            merged[wrong.get(name, ("", name))[1]] += count
        for name in counts:
            if name in wrong:
                continue
            meant = [
                other for other in merged if other and merged[name] <= RARE * merged[other] and _one_slip(name, other)
            ]
            if meant:
                wrong[name] = ("class-typo", max(meant, key=lambda other: merged[other]))
    return wrong


def same_for_the_eye(one: str, other: str) -> bool:
    """Are two names one, but for case, blanks and hyphens?"""
    return _key(one) == _key(other)


def sounds_good(name: str) -> bool:
    """Is a class called as good parts are?"""
    return _key(name) in GOOD


def sounds_bad(name: str) -> bool:
    """Is a folder called as one of bad parts is?"""
    return _key(name) in BAD


def _key(name: str) -> str:
    """What is the same for the eye: case, blanks, hyphens and full-width letters do not count, but a number's sign."""
    folded = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    plain = "".join(letter for letter in folded if letter not in "-_\u200b\ufeff")
    return folded if plain.isdecimal() else plain


def _one_slip(name: str, other: str) -> bool:
    """One letter more, less or different, or two exchanged (Damerau); digits are no slips: crack1, crack2."""
    one, two = _key(name), _key(other)
    if one == two or max(len(one), len(two)) < SHORTEST_WORD or abs(len(one) - len(two)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    rest, other_rest = one[start:], two[start:]
    if any(letter.isdigit() for letter in (rest[:1], other_rest[:1])):
        return False
    return (
        rest[1:] == other_rest[1:]
        or rest[1:] == other_rest
        or rest == other_rest[1:]
        or (rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:])
    )


def _mixes_scripts(name: str) -> bool:
    """Latin beside Cyrillic or Greek, whose letters look alike."""
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in name if letter.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK"})
