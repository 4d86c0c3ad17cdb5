"""[photos] of a station.toml, and the table of places that take them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..setting import Fault, setting, url_faults

UPLOADERS = {
    "ftp": "sealpin_edge.upload.ftp:FtpTarget",
    "ftps": "sealpin_edge.upload.ftp:FtpTarget",
    "sftp": "sealpin_edge.upload.sftp:SftpTarget",
    "smb": "sealpin_edge.upload.smb:SmbTarget",
    "file": "sealpin_edge.upload.folder:FolderTarget",
}


@dataclass(frozen=True)
class PhotosSection:
    """[photos]: where photos go.

    `ca_file` holds who signed an FTPS server's certificate; `known_hosts` an SFTP server's key, `key_file` our own.
    """

    url: str
    password_file: Path | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None
    first: str = setting("upload", one_of=("upload", "store"))

    def check_url(self) -> Iterator[Fault]:
        """Where to."""
        yield from url_faults(self.url, tuple(UPLOADERS))
