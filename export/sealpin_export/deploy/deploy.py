"""One station's deploy and rollback, from lock to confirmation."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sealpin_edge.errors import EnvironmentFault, SealpinError
from sealpin_edge.release.bundle import Bundle

from .connection import ConnectionLost, Conversation, connect, holder
from .inventory import Device

# A station to go back to was well before
ROLLBACK_WATCH_S = 2.0
DEPLOYED, UNCHANGED, ROLLED_BACK, REFUSED, UNKNOWN = "deployed", "unchanged", "rolled_back", "refused", "unknown"


@dataclass(frozen=True)
class Outcome:
    """What came of one station: releases before and after, one of the five results, and why.

    `run_id` is the training run of what runs there now, known when it was deployed or unchanged.
    """

    station: str
    before: str | None
    to: str
    result: str
    why: str = ""
    warning: str = ""
    exit_code: int = 0
    run_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "station": self.station,
            "from": self.before,
            "to": self.to,
            "result": self.result,
            "why": self.why,
            "warning": self.warning,
        }


# Told of each step, and of bytes sent of all that are to be sent
Progress = Callable[[Device, str, int, int], None]


def deploy(device: Device, bundle: Bundle, *, allow_downgrade: bool, watch_s: float, progress: Progress) -> Outcome:
    """Bring a bundle to a station: sent, proven there, put in place, watched, confirmed; else what ran runs again."""
    release = bundle.manifest.release

    def bring(station: Conversation, running: str | None) -> str:
        _send(station, bundle, allow_downgrade, progress)
        if running != release:
            station.ask("stage", lambda step: progress(device, step, 0, 0))
        return release

    return _change(device, release, bring, watch_s, progress)


def rollback(device: Device, version: str, *, progress: Progress) -> Outcome:
    """Go back to a release that is still on the station: a version, or "" for the last good one before this one."""

    def choose(station: Conversation, running: str | None) -> str:
        return str(station.ask("choose", lambda step: progress(device, step, 0, 0), version=version)["release"])

    return _change(device, version, choose, ROLLBACK_WATCH_S, progress)


def _send(station: Conversation, bundle: Bundle, allow_downgrade: bool, progress: Progress) -> None:
    """Offer a bundle, and send what the station has not."""
    head, signature = (base64.b64encode(data).decode() for data in (bundle.manifest.head, bundle.signature))
    missing = station.ask("offer", head=head, signature=signature, allow_downgrade=allow_downgrade)["missing"]
    have = {entry["sha256"]: int(entry["have"]) for entry in missing}
    total, done = sum(int(entry["bytes"]) for entry in missing), sum(have.values())

    def sent(count: int) -> None:
        nonlocal done
        done += count
        progress(station.device, "send", done, total)

    for name, data in bundle.members() if have else ():
        sha256 = bundle.manifest.members[name].sha256
        if sha256 in have:
            station.put(sha256, data, have.pop(sha256), sent)


def _change(
    device: Device,
    release: str,
    bring: Callable[[Conversation, str | None], str],
    watch_s: float,
    progress: Progress,
) -> Outcome:
    """Lock a station, `bring` a release to be ready there, and put it in the place of the running one."""
    before: str | None = None
    trying = False
    try:
        with connect(device) as station:
            before = station.ask("lock", holder=holder())["running"]
            release = bring(station, before)
            if release == before:
                status = station.ask("status")
                warning = "" if status["health"] else "the station does not answer: journalctl -u sealpin-edge -e"
                return Outcome(device.name, before, release, UNCHANGED, warning=warning, run_id=status["run_id"])
            trying = True
            health = station.ask("try", lambda step: progress(device, step, 0, 0), watch_s=watch_s)["health"]
            run_id = station.ask("confirm", lambda step: progress(device, step, 0, 0))["run_id"]
            warning = "; ".join(health.get("alarms", []))
            return Outcome(device.name, before, release, DEPLOYED, warning=warning, run_id=run_id)
    except OSError as error:
        return Outcome(device.name, before, release, ROLLED_BACK if trying else REFUSED, str(error), exit_code=3)
    except SealpinError as error:
        if trying and isinstance(error, ConnectionLost):
            return _after_the_cut(device, before, release, error)
        result, code = (ROLLED_BACK, 1) if trying else (REFUSED, error.exit_code)
        return Outcome(device.name, before, release, result, str(error), exit_code=code)


def _after_the_cut(device: Device, before: str | None, release: str, error: ConnectionLost) -> Outcome:
    """The connection went while a release was on trial: ask again what became of it."""
    try:
        with connect(device) as station:
            status = station.ask("status")
    except EnvironmentFault:
        why = f"{error}\nIt ends on one of the two by itself, within some minutes: sealpin stations; deploy again"
        return Outcome(device.name, before, release, UNKNOWN, why, exit_code=error.exit_code)
    if status["release"] == release and status["on_trial"] is None:
        return Outcome(device.name, before, release, DEPLOYED, run_id=status["run_id"])
    why = f"{error}\nWhat was on trial goes back by itself, within some minutes at most; deploy again"
    return Outcome(device.name, before, release, ROLLED_BACK, why, exit_code=error.exit_code)
