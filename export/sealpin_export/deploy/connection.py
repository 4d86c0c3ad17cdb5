"""A conversation with a station over the system's OpenSSH: our agent is sent along, then asked (device/agent.py)."""

import contextlib
import getpass
import io
import json
import os
import queue
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sealpin_edge
from sealpin_edge import errors
from sealpin_edge.errors import EnvironmentFault, SealpinError, quote
from sealpin_edge.files import parse_json

from .inventory import Device

CONNECT_S = 10
# A station that says nothing for so long is gone; OpenSSH asks it three times meanwhile
SILENT_S = 15
ANSWER_S = 900.0
CHUNK = 1 << 18
# Letters of what a login shell may print before it lets us in
MAX_GREETING = 20_000
# Only Python's own library: a station that is still blank runs them
AGENT_MODULES = (
    *("__init__.py", "errors.py", "files.py", "command.py", "ids.py", "ask.py"),
    *("release/__init__.py", "release/signature.py", "release/bundle.py"),
    "device/*.py",
)
_MAIN = "import sys\nfrom pathlib import Path\nfrom sealpin_edge.device.agent import main\nmain(Path(sys.argv[0]))\n"
# Takes the agent from standard input, puts it where it may stay, and lets it go on with the rest of the input
_BOOT = (
    "import os,runpy,sys,tempfile\n"
    "data=sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))\n"
    "handle,path=tempfile.mkstemp('.pyz','sealpin-')\n"
    "os.write(handle,data);os.close(handle)\n"
    "sys.path.insert(0,path)\n"
    "from pathlib import Path\n"
    "from sealpin_edge.device.agent import main\n"
    "main(Path(path))\n"
)


class ConnectionLost(EnvironmentFault):
    """The station cannot be reached, or not any more."""


def agent_archive() -> bytes:
    """The agent as a Python zip application; the same code, the same bytes."""
    package = Path(sealpin_edge.__file__).parent
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in AGENT_MODULES:
            for path in sorted(package.glob(pattern)):
                entry = zipfile.ZipInfo(f"sealpin_edge/{path.relative_to(package)}")
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
    return file.getvalue()


