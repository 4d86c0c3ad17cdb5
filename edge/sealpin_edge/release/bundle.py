"""A bundle: one file with everything that a station needs.

A ZIP archive. `manifest.json` is its first member and lists the others with their SHA-256 and size; `manifest.json.sig`
is its signature (see signature.py), so that whoever trusts the manifest trusts every member:

    {"format": 2, "version": "1.4", "expires": "2027-06-30", "sealpin": "0.1.0", "extras": ["sftp"],
     "versions": {"config": 1, "database": 2, "plc_block": 1}, "minimum_runtime": "1.5.0", "budget_ms": 500,
     "platforms": ["cp311-aarch64", "cp313-aarch64"], "model": {...sealpin.json...},
     "members": {NAME: {"sha256", "bytes"}, ...}}

Only Python's own library is needed to read one: it is read on stations that have no sealpin yet.
"""

import hashlib
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, in_words
from ..files import new_folder, parse_json

FORMAT = 2
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
MODEL = "model.tflite"
STATION = "station.toml"
UNIT = "sealpin-edge.service"
LIMITS = "camera_limits.json"
GOLDEN = "golden"
WHEELS = "wheels"
REQUIRED = (MODEL, STATION, UNIT)
MAX_MEMBER_BYTES = 512 << 20
MAX_HEAD_BYTES = 4 << 20  # of the manifest and of its signature, which are read before anything is trusted
_KINDS: dict[str, type] = {
    "model": dict, "versions": dict, "minimum_runtime": dict, "platforms": list, "extras": list, "expires": str,
}  # fmt: skip
# No folder but these two, nothing hidden, nothing that leads out of them
_NAME = re.compile(rf"(?:{GOLDEN}|{WHEELS})/[A-Za-z0-9][A-Za-z0-9_.+!-]*")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
# What zipfile, json and our own look-ups raise on bytes that are no bundle, or not all of one
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, OverflowError),
    *(KeyError, TypeError, ValueError, AttributeError),
)
# The earliest time that ZIP can say: the same content gives the same bytes on any day
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Member:
    """What a manifest says of a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A manifest: `head` are its bytes, which are signed; `content` is all that it says."""

    head: bytes
    content: Mapping[str, Any]
    members: Mapping[str, Member]

    @property
    def version(self) -> str:
        """Its version, dotted numbers."""
        return str(self.content["version"])

    @property
    def release(self) -> str:
        """What a station calls it: the version, and twelve digits of the manifest's hash."""
        return f"{self.version}-{hashlib.sha256(self.head).hexdigest()[:12]}"

    @property
    def run_id(self) -> str:
        """The training run that its model is of, as MLflow knows it; "" when it is of none."""
        return str(self.content.get("model", {}).get("run_id", ""))

    @property
    def wheels(self) -> dict[str, Member]:
        """The packages in it."""
        return {name: member for name, member in self.members.items() if name.startswith(f"{WHEELS}/")}


def version_order(version: str) -> tuple[int, ...]:
    """The key by which versions are older or newer. Raises InputError when it is no version."""
    if not _VERSION.fullmatch(version):
        raise InputError("this is no version", found=repr(version), allowed="numbers with dots, such as 3 or 2026.11.2")
    return tuple(int(part) for part in version.split("."))


def parse_manifest(head: bytes, where: str) -> Manifest:
    """Read a manifest's bytes. Raises InputError when it is none, of another format, or names what no bundle holds."""
    try:
        content = parse_json(head)
        found = content.get("format")
        if found != FORMAT:
            raise _refused(where, "this bundle is of another format", str(found), f"format {FORMAT}")
        members = {
            str(name): Member(str(said["sha256"]), int(said["bytes"])) for name, said in content["members"].items()
        }
        version_order(str(content["version"]))
        for key, kind in _KINDS.items():
            if not isinstance(content.get(key, kind()), kind):
                raise _refused(where, f"what the manifest says of {key} is of the wrong kind", repr(content[key])[:80])
        _check_names(members, where)
    except _BROKEN as error:
        raise _refused(where, "this is not a whole bundle", in_words(error)) from None
    return Manifest(head, content, members)


