"""The processes that look at photos are started once for all tests of a file: that takes a second each time."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from sealpin_training import parallel


class Kept(ProcessPoolExecutor):
    """Processes that outlive the block they were started for."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Not yet."""

    def end(self) -> None:
        """What `shutdown` is elsewhere."""
        super().shutdown(cancel_futures=True)


@pytest.fixture(scope="module", autouse=True)
def kept_processes() -> Iterator[None]:
    """One pool for each number of processes; another one after it broke."""
    pools: dict[int, Kept] = {}

    def pool(count: int, **options: Any) -> Kept:
        if count not in pools or pools[count]._broken:
            pools[count] = Kept(count, **options)
        return pools[count]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parallel, "ProcessPoolExecutor", pool)
        yield
    for one in pools.values():
        one.end()