class Conversation:
    """Requests to one station, in order. Leave it by `connect`'s block: the agent then ends, and frees the station."""

    def __init__(self, device: Device, process: subprocess.Popen[bytes], said: io.BufferedRandom) -> None:
        self.device = device
        self._process = process
        self._said = said
        self._answered = False
        # What was printed before the first answer: not by us, but by a .bashrc or .profile that greets
        self._greeting = ""
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        archive = agent_archive()
        self._write(f"{len(archive)}\n".encode() + archive)

    def ask(self, action: str, on_event: Callable[[str], None] = lambda step: None, **arguments: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer; steps on the way go to `on_event`.

        Raises what the station raised, or ConnectionLost.
        """
        self._write(json.dumps({"do": action, **arguments}).encode() + b"\n")
        return self._answer(on_event)

    def put(self, sha256: str, data: bytes, have: int, sent: Callable[[int], None]) -> None:
        """Send a member from the byte `have` on; `sent` is told of every piece."""
        self._write(json.dumps({"do": "put", "sha256": sha256, "bytes": len(data)}).encode() + b"\n")
        for begin in range(have, len(data), CHUNK):
            piece = data[begin : begin + CHUNK]
            self._write(piece)
            sent(len(piece))
        self._answer(lambda step: None)

    def _answer(self, on_event: Callable[[str], None]) -> dict[str, Any]:
        while True:
            try:
                line = self._answers.get(timeout=ANSWER_S)
            except queue.Empty:
                raise self._lost(f"no answer in {ANSWER_S:g} s") from None
            if not line:
                raise self._lost()
            if not (document := _document(line)):
                if self._answered or len(self._greeting) > MAX_GREETING:
                    raise self._lost(line.decode(errors="replace").strip()[:200])
                self._greeting += line.decode(errors="replace")
                continue
            self._answered = True
            if "event" in document:
                on_event(str(document["event"]))
            elif "ok" in document:
                answer: dict[str, Any] = document["ok"]
                return answer
            else:
                raise _error(document["error"], self.device)

    def _write(self, data: bytes) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            self._answer(lambda step: None)  # why it takes nothing more, if it said so
            raise self._lost() from None

    def _read(self) -> None:
        assert self._process.stdout
        with contextlib.suppress(ValueError):  # closed by whoever gave up, while this waits for a line
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put(b"")

    def _lost(self, found: str = "") -> ConnectionLost:
        self._said.seek(0)
        told = self._said.read().decode(errors="replace").strip().splitlines()
        found = found or "\n".join(told[-3:]) or "it was closed"
        advice = "" if self._answered else _advice(" ".join(told))
        if self._greeting and not self._answered:
            greeting = " ".join(self._greeting.split())[:200]
            found = f"the login shell of {self.device.address} prints: {greeting}\n{found}"
            advice = advice or "let it print nothing for non-interactive shells (in .bashrc, behind the test of $PS1)"
        refused = "Permission denied" in " ".join(told) and not self._answered
        return ConnectionLost(
            "the connection to the station was lost" if self._answered else "the station cannot be reached",
            where=f"{self.device.name}, {self.device.address}:{self.device.port}",
            found=found,
            advice=advice,
            hint=f"sealpin station prepare {quote(self.device.name)}" if refused else "",
        )


@contextmanager
def connect(device: Device, *, interactive: bool = False) -> Iterator[Conversation]:
    """A conversation with a station; `interactive` lets ssh ask for a password. Raises ConnectionLost."""
    with tempfile.TemporaryDirectory(prefix="sealpin-") as folder, tempfile.TemporaryFile() as said:
        known = Path(folder, "known_hosts")
        known.write_text("".join(f"{device.name} {key}\n" for key in device.host_keys))
        command = [*_ssh(device, known, interactive=interactive), "--", device.address, _remote(device)]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if interactive else said
        )
        try:
            yield Conversation(device, process, said)
        finally:
            assert process.stdin and process.stdout
            try:
                process.stdin.close()
                process.wait(SILENT_S)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
            process.stdout.close()


def holder() -> str:
    """Who deploys, for locks and histories."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _ssh(device: Device, known: Path, *, interactive: bool) -> list[str]:
    options = {
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": os.devnull,
        "HostKeyAlias": device.name,
        "CheckHostIP": "no",
        "UpdateHostKeys": "no",
        "BatchMode": "no" if interactive else "yes",
        "ConnectTimeout": str(CONNECT_S),
        "ServerAliveInterval": str(SILENT_S // 3),
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        # A connection that stands already would go past the pinned key
        "ControlPath": "none",
    }
    if device.host_keys:
        options["HostKeyAlgorithms"] = _algorithms(device.host_keys)
    if device.key:
        options |= {"IdentityFile": str(Path(device.key).expanduser()), "IdentitiesOnly": "yes"}
    return [
        "ssh",
        "-T",
        "-p",
        str(device.port),
        *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
    ]


def _algorithms(keys: tuple[str, ...]) -> str:
    kinds = [key.split()[0] for key in keys]
    return ",".join("rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind for kind in kinds)


def _remote(device: Device) -> str:
    """The command on the station: the system's own Python, as root."""
    python = f"/usr/bin/python3 -I -c {shlex.quote(_BOOT)}"
    return python if device.address.startswith("root@") else f"sudo -n {python}"


def _document(line: bytes) -> dict[str, Any]:
    """One of the agent's, also where a greeting without an end of line stands before it; empty for anything else."""
    try:
        found = parse_json(line[max(0, line.find(b'{"')) :])
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.keys() & {"event", "ok", "error"} else {}


def _error(said: dict[str, Any], device: Device) -> SealpinError:
    """The station's error, raised here as it was there; it does not know by which name we call it."""
    kind = getattr(errors, str(said.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, SealpinError)):
        kind = SealpinError
    texts = {key: str(said.get(key, "")) for key in ("where", "found", "allowed", "advice", "hint")}
    texts["hint"] = re.sub(r"\bNAME\b", device.name, texts["hint"])
    return kind(str(said.get("problem", "")), **texts)


def _advice(told: str) -> str:
    """What to do about what ssh or the station's own programs said."""
    if "REMOTE HOST IDENTIFICATION" in told or "Host key verification failed" in told or "host key" in told.lower():
        return (
            "the station shows another key than the pinned one: find out why before you pin the new one (station add)"
        )
    if "Permission denied" in told:
        return "your SSH key is not there yet; prepare the station, which puts it there"
    if "sudo: a " in told or "sudoers" in told:  # "a password is required", "a terminal is required"
        return "this user needs sudo without a password, as Raspberry Pi OS gives it to its first one"
    return ""
