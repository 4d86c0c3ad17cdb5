"""Photos to an SFTP server (OpenSSH and others) with paramiko. Its host key must be known beforehand."""

import posixpath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import InputError, NotTaken, Refused, Unavailable
from ..extras import need
from ..secret import read_secret
from . import bound_sends

if TYPE_CHECKING:
    from ..config import PhotosSection


class SftpUploader:
    """One kept connection; any trouble drops it. The path of the address is absolute."""

    def __init__(self, photos: "PhotosSection", timeout_s: float) -> None:
        self._ssh = need("paramiko", "sftp")
        parts = urlsplit(photos.url)
        self._host, self._port = parts.hostname or "", parts.port or 22
        self._user, self._folder = unquote(parts.username or ""), unquote(parts.path).rstrip("/")
        self._password = read_secret(photos.password_file, "[photos] password_file") if photos.password_file else None
        self._key = str(photos.key_file) if photos.key_file else None
        self._timeout_s = timeout_s
        self._client: Any = None
        self._sftp: Any = None
        self._known = self._ssh.HostKeys()
        if photos.known_hosts is None or not photos.known_hosts.is_file():
            raise InputError(
                "an SFTP server's key must be known",
                where="[photos] known_hosts",
                found=str(photos.known_hosts or "nothing"),
                allowed="a file as OpenSSH keeps it",
                hint=f"ssh-keyscan -p {self._port} {self._host} > known_hosts, and compare it with the server's own",
            )
        self._known.load(str(photos.known_hosts))

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Uploader)."""
        target = f"{self._folder}/{name}"
        where = f"sftp://{self._host}:{self._port}{target}"
        try:
            sftp = self._connected()
        except (self._ssh.SSHException, OSError, EOFError) as error:
            self.close()
            raise Unavailable(
                "the SFTP server cannot be used", where=where, found=f"{type(error).__name__}: {error}"
            ) from None
        try:
            self._put(sftp, target, data)
        except PermissionError as error:
            self.close()
            raise Refused("the server refuses this file", where=where, found=str(error)) from None
        except TimeoutError as error:
            self.close()
            raise Unavailable("the SFTP server does not answer", where=where, found=str(error)) from None
        except NotTaken:
            self.close()
            raise
        except OSError as error:  # what paramiko makes of the server's "failure": a full disk, a folder in the way
            alive = self._client.get_transport().is_active()
            self.close()
            kind = NotTaken if alive else Unavailable
            raise kind("the SFTP server did not take this file", where=where, found=str(error)) from None
        except (self._ssh.SSHException, EOFError) as error:
            self.close()
            raise Unavailable("the SFTP server broke off", where=where, found=str(error)) from None

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
        self._client = self._sftp = None

    def _put(self, sftp: Any, target: str, data: bytes) -> None:
        partial = f"{target}.part"
        try:
            file = sftp.open(partial, "wb")
        except FileNotFoundError:
            self._make_folder(sftp, posixpath.dirname(target))
            file = sftp.open(partial, "wb")
        with file:
            file.set_pipelined(True)
            file.write(data)
        size = sftp.stat(partial).st_size
        if size != len(data):
            found = f"{size} of {len(data)} bytes"
            raise NotTaken("the server kept only a part of the photo", where=partial, found=found)
        try:
            sftp.posix_rename(partial, target)
        except OSError:  # a server without OpenSSH's extension renames over nothing
            sftp.remove(target)
            sftp.rename(partial, target)

    def _make_folder(self, sftp: Any, folder: str) -> None:
        if folder in ("", "/"):
            return
        try:
            sftp.stat(folder)
        except FileNotFoundError:
            self._make_folder(sftp, posixpath.dirname(folder))
            sftp.mkdir(folder)

    def _connected(self) -> Any:
        if self._sftp is None:
            client = self._client = self._ssh.SSHClient()
            client.get_host_keys().update(self._known)
            client.set_missing_host_key_policy(self._ssh.RejectPolicy())
            client.connect(
                self._host,
                self._port,
                self._user,
                self._password,
                key_filename=self._key,
                timeout=self._timeout_s,
                banner_timeout=self._timeout_s,
                auth_timeout=self._timeout_s,
                channel_timeout=self._timeout_s,
                allow_agent=False,
                look_for_keys=False,
            )
            bound_sends(client.get_transport().sock, self._timeout_s)
            self._sftp = client.open_sftp()
            self._sftp.get_channel().settimeout(self._timeout_s)
        return self._sftp
