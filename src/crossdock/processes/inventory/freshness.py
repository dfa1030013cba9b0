"""Which sites have not told their stock by their clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .policy import Freshness


class Silence(NamedTuple):
    """A site that should have told its stock by `due_at`. `last_at` is its newest word, None when there is none."""

    site: str
    due_at: datetime
    last_at: datetime | None
    rule: str


def silences(
    rules: Iterable[Freshness], told: Mapping[str, datetime], zones: Mapping[str, str], now: datetime
) -> tuple[Silence, ...]:
    """Return who is overdue. `told` gives the instant of a site's newest snapshot, `zones` its time zone."""
    found = []
    for rule in rules:
        last = told.get(rule.site)
        grace = timedelta(minutes=rule.grace_minutes)
        due = (
            []
            if last is None or not rule.every_minutes
            else [(last + timedelta(minutes=rule.every_minutes) + grace, f"every {rule.every_minutes} minutes")]
        )
        for text in rule.by:
            moment = _last_time(text, ZoneInfo(zones.get(rule.site, "UTC")), now - grace)
            if last is None or last < moment - timedelta(hours=12):
                due.append((moment + grace, f"by {text}"))
        late = [one for one in due if one[0] < now]
        if late:
            moment, words = min(late)
            found.append(Silence(rule.site, moment, last, words))
    return tuple(found)


def _last_time(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the newest instant not after `now` at which the clock on the site's wall showed a time."""
    hours, minutes = text.split(":")
    local = now.astimezone(zone)
    moment = datetime.combine(local.date(), time(int(hours), int(minutes)), zone)
    if moment > now:
        moment = datetime.combine(local.date() - timedelta(days=1), time(int(hours), int(minutes)), zone)
    return moment.astimezone(now.tzinfo)
