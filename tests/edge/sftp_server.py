"""An SFTP server of paramiko's on loopback, which leaves out what its protocol leaves open (SSH_FXP version 3)."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko

from sealpin_edge.upload.section import PhotosSection


class Files(paramiko.SFTPServerInterface):
    """The whole disk, without posix-rename@openssh.com: `rename` may not replace a file."""

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            file = os.fdopen(os.open(path, flags, 0o644), "wb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = paramiko.SFTPHandle(flags)
        handle.writefile = file  # type: ignore[attr-defined]
        return handle

    def rename(self, oldpath: str, newpath: str) -> int:
        if Path(newpath).exists():
            return paramiko.SFTP_FAILURE
        Path(oldpath).rename(newpath)
        return paramiko.SFTP_OK

    def remove(self, path: str) -> int:
        try:
            Path(path).unlink()
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))
        return paramiko.SFTP_OK

    def mkdir(self, path: str, attr: Any) -> int:
        Path(path).mkdir()
        return paramiko.SFTP_OK


class _Access(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == "word" else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@contextmanager
def sftp_server(folder: Path, files: type[Files] = Files) -> Iterator[PhotosSection]:
    """The server, which keeps below `folder`/share; the [photos] section that reaches it."""
    key = paramiko.RSAKey.generate(2048)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    (folder / "share").mkdir()
    (folder / "secret").write_text("word")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
    transports = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
            transports.append(transport)
            transport.start_server(event=threading.Event(), server=_Access())

    threading.Thread(target=serve, daemon=True).start()
    url = f"sftp://me@127.0.0.1:{port}{folder}/share/line"
    try:
        yield PhotosSection(url, folder / "secret", known_hosts=folder / "known_hosts")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in transports:
            transport.close()
