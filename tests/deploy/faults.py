"""What can go wrong with a deploy, each as a function that plays it: attacks, bad bundles, cuts at every step."""

import contextlib
import os
import signal
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sealpin_edge.command import run_program
from sealpin_edge.errors import InputError
from sealpin_edge.release.bundle import MANIFEST, SIGNATURE, Bundle
from sealpin_edge.release.signature import new_key
from sealpin_export.deploy.connection import connect
from sealpin_export.deploy.deploy import DEPLOYED, REFUSED, ROLLED_BACK, Outcome
from sealpin_export.deploy.inventory import Device
from tests.deploy.workshop import POLL, Station, Workshop, with_code

CRASH = """
_run = Station.run
def _crash(self, *arguments, **options):
    import os, threading
    threading.Timer({seconds}, os._exit, (9,)).start()
    _run(self, *arguments, **options)
Station.run = _crash
"""


@dataclass(frozen=True)
class Attack:
    """A deploy that must not go through, but for stale locks: its result, what is told, and how it is played."""

    name: str
    result: str
    told: str
    play: Callable[[Workshop, Station], Outcome]


def from_file(path: Path, station: Station) -> Outcome:
    """As `sealpin deploy` does it with a file: read through first."""
    try:
        made = Bundle(path)
        for _ in made.members():
            pass
    except InputError as error:
        return Outcome(station.device.name, None, "", REFUSED, str(error), exit_code=error.exit_code)
    return station.deploy(made)


