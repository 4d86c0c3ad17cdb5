"""Photos to a local or mounted folder."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..deadline import Deadline
from ..errors import Unavailable, in_words
from ..files import write_whole
from .section import PhotosSection


class FolderTarget:
    """Writes below the folder of a `file:///` address; a missing one is not made: its disk may not be mounted."""

    def __init__(self, photos: PhotosSection, timeout_s: float) -> None:
        self._folder = Path(unquote(urlsplit(photos.url).path))
        self.server = f"file://{self._folder}"

    def put(self, name: str, data: bytes, deadline: Deadline) -> None:
        """Put a file there whole (see Target). Nothing but the kernel can break off a mounted folder that hangs."""
        target = self._folder / name
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError("no such folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data)
        except OSError as error:
            raise Unavailable("the folder cannot be written", where=str(target), found=in_words(error)) from None

    def remove(self, name: str) -> None:
        """Delete a file."""
        (self._folder / name).unlink()

    def close(self) -> None:
        """Nothing to drop."""
