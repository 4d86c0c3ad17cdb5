"""Servers that other people wrote, run as ordinary processes on loopback.

Debian: make packages, as root.
"""

import asyncio
import getpass
import grp
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from sealpin_simulation.servers import free_port
from tests.skips import not_installed

ROOT = Path(__file__).parents[2]
PASSWORD = "word-1"
USER = getpass.getuser()


@dataclass
class Peer:
    """A running server: its folder of files, and the [photos] section that reaches it (`url` and `files`)."""

    share: Path
    port: int
    url: str
    files: dict[str, Path]
    process: "subprocess.Popen[bytes]"

    def hang(self) -> None:
        """Stop the server without ending it: connections are taken and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End of `hang`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def program(name: str) -> str:
    """The program's path; the test is skipped when it is not installed."""
    postgresql = map(str, Path("/usr/lib/postgresql").glob("*/bin"))
    folders = [os.environ["PATH"], "/usr/sbin", "/sbin", str(ROOT / ".venv/vsftpd/usr/sbin"), *postgresql]
    path = shutil.which(name, path=":".join(folders))
    if path is None:
        pytest.skip(not_installed(name))
    return path


def secret(folder: Path, password: str = PASSWORD) -> Path:
    """A file with the password."""
    (folder / "secret").write_text(password, encoding="utf-8")
    return folder / "secret"


@contextmanager
def running(
    folder: Path, command: list[str], port: int, greeting: bytes, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """The server process, once it greets; it is killed with its children at the end."""
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **settings
        )
    try:
        end = time.monotonic() + 10
        while True:
            assert process.poll() is None and time.monotonic() < end, (folder / "output").read_text(errors="replace")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                if not greeting or probe.recv(64).startswith(greeting):
                    break
            time.sleep(0.05)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 18)
            os.killpg(process.pid, 9)
        process.wait()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    return cert, key


@contextmanager
def proftpd(folder: Path, *, tls: bool = False, overwrite: bool = True, password: str = PASSWORD) -> Iterator[Peer]:
    """proftpd for one user of its own password file."""
    port, share = free_port(), folder / "share"
    share.mkdir()
    hashed = subprocess.run([program("openssl"), "passwd", "-6", password], check=True, capture_output=True, text=True)
    passwd = folder / "passwd"
    passwd.touch(0o600)
    passwd.write_text(f"{USER}:{hashed.stdout.strip()}:{os.getuid()}:{os.getgid()}::{share}:/bin/false\n")
    files, secure = {"password_file": secret(folder, password)}, ""
    if tls:
        files["ca_file"], key = certificate(folder)
        secure = (
            "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\n"
            f"TLSECCertificateFile {files['ca_file']}\nTLSECCertificateKeyFile {key}\n"
        )
    (folder / "conf").write_text(
        f"{secure}ServerName test\nServerType standalone\nDefaultAddress 127.0.0.1\nSocketBindTight on\nPort {port}\n"
        "UseIPv6 off\nUseReverseDNS off\nAuthOrder mod_auth_file.c\nAuthPAM off\nRequireValidShell off\n"
        f"User {USER}\nGroup {grp.getgrgid(os.getgid()).gr_name}\nRootLogin on\nUseFtpUsers off\n"
        f"AuthUserFile {passwd}\n"
        f"AllowOverwrite {'on' if overwrite else 'off'}\nUmask 022\nWtmpLog off\nTransferLog none\n"
        f"PidFile {folder}/pid\nScoreboardFile {folder}/scoreboard\nDelayEngine off\nControlsEngine off\n"
    )
    command = [program("proftpd"), "--nodaemon", "--config", str(folder / "conf")]
    url = f"ftp{'s' if tls else ''}://{USER}@127.0.0.1:{port}{share}/line"
    with running(folder, command, port, b"220") as process:
        yield Peer(share, port, url, files, process)


@contextmanager
def vsftpd(folder: Path) -> Iterator[Peer]:
    """vsftpd for a user without an account, locked into the folder; a list bans every password but ours.

    That user must not own its root, so what the tests put there is left open to everybody. As a package it does not
    stand beside proftpd.
    """
    if os.getuid():
        pytest.skip("vsftpd locks its users into a folder, which takes root")
    port, share = free_port(), folder / "share"
    umask = os.umask(0o022)
    share.mkdir()
    (folder / "empty").mkdir()
    os.umask(0)
    (share / "line").mkdir()
    (folder / "banned").write_text("no-such-word\n")
    (folder / "conf").write_text(
        f"listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port={port}\nseccomp_sandbox=NO\n"
        f"secure_chroot_dir={folder}/empty\nnopriv_user=nobody\nftp_username=daemon\nanon_root={share}\n"
        f"anonymous_enable=YES\ndeny_email_enable=YES\nbanned_email_file={folder}/banned\n"
        "write_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\n"
        "anon_world_readable_only=NO\nanon_umask=000\ndelay_failed_login=0\n"
    )
    try:
        with running(folder, [program("vsftpd"), str(folder / "conf")], port, b"220") as process:
            url = f"ftp://anonymous@127.0.0.1:{port}/line"
            yield Peer(share, port, url, {"password_file": secret(folder)}, process)
    finally:
        os.umask(umask)


