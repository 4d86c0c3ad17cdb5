"""The fuzzer: every reader ends well on a few changed files, and what does not end well is caught as what it is."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from fuzz import changed, fuzz, outcome_of
from fuzz_readers import READERS, Reader

from .edge.peers import program

INPUTS = 50


@pytest.mark.parametrize("name", READERS)
def test_every_reader_ends_with_a_result_or_a_sealpin_error(name: str, tmp_path: Path) -> None:
    from sealpin_training import run

    if name == "signature":
        program("ssh-keygen")
    store = run.STORE
    try:
        seeds, read = READERS[name].make(tmp_path)
        for number in range(INPUTS):
            data = changed(seeds, name, 7, number)
            assert outcome_of(read, data)[0] in ("", "refused"), f"--reader {name} --seed 7 --first {number}"
    finally:
        run.STORE = store


def bad(data: bytes) -> None:
    """A reader with every fault there is."""
    fault = data[:1]
    if fault == b"r":
        raise KeyError("no such thing")
    if fault == b"s":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == b"h":
        while True:
            pass
    if fault == b"m":
        bytearray(1 << 33)


def bad_reader(folder: Path) -> tuple[list[bytes], object]:
    """Sound files that are none; `fuzz` reads them unchanged first."""
    with contextlib.suppress(KeyError):
        bad(b"r")
    return [b"good", b"raises", b"segfault", b"hangs", b"memory", b"good"], bad


def test_what_a_reader_must_not_do_is_found_and_its_input_kept(tmp_path: Path) -> None:
    reader = Reader("bad", bad_reader)  # type: ignore[arg-type]
    found = fuzz(reader, 1, seconds=60, inputs=6, keep=tmp_path, cpu_s=0.5)
    kinds = {kind.partition(" at ")[0]: one["input"] for kind, one in found.findings.items()}
    assert kinds == {"KeyError": 1, "SIGSEGV": 2, "hangs": 3, "MemoryError": 4}
    assert found.tried == 6
    assert (tmp_path / "bad-1-2").read_bytes() == b"segfault"
