"""Progress bars for long work: rate and time left, on a terminal only, on standard error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def progress(items: Sequence[T], what: str, unit: str) -> Iterable[T]:
    """Go through `items` under a bar labelled `what`."""
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(
        items, desc=what, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True, file=sys.stderr
    )
    return bar


def progress_bar(total: int, what: str, unit: str, done: int = 0) -> Any:
    """A tqdm bar that the caller moves; silent where nobody watches."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit=unit,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        file=sys.stderr,
    )
