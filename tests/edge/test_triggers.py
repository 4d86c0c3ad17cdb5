"""The record of triggers: written before a verdict can be taken, and no verdict waits for a disk that does not."""

import os
import threading
import time
from pathlib import Path

import pytest

from sealpin_edge.ids import uuid7
from sealpin_edge.inspection.triggers import HOLD_S, RECORDS, Trigger, TriggerLog


def trigger(number: int) -> Trigger:
    return Trigger(number, str(uuid7()), "2026-05-04T03:02:01.000+00:00", number % 65536, "store")


def wait_until_written(log: TriggerLog) -> None:
    end = time.monotonic() + 10
    while not log.written:
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def test_what_was_noted_is_read_again_the_newest_of_each_place(tmp_path: Path) -> None:
    log = TriggerLog(tmp_path, lambda: None)
    log.start()
    noted = [trigger(number) for number in (1, 2, 3, RECORDS + 1)]
    for one in noted:
        log.note(one)
    log.settle(3)
    log.stop(10)
    found = {one.number: one for one in TriggerLog(tmp_path, lambda: None).read()}
    assert sorted(found) == [2, 3, RECORDS + 1], "a ring of so many records"
    assert (found[2].id, found[2].settled, found[3].settled) == (noted[1].id, False, True)


def test_there_is_room_for_every_record_from_the_start(tmp_path: Path) -> None:
    """A disk that gets full later takes them still."""
    log = TriggerLog(tmp_path, lambda: None)
    log.start()
    log.stop(10)
    status = (tmp_path / "triggers").stat()
    assert status.st_size == status.st_blocks * 512 == RECORDS * 256


def test_damaged_records_are_none(tmp_path: Path) -> None:
    log = TriggerLog(tmp_path, lambda: None)
    log.start()
    log.note(trigger(1))
    log.note(trigger(2))
    log.stop(10)
    data = bytearray((tmp_path / "triggers").read_bytes())
    data[256 * 2 + 5] = 0xFF
    (tmp_path / "triggers").write_bytes(data + b"half a reco")
    assert [one.number for one in log.read()] == [1]
    assert TriggerLog(tmp_path / "nowhere", lambda: None).read() == []


def test_a_verdict_waits_for_the_record_and_for_no_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, goes_on = os.pwrite, threading.Event()

    def hanging(*arguments: object) -> int:
        assert goes_on.wait(20)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwrite", hanging)
    log = TriggerLog(tmp_path, lambda: None)
    log.start()
    assert log.written
    log.note(trigger(1))
    began = time.monotonic()
    assert not log.written
    wait_until_written(log)
    assert time.monotonic() - began > HOLD_S
    log.note(trigger(2))
    assert log.written, "while the disk hangs no further verdict waits for it"
    goes_on.set()
    log.stop(10)
    assert [one.number for one in log.read()] == [1, 2]


def test_a_disk_that_fails_is_told_and_holds_up_nobody_and_a_mended_one_is_waited_for_again(tmp_path: Path) -> None:
    failed = threading.Event()
    log = TriggerLog(tmp_path / "data", failed.set)
    log.start()
    log.note(trigger(1))
    assert failed.wait(10)
    wait_until_written(log)
    (tmp_path / "data").mkdir()
    log.note(trigger(2))
    wait_until_written(log)
    log.stop(10)
    assert [one.number for one in log.read()] == [2]
