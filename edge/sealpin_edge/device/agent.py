"""What `sealpin deploy` talks to: requests as JSON lines on standard input, events and answers on standard output.

    {"do": NAME, ...}  ->  {"event": STEP} ...  ->  {"ok": {...}} or {"error": {"exit_code", "problem", "where", ...}}

One connection is one process. It holds the station's lock while it deploys, and ends, which frees the lock, when
nothing is asked for IDLE_S: a deploy whose cable was cut locks nobody out.
"""

import base64
import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import EnvironmentFault, InputError, SealpinError, in_words
from ..files import write_whole
from ..release.bundle import Manifest, parse_manifest, version_order
from ..release.signature import verify
from . import environment, releases, service, trial
from .layout import AGENT, BASE, LOCK, SIGNERS, complete, confirmed, history, record
from .prepare import prepare

IDLE_S = 60


class Agent:
    """One conversation. Each request is a method, and what follows it is its arguments."""

    def __init__(self, requests: io.BufferedReader, answers: BinaryIO, program: Path) -> None:
        self._requests, self._answers, self._program = requests, answers, program
        self._lock: Any = None
        self._holder = ""
        self._manifest: Manifest | None = None
        self._signature = b""

    def serve(self) -> None:
        """Answer until the other side is done or gone; a release still on trial then is taken back."""
        actions: dict[str, Callable[..., dict[str, Any]]] = {
            "prepare": prepare, "status": self.status, "lock": self.lock, "offer": self.offer, "put": self.put,
            "stage": self.stage, "choose": self.choose, "try": self.try_release, "confirm": self.confirm,
        }  # fmt: skip
        signal.signal(signal.SIGALRM, _give_up)
        try:
            while line := self._read_line():
                request = json.loads(line)
                try:
                    answer = {"ok": actions[request.pop("do")](**request)}
                except SealpinError as error:
                    answer = {"error": {**vars(error), "exit_code": error.exit_code, "kind": type(error).__name__}}
                except OSError as error:
                    told = {"problem": in_words(error), "where": str(error.filename or "")}
                    answer = {"error": {**told, "exit_code": 3, "kind": "EnvironmentFault"}}
                except Exception as error:  # a defect of ours: told, rather than a connection that ends
                    told = {"problem": f"the station's side failed: {type(error).__name__}: {error}"}
                    answer = {"error": {**told, "exit_code": 3, "kind": "EnvironmentFault"}}
                self._say(answer)
        except (OSError, TimeoutError):
            pass
        finally:
            signal.alarm(0)
            if self._lock is not None:
                trial.go_back("the connection to whoever deployed it was lost")

    def status(self) -> dict[str, Any]:
        """How the station is: what runs, since when, what is here to go back to."""
        running = releases.current()
        return {
            "release": running,
            "run_id": releases.load_manifest(running).run_id if running else "",
            "health": service.health(running) if running else None,
            "releases": releases.complete_releases(),
            "on_trial": trial.on_trial(),
            "platform": environment.platform(),
            "free_mb": round(shutil.disk_usage(BASE).free / 1e6),
            "history": history()[-10:],
        }

    def lock(self, holder: str) -> dict[str, Any]:
        """Keep others from deploying here until this conversation ends; returns what runs.

        Raises EnvironmentFault when somebody else does now.
        """
        BASE.mkdir(parents=True, exist_ok=True)
        file = open(LOCK, "a+", encoding="utf-8")  # noqa: SIM115  held until this process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who, _, since = file.read().strip().rpartition(" ")
            age = time.time() - float(since or time.time())
            raise EnvironmentFault(
                "somebody else deploys here",
                where=str(LOCK),
                found=f"{who or 'somebody'}, for {age:.0f} s",
                advice=f"wait; a deploy that is cut off frees the station within {IDLE_S} s",
            ) from None
        file.truncate(0)
        file.write(f"{holder} {time.time():.0f}")
        file.flush()
        self._lock, self._holder = file, holder
        trial.go_back("another deploy begins, and nobody had confirmed it")
        return {"running": releases.current()}

    def offer(self, head: str, signature: str, allow_downgrade: bool) -> dict[str, Any]:
        """Look at a bundle's manifest; returns which of its members are missing here. Raises what speaks against it."""
        manifest, self._signature = parse_manifest(base64.b64decode(head), "bundle"), base64.b64decode(signature)
        try:
            self._check(manifest, allow_downgrade)
        except SealpinError as error:
            record("refused", release=manifest.release, by=self._holder, why=str(error))
            raise
        self._manifest = manifest
        return {"missing": [] if releases.current() == manifest.release else releases.missing(manifest)}

    def put(self, sha256: str, bytes: int) -> dict[str, Any]:
        """Take the rest of a member, which follows the request."""
        manifest = self._expect()
        if sha256 not in {member.sha256 for member in manifest.members.values()}:
            raise InputError("this bundle has no such member", found=sha256)
        releases.receive(_Watched(self._requests), sha256, bytes)
        return {}

    def stage(self) -> dict[str, Any]:
        """Lay the bundle out beside the running release, install its environment, and let it try itself."""
        manifest = self._expect()
        try:
            self._event("unpack")
            folder = releases.unpack(manifest, self._signature)
            self._event("environment")
            environment.install(manifest, folder)
            self._event("preflight")
            found = service.preflight(folder)
        except SealpinError as error:
            record("refused", release=manifest.release, by=self._holder, why=str(error))
            raise
        complete(folder)
        return found

    def choose(self, version: str) -> dict[str, Any]:
        """Choose what to go back to: a version, or "" for the last good one before this."""
        running, here = releases.current(), releases.complete_releases()
        good = confirmed()
        if running in good:  # what came before it, and not what a rollback has left
            good = good[: good.index(running)]
        named = [name for name in here if version in (name, name.rpartition("-")[0])]
        if version:
            found = named[-1] if named else None
        else:
            found = next((name for name in reversed(good) if name in here and name != running), None)
        if found is None:
            allowed = ", ".join(name for name in here if name != running)
            raise InputError(
                "there is nothing to go back to", found=version, allowed=allowed or "a release deployed before"
            )
        self._manifest = releases.load_manifest(found)
        if found != running:
            self._event("preflight")
            service.preflight(releases.release_folder(found))
        return {"release": found}

    def try_release(self, watch_s: float) -> dict[str, Any]:
        """Put the release in place and watch it; it stays only if it is confirmed."""
        release = self._expect().release
        write_whole(AGENT, self._program.read_bytes())  # what heals is what knows this trial
        signal.alarm(0)
        found = trial.try_release(release, watch_s, self._event)
        return {"health": found}

    def confirm(self) -> dict[str, Any]:
        """Let the release stay, and remove what nobody will go back to; returns the run that its model is of."""
        manifest = self._expect()
        trial.confirm(manifest.release, by=self._holder)
        self._event("prune")
        with contextlib.suppress(OSError, SealpinError):  # untidy is no reason to call a good deploy bad
            releases.prune()
        return {"run_id": manifest.run_id}

    def _check(self, manifest: Manifest, allow_downgrade: bool) -> None:
        if not SIGNERS.exists():
            raise InputError("this station was not prepared", where=str(SIGNERS), hint="sealpin station prepare NAME")
        verify(manifest.head, self._signature, SIGNERS, manifest.release)
        expires = str(manifest.content.get("expires", ""))
        if expires and time.strftime("%Y-%m-%d", time.gmtime()) > expires:
            raise InputError("this bundle has expired", where=manifest.release, found=f"on {expires}")
        running = releases.current()
        if running and not allow_downgrade:
            runs = releases.load_manifest(running).version
            if version_order(manifest.version) < version_order(runs):
                raise InputError(
                    "this bundle is older than what runs",
                    found=manifest.version,
                    allowed=f"{runs} or newer",
                    advice="or go back to a release that is still there: sealpin rollback",
                    hint="sealpin deploy BUNDLE NAME --allow-downgrade",
                )
        environment.check_platform(manifest)
        with contextlib.suppress(OSError, SealpinError):  # what earlier deploys have left must not fill the disk
            releases.prune(manifest)
        releases.check_space(manifest)

    def _expect(self) -> Manifest:
        if self._manifest is None:
            raise InputError("no release was chosen", allowed="offer, or choose, before it")
        return self._manifest

    def _event(self, step: str) -> None:
        self._say({"event": step})

    def _say(self, document: dict[str, Any]) -> None:
        self._answers.write(json.dumps(document).encode() + b"\n")
        self._answers.flush()

    def _read_line(self) -> bytes:
        signal.alarm(IDLE_S)
        line = self._requests.readline()
        signal.alarm(0)
        return line


class _Watched:
    """The requests' stream for a long upload: it must go on, however long it takes in all."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """What there is, at most `size` bytes: a slow link gets on, too."""
        signal.alarm(IDLE_S)
        try:
            return self._stream.read1(size)
        finally:
            signal.alarm(0)


def _give_up(*_: Any) -> None:
    raise TimeoutError("nothing was asked")


def main(program: Path) -> None:
    """Converse, or `heal` when called so by the timer or at boot."""
    os.umask(0o022)  # the station's user reads what root lays out
    if sys.argv[1:2] == ["heal"]:
        trial.heal(booting="--booting" in sys.argv)
        return
    try:
        Agent(cast(io.BufferedReader, sys.stdin.buffer), sys.stdout.buffer, program).serve()
    finally:
        program.unlink(missing_ok=True)
        os._exit(0)  # threads and half-closed pipes must not hold the lock
