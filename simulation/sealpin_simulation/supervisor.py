"""The first process of a stand-in device: sshd, and a small part of systemd, from the same unit files.

systemd itself wants to be the machine's. This one honours Type= (notify, oneshot), ExecStart=, User=, UMask=,
StateDirectory=, Restart=, RestartSec=, WatchdogSec=, TimeoutStartSec=, TimeoutStopSec=, ConditionPathExists=, timers'
OnBootSec= and OnUnitActiveSec=, and our own links in *.wants (sealpin*); of hardening it honours nothing. It needs only
Python's library, and is run as a file: `supervisor.py serve SSHD...` by the device, with other arguments as its
`systemctl`.
"""

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
SOCKET = "/run/supervisor.sock"
NOTIFY = "/run/notify.sock"
TICK_S = 0.02
DEFAULTS = {"RestartSec": "0.1", "TimeoutStartSec": "90", "TimeoutStopSec": "90", "WatchdogSec": "0"}


class Service:
    """One service unit, and its process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "inactive"
        self.restarts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.waiting: list[socket.socket] = []
        self.unit: dict[str, str] = {}
        self.deadline = self.fed_at = 0.0

    def start(self) -> None:
        """Run it, unless it runs."""
        if self.process is not None:
            return
        self.unit = {**DEFAULTS, **read_unit(self.name)}
        if "ExecStart" not in self.unit:
            self.settle("failed", f"Unit {self.name} not found.")
            return
        if not Path(self.unit.get("ConditionPathExists", "/")).exists():
            self.settle("inactive")
            return
        user = self.unit.get("User")
        if "StateDirectory" in self.unit:
            folder = Path("/var/lib", self.unit["StateDirectory"])
            folder.mkdir(parents=True, exist_ok=True)
            if user:
                shutil.chown(folder, user, user)
        with open(f"/var/log/{self.name}.log", "ab") as log:
            try:
                self.process = subprocess.Popen(  # noqa: S603
                    shlex.split(self.unit["ExecStart"]),
                    cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    user=user, group=user, extra_groups=[] if user else None,
                    umask=int(self.unit.get("UMask", "022"), 8),
                    env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": NOTIFY, "LANG": "C.UTF-8"},
                )  # fmt: skip
            except OSError as error:
                log.write(f"{error}\n".encode())
                self.ended()
                return
        now = time.monotonic()
        self.state, self.deadline, self.fed_at = "activating", now + seconds(self.unit["TimeoutStartSec"]), now
        if self.unit.get("Type", "simple") == "simple":
            self.settle("active")

    def stop(self) -> None:
        """End it: SIGTERM, after TimeoutStopSec SIGKILL."""
        if self.process is None:
            self.settle("inactive")
            return
        self.state, self.deadline = "deactivating", time.monotonic() + seconds(self.unit["TimeoutStopSec"])
        self.process.terminate()

    def notified(self, message: str) -> None:
        """The process said READY=1 or WATCHDOG=1."""
        self.fed_at = time.monotonic()
        if "READY=1" in message.splitlines() and self.state == "activating":
            self.settle("active")

    def tick(self) -> None:
        """See whether it ended, or is late."""
        now = time.monotonic()
        if self.process is None:
            if self.state == "auto-restart" and now >= self.deadline:
                self.restarts += 1
                self.start()
            return
        if self.process.poll() is not None:
            self.ended()
        elif self.state in ("activating", "deactivating") and now >= self.deadline:
            os.killpg(self.process.pid, signal.SIGKILL)
        elif self.state == "active" and 0 < seconds(self.unit["WatchdogSec"]) < now - self.fed_at:
            os.killpg(self.process.pid, signal.SIGABRT)

    def ended(self) -> None:
        """It is gone: for good, or until it is started again."""
        code = self.process.returncode if self.process else 1
        self.process = None
        if self.state == "deactivating" or self.unit.get("Type") == "oneshot":
            self.settle("inactive" if code == 0 or self.state == "deactivating" else "failed", f"exit code {code}")
        elif self.unit.get("Restart") == "always":
            if self.state == "activating":
                self.answer("Job failed: the process exited before it was ready.")
            self.state, self.deadline = "auto-restart", time.monotonic() + seconds(self.unit["RestartSec"])
        else:
            self.settle("failed", f"exit code {code}")

    def settle(self, state: str, error: str = "") -> None:
        """It is in a lasting state: whoever waits for that is told."""
        self.state = state
        self.answer(error if state == "failed" else "")

    def answer(self, error: str) -> None:
        """Tell who waits."""
        for client in self.waiting:
            reply(client, error, failed=bool(error))
        self.waiting.clear()


class Supervisor:
    """All services and timers."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self._due: dict[str, float] = {}
        self._booted_at = time.monotonic()
        self._commands = bound(SOCKET, socket.SOCK_STREAM)
        self._notes = bound(NOTIFY, socket.SOCK_DGRAM)
        # Every process may tell; who it was is found by its credentials
        Path(NOTIFY).chmod(0o666)
        self._notes.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def serve(self, sshd: list[str]) -> None:
        """Boot, then go on for ever."""
        remote = subprocess.Popen(sshd)  # noqa: S603
        # What boots before the station, then the station
        for link in sorted(
            UNITS.glob("multi-user.target.wants/sealpin*"), key=lambda path: "Before" not in read_unit(path.name)
        ):
            service = self.service(link.name)
            service.start()
            while service.process is not None and service.unit.get("Type") == "oneshot":
                self.turn()
        while remote.poll() is None:
            self.turn()

    def service(self, name: str) -> Service:
        """By its name, with or without its ending."""
        name = name if name.endswith((".service", ".timer")) else f"{name}.service"
        return self._services.setdefault(name, Service(name))

    def turn(self) -> None:
        """One round: what was asked, what was told, what is due, what ended."""
        readable, _, _ = select.select([self._commands, self._notes], [], [], TICK_S)
        if self._notes in readable:
            data, ancillary, _, _ = self._notes.recvmsg(4096, socket.CMSG_SPACE(12))
            pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            for service in self._services.values():
                if service.process is not None and service.process.pid == pid:
                    service.notified(data.decode())
        if self._commands in readable:
            client, _ = self._commands.accept()
            self.obey(client, client.recv(65536).decode().split("\0"))
        for link in UNITS.glob("timers.target.wants/sealpin*.timer"):
            self.time(link.name)
        for service in self._services.values():
            service.tick()

    def time(self, name: str) -> None:
        """Start a timer's service when it is due."""
        unit, now = read_unit(name), time.monotonic()
        due = self._due.setdefault(name, self._booted_at + seconds(unit["OnBootSec"]))
        if now >= due:
            self._due[name] = now + seconds(unit["OnUnitActiveSec"])
            self.service(unit["Unit"]).start()

    def obey(self, client: socket.socket, words: list[str]) -> None:
        """One systemctl command; start and stop are answered when they are done."""
        action, names = words[0], [word for word in words[1:] if not word.startswith("-")]
        if action == "daemon-reload":
            reply(client, "")
        elif action == "enable":
            for name in names:
                target = read_unit(name)["WantedBy"]
                link = UNITS / f"{target}.wants" / name
                link.parent.mkdir(exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to(UNITS / name)
            reply(client, "")
        elif action == "show":
            one = self.service(names[0])
            state = "activating" if one.state == "auto-restart" else one.state
            pid = one.process.pid if one.process else 0
            reply(client, f"ActiveState={state}\nMainPID={pid}\nNRestarts={one.restarts}\n")
        elif action in ("start", "stop"):
            service = self.service(names[0])
            service.waiting.append(client)
            service.start() if action == "start" else service.stop()
            if action == "start" and service.state == "active":
                service.answer("")
        else:
            reply(client, f"this stand-in has no systemctl {action}", failed=True)


def read_unit(name: str) -> dict[str, str]:
    """A unit file's keys, the last of each; empty when there is none."""
    try:
        lines = (UNITS / name).read_text().splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, found, value in (line.partition("=") for line in lines) if found}


def seconds(text: str) -> float:
    """A plain number of seconds, all that our units use."""
    return float(text)


def bound(path: str, kind: int) -> socket.socket:
    """A socket at a path, new."""
    Path(path).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    return made


def reply(client: socket.socket, text: str, *, failed: bool = False) -> None:
    """Answer a systemctl, which may be gone."""
    try:
        client.sendall((b"1" if failed else b"0") + text.encode())
    except OSError:
        pass
    finally:
        client.close()


def systemctl(words: list[str]) -> int:
    """The command's side: ask, print, and end as systemctl does."""
    if words[0] == "restart":
        return systemctl(["stop", *words[1:]]) or systemctl(["start", *words[1:]])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.connect(SOCKET)
        asked.sendall("\0".join(words).encode())
        data = b""
        while piece := asked.recv(65536):
            data += piece
    failed, text = data[:1] != b"0", data[1:].decode()
    print(text, end="" if not failed else "\n", file=sys.stderr if failed else sys.stdout)
    return int(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        Supervisor().serve(sys.argv[2:])
    else:
        sys.exit(systemctl(sys.argv[1:]))
