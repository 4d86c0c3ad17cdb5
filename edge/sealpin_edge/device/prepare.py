"""Making a station of a blank machine: user, folders, trusted keys, units, packages that only the system has."""

import os
import pwd
import shutil
from pathlib import Path
from typing import Any

from ..command import run_program
from ..errors import EnvironmentFault
from ..files import read_text, write_whole
from ..release.bundle import UNIT
from .layout import AGENT, BASE, BLOBS, CURRENT, ENVIRONMENTS, HOME, RELEASES, SIGNERS, STATION_USER
from .service import systemctl

UNITS = Path("/etc/systemd/system")
HEAL = "sealpin-heal"
# What a release on trial that nobody follows falls back by: at boot before the station starts, then every 15 seconds
HEAL_UNITS = {
    f"{HEAL}.service": f"""[Unit]
Description=put back a sealpin release that nobody confirmed
ConditionPathExists={BASE}/trial.json

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {AGENT} heal
""",
    f"{HEAL}.timer": f"""[Unit]
Description=look after sealpin releases on trial

[Timer]
OnBootSec=15
OnUnitActiveSec=15
OnUnitInactiveSec=15
AccuracySec=1
Unit={HEAL}.service

[Install]
WantedBy=timers.target
""",
    f"{HEAL}-boot.service": f"""[Unit]
Description=put back a sealpin release that was on trial when the power went
ConditionPathExists={BASE}/trial.json
Before={UNIT}
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {AGENT} heal --booting

[Install]
WantedBy=multi-user.target
""",
}
# Raspberry Pi OS alone has the camera's; the others are on every Debian
PACKAGES = ("python3-venv", "openssh-client")
CAMERA = "python3-picamera2"
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]


def prepare(signers: str, authorized_key: str) -> dict[str, Any]:
    """Make this machine ready for its first deploy; done twice it changes nothing. Returns what was done.

    `signers` is the file of trusted keys, `authorized_key` an SSH key that may log in as the user we run for, or "".
    Raises EnvironmentFault when it is not root, or a package cannot be had.
    """
    if os.geteuid() != 0:
        raise EnvironmentFault(
            "this user may not prepare a station",
            found=pwd.getpwuid(os.geteuid()).pw_name,
            allowed="root, or one with sudo",
        )
    done = {"packages": _packages(), "user": _user()}
    for folder in (BASE, BLOBS, RELEASES, ENVIRONMENTS, SIGNERS.parent):
        folder.mkdir(parents=True, exist_ok=True)
    HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.chown(HOME, STATION_USER, STATION_USER)
    write_whole(SIGNERS, signers.encode())
    SIGNERS.chmod(0o644)
    if authorized_key:
        _authorize(authorized_key)
    for name, text in HEAL_UNITS.items():
        write_whole(UNITS / name, text.encode())
        (UNITS / name).chmod(0o644)
    # The release's own unit, whichever runs: a link to a link
    (UNITS / UNIT).unlink(missing_ok=True)
    (UNITS / UNIT).symlink_to(CURRENT / UNIT)
    wants = UNITS / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / UNIT).unlink(missing_ok=True)
    (wants / UNIT).symlink_to(UNITS / UNIT)
    systemctl("daemon-reload")
    systemctl("enable", f"{HEAL}-boot.service")
    systemctl("enable", "--now", f"{HEAL}.timer")
    return done


def _packages() -> list[str]:
    """Install what is missing; returns what was. The camera's packages only where the system has them."""
    wanted = [
        name for name in (*PACKAGES, CAMERA) if _known("dpkg-query", "-Wf${db:Status-Status}", name) != "installed"
    ]
    if wanted:
        run_program(["dpkg", "--configure", "-a"])  # an earlier try may have been cut
        run_program([*APT, "update"])
        if CAMERA in wanted and not _known("apt-cache", "show", CAMERA):
            wanted.remove(CAMERA)
    if wanted:
        run_program([*APT, "install", "--yes", "--no-install-recommends", *wanted])
    return wanted


def _known(*query: str) -> str:
    """What a query of Debian's finds."""
    try:
        return run_program(query).decode()
    except EnvironmentFault:
        return ""


def _user() -> str:
    """The station's user, who may use the camera and nothing else; makes it when it is missing."""
    try:
        pwd.getpwnam(STATION_USER)
    except KeyError:
        home = ["--home-dir", str(HOME), "--shell", "/usr/sbin/nologin"]
        run_program(["useradd", "--system", "--user-group", *home, STATION_USER])
        run_program(["usermod", "--append", "--groups", "video", STATION_USER])
    return STATION_USER


def _authorize(key: str) -> None:
    """Let an SSH key log in as the user who called us, through sudo or not."""
    user = pwd.getpwnam(os.environ.get("SUDO_USER", "root"))
    file = Path(user.pw_dir, ".ssh/authorized_keys")
    known = read_text(file) if file.exists() else ""
    if key in known:
        return
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(file, (known + ("" if known.endswith("\n") or not known else "\n") + key + "\n").encode())
    file.chmod(0o600)
    for path in (file.parent, file):
        os.chown(path, user.pw_uid, user.pw_gid)
