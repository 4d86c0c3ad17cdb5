"""A release on trial: it runs, and goes unless it is confirmed, whatever happens to cable, power or this program.

`trial.json` is on the disk before the running release is touched. Who finds it there and no trial going on (after a
reboot, or past its deadline) puts the earlier release back: a timer and the boot do, by `heal`.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import EnvironmentFault, SealpinError
from ..files import fsync_folder, write_whole
from ..ids import boot_id
from ..release.bundle import MODEL
from . import service
from .layout import BASE, CURRENT, TRIAL, record
from .releases import current, load_manifest, switch

START_S = 60.0
# A station that is up connects to its PLC, or finds it again, within this
READY_S = 15.0
CONFIRM_S = 30.0
POLL_S = 0.5


class NotWell(SealpinError):
    """The new release is not well; the earlier one was put back."""


def try_release(release: str, watch_s: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """Put a release in the place of the running one and watch it for `watch_s` seconds; returns its health.

    Then it waits for `confirm`. Raises NotWell, with the earlier release back in its place, when the new one does not
    start, says it is another than it should be, starts anew, has no camera where there was one, loses the PLC, or
    `tell` fails: nobody is there.
    """
    earlier = current()
    before = service.health(earlier) if earlier else None
    deadline = _clock() + START_S + 2 * READY_S + watch_s + CONFIRM_S
    with _changing():
        _write({"from": earlier, "to": release, "boot": boot_id(), "deadline": deadline})
    try:
        tell("halt")
        if earlier:
            service.stop()
        tell("switch")
        switch(release)
        tell("start")
        service.start()
        return _watch(release, before, watch_s, tell)
    except (SealpinError, OSError) as error:
        with suppress(OSError):  # whoever listened may be gone
            tell("back")
        go_back(str(error))
        raise NotWell(
            f"{release} was taken back",
            found=str(error),
            advice=f"{earlier} runs again" if earlier else "nothing ran before it",
            hint="" if earlier else "journalctl -u sealpin-edge -e",
        ) from None


def confirm(release: str, **about: Any) -> None:
    """Let a release on trial stay. Raises NotWell when it has been taken back meanwhile."""
    with _changing():
        trial = _read()
        if trial is None or trial["to"] != release or current() != release:
            raise NotWell(f"{release} was taken back", found="no confirmation in time")
        record("deployed", release=release, earlier=trial["from"], **about)
        _forget()


def go_back(why: str, *, booting: bool = False) -> None:
    """Put the release before the trial back, if there is a trial; the trial ends when it is up."""
    with _changing():
        if (trial := _read()) is None:
            return
        switch(trial["from"])
        try:
            if booting:
                service.systemctl("daemon-reload")  # systemd starts the station after us
            elif trial["from"]:
                service.restart()
            else:
                service.stop()
        except EnvironmentFault as fault:  # what ran before does not either: systemd goes on trying
            why = f"{why}; the release before it does not start: {fault}"
        _forget()
    record("rolled back", release=trial["from"], earlier=trial["to"], why=why)


def on_trial() -> str | None:
    """The release on trial, if one is."""
    trial = _read()
    return str(trial["to"]) if trial else None


def heal(*, booting: bool) -> bool:
    """End a trial that nobody follows any more; whether there was one."""
    trial = _read()
    if trial is None or (trial["boot"] == boot_id() and _clock() < trial["deadline"]):
        return False
    go_back("nobody confirmed it", booting=booting)
    return True


def _watch(release: str, before: dict[str, Any] | None, watch_s: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """The release's health after `watch_s` seconds on end in which nothing was wrong with it."""
    manifest = load_manifest(release)
    silent = service.address(release) == "off"
    begin = service.process()
    well_since: float | None = None
    worse_since: float | None = _clock()
    told = 0.0
    while True:
        now = service.process()
        if not now.active or now.pid != begin.pid or now.restarts != begin.restarts:
            raise EnvironmentFault("the station ended or started anew", hint="journalctl -u sealpin-edge -e")
        found = service.health(release) or {}
        worse = "" if silent else _worse(found, before, release, manifest.members[MODEL].sha256)
        if worse:
            well_since, worse_since = None, worse_since or _clock()
            if _clock() - worse_since >= READY_S:
                raise EnvironmentFault(worse, found=f"state {found.get('state')}, {'; '.join(found.get('alarms', []))}")
        else:
            well_since, worse_since = well_since or _clock(), None
            if _clock() - well_since >= watch_s:
                return found
        if _clock() - told >= 1:
            told = _clock()
            tell("watch")
        time.sleep(POLL_S)


def _worse(found: dict[str, Any], before: dict[str, Any] | None, release: str, model_sha256: str) -> str:
    """What is wrong with the new station, in comparison with the one before it; empty when nothing is."""
    if not found:
        return "the station does not answer"
    if found.get("release") != release:
        return f"another release answers: {found.get('release')}"
    if found.get("model_sha256") != model_sha256:
        return "the station judges by another model"
    if not (before and _camera(before)) and (trouble := _camera(found)):
        return f"the camera does not work: {trouble}"
    if service.works(before) and not service.works(found):
        return "the station does not get Ready, as the earlier one was"
    return ""


def _camera(health: dict[str, Any]) -> str:
    """What is wrong with a station's camera; empty when nothing is, or an older release told its driver here."""
    told = str(health.get("camera", "ok"))
    return "" if told == "ok" or "camera_driver" not in health else told


def _clock() -> float:
    """Seconds of this boot, the same for every process, whatever is done to the time of day."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def _changing() -> Iterator[None]:
    """Only one at a time decides what runs: a deploy, or the timer that heals."""
    BASE.mkdir(parents=True, exist_ok=True)
    with open(BASE / ".changing", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(trial: dict[str, Any]) -> None:
    write_whole(TRIAL, json.dumps(trial).encode())


def _read() -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(TRIAL.read_bytes())
        found["from"], found["to"], found["boot"], found["deadline"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise EnvironmentFault(
            "the note of a trial is damaged", where=str(TRIAL), advice=f"see what {CURRENT} should be, then remove it"
        ) from None
    return found


def _forget() -> None:
    TRIAL.unlink()
    fsync_folder(BASE)
