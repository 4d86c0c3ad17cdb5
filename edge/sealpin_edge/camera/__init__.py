"""Cameras: one file and one line in this table each."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from ..photo import Photo

if TYPE_CHECKING:
    from ..config import CameraSection

CAMERAS = {
    "folder": "sealpin_edge.camera.folder:FolderCamera",
    "opencv": "sealpin_edge.camera.opencv:OpenCvCamera",
    "picamera2": "sealpin_edge.camera.pi:PiCamera",
}


@dataclass(frozen=True)
class Frame:
    """A photo, when its exposure began (monotonic seconds), and where it is from."""

    photo: Photo
    exposed_at: float
    source: str


class Camera(Protocol):
    """What a camera must do. `live` ones never give the same picture twice: their sensor has noise."""

    live: bool

    def capture(self) -> Frame:
        """Take a photo whose exposure begins after this call. Raises CameraFault when there is none in time."""

    def prepare(self) -> None:
        """Do ahead what need not wait for the next trigger."""

    def close(self) -> None:
        """Let go of the device."""


def make_camera(settings: "CameraSection", timeout_s: float) -> Camera:
    """The camera of [camera] `driver`, opened. Raises InputError or EnvironmentFault."""
    module, name = CAMERAS[settings.driver].split(":")
    return cast(Camera, getattr(import_module(module), name)(settings, timeout_s))


def arrange(photo: Photo, settings: "CameraSection") -> Photo:
    """The part of the photo that [camera] `crop` names, turned clockwise by `rotate` degrees.

    A crop that reaches beyond the photo gives what there is of it.
    """
    if settings.crop:
        x, y, width, height = settings.crop
        photo = photo[y : y + height, x : x + width]
    if settings.rotate:
        photo = np.rot90(photo, -settings.rotate // 90)
    return np.ascontiguousarray(photo)
