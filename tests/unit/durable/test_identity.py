"""Ids only grow, and repeat only when they are meant to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.identity import Ids, ManualClock, from_micros, to_micros

START = datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_ids_grow_within_and_across_milliseconds() -> None:
    """Sorting by id is sorting by time of making."""
    clock = ManualClock(START)
    ids = Ids(clock, 1)
    made = []
    for step in range(3_000):
        if step % 7 == 0:
            clock.move_to(clock.now() + timedelta(milliseconds=1))
        made.append(ids.new("msg"))

    assert sorted(set(made)) == made


def test_a_clock_that_steps_back_makes_no_smaller_id() -> None:
    """The wall clock may be set back; ids are not."""
    ids = Ids(ManualClock(START), 1)
    first = ids.new("msg", START)
    second = ids.new("msg", START - timedelta(hours=2))

    assert first < second


def test_a_seed_repeats_and_a_fork_does_not() -> None:
    """The same seed gives the same ids; a fork shares none with its parent."""
    one, two = Ids(ManualClock(START), 5), Ids(ManualClock(START), 5)
    mine = [one.new("msg") for _ in range(100)]
    fork = one.fork()

    assert mine == [two.new("msg") for _ in range(100)]
    assert not set(mine) & {fork.new("msg") for _ in range(100)}


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1970 < at.year < 2100))
def test_instants_survive_the_record(moment: datetime) -> None:
    """Microseconds are kept exactly."""
    assert moment == from_micros(to_micros(moment))