@contextmanager
def sshd(folder: Path) -> Iterator[Peer]:
    """OpenSSH with its internal SFTP server, a key for the present user, and the host key as known_hosts has it."""
    port, share = free_port(), folder / "share"
    share.mkdir()
    for name in ("host", "client"):
        subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized_keys").write_text((folder / "client.pub").read_text())
    kind, key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (folder / "conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"PermitRootLogin yes\nPasswordAuthentication no\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "Subsystem sftp internal-sftp\nForceCommand internal-sftp\nUseDNS no\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with running(folder, [program("sshd"), "-D", "-e", "-f", str(folder / "conf")], port, b"SSH-2.0") as process:
        files = {"key_file": folder / "client", "known_hosts": folder / "known_hosts"}
        yield Peer(share, port, f"sftp://{USER}@127.0.0.1:{port}{share}/line", files, process)


@contextmanager
def smbd(folder: Path, *, read_only: bool = False) -> Iterator[Peer]:
    """Samba with one share for the present user."""
    port, share = free_port(), folder / "share"
    for name in ("share", "private", "lock", "state", "cache", "ncalrpc"):
        (folder / name).mkdir()
    (folder / "smb.conf").write_text(
        "[global]\nserver role = standalone server\ninterfaces = 127.0.0.1/8\nbind interfaces only = yes\n"
        f"smb ports = {port}\ndisable netbios = yes\npassdb backend = smbpasswd:{folder}/smbpasswd\n"
        + "".join(
            f"{key} = {folder}/{name}\n"
            for key, name in (
                ("private dir", "private"), ("lock directory", "lock"), ("state directory", "state"),
                ("cache directory", "cache"), ("pid directory", "lock"), ("ncalrpc dir", "ncalrpc"),
                ("log file", "log"),
            )
        )
        + "load printers = no\nprintcap name = /dev/null\ndisable spoolss = yes\nusershare max shares = 0\n"
        f"map to guest = never\n[share]\npath = {share}\nread only = {'yes' if read_only else 'no'}\n"
        + f"valid users = {USER}\ncreate mask = 0644\n"
    )  # fmt: skip
    subprocess.run(
        [program("pdbedit"), "-s", folder / "smb.conf", "-a", "-t", "-u", USER],
        input=f"{PASSWORD}\n{PASSWORD}\n".encode(), check=True, capture_output=True,
    )  # fmt: skip
    command = [program("smbd"), "--foreground", "--no-process-group", f"--configfile={folder}/smb.conf"]
    url = f"smb://{USER}@127.0.0.1:{port}/share/line"
    with running(folder, command, port, b"") as process:
        yield Peer(share, port, url, {"password_file": secret(folder)}, process)


FILE_SERVERS: dict[str, Callable[[Path], AbstractContextManager[Peer]]] = {
    "ftp": proftpd,
    "ftp without overwrite": lambda folder: proftpd(folder, overwrite=False),
    "ftp of vsftpd": vsftpd,
    "ftps": lambda folder: proftpd(folder, tls=True),
    "sftp": sshd,
    "smb": smbd,
}


@contextmanager
def postgres(folder: Path) -> Iterator[Peer]:
    """PostgreSQL with a database of its own for the user `sealpin`; it does not run as root, so another one runs it."""
    user = "nobody" if os.getuid() == 0 else USER
    port = free_port()
    if os.getuid() == 0:
        shutil.chown(folder, user)
    run = {"user": user} if os.getuid() == 0 else {}
    data = folder / "data"
    subprocess.run(
        [program("initdb"), "--no-sync", "--auth=trust", "--username=sealpin", "--pgdata", data],
        check=True, capture_output=True, cwd=folder, **run,
    )  # fmt: skip
    command = [program("postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    with running(folder, command, port, b"", **run) as process:
        yield Peer(data, port, f"postgresql://sealpin@127.0.0.1:{port}/postgres", {}, process)


@contextmanager
def modbus_server() -> Iterator[int]:
    """pymodbus's own server with its own memory, on a thread; its port."""
    loop, started, port = asyncio.new_event_loop(), threading.Event(), free_port()
    servers: list[Any] = []

    async def serve() -> None:
        blocks = [SimData(0, count=64, datatype=kind) for kind in [DataType.BITS] * 2 + [DataType.REGISTERS] * 2]
        device = SimDevice(id=0, simdata=([blocks[0]], [blocks[1]], [blocks[2]], [blocks[3]]))
        servers.append(ModbusTcpServer(device, address=("127.0.0.1", port)))
        await servers[0].serve_forever(background=True)
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(5)
    yield port
    asyncio.run_coroutine_threadsafe(servers[0].shutdown(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
