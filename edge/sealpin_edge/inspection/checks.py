"""Is this a photo to judge by? Too dark, too bright, out of focus, no part, wrong size, frozen: never OK.

What is normal is learned from good photos (`sealpin-edge teach-camera`) and kept with the station's data; a bundle can
bring it too. A station that was taught nothing judges no part, unless its config says `checks = "off"`: then it refuses
only pictures that show nothing, black, white, or the same one again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..camera import is_live
from ..config.station import StationConfig
from ..error_code import ErrorCode
from ..errors import InputError, in_words
from ..files import parse_json, read_text, write_whole
from ..model.photo import Photo
from ..release.bundle import LIMITS as LIMITS_FILE

LEAST_PHOTOS = 5
# From so many good parts on, limits say what is normal; from fewer, what these few happened to look like
ENOUGH_PHOTOS = 20
THUMBNAIL = 32
# How far beyond what the good photos showed: light may vary by this share of the way to black or white, sharpness and
# likeness may fall to this share of the least that was seen
LIGHT_SHARE = 0.4
SHARPNESS_SHARE = 0.4
LIKENESS_SHARE = 0.7
# What is said of Checks.state
CHECKS_TOLD = {
    "taught": "photos are checked for light, focus and a part",
    "not taught": "camera not taught: no part will be judged",
    "off": "photos are judged unchecked: [camera] checks is off",
}


@dataclass(frozen=True)
class Measures:
    """What a photo shows: mean grey (0..255), sharpness (variance of its Laplacian), thumbnail (mean 0, length 1)."""

    brightness: float
    sharpness: float
    thumbnail: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Limits:
    """What a photo must keep to. `likeness` is the least correlation (-1..1) with `thumbnail`, of THUMBNAIL squared."""

    width: int = 0
    height: int = 0
    darkest: float = 8.0
    brightest: float = 247.0
    sharpness: float = 0.0
    likeness: float = -1.0
    thumbnail: tuple[float, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.width}x{self.height}, mean grey {self.darkest:.0f} to {self.brightest:.0f}, "
            f"sharpness from {self.sharpness:.0f}, likeness from {self.likeness:.2f}"
        )


def measure(photo: Photo, work: dict[str, Any] | None = None) -> Measures:
    """Measure a photo, in about a millisecond at 1024x1024 when `work` keeps what was allocated the last time."""
    import cv2

    work = {} if work is None else work
    grey = work["grey"] = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY, dst=work.get("grey"))
    edges = work["edges"] = cv2.Laplacian(grey, cv2.CV_16S, dst=work.get("edges"))
    small = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    about = small - small.mean()
    length = float(np.linalg.norm(about))
    return Measures(
        float(small.mean()),
        float(cv2.norm(edges, cv2.NORM_L2SQR) / grey.size),  # its mean is 0
        about / length if length else about,
    )


def learn(photos: Iterable[Photo], empty: Sequence[Photo] = ()) -> Limits:
    """The limits that good photos of a station give, and by which photos of its `empty` fixture show no part.

    Raises InputError for too few, photos of several sizes, or an empty fixture that is as like a part as a part is.
    """
    sizes: set[tuple[int, ...]] = set()
    seen: list[Measures] = []
    for photo in photos:
        sizes.add(photo.shape[:2])
        seen.append(measure(photo))
    if len(seen) < LEAST_PHOTOS or len(sizes) > 1:
        raise InputError(
            "these photos do not teach what is normal",
            found=f"{len(seen)} photos" + (f" of {len(sizes)} sizes" if len(sizes) > 1 else ""),
            allowed=f"at least {LEAST_PHOTOS} photos of good parts, all of one size",
        )
    (height, width), *_ = sizes
    light = [one.brightness for one in seen]
    mean = np.mean([one.thumbnail for one in seen], axis=0)
    mean /= np.linalg.norm(mean) or 1.0
    likeness = min(float(one.thumbnail @ mean) for one in seen)
    if likeness <= 0:
        raise InputError(
            "these photos have nothing in common",
            found=f"likeness {likeness:.2f}",
            allowed="photos of good parts that lie alike: [camera] crop cuts the rest away",
        )
    least = likeness * LIKENESS_SHARE
    if empty:
        emptiest = max(float(measure(photo).thumbnail @ mean) for photo in empty)
        if emptiest >= likeness:
            raise InputError(
                "an empty fixture looks like a part",
                found=f"likeness {emptiest:.2f}, of the good parts at least {likeness:.2f}",
                allowed="photos in which the part is much of what is seen: [camera] crop cuts the rest away",
            )
        least = max(least, (emptiest + likeness) / 2)
    return Limits(
        width,
        height,
        min(light) * (1 - LIGHT_SHARE),
        255 - (255 - max(light)) * (1 - LIGHT_SHARE),
        min(one.sharpness for one in seen) * SHARPNESS_SHARE,
        least,
        tuple(round(float(value), 5) for value in mean),
    )


class Checks:
    """Looks at every photo before the model does."""

    def __init__(self, limits: Limits, *, live: bool, wanted: bool = True) -> None:
        """`wanted` is False where the config says `checks = "off"`; `live` as of the camera."""
        self._limits, self._live, self._wanted = limits if wanted else Limits(), live, wanted
        limits = self._limits
        self._usual = np.array(limits.thumbnail, np.float32)
        self._before: Photo | None = None
        self._work: dict[str, Any] = {}

    @property
    def limits(self) -> Limits:
        """What a photo must keep to."""
        return self._limits

    @property
    def state(self) -> str:
        """Whether photos are checked: "taught", "not taught" or "off"."""
        return "off" if not self._wanted else "taught" if self._limits.width else "not taught"

    @property
    def unfit(self) -> ErrorCode:
        """Why no photo can be judged: NOT_TAUGHT, or NONE."""
        return ErrorCode.NOT_TAUGHT if self.state == "not taught" else ErrorCode.NONE

    def fault(self, photo: Photo) -> ErrorCode:
        """Why this photo must not be judged, or NONE."""
        limits = self._limits
        frozen = self._live and self._before is not None and np.array_equal(photo, self._before)
        self._before = photo
        if limits.width and photo.shape[:2] != (limits.height, limits.width):
            return ErrorCode.WRONG_SIZE
        if frozen:
            return ErrorCode.FROZEN
        seen = measure(photo, self._work)
        if seen.brightness < limits.darkest:
            return ErrorCode.TOO_DARK
        if seen.brightness > limits.brightest:
            return ErrorCode.TOO_BRIGHT
        if self._usual.size and float(seen.thumbnail @ self._usual) < limits.likeness:
            return ErrorCode.NO_PART
        if seen.sharpness < limits.sharpness:
            return ErrorCode.OUT_OF_FOCUS
        return ErrorCode.NONE


def station_checks(config: StationConfig) -> Checks:
    """The checks of a station, by its config and what it was taught. Raises InputError for limits of no use."""
    limits = load_limits(config.station.data_dir, config.folder)
    return Checks(limits, live=is_live(config.camera), wanted=config.camera.checks == "taught")


def save_limits(limits: Limits, data_dir: Path) -> Path:
    """Write the limits beside the station's other data; returns the file."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / LIMITS_FILE
    write_whole(path, (json.dumps(asdict(limits), indent=1) + "\n").encode())
    return path


