"""Where things lie on a station.

    /opt/sealpin/blobs/SHA256     members of bundles by their hash, so that only what is new travels
    /opt/sealpin/releases/ID/     a bundle laid out (hard links to blobs), and `venv`, a link to its environment
    /opt/sealpin/envs/HASH/       Python environments, by what is installed in them
    /opt/sealpin/current          a link to the release that runs; it changes by one rename
    /opt/sealpin/trial.json       there while a release is on trial (trial.py)
    /opt/sealpin/history.jsonl    what was deployed, taken back or refused, when and by whom
    /opt/sealpin/agent.pyz        this program, as the last deploy brought it; the healing timer runs it
    /etc/sealpin/allowed_signers  whose bundles are taken
    /var/lib/sealpin/             the station's own: config, database, photos, secrets. No deploy touches it

All but the last is root's: the station's user cannot change what it runs.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from ..files import fsync_folder, write_whole

BASE = Path("/opt/sealpin")
HOME = Path("/var/lib/sealpin")
SIGNERS = Path("/etc/sealpin/allowed_signers")
BLOBS, RELEASES, ENVIRONMENTS = BASE / "blobs", BASE / "releases", BASE / "envs"
CURRENT = BASE / "current"
TRIAL = BASE / "trial.json"
HISTORY = BASE / "history.jsonl"
LOCK = BASE / "lock"
AGENT = BASE / "agent.pyz"
STATION_USER = "sealpin"
# Written last into what takes time to make: without it, it is made anew
COMPLETE = ".complete"


def complete(folder: Path) -> None:
    """Mark a folder as whole, after all of it is on the disk."""
    os.sync()
    write_whole(folder / COMPLETE, b"")


def discard(folder: Path) -> None:
    """Remove a folder so that a cut in the midst leaves nothing that looks whole."""
    if folder.exists():
        (folder / COMPLETE).unlink(missing_ok=True)
        fsync_folder(folder)
        shutil.rmtree(folder, ignore_errors=True)


def record(event: str, **about: Any) -> None:
    """Add a line to the history."""
    line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": event, **about})
    with open(HISTORY, "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")  # a half line that a power cut left must not swallow this one
        file.flush()
        os.fsync(file.fileno())


def history() -> list[dict[str, Any]]:
    """What happened, oldest first; a line that a power cut left half-written is passed over."""
    found = []
    if HISTORY.exists():
        for line in HISTORY.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                found.append(said)
    return found


def confirmed() -> list[str]:
    """Releases that were confirmed, by deploy or rollback, in that order."""
    return [str(line.get("release")) for line in history() if line.get("event") == "deployed"]
