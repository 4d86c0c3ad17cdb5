"""Cameras: one file and one line in section.py's table each."""

from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np

from ..model.photo import Frame, Photo
from .section import CAMERAS, CameraSection

# What a look at an idle camera may take: a part that is triggered meanwhile waits for it
WATCH_S = 0.25


class Camera(Protocol):
    """What a camera must do. `live` ones never give the same picture twice (their sensor has noise); else none is."""

    live: bool

    def capture(self) -> Frame:
        """Take a photo whose exposure begins after this call. Raises CameraFault when there is none in time."""

    def prepare(self) -> None:
        """Do ahead what need not wait for the next trigger."""

    def watch(self) -> None:
        """See in WATCH_S at most whether pictures still come. Raises CameraFault when they do not."""

    def close(self) -> None:
        """Let go of the device."""


def is_live(settings: CameraSection) -> bool:
    """Whether the camera of [camera] `driver` takes photos, or replays them; it need not open."""
    return bool(_camera_class(settings).live)


def make_camera(settings: CameraSection, timeout_s: float) -> Camera:
    """The camera of [camera] `driver`, opened. Raises InputError or EnvironmentFault."""
    return cast(Camera, _camera_class(settings)(settings, timeout_s))


def _camera_class(settings: CameraSection) -> Any:
    module, name = CAMERAS[settings.driver].split(":")
    return getattr(import_module(module), name)


def arrange(photo: Photo, settings: CameraSection) -> Photo:
    """The part of the photo that [camera] `crop` names, turned clockwise by `rotate` degrees.

    A crop that reaches beyond the photo gives what there is of it.
    """
    if settings.crop:
        x, y, width, height = settings.crop
        photo = photo[y : y + height, x : x + width]
    if settings.rotate:
        photo = np.rot90(photo, -settings.rotate // 90)
    return np.ascontiguousarray(photo)
