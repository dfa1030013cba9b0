"""Functions on dates, times and instants.

A date is the text `2026-03-01`, a local time `2026-03-01T14:30:00`, an instant `2026-03-01T22:30:00Z` (always UTC).
Nothing here knows what time it is: the present comes in with the message (`message.received_at`).
Patterns are letters, not percent signs: YYYY YY MM DD HH mm ss SSS; every other character stands for itself.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crossdock.mapping.faults import NOT_READABLE_AS, VALUE_MISSING, WRONG_TYPE, Fault
from crossdock.mapping.functions.registry import Group
from crossdock.mapping.functions.text import text_of, whole
from crossdock.mapping.values import RunState, name_of

DATES = Group("Dates and times")

_TOKENS = {
    "YYYY": r"(?P<year>\d{4})", "YY": r"(?P<short_year>\d{2})", "MM": r"(?P<month>\d{2})", "DD": r"(?P<day>\d{2})",
    "HH": r"(?P<hour>\d{2})", "mm": r"(?P<minute>\d{2})", "SSS": r"(?P<milli>\d{3})", "ss": r"(?P<second>\d{2})",
}  # fmt: skip
_TOKEN = re.compile("YYYY|YY|MM|DD|HH|mm|SSS|ss")
_PATTERN_LENGTH_MAX = 40


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | str:
    """Return the pattern as a regular expression without repetition, or what is wrong with it."""
    if len(pattern) > _PATTERN_LENGTH_MAX:
        return f"a date pattern has at most {_PATTERN_LENGTH_MAX} characters"
    names = _TOKEN.findall(pattern)
    if len(set(names)) != len(names) or ("YYYY" in names and "YY" in names):
        return f'"{pattern}" names a part twice'
    if not ({"YYYY", "YY"} & set(names) and {"MM", "DD"} <= set(names)):
        return f'"{pattern}" is no date pattern: it needs YYYY (or YY), MM and DD'
    parts, at = [], 0
    for token in _TOKEN.finditer(pattern):
        parts += [re.escape(pattern[at : token.start()]), _TOKENS[token.group()]]
        at = token.end()
    return re.compile("".join(parts) + re.escape(pattern[at:]), re.ASCII)


def _pattern_argument(position: int, value: str) -> str | None:
    wrong = _compiled(value) if position == 1 else None
    return wrong if isinstance(wrong, str) else None


def _zone_argument(position: int, value: str) -> str | None:
    if position != 1:
        return None
    return None if _zone(value) else f'"{value}" is no time zone: use an IANA name such as "America/Los_Angeles"'


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo | None:
    if len(name) > 64 or not re.fullmatch(r"[A-Za-z0-9_+\-/]+", name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _text(run: RunState, value: Any) -> str:
    if value.__class__ not in (str, int):
        raise Fault(WRONG_TYPE, f"a date or time is text, but this is {name_of(value)}", value)
    content = text_of(run, value).strip()
    if len(content) > 64:
        raise Fault(NOT_READABLE_AS, "this is too long for a date or time", value)
    return content


def _built(value: Any, build: Any) -> Any:
    """Call a constructor of datetime; what it refuses is a finding, not a crash."""
    try:
        return build()
    except (ValueError, OverflowError):
        raise Fault(NOT_READABLE_AS, "there is no such date or time", value) from None


def _read(run: RunState, value: Any) -> datetime:
    """Read ISO text: a date, a local time or an instant. A date alone is its midnight."""
    content = _text(run, value)
    if not re.match(r"\d{4}-?\d\d-?\d\d", content, re.ASCII):
        raise Fault(NOT_READABLE_AS, "this is no ISO date or time: date(text, pattern) reads other spellings", value)
    try:
        return datetime.fromisoformat(content)
    except ValueError:
        raise Fault(NOT_READABLE_AS, "there is no such date or time", value) from None


def _utc(moment: datetime, value: Any) -> str:
    instant = _built(value, lambda: moment.astimezone(UTC))
    return _plain(instant.replace(tzinfo=None)) + "Z"


def _plain(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


@DATES.function("date(text, pattern)", 'date("03/01/2026", "MM/DD/YYYY")', "2026-03-01", returns="text",
                accepts=_pattern_argument)  # fmt: skip
def date_(run: RunState, value: Any, pattern: Any) -> str | None:
    """Read a date by a pattern; with HH in the pattern the result is a local time. YY below 70 is 20YY."""
    if value is None or value == "":
        return None
    content = _text(run, value)
    expression = _compiled(pattern) if pattern.__class__ is str else "the pattern must be text"
    if isinstance(expression, str):
        raise Fault(WRONG_TYPE, expression, pattern)
    found = expression.fullmatch(content)
    if found is None:
        raise Fault(NOT_READABLE_AS, f"this does not fit the date pattern {pattern}", value)
    part = {name: int(digits) for name, digits in found.groupdict().items()}
    year = part.get("year", 0) if "year" in part else part["short_year"] + (2000 if part["short_year"] < 70 else 1900)
    time = (part.get("hour", 0), part.get("minute", 0), part.get("second", 0), part.get("milli", 0) * 1000)
    moment = _built(value, lambda: datetime(year, part["month"], part["day"], *time))  # noqa: DTZ001 - local by design
    return _plain(moment) if "hour" in part else str(moment.date())


@DATES.function("iso_date(value)", 'iso_date("2026-03-01T22:30:00Z")', "2026-03-01", returns="text")
def iso_date(run: RunState, value: Any) -> str | None:
    """Return the date of an ISO date, local time or instant (an instant's date in the offset it is written with)."""
    return None if value is None or value == "" else str(_read(run, value).date())


@DATES.function(
    "iso_instant(value)", 'iso_instant("2026-03-01T14:30:00-08:00")', "2026-03-01T22:30:00Z", returns="text"
)
def iso_instant(run: RunState, value: Any) -> str | None:
    """Return an instant in UTC from ISO text with an offset; without an offset it is refused, never guessed."""
    if value is None or value == "":
        return None
    moment = _read(run, value)
    if moment.tzinfo is None:
        raise Fault(NOT_READABLE_AS, "this time has no offset: at_zone(time, zone) says where it was", value)
    return _utc(moment, value)


@DATES.function("at_zone(local, zone)", 'at_zone("2026-03-01T14:30:00", "America/Los_Angeles")', "2026-03-01T22:30:00Z",
                returns="text", accepts=_zone_argument)  # fmt: skip
def at_zone(run: RunState, value: Any, zone: Any) -> str | None:
    """Return the instant of a local time at a place; an hour that happens twice is its first.

    A text that has an offset keeps it.
    """
    if value is None or value == "":
        return None
    moment = _read(run, value)
    return _utc(moment if moment.tzinfo else moment.replace(tzinfo=_named(zone)), value)


def _named(zone: Any) -> tzinfo:
    if zone is None:
        raise Fault(VALUE_MISSING, "the time zone is missing")
    known = _zone(zone) if zone.__class__ is str else None
    if known is None:
        raise Fault(NOT_READABLE_AS, "this is no time zone: use an IANA name", zone)
    return known


@DATES.function("in_zone(instant, zone)", 'in_zone("2026-03-01T22:30:00Z", "America/Los_Angeles")',
                "2026-03-01T14:30:00-08:00", returns="text", accepts=_zone_argument)  # fmt: skip
def in_zone(run: RunState, value: Any, zone: Any) -> str | None:
    """Write an instant as the local time of a place, with its offset."""
    if value is None or value == "":
        return None
    moment = _read(run, value)
    if moment.tzinfo is None:
        raise Fault(NOT_READABLE_AS, "this time has no offset: it is no instant", value)
    named = _named(zone)
    return _plain(_built(value, lambda: moment.astimezone(named)))


@DATES.function("date_time(date, time)", 'date_time("2026-03-01", "14:30")', "2026-03-01T14:30:00", returns="text")
def date_time(run: RunState, day: Any, time: Any) -> str | None:
    """Put a date and a time of day together; without a time it is midnight, without a date nothing."""
    if day is None or day == "":
        return None
    base = _read(run, day).date()
    if time is None or time == "":
        return f"{base}T00:00:00"
    content = _text(run, time)
    if not re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d{3})?)?", content, re.ASCII):
        raise Fault(NOT_READABLE_AS, "a time of day is HH:mm or HH:mm:ss", time)
    return _plain(_built(time, lambda: datetime.fromisoformat(f"{base}T{content}")))


