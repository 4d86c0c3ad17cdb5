"""Files from outside, changed at random: does every reader end with a result or an error of sealpin's own?

    .venv/bin/python benchmarks/fuzz.py --seconds 600 --seed 1 --findings FOLDER > benchmarks/results/fuzz.json

Each reader (`--reader NAME`, once for each; all without) makes its own sound files and reads changed ones in a process
of its own, which may take so much memory and so much time for one. Anything but a result or a SealpinError is a
finding: another exception, a process that dies (a fault in native code), that hangs, or that wants more memory. The
first of each kind is told, and its input kept in FOLDER. The same seed gives the same inputs: `--first N --inputs 1`
plays input N again. JSON on standard output, a line for each reader on standard error; exit code 1 with findings.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from fuzz_mutations import mutate
from fuzz_readers import READERS, Reader
from machine import describe

from sealpin_edge.errors import SealpinError
from sealpin_training.quiet import quiet_stderr

CPU_S = 10.0
HUNG_S = 120.0  # of the clock: nothing happens at all
LONGEST_START_S = 300.0


@dataclass
class Outcome:
    """What came of one reader: `findings` has for each kind how often, the first input, and what was told.

    `seconds` are of the clock, `slowest_s` of the processor.
    """

    reader: str
    seed: int
    tried: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_input: int = 0
    findings: dict[str, dict[str, object]] = field(default_factory=dict)

    def found(self, kind: str, number: int, told: str) -> bool:
        """Note a finding; whether it is the first of its kind."""
        known = self.findings.setdefault(kind, {"times": 0, "input": number, "told": told})
        known["times"] = int(str(known["times"])) + 1
        return known["times"] == 1


def changed(seeds: Sequence[bytes], name: str, seed: int, number: int) -> bytes:
    """Input `number` of a reader; the first ones are the sound files themselves."""
    if number < len(seeds):
        return seeds[number]
    chance = random.Random(f"{name}/{seed}/{number}")
    return mutate(chance.choice(seeds), seeds, chance)


def outcome_of(read: Callable[[bytes], object], data: bytes) -> tuple[str, str]:
    """("", "") for a result, ("refused", "") for a SealpinError, else the kind of a finding and what is told of it."""
    try:
        read(data)
    except SealpinError as error:
        str(error)
        return "refused", ""
    except (Exception, RecursionError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "sealpin" in frame.filename.replace("/benchmarks/", "")] or frames
        return f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}", str(error)[:200]
    return "", ""


def work(reader: Reader, seed: int, first: int, limited: bool, pipe: Connection) -> None:
    """In a process of its own: read one input after the other, and tell before and after each."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        with quiet_stderr():
            seeds, read = reader.make(Path(folder))
            outcome_of(read, seeds[0])  # what is imported late is there before memory is counted
        if limited:
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + (reader.room_mb << 20),) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        number = first
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders tell of every fault there
        while True:
            data = changed(seeds, reader.name, seed, number)
            pipe.send((number, data))
            began = time.process_time()
            kind, told = outcome_of(read, data)
            pipe.send((kind, told, time.process_time() - began))
            number += 1


class _Worker:
    """The process that reads, and its end of the pipe."""

    def __init__(self, reader: Reader, seed: int, first: int, limited: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(reader, seed, first, limited, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def cpu_s(self) -> float:
        """What it has worked so far."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def next(self, most_cpu_s: float, most_s: float) -> object:
        """What it sends next. Raises EOFError when it died, TimeoutError when it takes too long."""
        began, cpu = time.monotonic(), None
        while not self.pipe.poll(0.2):
            if not self.process.is_alive() and not self.pipe.poll(0):
                raise EOFError
            cpu = self.cpu_s() if cpu is None else cpu
            if self.cpu_s() - cpu > most_cpu_s or time.monotonic() - began > most_s:
                raise TimeoutError
        try:
            return self.pipe.recv()
        except ConnectionError:
            raise EOFError from None

    def end(self) -> str:
        """End it; how it ended by itself, if it did."""
        self.process.join(1)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        if code is None:
            return ""
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def fuzz(
    reader: Reader, seed: int, *, seconds: float, first: int = 0, inputs: int | None = None, keep: Path | None = None,
    cpu_s: float = CPU_S, hung_s: float = HUNG_S, limited: bool = True,
) -> Outcome:  # fmt: skip
    """Try inputs for so long, or so many. The input of each finding is written below `keep`."""
    outcome = Outcome(reader.name, seed)
    number, data = first, b""
    worker: _Worker | None = None

    def note(kind: str, told: str) -> None:
        if outcome.found(kind, number, told) and keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{reader.name}-{seed}-{number}").write_bytes(data)
            print(f"  {reader.name} input {number}: {kind}: {told}", file=sys.stderr, flush=True)

    try:
        ends = None
        while (inputs is None or outcome.tried < inputs) and (ends is None or time.monotonic() < ends):
            try:
                starting = worker is None
                worker = worker or _Worker(reader, seed, number, limited)
                number, data = worker.next(LONGEST_START_S, LONGEST_START_S) if starting else worker.next(cpu_s, hung_s)  # type: ignore[misc]
                ends = ends or time.monotonic() + seconds
                began = time.monotonic()
                kind, told, took = worker.next(cpu_s, hung_s)  # type: ignore[misc]
                outcome.seconds += time.monotonic() - began
                if took > outcome.slowest_s:
                    outcome.slowest_s, outcome.slowest_input = took, number
                outcome.refused += kind == "refused"
                if kind not in ("", "refused"):
                    note(kind, told)
            except (EOFError, TimeoutError) as error:
                assert worker
                how = worker.end()
                if not data:
                    raise RuntimeError(f"{reader.name} does not start: {how or 'it hangs'}") from None
                note(how or "hangs", "the process died" if isinstance(error, EOFError) else f"over {cpu_s:g} s of work")
                outcome.seconds += 0 if how else cpu_s
                worker = None
            number, outcome.tried = number + 1, outcome.tried + 1
    finally:
        if worker:
            worker.process.kill()
            worker.process.join()
    return outcome


def main() -> int:
    """Play all readers that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", choices=READERS, default=[])
    parser.add_argument("--seconds", type=float, default=600, help="for each reader")
    parser.add_argument("--inputs", type=int, help="so many for each, at most")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, required=True, help="folder for the inputs of what is found")
    asked = parser.parse_args()
    outcomes = []
    for name in asked.reader or READERS:
        one = fuzz(
            READERS[name],
            asked.seed,
            seconds=asked.seconds,
            first=asked.first,
            inputs=asked.inputs,
            keep=asked.findings,
        )
        speed = one.tried / max(one.seconds, 1e-9)
        told = f"{one.tried} inputs, {speed:.0f}/s, {one.refused} refused, slowest {one.slowest_s:.2f} s"
        print(f"{name:<16}{told}, {len(one.findings)} kinds of findings", file=sys.stderr, flush=True)
        outcomes.append(asdict(one) | {"inputs_per_s": round(speed, 1)})
    about = describe("pillow", "opencv-python-headless", "ai-edge-litert", "lxml", "PyYAML", "protobuf", "flatbuffers")
    print(json.dumps({"seed": asked.seed, "seconds_each": asked.seconds, "readers": outcomes, **about}, indent=1))
    return int(any(one["findings"] for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
