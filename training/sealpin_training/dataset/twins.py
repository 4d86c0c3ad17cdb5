"""The same shot twice: what its two labels say of each other, and which copies are no good parts."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from .duplicates import Fingerprints, Groups, exact_duplicates, near_duplicates
from .faults import Fault
from .labels import LabelledPhoto


@dataclass(frozen=True)
class Known:
    """What is known of the photos by name: `unlabelled`, `unplaced` as in Survey, and the `split` that folders give.

    `good` are the classes of good parts, where photos have a class as a whole.
    """

    photos: Sequence[LabelledPhoto]
    unlabelled: Set[str]
    unplaced: Set[str]
    split: Mapping[str, str]
    good: Sequence[str] = ()

    def is_bad(self, photo: LabelledPhoto) -> bool:
        """Its labels tell of objects, even if none of them is among the boxes."""
        if photo.category:
            return photo.category not in self.good
        return bool(photo.boxes) or (photo.name in self.unplaced and photo.name not in self.unlabelled)

    def across(self, one: LabelledPhoto, other: LabelledPhoto) -> bool:
        """They lie in folders of two splits."""
        return bool(self.split) and self.split[one.name] != self.split[other.name]

    def agree(self, one: LabelledPhoto, other: LabelledPhoto) -> bool:
        """They have the same boxes, and the same doubt."""
        boxes, others = (sorted((box.category, *box.edges) for box in each.boxes) for each in (one, other))
        return (
            one.category == other.category
            and boxes == others
            and (one.name in self.unplaced) == (other.name in self.unplaced)
        )


@dataclass(frozen=True)
class Twins:
    """Two photos of one shot, by their positions, and what is said of the second."""

    at: tuple[int, int]
    finding: Fault


def find_twins(known: Known, prints: Fingerprints) -> list[Twins]:
    """All pairs that join the photos of one shot: first those of the same bytes, then those that nearly look alike."""
    photos = known.photos
    twins: list[Twins] = []
    for group in exact_duplicates([photo.sha256 for photo in photos]):
        # A copy that is labelled counts before one that is not, and what is bad on one of them is good on none
        first, *others = sorted(
            group, key=lambda at: (photos[at].name in known.unlabelled, not known.is_bad(photos[at]), at)
        )
        twins += [_twins(known, (first, other), _exact(known, photos[first], photos[other])) for other in others]
    again = {pair.at[1] for pair in twins}
    once = [index for index in range(len(photos)) if index not in again]
    for first, other in near_duplicates(prints, once):
        twins.append(_twins(known, (first, other), _near(known, photos[first], photos[other])))
    return twins


def copies_of_bad_parts(known: Known, twins: Sequence[Twins]) -> set[str]:
    """The photos without labels that show the shot of a bad part."""
    photos, groups = known.photos, Groups(len(known.photos))
    for pair in twins:
        groups.join(*pair.at)
    twice = sorted({at for pair in twins for at in pair.at})
    bad = {groups.of(at) for at in twice if known.is_bad(photos[at])}
    return {photos[at].name for at in twice if groups.of(at) in bad and photos[at].name in known.unlabelled}


def _twins(known: Known, at: tuple[int, int], kind: str) -> Twins:
    first, other = (known.photos[each].name for each in at)
    return Twins(at, Fault(other, kind, first))


def _exact(known: Known, one: LabelledPhoto, other: LabelledPhoto) -> str:
    unlabelled = other.name in known.unlabelled
    if known.is_bad(one) and not known.is_bad(other) and not unlabelled:
        return "photo-good-and-bad"
    if known.across(one, other):
        return "photo-across-splits"
    return "photo-duplicate" if unlabelled or known.agree(one, other) else "photo-duplicate-labels"


def _near(known: Known, one: LabelledPhoto, other: LabelledPhoto) -> str:
    if known.across(one, other):
        return "photo-near-across-splits"
    labelled = not {one.name, other.name} & known.unlabelled
    differ = labelled and known.is_bad(one) != known.is_bad(other)
    return "photo-near-good-and-bad" if differ else "photo-near-duplicate"
