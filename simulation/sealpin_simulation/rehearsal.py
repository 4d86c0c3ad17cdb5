"""A rehearsal on a simulated site: parts, servers that go away on a schedule, a full disk, a station that is killed."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .line import LineReport
from .site import Audit, Site


@dataclass(frozen=True)
class Rehearsal:
    """What happened, what the station said at the end, and what of it the servers have."""

    report: LineReport
    audit: Audit
    health: dict[str, Any]
    drained_s: float

    @property
    def ok(self) -> bool:
        """Whether every part got a verdict by the rules, and nothing that was reported is missing."""
        return self.report.ok and self.audit.ok

    def document(self) -> dict[str, Any]:
        """For scripts."""
        verdicts = [part.verdict for part in self.report.parts]
        late = sorted(part.latency_ms for part in self.report.parts if part.latency_ms is not None)
        return {
            "ok": self.ok,
            "parts": len(verdicts),
            "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
            "p50_ms": round(late[len(late) // 2], 1) if late else None,
            "max_ms": round(late[-1], 1) if late else None,
            "violations": self.report.violations,
            "drained_s": self.drained_s,
            "dropped": self.health["outbox"].get("dropped"),
            "lost": self.health["lost"],
            "degraded": self.health["degraded"],
            "audit": {**asdict(self.audit), "reported": len(self.audit.reported)},
        }


def rehearse(
    site: Site,
    parts: int,
    *,
    cuts: Sequence[range] = (),
    kills: Sequence[int] = (),
    interval_s: float = 0.05,
    told: Callable[[int], None] = lambda number: None,
) -> Rehearsal:
    """Place `parts` parts. Both servers are away for those in `cuts`; before those in `kills` the station is killed.

    Raises EnvironmentFault when what was stored does not leave within a minute.
    """
    logging.getLogger("snap7").setLevel(logging.CRITICAL)
    away = {number for cut in cuts for number in cut}

    def before_part(number: int) -> None:
        if number in away and number - 1 not in away:
            site.cut()
        if number not in away and number - 1 in away:
            site.join()
        if number in kills:
            site.kill()
            site.start()
            line.forget_station()
        told(number)

    line = site.line(interval_s=interval_s, before_part=before_part)
    line.start()
    site.start()
    try:
        report = line.run(parts, threading.Event())
        if parts in away:
            site.join()
        drained = round(site.wait_until_drained(), 1)
        health = site.health()
    finally:
        site.stop()
        line.stop()
    return Rehearsal(report, site.audit(report.parts), health, drained)