def write_bundle(
    path: Path, members: Mapping[str, bytes], about: Mapping[str, Any], signature: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write the archive at `path`, its manifest made of `about`, hashes and sizes. Same content, same bytes.

    `signature` is what `sign_manifest` returned for these bytes, or nothing. Returns the manifest.
    """
    manifest = make_manifest(members, about)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {MANIFEST: manifest.head, **(signature or {}), **members}.items():
            # A wheel is a compressed archive already
            kind = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), data, kind)
    return manifest


def make_manifest(members: Mapping[str, bytes], about: Mapping[str, Any]) -> Manifest:
    """The manifest of these members."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in members.items()}
    head = json.dumps({"format": FORMAT, **about, "members": listed}, indent=1) + "\n"
    return parse_manifest(head.encode(), "the new bundle")


class Bundle:
    """A bundle file, its manifest read; members are verified as they are read."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises InputError when it is no bundle, or holds a member too many or too few."""
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                self.manifest = parse_manifest(_read(archive, MANIFEST), str(path))
                self.signature = _read(archive, SIGNATURE) if SIGNATURE in names else b""
        except FileNotFoundError:
            raise InputError(
                "no such bundle", where=str(path), hint="sealpin bundle make MODEL --station STATION --out FILE"
            ) from None
        except _BROKEN as error:
            raise _refused(str(path), "this is not a whole bundle", in_words(error)) from None
        expected = [MANIFEST, *([SIGNATURE] if self.signature else []), *self.manifest.members]
        if sorted(names) != sorted(expected):
            odd = sorted(set(names) ^ set(expected)) or names
            raise _refused(str(path), "this bundle has other members than its manifest says", ", ".join(odd))

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each member. Raises InputError at one that is not what the manifest says."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, member in self.manifest.members.items():
                    data = _read(archive, name, member.bytes)
                    check_member(name, data, member, str(self.path))
                    yield name, data
        except _BROKEN as error:
            raise _refused(str(self.path), "this is not a whole bundle", in_words(error)) from None


def check_member(name: str, data: bytes, member: Member, where: str) -> None:
    """Raise InputError when a member's bytes are not those of the manifest."""
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != member.sha256:
        raise _refused(
            where,
            f"{name} in this bundle is not what the manifest says",
            f"SHA-256 {sha256}",
            f"SHA-256 {member.sha256}",
        )


def unpack(path: Path, out: Path) -> Manifest:
    """Verify a bundle's hashes and unpack it into the new folder `out`. Raises as `Bundle` does."""
    bundle = Bundle(path)
    with new_folder(out, path) as folder:
        (folder / MANIFEST).write_bytes(bundle.manifest.head)
        for name, data in bundle.members():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
    return bundle.manifest


def manifest_of(folder: Path) -> Manifest | None:
    """The manifest of what was unpacked into a folder; None when nothing was. Raises InputError when it is broken."""
    try:
        return parse_manifest((folder / MANIFEST).read_bytes(), str(folder / MANIFEST))
    except FileNotFoundError:
        return None


def release_of(folder: Path) -> str:
    """Which release was unpacked into a folder; "" when none was."""
    manifest = manifest_of(folder)
    return manifest.release if manifest else ""


def check_unpacked(folder: Path) -> None:
    """Raise InputError when what was unpacked into a folder is no longer what its manifest says.

    The config, and how the system starts it, are the station's own to change. Packages lie elsewhere once installed.
    """
    manifest = manifest_of(folder)
    if manifest is None:
        return
    for name, member in manifest.members.items():
        if name in (STATION, UNIT, *manifest.wheels):
            continue
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise _refused(str(folder / name), "this file of the bundle cannot be read", in_words(error)) from None
        check_member(name, data, member, str(folder))


def _check_names(members: Mapping[str, Member], where: str) -> None:
    for name, member in members.items():
        if name not in (*REQUIRED, LIMITS) and not _NAME.fullmatch(name):
            raise _refused(
                where, "a bundle holds no such member", repr(name), f"{', '.join(REQUIRED)}, {LIMITS}, golden/, wheels/"
            )
        if not re.fullmatch(r"[0-9a-f]{64}", member.sha256) or not 0 <= member.bytes <= MAX_MEMBER_BYTES:
            raise _refused(where, f"what the manifest says of {name} is no SHA-256 and size", str(member))
    if missing := [name for name in REQUIRED if name not in members]:
        raise _refused(where, "this bundle has too few members", f"no {', '.join(missing)}")


def _read(archive: zipfile.ZipFile, name: str, most: int = MAX_HEAD_BYTES) -> bytes:
    """A member's bytes. Raises ValueError when there are more, or they would lie before the archive's beginning."""
    try:
        with archive.open(name) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    if len(data) > most:
        raise ValueError(f"{name} is larger than {most} bytes")
    return data


def _refused(where: str, problem: str, found: str, allowed: str = "a file that `sealpin bundle` wrote") -> InputError:
    return InputError(
        problem,
        where=where,
        found=found,
        allowed=allowed,
        advice="copy the bundle again, or make it anew",
        hint="sealpin bundle make MODEL --station STATION --out FILE",
    )
