"""The operator's counters: how many parts of each verdict since the shift began."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from ..tasks.verdict import Verdict


def shift_start(starts: Sequence[str], now: datetime) -> datetime:
    """When the shift began in which `now` (local, with its zone) lies; `starts` are times of day, HH:MM."""
    days = (now.date() - timedelta(days=1), now.date())
    # Local times without a zone are given that day's own, which may not be today's
    moments = [datetime.combine(day, time.fromisoformat(text)).astimezone() for day in days for text in starts]
    return max(moment for moment in moments if moment <= now)


class ShiftCounter:
    """Counts verdicts, from nothing again when a new shift begins."""

    def __init__(self, starts: Sequence[str], now: datetime) -> None:
        self._starts = starts
        self.since = shift_start(starts, now)
        self.counts = dict.fromkeys(Verdict, 0)

    def restore(self, counts: Mapping[str, int]) -> None:
        """Go on from what the database says of this shift."""
        self.counts = {verdict: counts.get(verdict.value, 0) for verdict in Verdict}

    def add(self, verdict: Verdict, now: datetime) -> None:
        """Count one part."""
        since = shift_start(self._starts, now)
        if since != self.since:
            self.since, self.counts = since, dict.fromkeys(Verdict, 0)
        self.counts[verdict] += 1
