"""Photos to a local or mounted folder."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import Unavailable
from ..files import write_whole

if TYPE_CHECKING:
    from ..config import PhotosSection


class FolderUploader:
    """Writes below the folder of a `file:///` address; a missing one is not made: its disk may not be mounted."""

    def __init__(self, photos: "PhotosSection", timeout_s: float) -> None:
        self._folder = Path(unquote(urlsplit(photos.url).path))

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Uploader)."""
        target = self._folder / name
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError("no such folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data)
        except OSError as error:
            raise Unavailable("the folder cannot be written", where=str(target), found=str(error)) from None

    def close(self) -> None:
        """Nothing to drop."""
