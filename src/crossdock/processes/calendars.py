"""Working days, cut-offs and ship-by instants, in the site's own time zone.

Every function is pure: `now` comes in, aware instants in UTC go out. Public holidays are computed by the `holidays`
package, one year at a time, the first time a year is asked for. What a late cut-off means is decided in `sourcing.py`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
import msgspec

from .policy import Calendar, ServiceLevel

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A calendar without a working day in a year is a mistake; the search must end all the same.
_SEARCH_DAYS_MAX = 366


class SiteClock(msgspec.Struct, frozen=True):
    """A site's settings made ready: its zone, calendar and wall-clock times."""

    zone: ZoneInfo
    calendar: Calendar
    opens: time
    cutoff: time
    last_pickup: time


class ShipBy(msgspec.Struct, frozen=True):
    """When an order given to a site at some instant has to leave.

    `counts_on` is the working day it counts for, `ships_on` the day it leaves, `delivers_on` the day it should arrive.
    `cutoff_at` is today's cut-off; `late` says it had passed (or today is no working day).
    The answer is the same for every `now` before `valid_until`.
    """

    ship_by_at: datetime
    counts_on: date
    ships_on: date
    delivers_on: date
    cutoff_at: datetime
    late: bool
    working_day: bool
    valid_until: datetime


@lru_cache(maxsize=4096)
def _public_holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


def is_working_day(calendar: Calendar, day: date) -> bool:
    """Tell whether a site with this calendar works on a day. `open_on` wins over everything else."""
    if day in calendar.open_on:
        return True
    if _WEEKDAYS[day.weekday()] not in calendar.weekdays or day in calendar.holidays:
        return False
    return not calendar.country or day not in _public_holidays(calendar.country, calendar.subdivision, day.year)


def working_day_from(calendar: Calendar, day: date) -> date:
    """Return the day itself when it is worked, else the next one that is (at most a year on)."""
    candidate = day
    for _ in range(_SEARCH_DAYS_MAX):
        if is_working_day(calendar, candidate):
            return candidate
        candidate += timedelta(days=1)
    return day


def add_working_days(calendar: Calendar, day: date, count: int) -> date:
    """Return the working day `count` working days after `day` (0: the day itself or the next worked one)."""
    result = working_day_from(calendar, day)
    for _ in range(count):
        result = working_day_from(calendar, result + timedelta(days=1))
    return result


def local_instant(zone: ZoneInfo, day: date, at: time) -> datetime:
    """Return the UTC instant of a wall-clock time.

    A time that the clocks skip in spring becomes the same span after the change (02:30 is 03:30 summer time);
    a time that comes twice in autumn is its first occurrence.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


def end_of_day(zone: ZoneInfo, day: date) -> datetime:
    """Return the UTC instant at which a local day ends: the next day's midnight."""
    return local_instant(zone, day + timedelta(days=1), time(0))


def next_working_instant(clock: SiteClock, now: datetime) -> datetime:
    """Return `now` while the site is at work, else the instant at which it next opens."""
    local = now.astimezone(clock.zone)
    today = local.date()
    if is_working_day(clock.calendar, today):
        opens_at = local_instant(clock.zone, today, clock.opens)
        if now < opens_at:
            return opens_at
        if now < local_instant(clock.zone, today, clock.last_pickup):
            return now
    following = working_day_from(clock.calendar, today + timedelta(days=1))
    return local_instant(clock.zone, following, clock.opens)


def ship_by(clock: SiteClock, service: ServiceLevel, now: datetime) -> ShipBy:
    """Return when an order given to the site at `now` has to leave under this service level.

    Released before today's cut-off on a working day, it counts for today; else for the next working day.
    It leaves `ship_days` working days later at the last pickup; with `ship_hours` also within so many hours of the
    next working instant, whichever is first.
    """
    local = now.astimezone(clock.zone)
    today = local.date()
    working = is_working_day(clock.calendar, today)
    cutoff_at = local_instant(clock.zone, today, clock.cutoff)
    late = not working or now >= cutoff_at
    counts_on = working_day_from(clock.calendar, today + timedelta(days=1)) if late else today
    ships_on = add_working_days(clock.calendar, counts_on, service.ship_days)
    ship_by_at = local_instant(clock.zone, ships_on, clock.last_pickup)
    valid_until = end_of_day(clock.zone, today) if late else cutoff_at
    if service.ship_hours:
        limit = next_working_instant(clock, now) + timedelta(hours=service.ship_hours)
        ship_by_at, valid_until = min(ship_by_at, limit), now
    return ShipBy(
        ship_by_at=ship_by_at,
        counts_on=counts_on,
        ships_on=ships_on,
        delivers_on=add_working_days(clock.calendar, ships_on, service.transit_days),
        cutoff_at=cutoff_at,
        late=late,
        working_day=working,
        valid_until=valid_until,
    )


def wall_clock(text: str) -> time:
    """Read `HH:MM`; raises ValueError for anything else.

    >>> wall_clock("16:00")
    datetime.time(16, 0)
    """
    hours, separator, minutes = text.partition(":")
    if not separator or len(minutes) != 2 or not (hours + minutes).isascii():
        raise ValueError(f"not a time of day as HH:MM: {text!r}")
    return time(int(hours), int(minutes))


def later_today(at: time, hours: int) -> time:
    """Return a wall-clock time some hours later, at most 23:59 of the same day."""
    minutes = min(at.hour * 60 + at.minute + hours * 60, 24 * 60 - 1)
    return time(minutes // 60, minutes % 60)
