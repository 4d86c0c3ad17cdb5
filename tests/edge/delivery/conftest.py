"""Time stands still and nobody looks unless nudged, so that a test sees what one nudge does."""

from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.delivery import courier as delivery
from sealpin_edge.delivery import lane
from sealpin_edge.delivery.courier import Courier
from sealpin_edge.delivery.outbox import Outbox

from .hand import NEVER_S, Clock, Make


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(delivery, "time", made)
    monkeypatch.setattr(lane, "time", made)
    monkeypatch.setattr(lane, "random", made)
    monkeypatch.setattr(delivery, "IDLE_S", NEVER_S)
    monkeypatch.setattr(delivery, "STOP_S", 0.02)
    return made


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lanes look all the time, and no server is left alone."""
    monkeypatch.setattr(delivery, "IDLE_S", 0.002)
    monkeypatch.setattr(lane, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    made = Outbox(tmp_path)
    made.open()
    return made


@pytest.fixture
def make(outbox: Outbox, cut_off: list[Any]) -> Make:
    """A courier that is at work, unless `start` is False; it ends with the test."""

    def made(
        photos: Any = None, api: Any = None, *, start: bool = True, store_first: bool = False, **options: Any
    ) -> Courier:
        courier = Courier(outbox, photos, api, store_first=store_first, **options)
        if start:
            cut_off.extend([courier.nudge, courier.stop])
            courier.start()
        return courier

    return made
