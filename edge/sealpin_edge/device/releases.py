"""Releases on a station's disk: what is missing, what is received, laid out, switched to and removed again."""

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, Protocol

from ..errors import EnvironmentFault, InputError
from ..files import fsync_folder, write_whole
from ..release.bundle import MANIFEST, SIGNATURE, Manifest, check_member, parse_manifest
from .environment import environment_key
from .layout import BASE, BLOBS, COMPLETE, CURRENT, ENVIRONMENTS, RELEASES, confirmed, discard

KEPT = 3
CHUNK = 1 << 20
# Room for the database and logs, beyond what a release needs
SPARE_BYTES = 200 << 20


def current() -> str | None:
    """The release that runs, None on a blank station."""
    try:
        return os.readlink(CURRENT).rpartition("/")[2]
    except FileNotFoundError:
        return None


def release_folder(release: str) -> Path:
    """Where a release lies."""
    return RELEASES / release


def load_manifest(release: str) -> Manifest:
    """The manifest of a release on the disk. Raises InputError when there is no such release."""
    try:
        return parse_manifest((release_folder(release) / MANIFEST).read_bytes(), release)
    except OSError:
        raise InputError(
            "no such release on this station", found=release, allowed=", ".join(complete_releases())
        ) from None


def complete_releases() -> list[str]:
    """The releases that could run, oldest first."""
    found = [path.parent for path in RELEASES.glob(f"*/{COMPLETE}")]
    return [path.name for path in sorted(found, key=lambda path: (path / COMPLETE).stat().st_mtime)]


def switch(release: str | None) -> None:
    """Make a release the one that runs next: one rename, on the disk itself."""
    if release is None:
        CURRENT.unlink(missing_ok=True)
    else:
        partial = BASE / f".current.{secrets.token_hex(4)}.part"
        partial.symlink_to(f"releases/{release}")
        os.replace(partial, CURRENT)
    fsync_folder(BASE)


def missing(manifest: Manifest) -> list[dict[str, Any]]:
    """The members whose bytes are not on the station: hash, size, and how much of an earlier upload is here."""
    found: dict[str, dict[str, Any]] = {}
    for member in manifest.members.values():
        if not _blob(member.sha256).exists():
            part = _part(member.sha256)
            have = part.stat().st_size if part.exists() else 0
            found[member.sha256] = {"sha256": member.sha256, "bytes": member.bytes, "have": min(have, member.bytes)}
    return list(found.values())


def check_space(manifest: Manifest) -> None:
    """Raise EnvironmentFault when the disk has too little room for what is missing and for its environment."""
    needed = sum(entry["bytes"] - entry["have"] for entry in missing(manifest)) + SPARE_BYTES
    if manifest.wheels and not (ENVIRONMENTS / environment_key(manifest) / COMPLETE).exists():
        # Installed packages take three to four times their wheels, compiled files included
        needed += 4 * sum(member.bytes for member in manifest.wheels.values())
    free = shutil.disk_usage(BASE).free
    if free < needed:
        raise EnvironmentFault(
            "there is too little space on the station",
            where=str(BASE),
            found=f"{free / 1e6:.0f} MB free",
            allowed=f"{needed / 1e6:.0f} MB",
            advice="on the station; or give it a larger card",
            hint="sudo apt clean; sudo journalctl --vacuum-size=100M",
        )


class Stream(Protocol):
    """Where an upload comes from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def receive(stream: Stream, sha256: str, size: int) -> None:
    """Take the rest of a member from a stream, going on where an earlier upload was cut.

    Raises InputError when the whole is not what its hash says.
    """
    BLOBS.mkdir(parents=True, exist_ok=True)
    part = _part(sha256)
    with open(part, "ab") as file:
        left = size - file.tell()
        while left > 0:
            data = stream.read(min(left, CHUNK))
            if not data:
                raise EnvironmentFault("the upload was cut", where=sha256, found=f"{left} bytes missing")
            file.write(data)
            left -= len(data)
        file.flush()
        os.fsync(file.fileno())
    if _sha256(part) != sha256:
        part.unlink()
        raise InputError("what arrived is not what was sent", where=sha256, hint="sealpin deploy BUNDLE NAME")
    os.replace(part, _blob(sha256))
    fsync_folder(BLOBS)


def unpack(manifest: Manifest, signature: bytes) -> Path:
    """Lay a bundle out beside the running release, each byte verified; returns its folder, not yet COMPLETE."""
    folder = release_folder(manifest.release)
    if manifest.release != current():
        discard(folder)
    for name, member in manifest.members.items():
        data = _blob(member.sha256).read_bytes()
        try:
            check_member(name, data, member, str(BLOBS))
        except InputError:
            _blob(member.sha256).unlink()  # the disk has changed it: the next deploy brings it again
            raise
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(_blob(member.sha256), path)
    write_whole(folder / MANIFEST, manifest.head)
    write_whole(folder / SIGNATURE, signature)
    return folder


def prune(offered: Manifest | None = None) -> None:
    """Keep the release that runs, the last good ones and what of an offered one is here; remove all else."""
    whole = set(complete_releases())
    good = [release for release in dict.fromkeys(reversed(confirmed())) if release in whole]
    kept = {*good[:KEPT], *filter(None, [current()])}
    used: set[str] = set()
    if offered:
        used = {member.sha256 for member in offered.members.values()} | {environment_key(offered)}
        used |= {f"{sha256}.part" for sha256 in used}
    for folder in RELEASES.iterdir():
        if folder.name not in kept:
            discard(folder)
            continue
        manifest = load_manifest(folder.name)
        used |= {member.sha256 for member in manifest.members.values()} | {(folder / "venv").resolve().name}
    for path in (*BLOBS.iterdir(), *ENVIRONMENTS.iterdir()):
        if path.name not in used:
            discard(path) if path.is_dir() else path.unlink()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blob(sha256: str) -> Path:
    return BLOBS / sha256


def _part(sha256: str) -> Path:
    return BLOBS / f"{sha256}.part"