def rewritten(workshop: Workshop, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The second bundle's archive with other content, its manifest and signature left as they were."""
    made = workshop.second
    with zipfile.ZipFile(made.path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    path = workshop.folder / "rewritten.sealpin"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def flipped(workshop: Workshop, station: Station) -> Outcome:
    """One bit of the archive, within the model."""
    made = workshop.second
    data = bytearray(made.path.read_bytes())
    data[data.index(b"model.tflite") + 500] ^= 4
    path = workshop.folder / "flipped.sealpin"
    path.write_bytes(data)
    return from_file(path, station)


def changed(about: dict[str, Any] | None = None, signed: bool = True, **members: Callable[[bytes], bytes]) -> Any:
    """Play the second bundle with its manifest or members changed (dots in names as `__`, slashes as `___`)."""

    def play(workshop: Workshop, station: Station) -> Outcome:
        def change(found: dict[str, bytes], said: dict[str, Any]) -> None:
            said |= about or {}
            for name, edit in members.items():
                key = name.replace("___", "/").replace("__", ".")
                found[key] = edit(found[key])

        return station.deploy(workshop.remade(workshop.second, change, signed=signed), watch_s=2)

    return play


def unsigned(workshop: Workshop, station: Station) -> Outcome:
    """A bundle without its signature."""
    return from_file(rewritten(workshop, lambda entries: entries.pop(SIGNATURE)), station)


def of_a_stranger(workshop: Workshop, station: Station) -> Outcome:
    """A bundle signed with a key that the station was not told of."""
    key = workshop.folder / "stranger"
    if not key.exists():
        new_key(key, "stranger")
    return station.deploy(workshop.bundle("2", key=key))


def older(workshop: Workshop, station: Station) -> Outcome:
    """An older version than what runs."""
    return station.deploy(workshop.bundle("0.9"))


def other_host_key(workshop: Workshop, station: Station) -> Outcome:
    """Another machine answers at the station's address, or somebody between."""
    other = workshop.public.rpartition(" ")[2]
    pinned = Device(**{**vars(station.device), "host_keys": (f"ssh-ed25519 {other}",)})
    return Station(station.machine, pinned, station.line).deploy(workshop.second)


def no_space(workshop: Workshop, station: Station) -> Outcome:
    """A disk that is nearly full."""
    inside = ["nsenter", "--mount", "--target", str(station.machine.first_process()), "--"]
    place = str(station.machine.folder / "root/opt/sealpin")
    run_program([*inside, "mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", place])
    try:
        return station.deploy(workshop.second)
    finally:
        run_program([*inside, "umount", "--lazy", place])


def two_at_once(workshop: Workshop, station: Station) -> Outcome:
    """Somebody else is at it."""
    with connect(station.device) as other:
        other.ask("lock", holder="anna@box")
        return station.deploy(workshop.second)


def stale_lock(workshop: Workshop, station: Station) -> Outcome:
    """Somebody was at it, whose deploy was killed."""
    station.machine.path("/opt/sealpin/lock").write_text("anna@box 1700000000")
    return station.deploy(workshop.second)


def own_config(workshop: Workshop, station: Station) -> Outcome:
    """A mistake in the station's own config."""
    file = station.machine.path("/var/lib/sealpin/station.toml")
    kept = file.read_text()
    file.write_text(kept.replace(POLL, "poll = 3"))
    try:
        return station.deploy(workshop.second)
    finally:
        file.write_text(kept)


def crashing(seconds: float, watch_s: float) -> Callable[[Workshop, Station], Outcome]:
    """A release that ends some time after its start."""

    def play(workshop: Workshop, station: Station) -> Outcome:
        code = CRASH.format(seconds=seconds)
        made = workshop.remade(workshop.second, lambda found, said: with_code(found, "station.py", code))
        return station.deploy(made, watch_s=watch_s)

    return play


def template(**replace: str) -> Callable[[bytes], bytes]:
    """The config with words replaced."""

    def edit(data: bytes) -> bytes:
        for old, new in replace.items():
            data = data.replace(old.encode(), new.encode())
        return data

    return edit


ATTACKS = [
    Attack("a flipped bit in the file", REFUSED, "not a whole bundle", flipped),
    Attack(
        "a member out of the archive's folder",
        REFUSED,
        "other members than its manifest says",
        lambda workshop, station: from_file(
            rewritten(workshop, lambda entries: entries.update({"../../etc/cron.d/x": b"x"})), station
        ),
    ),
    Attack(
        "a manifest that names a file elsewhere",
        REFUSED,
        "holds no such member",
        lambda workshop, station: from_file(
            rewritten(
                workshop,
                lambda entries: entries.update({MANIFEST: entries[MANIFEST].replace(b'"golden/00.jpg"', b'"../../x"')}),
            ),
            station,
        ),
    ),
    Attack("not signed", REFUSED, "not signed", unsigned),
    Attack("signed by a stranger", REFUSED, "not one that this station trusts", of_a_stranger),
    Attack(
        "changed after it was signed", REFUSED, "not one that this station trusts", changed({"version": "7"}, False)
    ),
    Attack("expired", REFUSED, "has expired", changed({"expires": "2024-02-29"})),
    Attack("older than what runs", REFUSED, "older than what runs", older),
    Attack("for another machine", REFUSED, "no packages for this station", changed({"platforms": ["cp313-aarch64"]})),
    Attack("too little space", REFUSED, "too little space", no_space),
    Attack("another host key", REFUSED, "another key than the pinned one", other_host_key),
    Attack("two operators at once", REFUSED, "anna@box", two_at_once),
    Attack("a lock that nobody holds any more", DEPLOYED, "", stale_lock),
    Attack(
        "golden photos judged otherwise",
        REFUSED,
        "golden photo",
        changed(golden___golden__json=lambda data: data.replace(b'"PR"', b'"QA"')),
    ),
    Attack("slower than its budget", REFUSED, "too slow on this station", changed({"budget_ms": 0.001})),
    Attack(
        "a config with a mistake",
        REFUSED,
        "unknown key",
        changed(station__toml=lambda data: data + b"[timers]\npoll = 1\n"),
    ),
    Attack("a mistake in the station's own config", REFUSED, "unknown key", own_config),
    Attack(
        "another model than its config names",
        REFUSED,
        "not the model that the station was given",
        changed(station__toml=template(sha256='sha256 = "' + "0" * 64 + '"\n#')),
    ),
    Attack(
        "starts, but never gets Ready",
        ROLLED_BACK,
        "does not get Ready",
        changed(station__toml=template(DB100="DB200")),
    ),
    Attack(
        "a USB camera that is not there",
        ROLLED_BACK,
        "the camera does not work",
        changed(
            station__toml=lambda data: data.replace(b'driver = "folder"', b'driver = "opencv"\nsource = "/dev/video99"')
        ),
    ),
    Attack("cannot start", ROLLED_BACK, "systemctl failed", changed(station__toml=template(photos="nowhere"))),
]
SLOW_ATTACKS = [Attack("crashes after 20 s", ROLLED_BACK, "ended or started anew", crashing(20, 30))]
STEPS = ("send", "unpack", "environment", "preflight", "halt", "switch", "start", "watch", "prune")


def cut_cable() -> None:
    """End the toolkit's side of every connection, as it would be with the cable cut."""
    for child in psutil.Process().children():
        if child.name() == "ssh":
            os.kill(child.pid, signal.SIGKILL)


def cut(station: Station, made: Bundle, step: str, how: str) -> Outcome:
    """A deploy whose cable or power is cut as it begins a step; the power comes back when the toolkit has ended."""

    def progress(device: Device, reached: str, done: int, total: int) -> None:
        if reached == step:
            if how == "power":
                station.machine.cut_power()
            else:
                cut_cable()

    outcome = station.deploy(made, progress=progress, allow_downgrade=True)
    if how == "power":
        station.machine.boot()
    return outcome


def kill_agent(station: Station, made: Bundle) -> Outcome:
    """A deploy whose program on the station is killed while it watches: only the timer can heal that."""

    def progress(device: Device, reached: str, done: int, total: int) -> None:
        if reached == "watch":
            for process in psutil.Process(station.machine.first_process()).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # or one that has ended
                    if process.cmdline()[1:3] == ["-I", "-c"]:
                        process.kill()

    return station.deploy(made, progress=progress)
