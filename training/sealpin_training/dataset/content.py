"""What goes into a converted dataset: which photos in which split, under which class names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .labels import LabelledPhoto


@dataclass(frozen=True)
class Content:
    """`members`: the positions in `photos` of each split's. `categories`: what each is called in the dataset."""

    photos: Sequence[LabelledPhoto]
    members: Mapping[str, Sequence[int]]
    categories: Mapping[str, str]

    @property
    def classes(self) -> list[str]:
        """The classes in label order: label 1 is the first."""
        return sorted(set(self.categories.values()))

    def of(self, split: str) -> Iterator[LabelledPhoto]:
        """The photos of a split."""
        return (self.photos[position] for position in self.members[split])
