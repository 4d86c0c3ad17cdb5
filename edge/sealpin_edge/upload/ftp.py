"""Photos to an FTP or FTPS server (explicit TLS, its certificate checked)."""

import ftplib
import io
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import NotTaken, Refused, Unavailable
from ..secret import read_secret

if TYPE_CHECKING:
    from ..config import PhotosSection

# Not logged in: trouble of the account. Storage exceeded: of the server's disk
ACCOUNT, STORAGE = "530", "552"


class FtpUploader:
    """One kept connection; any trouble drops it. Every exchange on it has the time-out."""

    def __init__(self, photos: "PhotosSection", timeout_s: float) -> None:
        parts = urlsplit(photos.url)
        self._tls = ssl.create_default_context(cafile=photos.ca_file) if parts.scheme == "ftps" else None
        self._host, self._port = parts.hostname or "", parts.port or 21
        self._user = unquote(parts.username or "anonymous")
        self._folder = unquote(parts.path).rstrip("/")
        password = photos.password_file
        self._password = read_secret(password, "[photos] password_file") if password else ""
        self._timeout_s = timeout_s
        self._ftp: ftplib.FTP | None = None
        self._made: set[str] = set()

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Uploader)."""
        target = f"{self._folder}/{name}"
        where = f"ftp://{self._host}:{self._port}{target}"
        try:
            ftp = self._connected()
        except (OSError, EOFError, ValueError, ftplib.Error) as error:
            self.close()
            raise Unavailable("the FTP server cannot be used", where=where, found=_told(error)) from None
        try:
            self._make_folder(ftp, target.rpartition("/")[0])
            self._put(ftp, target, data)
        except (ftplib.error_perm, ftplib.error_temp) as error:
            self.close()  # the next try makes its folders anew: somebody may have moved them away
            code = str(error)[:3]
            kind = Unavailable if code in (ACCOUNT, "421") else NotTaken
            if isinstance(error, ftplib.error_perm) and code not in (ACCOUNT, STORAGE):
                raise Refused("the server refuses this file", where=where, found=str(error)) from None
            raise kind("the FTP server does not take this file now", where=where, found=str(error)) from None
        except (OSError, EOFError, ValueError, ftplib.Error) as error:
            self.close()
            raise Unavailable("the FTP server broke off", where=where, found=_told(error)) from None
        except NotTaken:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        if self._ftp is not None:
            self._ftp.close()
        self._ftp = None
        self._made.clear()

    def _put(self, ftp: ftplib.FTP, target: str, data: bytes) -> None:
        partial = f"{target}.part"
        try:
            self._store(ftp, partial, data)
        except ftplib.error_perm as error:
            # Some servers write over nothing, not even over what an earlier try has left
            _delete(ftp, partial, error)
            self._store(ftp, partial, data)
        ftp.voidcmd("TYPE I")
        size = ftp.size(partial)
        if size != len(data):
            found = f"{size} of {len(data)} bytes"
            raise NotTaken("the server kept only a part of the photo", where=partial, found=found)
        try:
            ftp.rename(partial, target)
        except ftplib.error_perm as error:
            # Some servers rename over nothing. The whole photo is there, so its older version may go
            _delete(ftp, target, error)
            ftp.rename(partial, target)

    def _store(self, ftp: ftplib.FTP, name: str, data: bytes) -> None:
        try:
            ftp.storbinary(f"STOR {name}", io.BytesIO(data))
        except (OSError, EOFError):
            # A server whose disk is full cuts the data connection; why, it says on the other one
            ftp.voidresp()
            raise

    def _connected(self) -> ftplib.FTP:
        if self._ftp is None:
            options: dict[str, Any] = {"timeout": self._timeout_s, "encoding": "latin-1"}
            ftp = ftplib.FTP(**options) if self._tls is None else _FtpTls(context=self._tls, **options)
            self._ftp = ftp
            ftp.connect(self._host, self._port)
            ftp.login(self._user, self._password)
            if isinstance(ftp, _FtpTls):
                ftp.prot_p()
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


class _FtpTls(ftplib.FTP_TLS):
    """Data connections go on with the TLS session of the control connection, which many servers insist on."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        plain, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(plain, server_hostname=self.host, session=self.sock.session), size


def _delete(ftp: ftplib.FTP, name: str, otherwise: ftplib.error_perm) -> None:
    """Delete a file that may have been in the way; raises `otherwise` when there was none."""
    try:
        ftp.delete(name)
    except ftplib.error_perm:
        raise otherwise from None


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
