"""The clock of a contract: pure, in the site's calendar and zone, on days of 23 and 25 hours too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.processes.calendars import SiteClock
from crossdock.processes.contracts import Contract, Heard, Outstanding, due_of, judge
from crossdock.processes.policy import Calendar

CHICAGO = ZoneInfo("America/Chicago")
CLOCK = SiteClock(CHICAGO, Calendar("us", country="US"), time(8), time(15), time(18))


def a_contract(**fields: Any) -> Contract:
    """Return a contract from the fields of its file."""
    return msgspec.convert({"contract": "c", "expect": {"event": "x"}, **fields}, Contract)


def answer(**fields: Any) -> Contract:
    return a_contract(after={"connection": "swift"}, **fields)


def chicago(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    "by, asked, due",
    [
        ("cutoff", chicago(11, 24, 14, 59), chicago(11, 24, 15)),
        ("cutoff", chicago(11, 24, 15, 1), chicago(11, 25, 15)),
        ("last_pickup", chicago(11, 24, 12), chicago(11, 24, 18)),
        # The day before Thanksgiving, after the cut-off: Friday.
        ("cutoff", chicago(11, 25, 16), chicago(11, 27, 15)),
        # A Friday evening: Monday.
        ("09:30", chicago(11, 20, 19), chicago(11, 23, 9, 30)),
        # The Sunday of 23 hours lies between.
        ("09:30", chicago(3, 6, 12), chicago(3, 9, 9, 30)),
    ],
)
def test_due_keeps_the_hours_of_the_site(by: str, asked: datetime, due: datetime) -> None:
    """`by` is a time of the site's working days, holidays and clock changes included."""
    assert due == due_of(answer(by=by), asked, CLOCK)


def test_what_is_asked_too_late_for_the_day_counts_for_the_next() -> None:
    """With `at_least` a site has that long."""
    contract = answer(by="14:00", at_least="2h")

    assert chicago(11, 24, 14) == due_of(contract, chicago(11, 24, 12), CLOCK)
    assert chicago(11, 25, 14) == due_of(contract, chicago(11, 24, 12, 1), CLOCK)


def test_the_earlier_of_two_deadlines_counts() -> None:
    """`within` and `by` together: whichever is first."""
    assert chicago(11, 24, 11) == due_of(answer(by="cutoff", within="1h"), chicago(11, 24, 10), CLOCK)


def test_an_answer_is_warned_of_late_and_escalated_in_steps() -> None:
    """Waiting, warning, breached, level by level; the next look is named each time."""
    contract = answer(within="2h", warn_before="30m", escalate=[{"owner": "a"}, {"owner": "b", "after": "1h"}])
    asked = chicago(11, 24, 10)
    seen = []
    now = asked
    while True:
        (verdict,) = judge(contract, [Outstanding("k", asked)], CLOCK, now)
        seen.append((now - asked, verdict.state, verdict.level))
        if verdict.next_at is None:
            break
        now = verdict.next_at

    minutes = [timedelta(minutes=m) for m in (0, 90, 120, 180)]
    states = ["waiting", "warning", "breached", "breached"]
    assert list(zip(minutes, states, [0, 0, 1, 2], strict=True)) == seen


def test_a_feed_may_rest_at_night_and_while_nothing_moves() -> None:
    """Outside its hours, or with nothing under way, silence is no breach; at eight the clock starts anew."""
    contract = a_contract(
        expect={"connection": "c"}, every="45m", **{"while": "parcels_move", "from": "08:00", "until": "18:00"}
    )
    began = chicago(11, 23, 8)
    last = chicago(11, 23, 17, 30)

    def state(now: datetime, under_way: int = 1) -> str:
        (verdict,) = judge(contract, Heard(last, began, under_way), CLOCK, now)
        return verdict.state

    assert "met" == state(chicago(11, 23, 23))
    assert "waiting" == state(chicago(11, 24, 8, 44))
    assert "breached" == state(chicago(11, 24, 8, 45))
    assert "met" == state(chicago(11, 24, 8, 45), under_way=0)


@given(
    asked=st.integers(0, 500_000).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    waited=st.integers(0, 20_000),
    by=st.sampled_from(["", "cutoff", "last_pickup", "00:00", "02:30", "23:59"]),
    within=st.sampled_from(["1m", "3h", "10d"]),
    warn=st.sampled_from(["", "10m", "2d"]),
    met=st.none() | st.integers(0, 10),
)
def test_a_verdict_only_moves_on(
    asked: datetime, waited: int, by: str, within: str, warn: str, met: int | None
) -> None:
    """Never a warning after the due time, never a breach before it, and what is met is met however late."""
    contract = answer(by=by, within=within, warn_before=warn)
    met_at = None if met is None else asked + timedelta(minutes=met)
    now = asked + timedelta(minutes=waited)

    (verdict,) = judge(contract, [Outstanding("k", asked, met_at)], CLOCK, now)

    assert verdict.due_at is not None
    assert verdict.due_at >= asked
    if met is not None:
        assert "met" == verdict.state
    else:
        assert (verdict.state == "breached") == (now >= verdict.due_at)
        assert verdict.next_at is None or verdict.next_at > now
        assert verdict.state != "warning" or warn
