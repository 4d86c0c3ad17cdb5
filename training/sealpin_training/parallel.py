"""Work on many items on every core: results in the order of the items, memory bounded, and Ctrl-C ends it at once."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

from sealpin_edge.errors import EnvironmentFault

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 3  # chunks given out per core: enough that none waits, few enough that results do not pile up


class Workers:
    """A number of processes that share the items of one call after another."""

    def __init__(self, pool: ProcessPoolExecutor | None, count: int) -> None:
        self.count = count
        self._pool = pool

    def map(self, task: Callable[[list[Item]], Result], items: Iterable[Item], chunk: int) -> Iterator[Result]:
        """`task` on `chunk` items at a time; results in order. An exception of a task is raised here.

        Raises EnvironmentFault when a process was ended from outside, by the kernel for want of memory perhaps.
        """
        rest = iter(items)
        chunks = iter(lambda: list(islice(rest, chunk)), [])
        if self._pool is None:
            yield from map(task, chunks)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for part in chunks:
                waiting.append(self._pool.submit(task, part))
                if len(waiting) > AHEAD * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise EnvironmentFault(
                "a working process was ended",
                allowed="enough memory for every core",
                advice="try again with --workers 1",
            ) from None
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def workers(count: int | None = None) -> Iterator[Workers]:
    """Processes for the length of a block; as many as there are cores for us unless told. One works in this process."""
    count = count or len(os.sched_getaffinity(0))
    if count == 1:
        yield Workers(None, 1)
        return
    # Not fork: the threads of OpenCV and TensorFlow do not survive it
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)
    try:
        # Ctrl-C is for this process, and not while the pool starts: half begun, it can neither go on nor be ended
        waiting = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(count):
                pool.submit(int)  # the processes start while this one finds its work
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        yield Workers(pool, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes already use every core
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's process would wait for ever for one that was killed: it holds both ends of the pipes between them."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
