"""Photos to an SFTP server (OpenSSH and others) with paramiko. Its host key must be known beforehand."""

import posixpath
import socket
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from ..deadline import Deadline
from ..errors import InputError, NotTaken, Refused, Unavailable, in_words, quote
from ..extras import need
from ..secret import Secret
from . import check_size, login_refused, put_in_place
from .section import PhotosSection


class SftpTarget:
    """One kept connection. The path of the address is absolute."""

    def __init__(self, photos: PhotosSection, timeout_s: float) -> None:
        self._ssh = need("paramiko", "sftp")
        parts = urlsplit(photos.url)
        self._host, self._port = parts.hostname or "", parts.port or 22
        self.server = f"sftp://{self._host}:{self._port}"
        self._user, self._folder = unquote(parts.username or ""), unquote(parts.path).rstrip("/")
        self._password = Secret(photos.password_file, "[photos] password_file")
        self._key = str(photos.key_file) if photos.key_file else None
        self._known_hosts = photos.known_hosts
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._client: Any = None
        self._sftp: Any = None
        if photos.known_hosts is None or not photos.known_hosts.is_file():
            raise InputError(
                "an SFTP server's key must be known",
                where="[photos] known_hosts",
                found=str(photos.known_hosts or "nothing"),
                allowed="a file as OpenSSH keeps it",
                advice="compare it with the server's own",
                hint=f"ssh-keyscan -p {quote(self._port)} {quote(self._host)} > KNOWN_HOSTS",
            )
        if photos.key_file and not photos.key_file.is_file():
            raise InputError(
                "the station's own key is not there",
                where=f"[photos] key_file = {photos.key_file}",
                allowed="a private key as OpenSSH keeps it, without a passphrase",
                hint=f"ssh-keygen -t ed25519 -N '' -f {quote(photos.key_file)}",
            )

    def put(self, name: str, data: bytes, deadline: Deadline) -> None:
        """Put a file there whole (see Target)."""
        target = f"{self._folder}/{name}"
        where = f"{self.server}{target}"
        deadline.watch(lambda: self._socket)
        sftp = self._connected()
        try:
            self._put(sftp, target, data)
        except PermissionError as error:
            raise Refused("the server refuses this file", where=where, found=str(error)) from None
        except TimeoutError as error:
            raise Unavailable("the SFTP server does not answer", where=where, found=str(error)) from None
        except OSError as error:  # what paramiko makes of the server's "failure": a full disk, a folder in the way
            kind = NotTaken if self._client.get_transport().is_active() else Unavailable
            raise kind("the SFTP server did not take this file", where=where, found=str(error)) from None
        except (self._ssh.SSHException, EOFError) as error:
            raise Unavailable("the SFTP server broke off", where=where, found=str(error)) from None

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._sftp.remove(f"{self._folder}/{name}")

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._client = self._sftp = None

    def _put(self, sftp: Any, target: str, data: bytes) -> None:
        unfinished = f"{target}.part"
        try:
            file = sftp.open(unfinished, "wb")
        except FileNotFoundError:
            self._make_folder(sftp, posixpath.dirname(target))
            file = sftp.open(unfinished, "wb")
        with file:
            file.set_pipelined(True)
            file.write(data)
        check_size(sftp.stat(unfinished).st_size, data, unfinished)
        try:
            sftp.posix_rename(unfinished, target)
        except OSError:  # an extension of OpenSSH; the protocol's own rename may not replace a file
            put_in_place(partial(sftp.rename, unfinished, target), partial(sftp.remove, target), OSError)

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
            password = self._password.read() or None
            try:
                self._connect(password)
            except self._ssh.AuthenticationException as error:
                raise login_refused(self.server, self._password.hidden(error)) from None
            except (self._ssh.SSHException, self._ssh.hostkeys.InvalidHostKey, OSError, EOFError, ValueError) as error:
                raise Unavailable("the SFTP server cannot be used", where=self.server, found=in_words(error)) from None
        return self._sftp

    def _connect(self, password: str | None) -> None:
        client = self._client = self._ssh.SSHClient()
        client.load_host_keys(str(self._known_hosts))
        client.set_missing_host_key_policy(self._ssh.RejectPolicy())
        self._socket = socket.create_connection((self._host, self._port), self._timeout_s)
        client.connect(
            self._host,
            self._port,
            self._user,
            password,
            sock=self._socket,
            key_filename=self._key,
            timeout=self._timeout_s,
            banner_timeout=self._timeout_s,
            auth_timeout=self._timeout_s,
            channel_timeout=self._timeout_s,
            allow_agent=False,
            look_for_keys=False,
        )
        self._sftp = client.open_sftp()
        self._sftp.get_channel().settimeout(self._timeout_s)
