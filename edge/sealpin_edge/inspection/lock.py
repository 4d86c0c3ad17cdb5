"""One station for one data_dir: whoever works with it holds a lock on the folder, which the system frees at its end."""

import contextlib
import fcntl
import os
from pathlib import Path

from ..errors import EnvironmentFault


class DataLock:
    """The lock on a data_dir. Where there is no folder, there is nothing to lock."""

    def __init__(self, data_dir: Path) -> None:
        """Take it. Raises EnvironmentFault when another station, doctor or teach-camera has it."""
        self._handle: int | None = None
        with contextlib.suppress(OSError):  # a disk that fails does not keep a station from starting
            self._handle = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._handle is None:
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.free()
            raise EnvironmentFault(
                "another station runs with these data",
                where=f"[station] data_dir = {data_dir}",
                found="the folder is locked",
                allowed="one station for each data_dir",
                hint="sudo systemctl stop sealpin-edge",
            ) from None

    def free(self) -> None:
        """Let others have it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
