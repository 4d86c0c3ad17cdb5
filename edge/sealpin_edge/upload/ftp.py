"""Photos to an FTP server: written under a `.part` name, its size checked, then renamed over the final one."""

import ftplib
import io
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import Refused, Unavailable
from ..secret import read_secret

# Not logged in, and quota exceeded: trouble of the account, not of the file
OUT_OF_ORDER = ("530", "552")


class FtpUploader:
    """One kept connection; any trouble drops it. Every operation of the connection has the time-out."""

    def __init__(self, url: str, password_file: Path | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 21
        self._user = unquote(parts.username or "anonymous")
        self._folder = unquote(parts.path).rstrip("/")
        self._password = read_secret(password_file, "[photos] password_file") if password_file else ""
        self._timeout_s = timeout_s
        self._ftp: ftplib.FTP | None = None
        self._made: set[str] = set()

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Uploader)."""
        target = f"{self._folder}/{name}"
        where = f"ftp://{self._host}:{self._port}{target}"
        try:
            ftp = self._connected()
            self._make_folder(ftp, target.rpartition("/")[0])
            partial = f"{target}.part"
            try:
                ftp.storbinary(f"STOR {partial}", io.BytesIO(data))
                ftp.voidcmd("TYPE I")
                size = ftp.size(partial)
                if size != len(data):
                    raise Unavailable(
                        "the server kept only a part of the photo", where=where, found=f"{size} of {len(data)} bytes"
                    )
                ftp.rename(partial, target)
            except ftplib.error_perm as error:
                self.close()  # the next try makes its folders anew: somebody may have moved them away
                if str(error)[:3] in OUT_OF_ORDER:
                    raise
                raise Refused("the server refuses this file", where=where, found=str(error)) from None
        except ftplib.error_perm as error:
            self.close()
            raise Unavailable("the FTP server refuses us", where=where, found=str(error)) from None
        except (OSError, EOFError, ValueError, ftplib.Error, Unavailable) as error:
            self.close()
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(
                "the FTP server cannot be reached", where=where, found=str(error) or type(error).__name__
            ) from None

    def close(self) -> None:
        """Drop the connection."""
        if self._ftp is not None:
            self._ftp.close()
        self._ftp = None
        self._made.clear()

    def _connected(self) -> ftplib.FTP:
        if self._ftp is None:
            ftp = ftplib.FTP(timeout=self._timeout_s, encoding="latin-1")
            self._ftp = ftp
            ftp.connect(self._host, self._port)
            ftp.login(self._user, self._password)
        return self._ftp

    def _make_folder(self, ftp: ftplib.FTP, folder: str) -> None:
        """Create the folder and those above it, once a connection; those that exist refuse, which is fine."""
        if folder in self._made:
            return
        path = ""
        for part in folder.strip("/").split("/"):
            path += f"/{part}"
            try:
                ftp.mkd(path)
            except ftplib.error_perm:
                continue
        self._made.add(folder)