@DATES.function("date_format(value, pattern)", 'date_format("2026-03-01", "YYYYMMDD")', "20260301", returns="text")
def date_format(run: RunState, value: Any, pattern: Any) -> str | None:
    """Write an ISO date or time by a pattern, in the offset it is written with."""
    if value is None or value == "":
        return None
    moment = _read(run, value)
    if pattern.__class__ is not str or len(pattern) > _PATTERN_LENGTH_MAX:
        raise Fault(WRONG_TYPE, "the pattern must be a short text", pattern)
    written = {
        "YYYY": f"{moment.year:04}", "YY": f"{moment.year % 100:02}", "MM": f"{moment.month:02}",
        "DD": f"{moment.day:02}", "HH": f"{moment.hour:02}", "mm": f"{moment.minute:02}",
        "ss": f"{moment.second:02}", "SSS": f"{moment.microsecond // 1000:03}",
    }  # fmt: skip
    return _TOKEN.sub(lambda token: written[token.group()], pattern)


@DATES.function("add_days(date, days)", 'add_days("2026-02-28", 1)', "2026-03-01", returns="text")
def add_days(run: RunState, value: Any, days: Any) -> str | None:
    """Return the date so many calendar days later (or earlier)."""
    if value is None or value == "":
        return None
    day, count = _read(run, value).date(), whole(days, "days")
    later: date = _built(value, lambda: day + timedelta(days=count))
    return str(later)


@DATES.function("x12_date(text)", 'x12_date("260301")', "2026-03-01", returns="text")
def x12_date(run: RunState, value: Any) -> str | None:
    """Read an X12 date: CCYYMMDD or YYMMDD."""
    if value is None or value == "":
        return None
    read: str | None = date_(run, value, "YYYYMMDD" if len(_text(run, value)) == 8 else "YYMMDD")
    return read


@DATES.function("x12_time(text)", 'x12_time("1430")', "14:30:00", returns="text")
def x12_time(run: RunState, value: Any) -> str | None:
    """Read an X12 time: HHMM, HHMMSS, HHMMSSD or HHMMSSDD (hundredths are dropped)."""
    if value is None or value == "":
        return None
    content = _text(run, value)
    if not re.fullmatch(r"\d{4}|\d{6,8}", content, re.ASCII):
        raise Fault(NOT_READABLE_AS, "an X12 time is HHMM, HHMMSS or HHMMSSDD", value)
    hour, minute, second = int(content[:2]), int(content[2:4]), int(content[4:6] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise Fault(NOT_READABLE_AS, "there is no such time of day", value)
    return f"{hour:02}:{minute:02}:{second:02}"
