"""A station that kills itself (SIGKILL) at a named point of its way to disk and servers.

    python -m sealpin_simulation.crash POINT COUNT station.toml

kills it at the COUNT-th time that it gets there. POINT is "before " or "after " and a key of POINTS.
"""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

# What is wrapped: module, and attribute in it
POINTS = {
    "photo store": ("sealpin_edge.delivery.outbox", "Outbox.store_photo"),
    "fsync": ("os", "fsync"),
    "rename": ("os", "replace"),
    "commit": ("sqlite3", "connect"),
    "FTP store": ("ftplib", "FTP.storbinary"),
    "FTP rename": ("ftplib", "FTP.rename"),
    "API answer": ("sealpin_edge.delivery.results", "ResultsApi.put"),
    "unlink": ("pathlib", "Path.unlink"),
    "row delete": ("sealpin_edge.delivery.outbox", "Outbox._clean_up"),
}


class _Countdown:
    def __init__(self, count: int) -> None:
        self._left, self._lock = count, threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, count: int) -> None:
    """Make this process kill itself at the `count`-th time that it gets to `point`."""
    when, _, name = point.partition(" ")
    module_name, attribute = POINTS[name]
    owner: Any = import_module(module_name)
    *parents, last = attribute.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    countdown = _Countdown(count)
    real = getattr(owner, last)
    setattr(owner, last, _connect(real, when, countdown) if name == "commit" else _wrapped(real, when, countdown, name))


def _wrapped(real: Callable[..., Any], when: str, countdown: _Countdown, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        counts = name != "unlink" or arguments[0].suffix == ".jpg"  # a photo's, not that of something unfinished
        if counts and when == "before":
            countdown()
        result = real(*arguments, **options)
        if counts and when == "after":
            countdown()
        return result

    return call


def _connect(real: Callable[..., Any], when: str, countdown: _Countdown) -> Callable[..., Any]:
    class Connection(sqlite3.Connection):
        def __exit__(self, *raised: Any) -> Any:
            if when == "before":
                countdown()
            result = super().__exit__(*raised)
            if when == "after":
                countdown()
            return result

    return lambda *arguments, **options: real(*arguments, factory=Connection, **options)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    from sealpin_edge.cli.main import main

    main(["run", "--wait-for-plc", "--config", sys.argv[3]])
