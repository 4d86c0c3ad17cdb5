"""When a server is tried again: pauses that double, give or take a fifth, up to half a minute."""

from itertools import pairwise

import pytest

from sealpin_edge.delivery import lane
from sealpin_edge.delivery.lane import Lane, pause_s


class Clock:
    """Seconds that pass when a test says so, and a chance that it decides; in place of `time` and `random`."""

    def __init__(self) -> None:
        self.now, self.chance = 0.0, 0.5

    def monotonic(self) -> float:
        return self.now

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.chance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lane, "time", made)
    monkeypatch.setattr(lane, "random", made)
    return made


def closed_for(one: Lane, clock: Clock) -> float:
    """How long a lane stays closed from now on, to a hundredth of a second."""
    began = clock.now
    for hundredths in range(10_000):
        clock.now = began + hundredths / 100
        if one.open:
            return hundredths / 100
    raise AssertionError("it never opens")


def test_pauses_double_up_to_half_a_minute() -> None:
    pauses = [pause_s(failures) for failures in range(12)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert all(later == 30 for later in pauses[5:])
    assert all(one <= other for one, other in pairwise(pauses))
    assert pause_s(100_000) == 30, "after a weekend without a network, too"


def test_a_new_lane_is_open_and_has_taken_nothing(clock: Clock) -> None:
    one = Lane()
    assert (one.open, one.worked_lately, one.trouble) == (True, False, "")


@pytest.mark.parametrize(("chance", "first", "second"), [(0.0, 0.8, 1.6), (0.5, 1.0, 2.0), (1.0, 1.2, 2.4)])
def test_each_failure_in_a_row_doubles_the_pause_and_chance_spreads_it(
    clock: Clock, chance: float, first: float, second: float
) -> None:
    one, clock.chance, clock.now = Lane(), chance, 100.0
    one.failed("refused")
    assert (one.open, one.trouble) == (False, "refused")
    assert closed_for(one, clock) == pytest.approx(first, abs=0.01)
    one.failed("refused again")
    assert closed_for(one, clock) == pytest.approx(second, abs=0.01)


def test_a_server_that_asks_for_more_time_gets_it_and_less_changes_nothing(clock: Clock) -> None:
    one = Lane()
    one.failed("busy", 12.0)
    assert closed_for(one, clock) == 12.0
    one.failed("busy", 0.1)
    assert closed_for(one, clock) == 2.0


def test_what_works_opens_the_lane_at_once_and_the_next_pause_is_the_first_again(clock: Clock) -> None:
    one = Lane()
    for _ in range(4):
        one.failed("gone")
    one.worked()
    assert (one.open, one.trouble, one.worked_lately) == (True, "", True)
    one.failed("gone")
    assert closed_for(one, clock) == 1.0


def test_lately_is_within_ten_minutes(clock: Clock) -> None:
    one = Lane()
    one.worked()
    clock.now = 599.0
    assert one.worked_lately
    clock.now = 600.0
    assert not one.worked_lately
