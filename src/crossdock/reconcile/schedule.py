"""When a run is due: the five fields of cron, read on the clock on the tenant's wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS_AHEAD_MAX = 366 * 5
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


class CronFault(ValueError):
    """The five fields make no sense."""


class Cron:
    """Minute, hour, day of month, month, weekday (0 and 7 are Sunday): `*`, `5`, `1-5`, `*/15`, `0,30`.

    With both a day of month and a weekday, either one is enough, as cron does it.
    """

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != len(_FIELDS):
            raise CronFault(f"{text!r} has {len(fields)} fields; minute, hour, day, month and weekday are five")
        sets = [_values(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)]
        self._minutes, self._hours, self._days, self._months, weekdays = sets
        self._weekdays = {day % 7 for day in weekdays}
        self._any_day, self._any_weekday = fields[2] == "*", fields[4] == "*"

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the first instant after `moment` at which it is due, or None within five years.

        An hour that the clock jumps over runs at the instant it jumps to; one it shows twice runs once, the first time.
        """
        local = moment.astimezone(zone)
        day = local.date()
        for _ in range(DAYS_AHEAD_MAX):
            if self._on(day):
                for hour in sorted(self._hours):
                    for minute in sorted(self._minutes):
                        due = datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
                        if due > moment:
                            return due
            day += timedelta(days=1)
        return None

    def _on(self, day: date) -> bool:
        if day.month not in self._months:
            return False
        in_month, in_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        if self._any_day or self._any_weekday:
            return in_month and in_week
        return in_month or in_week


def _values(field: str, name: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step_text = part.partition("/")
        first, dash, last = span.partition("-")
        try:
            step = int(step_text) if step_text else 1
            if span == "*":
                start, end = low, high
            else:
                start = int(first)
                end = int(last) if dash else (high if step_text else start)
        except ValueError:
            raise CronFault(f"the {name} {part!r} is no number, list, range or step") from None
        if not (low <= start <= end <= high) or step < 1:
            raise CronFault(f"the {name} {part!r} lies outside {low} to {high}")
        found.update(range(start, end + 1, step))
    return found
