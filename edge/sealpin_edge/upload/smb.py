"""Photos to a Windows or Samba share (SMB 2 and 3) with smbprotocol: `smb://user@host/share/folder`."""

import errno
import uuid
from functools import partial, wraps
from typing import Any
from urllib.parse import unquote, urlsplit

from ..deadline import Deadline
from ..errors import NotTaken, Refused, Unavailable
from ..extras import need
from ..secret import Secret
from . import check_size, login_refused, put_in_place
from .section import PhotosSection

# NTSTATUS of [MS-ERREF], 2.3.1: access denied; a user or password that is wrong, expired, disabled, locked out
ACCESS_DENIED = 0xC0000022
LOGIN = (0xC0000064, 0xC000006A, 0xC000006D, 0xC000006E, 0xC0000071, 0xC0000072, 0xC0000224, 0xC0000234)


class SmbTarget:
    """One kept session, in a cache of its own."""

    def __init__(self, photos: PhotosSection, timeout_s: float) -> None:
        self._smb = need("smbclient", "smb")
        self._connection: Any = need("smbprotocol.connection", "smb").Connection
        _bound_answers(self._connection, timeout_s)
        self._error: type[Exception] = need("smbprotocol.exceptions", "smb").SMBException
        parts = urlsplit(photos.url)
        self._host, self._port = parts.hostname or "", parts.port or 445
        self.server = f"smb://{self._host}:{self._port}"
        self._root = f"//{self._host}" + unquote(parts.path).rstrip("/")
        self._user = unquote(parts.username or "")
        self._password = Secret(photos.password_file, "[photos] password_file")
        self._timeout_s = timeout_s
        self._sessions: dict[str, Any] = {}

    def put(self, name: str, data: bytes, deadline: Deadline) -> None:
        """Put a file there whole (see Target)."""
        target = f"{self._root}/{name}"
        where = f"smb:{target}"
        try:
            self._connect(deadline)
        except (self._error, OSError, ValueError) as error:
            found = self._password.hidden(error)
            if getattr(error, "status", None) in (*LOGIN, ACCESS_DENIED):
                raise login_refused(self.server, found) from None
            raise Unavailable("the share cannot be used", where=self.server, found=found) from None
        try:
            self._put(target, data)
        except (self._error, OSError, ValueError) as error:
            status = getattr(error, "ntstatus", None)
            if ACCESS_DENIED in (status, getattr(error, "status", None)):
                raise Refused("the share refuses this file", where=where, found=str(error)) from None
            kind = NotTaken if status else Unavailable
            raise kind("the share does not take this file now", where=where, found=str(error)) from None

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._smb.remove(f"{self._root}/{name}", connection_cache=self._sessions, port=self._port)

    def close(self) -> None:
        """Drop the session."""
        sessions, self._sessions = self._sessions, {}
        for connection in sessions.values():
            try:
                connection.disconnect(close=False, timeout=self._timeout_s)
            except Exception:  # noqa: S112  it is gone already
                continue

    def _connect(self, deadline: Deadline) -> None:
        key = f"{self._host.lower()}:{self._port}"
        if key not in self._sessions:
            password = self._password.read()
            connection = self._connection(uuid.uuid4(), self._host, self._port)
            deadline.watch(lambda: connection.transport and connection.transport._sock)
            self._sessions[key] = connection
            connection.connect(timeout=self._timeout_s)
            self._smb.register_session(
                self._host,
                username=self._user,
                password=password,
                port=self._port,
                connection_timeout=self._timeout_s,
                connection_cache=self._sessions,
            )
        else:
            transport = self._sessions[key].transport
            deadline.watch(lambda: transport._sock)

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
        check_size(self._smb.stat(unfinished, **here).st_size, data, unfinished)
        try:
            self._smb.replace(unfinished, target, **here)
        except OSError:  # smbclient asks for the right to execute what it replaces, which a photo may not have
            put_in_place(
                partial(self._smb.rename, unfinished, target, **here),
                partial(self._smb.remove, target, **here),
                OSError,
            )


def _bound_answers(connection: Any, timeout_s: float) -> None:
    """Make smbprotocol's connections wait `timeout_s` for an answer where they would wait for ever."""
    real = getattr(connection.receive, "__wrapped__", connection.receive)

    @wraps(real)
    def receive(self: Any, request: Any, wait: bool = True, timeout: float | None = None, **rest: Any) -> Any:
        return real(self, request, wait=wait, timeout=timeout_s if timeout is None else timeout, **rest)

    connection.receive = receive
