"""A whole site on loopback: PLC and line, FTP server, results API, and the station as a process that can be killed.

Tests, benchmarks and `sealpin-edge simulate` use it. `audit` compares what the station said that it stored with what
the servers have.
"""

import hashlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealpin_edge.ask import ask_station
from sealpin_edge.config.station import TimersSection
from sealpin_edge.delivery.outbox import LANES
from sealpin_edge.errors import EnvironmentFault
from sealpin_edge.model.photo import encode_jpeg, read_photo

from .disk import Disk, on_a_disk
from .line import Line, LinePart
from .servers import FtpServer, ResultsServer, free_port

# A machine that plays a whole site has more to do than a Pi; in full mode parts are told apart by their numbers, too
BUSY_MS = 5000
FTP_PASSWORD, API_TOKEN = "simulated-ftp", "simulated-api"
PLACES = {"s7": 'block = "DB100"', "mc": 'block = "D100"\nseries = "iq-r"', "modbus": 'block = "HR100"'}
# What the recorder logs once a part is in the database, and under "store first" its photos are on the disk
_REPORTED = re.compile(r"part \d+ \(.*id (\S+)\): .* verdict [\d.]+ ms$", re.MULTILINE)


@dataclass
class Audit:
    """What the station reported and the servers have; the lists hold ids.

    `unrecorded` are the PartSeqs of parts that the PLC has got a verdict of and the API no result; `contradicted` those
    that are good to one of them and bad to the other, `left_out` the numbers missing in the station's own sequence.
    """

    reported: list[str] = field(default_factory=list)
    missing_results: list[str] = field(default_factory=list)
    missing_photos: list[str] = field(default_factory=list)
    wrong_photos: list[str] = field(default_factory=list)
    unrecorded: list[int] = field(default_factory=list)
    contradicted: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    unreported: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing that was reported, or that the PLC has taken, is missing or different."""
        gone = self.missing_results or self.missing_photos or self.wrong_photos
        return not (gone or self.unrecorded or self.contradicted or self.left_out)


class Site:
    """Everything around a station, in `folder`.

    `store_mb` bounds its store, `trigger_low_ms` the time for which it may look away from its PLC. With `disk_mb` its
    data lie on a disk of that size, a tmpfs in a user namespace of its own, new at each start; `read_only` says how the
    next start finds it.
    """

    def __init__(
        self,
        folder: Path,
        model: Path,
        photos: Path,
        *,
        good: Sequence[str] = (),
        driver: str = "s7",
        first: str = "store",
        store_mb: int = 4096,
        disk_mb: int = 0,
        trigger_low_ms: int = TimersSection.trigger_low_ms,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.photos = folder, photos.resolve()
        self.uploads = folder / "ftp"
        self.uploads.mkdir(exist_ok=True)
        self.ftp, self.api = FtpServer(self.uploads, "station", FTP_PASSWORD), ResultsServer(API_TOKEN)
        self.ftp.start()
        self.api.start()
        self.plc_port, self.display_port = free_port(), free_port()
        self.driver = driver
        self.log = folder / "station.log"
        self.config = folder / "station.toml"
        for name, secret in (("ftp.secret", FTP_PASSWORD), ("api.secret", API_TOKEN)):
            (folder / name).touch(0o600)
            (folder / name).write_text(secret)
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        # JSON's texts are TOML's, as long as none is written as surrogates
        named = f"good = {json.dumps(list(good), ensure_ascii=False)}\n" if good else ""
        self.config.write_text(
            f'[station]\nname = "simulated"\nmode = "full"\nstore_mb = {store_mb}\n'
            f'[plc]\ndriver = "{driver}"\nhost = "127.0.0.1"\nport = {self.plc_port}\n{PLACES[driver]}\n'
            f'[camera]\ndriver = "folder"\npath = "{self.photos}"\nchecks = "off"\n'
            f'[model]\nfile = "{model.resolve()}"\nsha256 = "{sha256}"\n{named}'
            f'[photos]\nurl = "ftp://station@127.0.0.1:{self.ftp.port}/line"\npassword_file = "ftp.secret"\n'
            f'first = "{first}"\n'
            f'[results]\nurl = "http://127.0.0.1:{self.api.port}/results"\ntoken_file = "api.secret"\n'
            f'[display]\naddress = "127.0.0.1:{self.display_port}"\n'
            f"[timers]\nserver_ms = 1000\ntrigger_low_ms = {trigger_low_ms}\n"
        )
        self.station: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(exist_ok=True)
        self.disk_mb, self.read_only = disk_mb, False

    def line(self, **changes: Any) -> Line:
        """The PLC with its line, not yet switched on."""
        block = re.search('block = "(.*)"', PLACES[self.driver])
        assert block
        settings = {"interval_s": 0.0, "driver": self.driver, "block": block[1], **changes}
        return Line("127.0.0.1", self.plc_port, **settings)

    def start(self, program: tuple[str, ...] = ()) -> None:
        """Start the station; `program` replaces `sealpin-edge run`, and gets the config as its last argument."""
        command = program or (str(Path(sys.executable).with_name("sealpin-edge")), "run", "--wait-for-plc", "--config")
        if self.disk_mb:
            command = (*on_a_disk(self.folder / "data", self.disk_mb, read_only=self.read_only), *command)
        with open(self.log, "ab") as log:
            self.station = subprocess.Popen([*command, str(self.config)], stderr=log)  # noqa: S603  our own command

    @property
    def disk(self) -> Disk:
        """The running station's disk."""
        assert self.station
        return Disk(self.station.pid, self.folder / "data")

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.station:
            self.station.send_signal(signal.SIGKILL)
            self.station.wait()
            self.station = None

    def stop(self) -> int:
        """Stop the station as systemd does; returns its exit code."""
        if self.station is None:
            return 0
        self.station.terminate()
        code = self.station.wait(30)
        self.station = None
        return code

    def close(self) -> None:
        """Stop everything."""
        self.kill()
        self.ftp.stop()
        self.api.stop()

    def cut(self) -> None:
        """Both servers go away."""
        self.ftp.stop()
        self.api.stop()

    def join(self) -> None:
        """Both servers are back."""
        self.ftp.start()
        self.api.start()

    def health(self) -> dict[str, Any]:
        """The station's /health. Raises OSError when it does not answer."""
        return dict(json.loads(ask_station(f"127.0.0.1:{self.display_port}", "/health", 5)))

    def wait_until_drained(self, timeout_s: float = 60.0) -> float:
        """Wait until nothing is left to send; returns the seconds that it took. Raises EnvironmentFault."""

        def drained() -> bool:
            health = self.health()
            return health["in_hand"] == 0 and {health["outbox"][lane] for lane in LANES} == {0}

        return self.wait_for(drained, timeout_s)

    def wait_for(self, done: Callable[[], bool], timeout_s: float = 60.0) -> float:
        """Wait until it is so, also for a station that does not answer yet; as `wait_until_drained`."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            with suppress(OSError):
                if done():
                    return time.monotonic() - began
            threading.Event().wait(0.05)
        raise EnvironmentFault(
            "the station did not get there in time", where=str(self.folder), allowed=f"within {timeout_s:g} s"
        )

    def audit(self, parts: Sequence[LinePart] = ()) -> Audit:
        """Compare what the station reported as stored, and the PLC's `parts`, with what the servers have got."""
        audit = Audit(reported=_REPORTED.findall(self.log.read_text(errors="replace")))
        expected: dict[str, bytes] = {}
        results = self.api.results
        for id in audit.reported:
            result = results.get(id)
            if result is None:
                audit.missing_results.append(id)
            elif result["image_path"]:
                source = result["photo"]
                if source not in expected:
                    expected[source] = hashlib.sha256(encode_jpeg(read_photo(self.photos / source))).digest()
                file = self.uploads / "line" / result["image_path"]
                marked = file.with_name(f"{file.stem}_defects.jpg")
                if not file.is_file() or (result["verdict"] == "NG" and not marked.is_file()):
                    audit.missing_photos.append(id)
                elif hashlib.sha256(file.read_bytes()).digest() != expected[source] or not _whole(marked):
                    audit.wrong_photos.append(id)
        told = {result["part_seq"]: result["verdict"] for result in results.values() if result["part_seq"]}
        for part in parts:
            if part.verdict != "NONE" and part.part_seq not in told:
                audit.unrecorded.append(part.part_seq)
            elif {part.verdict, told.get(part.part_seq)} == {"OK", "NG"}:
                audit.contradicted.append(part.part_seq)
        numbers = {result["station_seq"] for result in results.values()}
        audit.left_out = sorted(set(range(1, max(numbers, default=0) + 1)) - numbers)
        audit.unreported = len(set(results) - set(audit.reported))
        return audit


def _whole(photo: Path) -> bool:
    """Whether a JPEG, where there is one, has its beginning and its end."""
    data = photo.read_bytes() if photo.is_file() else b""
    return not photo.is_file() or (data[:2], data[-2:]) == (b"\xff\xd8", b"\xff\xd9")
