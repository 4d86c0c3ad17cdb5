"""Where photos go: one file and one line in this table each."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import urlsplit

UPLOADERS = {"ftp": "sealpin_edge.upload.ftp:FtpUploader", "file": "sealpin_edge.upload.folder:FolderUploader"}


class Uploader(Protocol):
    """What an upload target must do."""

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole, replacing one of the same name.

        `name` is relative, with forward slashes. Returns when the server has confirmed the whole file. Raises
        Unavailable when another try may help, Refused when it will not.
        """

    def close(self) -> None:
        """Drop the connection; the next upload makes a new one."""


def make_uploader(url: str, password_file: Path | None, timeout_s: float) -> Uploader:
    """The uploader for `url`, by its scheme (a key of UPLOADERS). Raises InputError when the password is missing."""
    module, name = UPLOADERS[urlsplit(url).scheme].split(":")
    return cast(Uploader, getattr(import_module(module), name)(url, password_file, timeout_s))
