"""Where photos go: one file and one line in this table each."""

import socket
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ..config import PhotosSection

UPLOADERS = {
    "ftp": "sealpin_edge.upload.ftp:FtpUploader",
    "ftps": "sealpin_edge.upload.ftp:FtpUploader",
    "sftp": "sealpin_edge.upload.sftp:SftpUploader",
    "smb": "sealpin_edge.upload.smb:SmbUploader",
    "file": "sealpin_edge.upload.folder:FolderUploader",
}


class Uploader(Protocol):
    """What an upload target must do."""

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole, replacing one of the same name: written as `.part`, its size checked, renamed.

        `name` is relative, with forward slashes. Returns when the server has confirmed the whole file. Raises
        Unavailable when another try may help, NotTaken when the server answered but it may be this file that it does
        not want, Refused when it never will. Every exchange with the server has a deadline.
        """

    def close(self) -> None:
        """Drop the connection; the next upload makes a new one."""


def bound_sends(connection: socket.socket, timeout_s: float) -> None:
    """Break a connection whose other end has taken nothing for so long: what sends over it may wait for ever."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))


def make_uploader(photos: "PhotosSection", timeout_s: float) -> Uploader:
    """The uploader for [photos] `url`, by its scheme (a key of UPLOADERS).

    Raises InputError when a file that it names is missing, EnvironmentFault when a package is.
    """
    module, name = UPLOADERS[urlsplit(photos.url).scheme].split(":")
    return cast(Uploader, getattr(import_module(module), name)(photos, timeout_s))
