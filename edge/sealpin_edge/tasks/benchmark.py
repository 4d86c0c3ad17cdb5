"""How fast a model file runs on this machine: load, each stage of a photo's way, memory; several of them in turns.

Each model and number of threads has a process of its own, since a runtime's memory and threads stay. They take turns
in short rounds, so that what else the machine does meets all of them alike.
"""

import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EnvironmentFault, SealpinError
from ..model.photo import Photo, decode_photo, encode_jpeg

SIDE = 1024  # of the photo, as the line's camera takes them
PHOTOS_A_ROUND = 10
STAGES = ("decode", "resize", "invoke", "read")
LOADED = 0.1  # of all processors' time: what others may take of it before a figure is said to be of a loaded machine
WAITED_FOR = STAGES[1:]  # a camera gives pixels: the station decodes nothing


@dataclass(frozen=True)
class Timing:
    """One model with one number of threads. A photo's time is resize, invoke and read; `stages` are medians.

    `threads` are those it ran with, more than asked where fewer would lose detections (model.py). `first_ms` is the
    first photo after loading, `rss_mb` the process at the end, `growth_mb` what it grew by after the first round.
    `others_load` is how busy others kept the processors meanwhile, 0..1.
    """

    model: str
    bytes: int
    threads: int
    photos: int
    load_ms: float
    first_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    stages: dict[str, float]
    rss_mb: float
    growth_mb: float
    others_load: float


def benchmark(
    models: Sequence[Path],
    threads: Sequence[int],
    photos: int,
    photo: Photo | None = None,
    labels: Sequence[Sequence[str] | None] = (),
    good: Sequence[str] | None = None,
) -> list[Timing]:
    """Time each model with each number of threads over so many photos.

    `labels` are each model's, for one that carries none; `good` are the classes of good parts, of those that do not
    tell. All photos are `photo`, or a made-up one of 1024x1024. How
    much a model finds on it, and then suppresses, is a part of its time. Raises InputError for a model that cannot be
    run.
    """
    jpeg = encode_jpeg(_photo() if photo is None else photo)
    workers: list[_Worker] = []
    try:
        for model, own in zip_longest(models, labels):
            for count in threads:
                workers.append(_Worker(model, count, own, good, jpeg))
                workers[-1].load()  # one after the other: loading would disturb another's loading
        load = Load(*(worker.pid for worker in workers))
        for _ in range(0, photos, PHOTOS_A_ROUND):
            for worker in workers:
                worker.run()
        others = round(load.share(), 3)
        return [worker.timing(others) for worker in workers]
    finally:
        for worker in workers:
            worker.end()


