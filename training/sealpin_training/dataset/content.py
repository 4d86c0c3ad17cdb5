"""What goes into a converted dataset: which photos in which split, under which class names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .labels import LabelledPhoto


@dataclass(frozen=True)
class Content:
    """`members`: the positions in `photos` of each split's. `categories`: what each is called in the dataset.

    `task`: what it is to train. Where photos have a class as a whole, `good` are those of good parts; the first is that
    of photos that name none.
    """

    photos: Sequence[LabelledPhoto]
    members: Mapping[str, Sequence[int]]
    categories: Mapping[str, str]
    task: str = "detect"
    whole: bool = False
    good: tuple[str, ...] = ()

    def category(self, photo: LabelledPhoto) -> str:
        """What a photo's class as a whole is called in the dataset; "" where they have none."""
        if not self.whole:
            return ""
        return self.categories[photo.category] if photo.category else self.good[0]

    @property
    def classes(self) -> list[str]:
        """The classes in label order: label 1 is the first."""
        return sorted(set(self.categories.values()))

    def of(self, split: str) -> Iterator[LabelledPhoto]:
        """The photos of a split."""
        return (self.photos[position] for position in self.members[split])
