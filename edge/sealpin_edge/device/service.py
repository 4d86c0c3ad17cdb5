"""The station as systemd's service, and how it is: what the service manager says, and the station's own /health."""

import http.client
import json
import os
import pwd
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ask import ask_station
from ..command import run_program
from ..errors import EnvironmentFault, InputError
from ..files import read_text
from ..release.bundle import STATION, UNIT
from .layout import HOME, RELEASES, STATION_USER

HEALTH_TIMEOUT_S = 2.0
PREFLIGHT_TIMEOUT_S = 600.0
# In these a station takes no part
IDLE_STATES = ("not ready", "halted", "fault")


@dataclass(frozen=True)
class Process:
    """What the service manager says: `pid` is 0 when none runs, `restarts` counts since it was last started."""

    active: bool
    pid: int
    restarts: int


def systemctl(*arguments: str) -> str:
    """Run systemctl. Raises EnvironmentFault with what it said."""
    return run_program(["systemctl", *arguments], hint=f"journalctl -u {UNIT} -e").decode()


def stop() -> None:
    """End the station: the part that is being judged is finished, what is queued is stored."""
    systemctl("stop", UNIT)


def start() -> None:
    """Read the release's unit and start the station; returns once it is up. Raises EnvironmentFault when it is not."""
    systemctl("daemon-reload")
    systemctl("start", UNIT)


def restart() -> None:
    """Read the release's unit, end what runs and start it."""
    systemctl("daemon-reload")
    systemctl("restart", UNIT)


def process() -> Process:
    """How the service is."""
    told = systemctl("show", "--property=ActiveState,MainPID,NRestarts", UNIT)
    values = dict(line.partition("=")[::2] for line in told.splitlines())
    return Process(
        values.get("ActiveState") == "active", int(values.get("MainPID") or 0), int(values.get("NRestarts") or 0)
    )


def address(release: str) -> str:
    """Where a release's station answers, "off" where it does not: the station's own config before the release's."""
    found = "127.0.0.1:8080"
    for path in (RELEASES / release / STATION, HOME / STATION):
        try:
            found = tomllib.loads(read_text(path))["display"]["address"]
        except (OSError, ValueError, KeyError, TypeError, InputError):
            continue
    return str(found)


def health(release: str) -> dict[str, Any] | None:
    """The station's /health document; None when it does not answer."""
    try:
        found = json.loads(ask_station(address(release), "/health", HEALTH_TIMEOUT_S))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return found if isinstance(found, dict) and "state" in found else None


def works(found: dict[str, Any] | None) -> bool:
    """Whether a station of this health takes parts."""
    return found is not None and found.get("plc") == "connected" and found.get("state") not in IDLE_STATES


def preflight(folder: Path) -> dict[str, Any]:
    """Let a release try itself, as the station's user and behind the running station; returns what it found.

    Raises InputError with what is wrong.
    """
    command = [str(folder / "venv/bin/sealpin-edge"), "preflight", "--json", "--config", str(folder / STATION)]
    command = [*as_station(), "env", "--chdir=/", "nice", "-n", "19", *command, "--own", str(HOME / STATION)]
    try:
        printed = run_program(command, timeout_s=PREFLIGHT_TIMEOUT_S).decode()
        found: dict[str, Any] = json.loads(printed[printed.index("{") :])
    except EnvironmentFault as fault:
        raise InputError(
            "the release would not run on this station",
            where=folder.name,
            found=(fault.found or fault.problem).removeprefix("error: "),
            advice="what runs was not touched; mend the bundle and deploy again",
        ) from None
    return found


def as_station() -> list[str]:
    """What to put before a command that runs as the station's user."""
    try:
        pwd.getpwnam(STATION_USER)
    except KeyError:
        return []
    return ["runuser", "-u", STATION_USER, "--"] if os.geteuid() == 0 else []
