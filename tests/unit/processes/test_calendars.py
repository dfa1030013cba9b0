"""Working days, cut-offs and ship-by, across zones, holidays and the days the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.processes.calendars import (
    SiteClock,
    add_working_days,
    is_working_day,
    local_instant,
    next_working_instant,
    ship_by,
    wall_clock,
    working_day_from,
)
from crossdock.processes.policy import Calendar, ServiceLevel

CHICAGO = ZoneInfo("America/Chicago")
US = Calendar("us", country="US", holidays=(date(2026, 12, 24),), open_on=(date(2026, 11, 28),))
GROUND = ServiceLevel("ground")


def a_clock(zone: str = "America/Chicago", calendar: Calendar = US, cutoff: str = "16:00") -> SiteClock:
    return SiteClock(ZoneInfo(zone), calendar, time(8), wall_clock(cutoff), time(18))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    "day, worked",
    [
        (date(2026, 3, 2), True),
        (date(2026, 3, 7), False),  # Saturday
        (date(2026, 7, 3), False),  # Independence Day is a Saturday, observed on Friday
        (date(2026, 11, 26), False),  # Thanksgiving
        (date(2026, 12, 24), False),  # the site's own day
        (date(2026, 11, 28), True),  # a Saturday worked
    ],
)
def test_working_days(day, worked):
    """Weekdays, public holidays, the site's own days, and days taken back."""
    assert worked is is_working_day(US, day)


def test_the_next_working_day_jumps_a_long_weekend():
    """From Thanksgiving on a Thursday: Friday is worked, the following Saturday by exception."""
    assert date(2026, 11, 27) == working_day_from(US, date(2026, 11, 26))
    assert date(2026, 11, 28) == add_working_days(US, date(2026, 11, 27), 1)
    assert date(2026, 11, 30) == add_working_days(US, date(2026, 11, 27), 2)


def test_a_calendar_without_working_days_ends_all_the_same():
    """The search gives up after a year instead of looping."""
    assert date(2026, 3, 2) == working_day_from(Calendar("never", weekdays=()), date(2026, 3, 2))


@pytest.mark.parametrize(
    "now, counts_on, late",
    [
        (utc(2026, 3, 2, 21, 59, 59), date(2026, 3, 2), False),  # 15:59:59 in Chicago
        (utc(2026, 3, 2, 22, 0, 0), date(2026, 3, 3), True),  # 16:00:00
        (utc(2026, 3, 3, 5, 30), date(2026, 3, 3), True),  # 23:30 the evening before, UTC is a day ahead
        (utc(2026, 3, 6, 23, 0), date(2026, 3, 9), True),  # Friday evening counts for Monday
        (utc(2026, 3, 7, 15, 0), date(2026, 3, 9), True),  # Saturday
        (utc(2026, 11, 25, 23, 0), date(2026, 11, 27), True),  # the eve of Thanksgiving
    ],
)
def test_the_cut_off_decides_the_day_an_order_counts_for(now, counts_on, late):
    """Before the cut-off today, at or after it the next working day, in the site's own time."""
    found = ship_by(a_clock(), GROUND, now)

    assert (counts_on, late) == (found.counts_on, found.late)


@pytest.mark.parametrize(
    "day, before_change, after_change",
    [
        # Clocks go forward on Sunday 8 March and back on Sunday 1 November 2026.
        ("spring", utc(2026, 3, 6, 22, 0), utc(2026, 3, 9, 21, 0)),
        ("autumn", utc(2026, 10, 30, 21, 0), utc(2026, 11, 2, 22, 0)),
    ],
)
def test_a_cut_off_stays_at_its_wall_clock_over_a_change(day, before_change, after_change):
    """16:00 in Chicago is another UTC hour before and after the clocks change."""
    clock = a_clock()

    assert before_change == ship_by(clock, GROUND, before_change).cutoff_at
    assert after_change == ship_by(clock, GROUND, after_change).cutoff_at


def test_a_cut_off_on_the_day_of_the_change():
    """A site that works on the Sunday itself: a skipped time moves behind the change, a double one is its first."""
    every_day = Calendar("all", weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    clock = a_clock(calendar=every_day, cutoff="02:30")

    assert utc(2026, 3, 8, 8, 30) == ship_by(clock, GROUND, utc(2026, 3, 8, 12, 0)).cutoff_at
    assert "03:30" == f"{utc(2026, 3, 8, 8, 30).astimezone(CHICAGO):%H:%M}"
    assert utc(2026, 11, 1, 7, 30) == local_instant(CHICAGO, date(2026, 11, 1), time(2, 30)).replace(hour=7)
    assert utc(2026, 11, 1, 6, 30) == local_instant(CHICAGO, date(2026, 11, 1), time(1, 30))


def test_ship_by_is_the_last_pickup_of_the_ship_day():
    """Ship days count working days of the site, transit days too."""
    found = ship_by(a_clock(), ServiceLevel("slow", ship_days=2, transit_days=3), utc(2026, 3, 5, 18, 0))

    assert utc(2026, 3, 9, 23, 0) == found.ship_by_at  # Thursday + 2 = Monday 18:00, already summer time
    assert (date(2026, 3, 9), date(2026, 3, 12)) == (found.ships_on, found.delivers_on)


def test_hours_to_ship_limit_further():
    """Four hours from now, or from the opening, when the site is closed."""
    rush = ServiceLevel("rush", ship_hours=4)

    assert utc(2026, 3, 2, 20, 0) == ship_by(a_clock(), rush, utc(2026, 3, 2, 16, 0)).ship_by_at
    assert utc(2026, 3, 3, 18, 0) == ship_by(a_clock(), rush, utc(2026, 3, 3, 1, 0)).ship_by_at


@pytest.mark.parametrize(
    "now, expected",
    [
        (utc(2026, 3, 2, 12, 0), utc(2026, 3, 2, 14, 0)),  # 06:00, opens at 08:00
        (utc(2026, 3, 2, 18, 0), utc(2026, 3, 2, 18, 0)),  # at work
        (utc(2026, 3, 3, 0, 0), utc(2026, 3, 3, 14, 0)),  # 18:00, closed
        (utc(2026, 3, 7, 18, 0), utc(2026, 3, 9, 13, 0)),  # Saturday to Monday, over the change
    ],
)
def test_the_next_working_instant(now, expected):
    """Now, while the site is at work, else its next opening."""
    assert expected == next_working_instant(a_clock(), now)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: utc(2025, 1, 1) + timedelta(minutes=minutes)),
    st.sampled_from(["America/Los_Angeles", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(0, 5),
)
def test_what_is_remembered_is_right_until_it_ends(now, zone, days):
    """Ship-by is after now, on a working day, and the same for every instant before `valid_until`."""
    clock, service = a_clock(zone), ServiceLevel("x", ship_days=days)
    found = ship_by(clock, service, now)

    assert found.ship_by_at > now
    assert is_working_day(US, found.ships_on)
    halfway = now + (found.valid_until - now) / 2
    again = ship_by(clock, service, halfway)
    assert (found.ship_by_at, found.late) == (again.ship_by_at, again.late)


@pytest.mark.parametrize("text", ["16", "16:0", "25:00", "aa:bb", "", "٠٨:٠٠"])
def test_a_time_of_day_is_read_strictly(text):
    """Anything but HH:MM is an error."""
    with pytest.raises(ValueError):
        wall_clock(text)
