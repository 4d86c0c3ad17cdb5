"""What can go wrong with the disk of a running station: full, read-only, failing."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sealpin_edge.errors import EnvironmentFault

# Mounting takes no root in a namespace of one's own
_IN_A_NAMESPACE = ("unshare", "--user", "--mount", "--map-root-user", "sh", "-c")
_MOUNT_AND_RUN = 'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
# What a program does to a disk, and to nothing else
_DISK_CALLS = "pwrite64,ftruncate,fsync,fdatasync"
_ATTACH_S = 5.0


def on_a_disk(folder: Path, megabytes: int, *, read_only: bool) -> tuple[str, ...]:
    """What to put before a command so that it finds a new, empty disk of that size at `folder`."""
    options = f"size={megabytes}m,{'ro' if read_only else 'rw'}"
    return (*_IN_A_NAMESPACE, _MOUNT_AND_RUN.format(options=options), "sh", str(folder))


class Disk:
    """The disk that the process `pid` sees at `folder`. Each way to spoil it returns what mends it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid, self._folder = pid, folder.resolve()
        self.path = Path(f"/proc/{pid}/root{self._folder}")

    def fill(self) -> Callable[[], None]:
        """Take all the room there is; only for a disk made by `on_a_disk`."""
        filler = self.path / "filler"
        with suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        return filler.unlink

    def mount_writable(self) -> None:
        """End of `read_only`."""
        enter = ("nsenter", "--target", str(self._pid), "--user", "--mount", "--preserve-credentials")
        subprocess.run([*enter, "mount", "-o", "remount,rw", str(self._folder)], check=True)  # noqa: S603  our own

    def fail(self, error: str) -> Callable[[], None]:
        """Let every write fail with `error` ("EIO", "EROFS"). Raises EnvironmentFault where strace may not do that."""
        inject = f"inject={_DISK_CALLS}:error={error}"
        try:
            strace = subprocess.Popen(  # noqa: S603  our own command
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, "-p", str(self._pid)],  # noqa: S607
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise EnvironmentFault("strace is not installed", hint="sudo apt-get install strace") from None

        def mend() -> None:
            strace.terminate()
            strace.wait(10)

        end = time.monotonic() + _ATTACH_S
        while not all(_traced(task) for task in Path(f"/proc/{self._pid}/task").iterdir()):
            if strace.poll() is not None or time.monotonic() > end:
                mend()
                raise EnvironmentFault("strace may not trace the station", advice="run it as root, or allow ptrace")
            time.sleep(0.01)
        return mend


def _traced(task: Path) -> bool:
    with suppress(FileNotFoundError):  # a thread that has ended
        return "TracerPid:\t0\n" not in (task / "status").read_text()
    return True
