"""A folder of photos that plays camera: in name order, then again from the start."""

import time
from pathlib import Path

from ..errors import CameraFault, InputError
from ..model.photo import Frame, Photo, read_photo
from . import arrange
from .section import CameraSection

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")


class FolderCamera:
    """Replays photos. The next one is decoded ahead: a real camera has its pixels ready when asked."""

    live = False

    def __init__(self, settings: CameraSection, timeout_s: float) -> None:
        self._settings = settings
        self._photos = sorted(file for file in settings.path.glob("*") if file.suffix.lower() in ENDINGS)
        if not self._photos:
            raise InputError(
                "no photos to replay",
                where=f"[camera] path = {settings.path}",
                allowed="a folder with photos: " + ", ".join(ENDINGS),
            )
        self._next = 0
        self._ahead: tuple[Path, Photo | InputError] | None = None
        self.prepare()

    def prepare(self) -> None:
        """Decode the next photo, if that has not been done."""
        if self._ahead is None:
            file = self._photos[self._next]
            self._next = (self._next + 1) % len(self._photos)
            try:
                self._ahead = file, arrange(read_photo(file), self._settings)
            except InputError as fault:
                self._ahead = file, fault

    def watch(self) -> None:
        """A folder is looked at when its next photo is wanted."""

    def capture(self) -> Frame:
        """The next photo, as if exposed now. Raises CameraFault when it cannot be read."""
        exposed_at = time.monotonic()
        self.prepare()
        assert self._ahead is not None
        (file, photo), self._ahead = self._ahead, None
        if isinstance(photo, InputError):
            raise CameraFault(photo.problem, where=photo.where, found=photo.found)
        return Frame(photo, exposed_at, file.name)

    def close(self) -> None:
        """Nothing to let go of."""
