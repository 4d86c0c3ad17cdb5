"""A bundle: one file with everything that a station needs, and how it is unpacked.

A ZIP archive. `manifest.json` is its first member and lists the others with their SHA-256 and size:

    {"format": 1, "sealpin": "0.1.0", "model": {...sealpin.json...}, "members": {NAME: {"sha256", "bytes"}, ...}}
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import new_folder

FORMAT = 1
MANIFEST = "manifest.json"
MODEL = "model.tflite"
STATION = "station.toml"
MEMBERS = (MODEL, STATION)
MAX_MEMBER_BYTES = 512 << 20
# What zipfile, json and our own look-ups raise on bytes that are no bundle, or not all of one
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError, TypeError, ValueError)
# The earliest time that ZIP can say: the same content gives the same bytes on any day
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path, members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write the archive at `path`; `manifest` is completed with format, hashes and sizes. Same content, same bytes."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in members.items()}
    head = json.dumps({"format": FORMAT, **manifest, "members": listed}, indent=1) + "\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {MANIFEST: head.encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), data, zipfile.ZIP_DEFLATED)


def read_bundle(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read and verify a bundle: its manifest and its members, each of the size and hash that the manifest gives.

    Raises InputError when it is no bundle, of another format, holds a member too many or too few, or a wrong hash.
    """

    def refuse(problem: str, found: str, allowed: str = "a file that `sealpin bundle` wrote") -> InputError:
        return InputError(
            problem,
            where=str(path),
            found=found,
            allowed=allowed,
            hint="copy the bundle again, or make it anew: sealpin bundle",
        )

    try:
        with zipfile.ZipFile(path) as archive:
            manifest: dict[str, Any] = json.loads(_read(archive, MANIFEST))
            if not isinstance(manifest, dict):
                raise ValueError("the manifest is no object")
            if manifest.get("format") != FORMAT:
                raise refuse("this bundle is of another format", str(manifest.get("format")), f"format {FORMAT}")
            listed = manifest["members"]
            if sorted(listed) != sorted(MEMBERS) or sorted(archive.namelist()) != sorted([MANIFEST, *MEMBERS]):
                raise refuse(
                    "this bundle has other members than it should", ", ".join(archive.namelist()), ", ".join(MEMBERS)
                )
            members = {}
            for name in MEMBERS:
                members[name] = _read(archive, name)
                sha256 = hashlib.sha256(members[name]).hexdigest()
                if sha256 != listed[name]["sha256"]:
                    raise refuse(
                        f"{name} in this bundle is not what the manifest says",
                        f"SHA-256 {sha256}",
                        f"SHA-256 {listed[name]['sha256']}",
                    )
    except FileNotFoundError:
        raise InputError(
            "no such bundle", where=str(path), hint="sealpin bundle MODEL --station station.toml --out FILE"
        ) from None
    except _BROKEN as error:
        raise refuse("this is not a whole bundle", f"{type(error).__name__}: {error}") from None
    return manifest, members


def unpack(path: Path, out: Path) -> dict[str, Any]:
    """Verify a bundle and unpack it into the new folder `out`; returns the manifest. Raises as `read_bundle` does."""
    manifest, members = read_bundle(path)
    with new_folder(out) as folder:
        for name, data in members.items():
            (folder / name).write_bytes(data)
    return manifest


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        data = file.read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise ValueError(f"{name} is larger than {MAX_MEMBER_BYTES >> 20} MiB")
    return data
