"""A stand-in for a station's machine: a chroot of its own with sshd and a small supervisor, whose power can be cut.

Its disk is a copy-on-write layer over a Debian root (this machine's own, or one of another architecture run by
qemu-user), in mount and process namespaces of its own; the network is this machine's loopback. Needs root, and Debian's
openssh-server.
"""

import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

from sealpin_edge.command import run_program
from sealpin_edge.errors import EnvironmentFault

from . import supervisor
from .servers import free_port

BOOT_S = 20.0
SSHD = "/usr/sbin/sshd"
# It goes with the program that switched it on, however that ends
_UNSHARE = (
    "/usr/bin/setpriv",
    "--pdeathsig",
    "KILL",
    "/usr/bin/unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--",
)
# Its own power button, in the order of a boot; each boot has another id, as a kernel's has
_BOOT = """
set -e
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$DISK/up,workdir=$DISK/work" "$DISK/root"
mount -t proc proc "$DISK/root/proc"
mount --rbind /dev "$DISK/root/dev"
mount -t tmpfs tmpfs "$DISK/root/run"
mount -t tmpfs tmpfs "$DISK/root/tmp"
chmod 1777 "$DISK/root/tmp"
mkdir -p "$DISK/root/run/sshd"
mount --bind "$DISK/boot_id" "$DISK/root/proc/sys/kernel/random/boot_id"
cd /
exec chroot "$DISK/root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    python3 /usr/local/lib/supervisor.py serve "$@"
"""
# What is written in place, and so cannot be shared by copies
_CHANGING = ("etc", "var", "opt/sealpin/history.jsonl", "opt/sealpin/lock")
# Stand-ins of programs that a chroot cannot have: systemd wants to be the first process, apt the internet
_PROGRAMS = {
    "systemctl": 'exec python3 /usr/local/lib/supervisor.py "$@"',
    "apt-get": 'echo "a stand-in installs nothing: $*"',
    "apt-cache": "exit 100",
}


def why_not() -> str:
    """Why there can be no such device here; "" when there can."""
    if os.geteuid() != 0:
        return "stand-in devices are chroots, which want root"
    if not Path(SSHD).exists():
        return "openssh-server is not installed"
    return ""


class StandIn:
    """A device in `folder`, which becomes its disk, over the Debian root `base`; `user` is who logs in."""

    user = "root"

    def __init__(self, folder: Path, base: Path = Path("/")) -> None:
        self.folder, self.port = folder, free_port()
        self.base = base
        self.disk = folder / "up"
        for name in ("up", "work", "root"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    def copy(self, folder: Path) -> "StandIn":
        """Another device with the same on its disk. What is never written in place is shared by hard links."""
        made = type(self)(folder, self.base)
        run_program(["cp", "-al", f"{self.disk}/.", str(made.disk)])
        for name in _CHANGING:
            run_program(["rm", "-rf", str(made.disk / name)])
            run_program(["cp", "-a", str(self.disk / name), str(made.disk / name)])
        return made

    def install(self, login: str) -> None:
        """Make a fresh image: a host key, root's login with the public SSH key `login`, stand-ins of programs."""
        programs = self.disk / "usr/local/bin"
        programs.mkdir(parents=True)
        for name, body in _PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        library = self.disk / "usr/local/lib"
        library.mkdir()
        shutil.copy(supervisor.__file__, library / "supervisor.py")
        keys = self.disk / "etc/ssh"
        keys.mkdir(parents=True)
        run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / "standin_key")])
        root = self.disk / "root/.ssh"
        root.mkdir(parents=True, mode=0o700)
        (root / "authorized_keys").write_text(f"{login}\n")
        # The shell of each command would read that of the machine beneath, and do what its owner likes to have done
        (self.disk / "root/.bashrc").touch()

    def boot(self) -> None:
        """Switch it on; returns when its sshd answers. Raises EnvironmentFault when it does not."""
        assert self._process is None, "it is on"
        with open(self.folder / "console.log", "ab") as console:
            self._process = subprocess.Popen(  # noqa: S603
                [*_UNSHARE, "/bin/sh", "-c", *self.start()],
                env={**os.environ, "BASE": str(self.base), "DISK": str(self.folder)},
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        give_up = time.monotonic() + BOOT_S
        while True:
            try:
                run_program(["ssh-keyscan", "-T", "1", "-p", str(self.port), "127.0.0.1"])
                return
            except EnvironmentFault:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    told = (self.folder / "console.log").read_text(errors="replace")[-500:]
                    raise EnvironmentFault("the stand-in does not boot", where=str(self.folder), found=told) from None
                time.sleep(0.05)

    def start(self) -> list[str]:
        """The shell script that starts everything, and its arguments; BASE and DISK are in its environment."""
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        options = ["UsePAM=no", "StrictModes=no", "PermitRootLogin=yes", "PasswordAuthentication=no", "PidFile=none"]
        options += ["HostKey=/etc/ssh/standin_key", "MaxStartups=100"]
        sshd = [SSHD, "-D", "-e", "-f", "/dev/null", "-p", str(self.port), "-o", "ListenAddress=127.0.0.1"]
        return [_BOOT, "boot", *sshd, *(part for option in options for part in ("-o", option))]

    def cut_power(self) -> None:
        """End every process in it at once; what was written stays, as far as a disk would have it."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def path(self, path: str) -> Path:
        """A file of the running device, for this machine to look at."""
        return Path(f"/proc/{self.first_process()}/root{path}")

    def first_process(self) -> int:
        """The process, as this machine numbers it, from which all others of the running device descend."""
        assert self._process is not None
        return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0])
