"""Teaching the camera: what a photo of a good part looks like, learned only from photos that the model calls good."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.station import StationConfig
from ..errors import InputError
from ..model.photo import Photo
from ..release.golden import proven_model
from ..tasks.verdict import Verdict, judge
from .checks import ENOUGH_PHOTOS, Limits, learn, save_limits


@dataclass(frozen=True)
class Taught:
    """What was learned, from how many photos, in which file, and which photos were refused, with the reason."""

    limits: Limits
    photos: int
    file: Path
    refused: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether these were so many parts that the limits say more than what these few looked like."""
        return self.photos >= ENOUGH_PHOTOS


class Teacher:
    """Collects photos of good parts, and turns them into the station's limits."""

    def __init__(self, config: StationConfig) -> None:
        """Load the model. Raises InputError when the station could not judge by it."""
        self._data_dir = config.station.data_dir
        self._model, self._rule = proven_model(config)
        self._good: list[Photo] = []
        self._refused: list[str] = []

    def show(self, name: str, photo: Photo) -> str:
        """Learn from a photo; returns why not, when the model does not call its part good."""
        verdict, found = judge(self._model.read(photo).findings, self._rule)
        if verdict is Verdict.OK:
            self._good.append(photo)
            return ""
        told = ", ".join(f"{one.category} {one.score:.0%}" for one in found)
        self._refused.append(f"{name}: {verdict.value}, {told}")
        return self._refused[-1]

    def finish(self, empty: Sequence[Photo] = ()) -> Taught:
        """Save the limits. Photos of the `empty` fixture must be refused by them.

        Raises InputError for too few photos, or when an empty fixture looks like a part.
        """
        try:
            limits = learn(self._good, empty)
        except InputError as fault:
            if self._refused:
                fault = InputError(
                    fault.problem,
                    found=f"{fault.found}; {len(self._refused)} refused: {'; '.join(self._refused[:5])}",
                    allowed=fault.allowed,
                )
            raise fault from None
        return Taught(limits, len(self._good), save_limits(limits, self._data_dir), tuple(self._refused))


def teach(config: StationConfig, photos: Iterable[tuple[str, Photo]], empty: Sequence[Photo] = ()) -> Taught:
    """Learn from photos by name. Raises InputError as Teacher does."""
    teacher = Teacher(config)
    for name, photo in photos:
        teacher.show(name, photo)
    return teacher.finish(empty)
