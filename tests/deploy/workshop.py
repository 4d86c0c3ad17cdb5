"""A toolkit's machine with a key, bundles and stand-in stations, each on a line of its own. Benchmarks use it too."""

import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.command import run_program
from sealpin_edge.device.environment import platform
from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.release import bundle
from sealpin_edge.release.bundle import Bundle, make_manifest, write_bundle
from sealpin_edge.release.signature import allowed_signers, new_key, sign
from sealpin_export.bundle import Contents, make_bundle
from sealpin_export.deploy.connection import connect
from sealpin_export.deploy.deploy import Outcome, Progress, deploy, rollback
from sealpin_export.deploy.inventory import Device, scan_host_keys
from sealpin_simulation.device import StandIn, why_not
from sealpin_simulation.line import Line
from sealpin_simulation.servers import free_port

ROOT = Path(__file__).parents[2]
WHEELS = ROOT / ".venv/wheels"
WATCH_S = 1.0
POLL = "poll_ms = 20"  # what a station that has no part takes of this machine's time counts here
# Emulated machines take their time
VERDICT_S = 60.0
FREE_S = 90.0
TEMPLATE = """
[station]
name = "line"
mode = "full"
[plc]
host = "127.0.0.1"
port = 102
block = "DB100"
[camera]
driver = "folder"
checks = "off"
path = "photos"
"""


def missing() -> str:
    """Why there can be no workshop here; "" when there can."""
    return why_not() or (
        "" if (WHEELS / "complete").exists() else "the stations' packages are not installed: make wheels"
    )


def ignore(device: Device, step: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass
class Station:
    """A stand-in, as the toolkit knows it, and the line it stands on."""

    machine: StandIn
    device: Device
    line: Line

    def ask(self, action: str, **arguments: Any) -> dict[str, Any]:
        """One request to it."""
        with connect(self.device) as talk:
            return talk.ask(action, **arguments)

    def deploy(self, made: Bundle, *, watch_s: float = WATCH_S, progress: Progress = ignore, **options: Any) -> Outcome:
        """As `sealpin deploy`."""
        return deploy(
            self.device, made, **{"allow_downgrade": False, "watch_s": watch_s, "progress": progress, **options}
        )

    def wait_until_free(self) -> None:
        """Until a deploy whose connection was cut has let go of the station. Raises EnvironmentFault if it does not."""
        give_up = time.monotonic() + FREE_S
        while True:
            try:
                self.ask("lock", holder="test")
                return
            except EnvironmentFault:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)

    def rollback(self, version: str = "") -> Outcome:
        """As `sealpin rollback`."""
        return rollback(self.device, version, progress=ignore)

    def running(self, timeout_s: float = 20.0) -> str:
        """The release that runs and is Ready, once one does. Raises TimeoutError when none is in time."""
        give_up = time.monotonic() + timeout_s
        with connect(self.device) as talk:
            while time.monotonic() < give_up:
                status = talk.ask("status")
                health = status["health"]
                if (
                    health
                    and health["state"] == "ready"
                    and health["release"] == status["release"]
                    and not status["on_trial"]
                ):
                    return str(status["release"])
                time.sleep(0.2)
        raise TimeoutError(f"not ready within {timeout_s:g} s: {status}")

    def judges(self) -> str:
        """The verdict on one more part."""
        self.line.run(1)
        return self.line.report.parts[-1].verdict

    def close(self) -> None:
        """Switch all of it off."""
        self.machine.cut_power()
        self.line.stop()


