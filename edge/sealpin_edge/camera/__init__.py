"""Cameras: one file and one line in this table each."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ..photo import Photo

CAMERAS = {"folder": "sealpin_edge.camera.folder:FolderCamera"}


@dataclass(frozen=True)
class Frame:
    """A photo, when its exposure began (monotonic seconds), and where it is from."""

    photo: Photo
    exposed_at: float
    source: str


class Camera(Protocol):
    """What a camera must do."""

    def capture(self) -> Frame:
        """Take a photo now. Raises CameraFault."""

    def prepare(self) -> None:
        """Do ahead what need not wait for the next trigger."""

    def close(self) -> None:
        """Let go of the device."""


def make_camera(kind: str, path: Path) -> Camera:
    """The camera called `kind` (a key of CAMERAS), opened."""
    module, name = CAMERAS[kind].split(":")
    return cast(Camera, getattr(import_module(module), name)(path))
