"""Deploys to a Debian that boots with a real systemd, by a user with sudo: `make test-systemd`, as root.

Not part of `make test`: it makes a Debian root (from the mirror that apt knows) and boots it with systemd-nspawn.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealpin_edge.errors import EnvironmentFault
from sealpin_simulation.device import StandIn
from tests.conftest import write_parts
from tests.deploy.debian import debian_root
from tests.deploy.faults import cut, kill_agent
from tests.deploy.workshop import Station, Workshop

BOOT = """
set -e
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$DISK/up,workdir=$DISK/work" "$DISK/root"
exec systemd-nspawn --quiet --keep-unit --register=no --console=pipe --link-journal=no --resolv-conf=off --boot \\
    --directory="$DISK/root"
"""
PACKAGES = "systemd-sysv,dbus,openssh-server,sudo,python3,python3-venv"
PI = 1000
HEALED_S = 200.0


class Machine(StandIn):
    """Debian as it boots, and the user `pi`, who may use sudo without a password."""

    user = "pi"

    def install(self, login: str) -> None:
        """Give it the user."""
        keys = self.disk / "home/pi/.ssh"
        keys.mkdir(parents=True)
        (keys / "authorized_keys").write_text(f"{login}\n")
        for path in (keys.parent, keys, keys / "authorized_keys"):
            os.chown(path, PI, PI)
        etc = self.disk / "etc"
        etc.mkdir()
        lines = {"passwd": f"pi:x:{PI}:{PI}::/home/pi:/bin/bash", "group": f"pi:x:{PI}:", "shadow": "pi:*:19000::::::"}
        for name, line in lines.items():
            (etc / name).write_text(f"{(self.base / 'etc' / name).read_text()}{line}\n")
        (etc / "shadow").chmod(0o640)
        (etc / "sudoers.d").mkdir()
        (etc / "sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")

    def start(self) -> list[str]:
        """systemd is the first process; sshd listens on this machine's loopback."""
        config = self.disk / "etc/ssh/sshd_config.d/stand-in.conf"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f"Port {self.port}\nListenAddress 127.0.0.1\nPasswordAuthentication no\n")
        return [BOOT, "boot"]

    def path(self, path: str) -> Path:
        """As the machine that it runs on sees it."""
        return Path(f"{super().path('/')}{self.folder}/root{path}")


@pytest.fixture(scope="module")
def workshop(toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """With four parts; its image is prepared and deployed to through sudo."""
    folder = tmp_path_factory.mktemp("workshop")
    write_parts(folder / "photos", [[], [("PR", 2, 3)], [], [("QA", 5, 5)]])
    base = debian_root("systemd-bookworm", "amd64", PACKAGES)
    return Workshop(folder, toy_model, folder / "photos", base=base, kind=Machine)


@pytest.fixture
def station(workshop: Workshop) -> Iterator[Station]:
    """A station that runs the first bundle."""
    made = workshop.station("pi")
    yield made
    made.close()


def test_systemd_runs_deploys_rollbacks_and_boots(workshop: Workshop, station: Station) -> None:
    began = time.monotonic()

    def told(text: object) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    first, second = workshop.first.manifest.release, workshop.second.manifest.release
    told(f"{station.running(60)} runs, a part: {station.judges()}")
    outcome = station.deploy(workshop.second, watch_s=5, progress=lambda device, step, done, total: told(step))
    told(outcome)
    assert (outcome.result, station.running(60)) == ("deployed", second)
    assert station.judges() in ("OK", "NG")
    back = station.rollback()
    told(back)
    assert (back.result, station.running(60)) == ("deployed", first)
    for step in ("switch", "watch"):
        outcome = cut(station, workshop.second, step, "power")
        told(outcome)
        assert (outcome.result, "the connection to the station was lost" in outcome.why) == ("unknown", True)
        assert station.running(60) == first
        told(f"booted, {first} runs, a part: {station.judges()}")
    outcome = kill_agent(station, workshop.second)
    told(outcome)
    assert station.running(HEALED_S) == first
    told(f"healed by the timer, a part: {station.judges()}")
    assert [line["event"] for line in station.ask("status")["history"]].count("rolled back") >= 2
    station.machine.path("/etc/sudoers.d/pi").unlink()
    with pytest.raises(EnvironmentFault, match="this user needs sudo without a password"):
        station.ask("status")