def load_limits(data_dir: Path, release: Path | None = None) -> Limits:
    """The limits that this station was taught, else those that its `release` brings, else those of one taught nothing.

    Raises InputError for a file that cannot be used.
    """
    own = data_dir / LIMITS_FILE
    return read_limits(own if own.exists() or release is None else release / LIMITS_FILE)


def read_limits(path: Path) -> Limits:
    """The limits in a file; those of a station that was taught nothing when there is none. Raises InputError."""
    try:
        content: dict[str, Any] = parse_json(read_text(path))
        limits = Limits(**{**content, "thumbnail": tuple(float(value) for value in content["thumbnail"])})
        numbers = [getattr(limits, item.name) for item in fields(Limits) if item.name != "thumbnail"]
        if not all(isinstance(number, int | float) and isfinite(number) for number in (*numbers, *limits.thumbnail)):
            raise ValueError("a value that is no number")
        light = 0 <= limits.darkest < limits.brightest <= 255 and (limits.darkest, limits.brightest) != (0, 255)
        shape = min(limits.width, limits.height) > 0 and len(limits.thumbnail) == THUMBNAIL**2
        if not (light and shape and limits.sharpness >= 0 and 0 < limits.likeness < 1):
            raise ValueError("limits that would let any photo pass, or none")
    except FileNotFoundError:
        return Limits()
    except (OSError, ValueError, OverflowError, TypeError, KeyError) as error:
        raise InputError(
            "what the camera was taught cannot be read",
            where=str(path),
            found=in_words(error),
            advice="teach it again",
            hint="sealpin-edge teach-camera --config STATION PHOTOS",
        ) from None
    return limits