class Workshop:
    """Keys, a model, photos; `first` is the bundle that every new station runs.

    Stations have the Debian root `base`, and get packages for `target`: those of `make wheels` for this machine's
    kind, from the package index for others.
    """

    def __init__(
        self,
        folder: Path,
        model: Path,
        photos: Path,
        *,
        base: Path = Path("/"),
        target: str = "",
        template: str = TEMPLATE,
        kind: type[StandIn] = StandIn,
    ) -> None:
        self.folder, self.model, self.photos = folder, model, photos
        self._base, self._target, self._template, self._kind = base, target or platform(), template, kind
        self.key, self.login = folder / "signing-key", folder / "login"
        self.public = new_key(self.key, "test")
        run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.login)])
        self._count = 0
        self.first, self.second = self.bundle("1"), self.bundle("2")
        self.image = self._make_image()

    def bundle(self, version: str, *, key: Path | None = None, **changes: Any) -> Bundle:
        """A bundle of the model, signed, with packages for the stations."""
        self._count += 1
        station = self.folder / f"template{self._count}.toml"
        station.write_text(self._template)
        given = {"golden": self.photos, "platforms": (self._target,), **changes}
        out = self.folder / f"{self._count}.sealpin"
        with offline() if self._target == platform() else nullcontext():
            make_bundle(Contents(given.pop("model", self.model), station, version, **given), out, key or self.key)
        return Bundle(out)

    def unlike(self, made: Bundle) -> Bundle:
        """A bundle of the same version, of which the stations have not all members."""
        return self.remade(made, lambda found, said: found.update({"golden/extra.jpg": os.urandom(3_000_000)}))

    def remade(
        self, made: Bundle, change: Callable[[dict[str, bytes], dict[str, Any]], None], *, signed: bool = True
    ) -> Bundle:
        """A bundle with other members or another manifest, signed again or with its old signature."""
        members = dict(made.members())
        about = {key: value for key, value in made.manifest.content.items() if key not in ("format", "members")}
        change(members, about)
        head = make_manifest(members, about).head
        signature = sign(head, self.key) if signed else made.signature
        self._count += 1
        out = self.folder / f"{self._count}.sealpin"
        write_bundle(out, members, about, {bundle.SIGNATURE: signature})
        return Bundle(out)

    def station(self, name: str = "line1", own: str = "", *, prepared: bool = True) -> Station:
        """A station that runs `first`, Ready, on a line of its own; or a blank machine."""
        self._count += 1
        folder = self.folder / f"{self._count}-{name}"
        machine = self.image.copy(folder) if prepared else self._blank(folder)
        plc_port = free_port()
        line = Line("127.0.0.1", plc_port, block="DB100", interval_s=0.05, verdict_timeout_s=VERDICT_S)
        line.start()
        home = machine.disk / "var/lib/sealpin"
        home.mkdir(parents=True, exist_ok=True)
        keys = f'[plc]\nport = {plc_port}\n[display]\naddress = "127.0.0.1:{free_port()}"\n[timers]\n{POLL}\n{own}'
        (home / "station.toml").write_text(keys)
        made = Station(machine, self._switch_on(machine, name), line)
        if prepared:
            made.running(VERDICT_S)
        return made

    def _blank(self, folder: Path) -> StandIn:
        machine = self._kind(folder, self._base)
        machine.install(self.login.with_name("login.pub").read_text().strip())
        return machine

    def _switch_on(self, machine: StandIn, name: str) -> Device:
        machine.boot()
        address = Device(name, f"{machine.user}@127.0.0.1", machine.port, key=str(self.login))
        return Device(**{**vars(address), "host_keys": scan_host_keys("127.0.0.1", machine.port)})

    def _make_image(self) -> StandIn:
        """A prepared machine with the photos of its camera and `first`, switched off."""
        machine = self._blank(self.folder / "image")
        device = self._switch_on(machine, "image")
        with connect(device) as talk:
            talk.ask("prepare", signers=allowed_signers([self.public]), authorized_key="")
        home = machine.path("/var/lib/sealpin")
        (home / "photos").mkdir()
        for photo in sorted(self.photos.glob("*.jpg")):
            (home / "photos" / photo.name).write_bytes(photo.read_bytes())
        outcome = deploy(device, self.first, allow_downgrade=False, watch_s=WATCH_S, progress=ignore)
        assert outcome.result == "deployed", outcome
        machine.cut_power()
        return machine


def with_code(members: dict[str, bytes], module: str, code: str) -> None:
    """Put code at the end of a module of the bundle's sealpin-edge."""
    (name,) = (name for name in members if name.startswith("wheels/sealpin_edge-"))
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(members[name])) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry, data + code.encode() if entry.filename == f"sealpin_edge/{module}" else data)
    members[name] = made.getvalue()


@contextmanager
def offline() -> Iterator[None]:
    """pip finds what `make wheels` has got, and looks nowhere else."""
    before = dict(os.environ)
    os.environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
