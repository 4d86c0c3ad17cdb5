"""stations.toml: which stations there are, how they are reached, and the host key of each, pinned.

[line1]
address = "pi@192.0.2.17"
port = 22
host_keys = ["ssh-ed25519 AAAA..."]
groups = ["canary"]
key = "~/.ssh/line"             # optional: an SSH key that is not ssh's own choice
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from sealpin_edge.command import run_program
from sealpin_edge.errors import EnvironmentFault, InputError
from sealpin_edge.files import parse_toml, read_text, write_whole

INVENTORY = Path("stations.toml")
KEY_SCAN_S = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ADDRESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.:-]*")
_KEYS = {"address": str, "port": int, "host_keys": list, "groups": list, "key": str}


@dataclass(frozen=True)
class Device:
    """A station as the inventory has it: `address` is user@host."""

    name: str
    address: str
    port: int = 22
    host_keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    key: str = ""

    def __post_init__(self) -> None:
        """Raise InputError for a name or an address that is none: both end up on ssh's command line."""
        if not _NAME.fullmatch(self.name):
            raise InputError(
                "this cannot name a station",
                found=repr(self.name),
                allowed="letters, digits, and _ . - after the first",
            )
        if not _ADDRESS.fullmatch(self.address):
            raise InputError("this is no address", where=self.name, found=repr(self.address), allowed="user@host")

    @property
    def host(self) -> str:
        """The host alone."""
        return self.address.partition("@")[2]


def load_inventory(path: Path = INVENTORY) -> dict[str, Device]:
    """Read the inventory; empty when there is none. Raises InputError with what is wrong in it."""
    try:
        content = parse_toml(read_text(path), path)
    except FileNotFoundError:
        return {}
    return {name: _device(name, said, path) for name, said in content.items()}


def add_device(device: Device, path: Path = INVENTORY) -> None:
    """Put a station into the inventory, leaving the rest of the file as it is. Raises InputError when it is there."""
    if device.name in load_inventory(path):
        raise InputError("there is a station of this name", where=str(path), found=device.name, allowed="another name")
    document = tomlkit.parse(read_text(path)) if path.exists() else tomlkit.document()
    section = tomlkit.table()
    section["address"], section["port"] = device.address, device.port
    section["host_keys"], section["groups"] = list(device.host_keys), list(device.groups)
    if device.key:
        section["key"] = device.key
    document[device.name] = section
    _device(device.name, section.unwrap(), path)
    write_whole(path, tomlkit.dumps(document).encode())


def choose(inventory: dict[str, Device], names: Sequence[str], groups: Sequence[str]) -> list[list[Device]]:
    """The stations named, then each group's, as waves that follow each other; no station twice.

    Raises InputError for a name or group that is unknown, or when none is named.
    """
    known_groups = sorted({group for device in inventory.values() for group in device.groups})
    for name in names:
        if name not in inventory:
            raise InputError(
                "no such station",
                found=name,
                allowed=", ".join(inventory) or "none yet",
                hint="sealpin station add NAME USER@HOST",
            )
    for group in groups:
        if group not in known_groups:
            raise InputError("no such group", found=group, allowed=", ".join(known_groups) or "none yet")
    waves = [[inventory[name] for name in dict.fromkeys(names)]]
    waves += [[device for device in inventory.values() if group in device.groups] for group in groups]
    seen: set[str] = set()
    chosen = []
    for wave in waves:
        fresh = [device for device in wave if device.name not in seen]
        seen |= {device.name for device in fresh}
        if fresh:
            chosen.append(fresh)
    if not chosen:
        raise InputError("no station is named", allowed="names, or --group", hint="sealpin station list")
    return chosen


def scan_host_keys(host: str, port: int) -> tuple[str, ...]:
    """The keys that a host shows now. Raises EnvironmentFault when it shows none."""
    command = ["ssh-keyscan", "-T", str(KEY_SCAN_S), "-p", str(port), "--", host]
    try:
        lines = run_program(command).decode().splitlines()
    except EnvironmentFault:
        lines = []
    # The strongest kind that it has; one is enough, and ssh then asks for no other
    found = sorted((line.split(maxsplit=1)[1] for line in lines if line and not line.startswith("#")), key=_strength)
    if not found:
        raise EnvironmentFault(
            "no SSH server answers", where=f"{host}:{port}", advice="is the station on, and SSH enabled?"
        )
    return (found[0],)


def _strength(key: str) -> int:
    kinds = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    kind = key.split()[0]
    return kinds.index(kind) if kind in kinds else len(kinds)


def _device(name: str, said: Any, path: Path) -> Device:
    where = f"{path}: [{name}]"
    if not isinstance(said, dict):
        raise InputError("this is no station", where=where, allowed=f"[{name}] and keys below it")
    for key, value in said.items():
        if key not in _KEYS or not isinstance(value, _KEYS[key]):
            raise InputError(
                "unknown key, or a value of the wrong kind", where=f"{where} {key}", allowed=", ".join(_KEYS)
            )
    texts = [one for key in ("host_keys", "groups") for one in said.get(key, ())]
    if not all(isinstance(one, str) and one.strip() and "\n" not in one for one in texts):
        raise InputError("this is no list of texts", where=where, allowed='["..."]')
    lists = {key: tuple(said.get(key, ())) for key in ("host_keys", "groups")}
    return Device(name, said.get("address", ""), int(said.get("port", 22)), key=str(said.get("key", "")), **lists)
