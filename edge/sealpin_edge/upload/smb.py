"""Photos to a Windows or Samba share (SMB 2 and 3) with smbprotocol: `smb://user@host/share/folder`."""

import errno
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import NotTaken, Refused, Unavailable
from ..extras import need
from ..secret import read_secret
from . import bound_sends

if TYPE_CHECKING:
    from ..config import PhotosSection


# NTSTATUS of [MS-ERREF], 2.3.1
ACCESS_DENIED = 0xC0000022


class SmbUploader:
    """One kept session, in a cache of its own; any trouble drops it."""

    def __init__(self, photos: "PhotosSection", timeout_s: float) -> None:
        self._smb = need("smbclient", "smb")
        _set_deadline(need("smbprotocol.connection", "smb").Connection, timeout_s)
        self._error: type[Exception] = need("smbprotocol.exceptions", "smb").SMBException
        parts = urlsplit(photos.url)
        self._host, self._port = parts.hostname or "", parts.port or 445
        self._root = f"//{self._host}" + unquote(parts.path).rstrip("/")
        self._user = unquote(parts.username or "")
        password = photos.password_file
        self._password = read_secret(password, "[photos] password_file") if password else ""
        self._timeout_s = timeout_s
        self._sessions: dict[str, Any] = {}

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Uploader)."""
        target = f"{self._root}/{name}"
        where = f"smb:{target}"
        try:
            self._connect()
        except (self._error, OSError, ValueError) as error:
            self.close()
            raise Unavailable("the share cannot be used", where=where, found=str(error)) from None
        try:
            self._put(target, data)
        except NotTaken:
            self.close()
            raise
        except (self._error, OSError, ValueError) as error:
            self.close()
            status = getattr(error, "ntstatus", None)
            if status == ACCESS_DENIED:
                raise Refused("the share refuses this file", where=where, found=str(error)) from None
            kind = NotTaken if status else Unavailable
            raise kind("the share does not take this file now", where=where, found=str(error)) from None

    def close(self) -> None:
        """Drop the session."""
        sessions, self._sessions = self._sessions, {}
        for connection in sessions.values():
            try:
                connection.disconnect(close=False, timeout=self._timeout_s)
            except Exception:  # noqa: S112  it is gone already
                continue

    def _connect(self) -> None:
        if self._sessions:
            return
        self._smb.register_session(
            self._host,
            username=self._user,
            password=self._password,
            port=self._port,
            connection_timeout=self._timeout_s,
            connection_cache=self._sessions,
        )
        for connection in self._sessions.values():
            bound_sends(connection.transport._sock, self._timeout_s)

    def _put(self, target: str, data: bytes) -> None:
        here: dict[str, Any] = {"connection_cache": self._sessions, "port": self._port}
        unfinished = f"{target}.part"
        try:
            file = self._smb.open_file(unfinished, mode="wb", **here)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            self._smb.makedirs(target.rpartition("/")[0], exist_ok=True, **here)
            file = self._smb.open_file(unfinished, mode="wb", **here)
        with file:
            file.write(data)
        size = self._smb.stat(unfinished, **here).st_size
        if size != len(data):
            found = f"{size} of {len(data)} bytes"
            raise NotTaken("the share kept only a part of the photo", where=unfinished, found=found)
        try:
            self._smb.replace(unfinished, target, **here)
        except OSError:
            # smbclient asks for the right to execute what it replaces, which a photo may not have
            self._smb.remove(target, **here)
            self._smb.rename(unfinished, target, **here)


def _set_deadline(connection: Any, timeout_s: float) -> None:
    """Make smbprotocol's connections wait `timeout_s` for an answer where they would wait for ever."""
    real = getattr(connection.receive, "__wrapped__", connection.receive)

    @wraps(real)
    def receive(self: Any, request: Any, wait: bool = True, timeout: float | None = None, **rest: Any) -> Any:
        return real(self, request, wait=wait, timeout=timeout_s if timeout is None else timeout, **rest)

    connection.receive = receive