def table(timings: Sequence[Timing]) -> str:
    """Timings for a terminal, milliseconds."""
    head = ("model", "MB", "threads", "load", "first", "p50", "p95", "p99", *STAGES, "memory MB")
    rows = [
        (
            one.model,
            f"{one.bytes / 1e6:.1f}",
            str(one.threads),
            *(f"{value:.1f}" for value in (one.load_ms, one.first_ms, one.p50_ms, one.p95_ms, one.p99_ms)),
            *(f"{one.stages[stage]:.2f}" for stage in STAGES),
            f"{one.rss_mb:.0f} (grew by {one.growth_mb:.1f})",
        )
        for one in timings
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join([*lines, *filter(None, [loaded(timings[0].others_load)])])


def machine() -> str:
    """This machine in one line, for whoever compares figures."""
    device = Path("/sys/firmware/devicetree/base/model")  # a Raspberry Pi says its model there
    name = device.read_text().rstrip("\0") if device.exists() else _processor()
    return f"{name}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


class Load:
    """How busy others keep this machine's processors from now on, beside this process and `pids`."""

    def __init__(self, *pids: int) -> None:
        self._pids = (os.getpid(), *pids)
        self._began = self._ticks()

    def share(self) -> float:
        """Of all processors' time since then, what neither we nor nobody used, 0..1."""
        total, busy, own = (after - before for before, after in zip(self._began, self._ticks(), strict=True))
        return max(0.0, (busy - own) / total) if total else 0.0

    def _ticks(self) -> tuple[int, int, int]:
        """All processors' time, what of it was used, and what of that by our processes (proc(5)), in clock ticks."""
        user, nice, system, idle, waiting, *others = map(
            int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        )
        busy = user + nice + system + sum(others)
        own = 0
        for pid in self._pids:
            used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            own += sum(map(int, used))
        return busy + idle + waiting, busy, own


def loaded(share: float) -> str:
    """What must be said of times that were taken while others kept so much of the processors; "" when it is little."""
    return f"others took {share:.0%} of the processors meanwhile: alone it is faster" if share > LOADED else ""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


class _Worker:
    """One model on its runtime in a process of its own."""

    def __init__(
        self, model: Path, threads: int, labels: Sequence[str] | None, good: Sequence[str] | None, jpeg: bytes
    ) -> None:
        spawn = get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(theirs, model, threads, labels, good, jpeg), daemon=True)
        self._process.start()
        theirs.close()
        self._model = model
        self._rounds: list[dict[str, Any]] = []

    def load(self) -> None:
        self._loaded = self._answer()

    def run(self) -> None:
        self._connection.send(PHOTOS_A_ROUND)
        self._rounds.append(self._answer())

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def timing(self, others_load: float) -> Timing:
        seconds = np.concatenate([one["seconds"] for one in self._rounds])  # [photos, stages]
        waited = 1000 * seconds[:, [STAGES.index(stage) for stage in WAITED_FOR]].sum(axis=1)
        p50, p95, p99 = (round(float(value), 2) for value in np.percentile(waited, (50, 95, 99)))
        return Timing(
            model=str(self._model),
            bytes=self._model.stat().st_size,
            threads=self._loaded["threads"],
            photos=len(waited),
            load_ms=round(1000 * self._loaded["seconds"], 1),
            first_ms=round(1000 * self._loaded["first"], 2),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            stages={
                stage: round(1000 * float(middle), 3)
                for stage, middle in zip(STAGES, np.median(seconds, axis=0), strict=True)
            },
            rss_mb=self._rounds[-1]["rss_mb"],
            growth_mb=round(self._rounds[-1]["rss_mb"] - self._rounds[0]["rss_mb"], 1),
            others_load=others_load,
        )

    def end(self) -> None:
        self._connection.close()  # which the process takes as its end
        self._process.join(5)
        self._process.kill()

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._connection.recv()
        except EOFError:
            raise EnvironmentFault("the model's process ended", where=str(self._model)) from None
        if isinstance(answer, SealpinError):
            raise answer
        return dict(answer)


def _work(
    connection: Connection,
    path: Path,
    threads: int,
    labels: Sequence[str] | None,
    good: Sequence[str] | None,
    jpeg: bytes,
) -> None:
    """Load the model; then, for each number received, judge so many photos and answer with seconds and memory."""
    from .model import Model

    began = time.perf_counter()
    try:
        model = Model(path, threads, labels, good)
    except SealpinError as error:
        connection.send(error)
        return
    loaded_s = time.perf_counter() - began - model.warm_up_s
    connection.send({"seconds": loaded_s, "first": model.warm_up_s, "threads": model.threads})
    while True:
        try:
            count = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        seconds = np.empty((count, len(STAGES)))
        for row in seconds:
            marks = [time.perf_counter()]
            photo = decode_photo(jpeg)
            marks.append(time.perf_counter())
            pixels = model.prepare(photo)
            marks.append(time.perf_counter())
            model.invoke(pixels)
            marks.append(time.perf_counter())
            model.interpret(*photo.shape[:2])
            marks.append(time.perf_counter())
            row[:] = np.diff(marks)
        connection.send({"seconds": seconds, "rss_mb": _resident_mb()})


def _photo() -> Photo:
    """Soft grey blotches: what a part's steel looks like to a decoder and a resize."""
    import cv2

    coarse = np.random.default_rng(0).integers(60, 200, (SIDE // 16, SIDE // 16, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)
