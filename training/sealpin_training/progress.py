"""Progress of long work on standard error: a bar on a terminal, a line every half minute where there is none."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

FIRST_LINE_S, LINE_EVERY_S = 5.0, 30.0


def progress(items: Sequence[T], what: str, unit: str) -> Iterable[T]:
    """Go through `items`, and show how far."""
    with progress_bar(len(items), what, unit) as bar:
        for item in items:
            yield item
            bar.update(1)


def progress_bar(total: int, what: str, unit: str, done: int = 0) -> Any:
    """What shows how far work is: `update(n)` moves it on, `set_postfix(**told)` adds what else there is to tell."""
    if not sys.stderr.isatty():
        return _Lines(total, what, unit, done)
    from tqdm import tqdm

    return tqdm(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True, file=sys.stderr)


class _Lines:
    """Progress for a log: nothing of what is over at once, then lines with rate and time left."""

    def __init__(self, total: int, what: str, unit: str, done: int) -> None:
        self._total, self._what, self._unit, self._done = total, what, unit, done
        self._told: dict[str, str] = {}
        self._since: tuple[float, int] | None = None  # the time and count that the rate is measured from
        self._due = 0.0

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_postfix(self, **told: str) -> None:
        """Told in the next line, name and value."""
        self._told = told

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        now = time.monotonic()
        if self._since is None:  # the first may have had to build what the others use: it is no measure
            self._since, self._due = (now, self._done), now + FIRST_LINE_S
        elif now >= self._due and self._done < self._total:
            (began, first), self._since, self._due = self._since, (now, self._done), now + LINE_EVERY_S
            speed = (self._done - first) / (now - began)
            left = duration((self._total - self._done) / speed) if speed else "unknown time"
            told = "".join(f", {name.replace('_', ' ')} {value}" for name, value in self._told.items())
            print(
                f"{self._what}: {self._unit} {self._done:,} of {self._total:,}{told}, {speed:.3g} {self._unit}/s,"
                f" about {left} left",
                file=sys.stderr,
                flush=True,
            )


def duration(seconds: float) -> str:
    """A length of time as a person says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"
