"""Who is told what, when and how: the rules of `notifications.yaml`, and the pure questions they answer.

A notice is one message to one recipient. `due_at` respects quiet hours and digests in the recipient's own zone;
`once_key` makes sure that nobody is told the same thing twice. When rules run says `flow/notices.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from .calendars import local_instant, wall_clock

CUSTOMER = "customer"
OWNER = "owner"

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_WALL = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_QUIET = r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?$"


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person or team inside, or the customers as a whole (`customer`).

    `quiet` is `21:00-08:00` in `timezone` (empty: the tenant's own; of customers their region's, see `zones`). With
    `digest` everything of a day comes in one message at that time; what is urgent does not wait for it.
    """

    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=50)] = "mail"
    address: str = ""
    timezone: str = ""
    quiet: Annotated[str, msgspec.Meta(pattern=_QUIET)] = ""
    digest: Annotated[str, msgspec.Meta(pattern=rf"(^$)|({_WALL})")] = ""
    language: str = "en"


class NoticeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule: when an event of a type happens and `when` holds, `to` is told.

    `to` is `customer`, the name of a recipient, or `owner` (whoever the event names, as an escalation does). `issue`
    names the matter: of one matter of one order, load or contract a recipient is told once, whatever rule says it
    first. `title` and `body` are texts with placeholders: {order}, {customer}, {items}, {count}, {of}, {detail},
    {title}, {partner}, {due}, {orders}, {status}. `urgent` waits neither for the morning nor for a digest.
    """

    rule: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    on: str
    to: str
    title: str
    body: str
    when: str = ""
    issue: str = ""
    topic: str = ""
    urgent: bool = False


class ChannelOwner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another system that tells an audience of an event already: then we do not.

    `when` narrows it: `starts_with(order, "W-")` for the orders of a shop that mails its own customers.
    """

    on: str
    system: str
    audience: Literal["customer", "internal"] = "customer"
    when: str = ""


class NoticeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`notifications.yaml`. `zones` gives the time zone of customers by region of the order."""

    recipients: dict[str, Recipient] = {}
    rules: tuple[NoticeRule, ...] = ()
    owners: tuple[ChannelOwner, ...] = ()
    zones: dict[str, str] = {}


PLACEHOLDERS = frozenset(
    ("order", "customer", "items", "count", "of", "detail", "title", "partner", "due", "orders", "status")
)


def placeholders_of(text: str) -> set[str]:
    """Return the placeholders a text uses.

    >>> sorted(placeholders_of("{count} of {of} items of {order}"))
    ['count', 'of', 'order']
    """
    return set(_PLACEHOLDER.findall(text))


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its placeholders filled; one without a value becomes nothing."""
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], "")), text)


def once_key(rule: NoticeRule, recipient: str, subject: str, event_id: str, matter: str) -> str:
    """Return the identity of telling somebody something: the same key is told once, for ever.

    `matter` tells one matter of the same kind from the next, such as the due time of a breach.
    """
    return "|".join((rule.issue or rule.rule, recipient, subject or event_id, matter))


def due_at(recipient: Recipient, zone: ZoneInfo, now: datetime, *, urgent: bool) -> datetime:
    """Return when a recipient may be told: now, after the quiet hours, or with the next digest."""
    if urgent:
        return now
    if recipient.digest:
        return _next(zone, now, wall_clock(recipient.digest))
    if not recipient.quiet:
        return now
    begins, ends = (wall_clock(part) for part in recipient.quiet.split("-"))
    local = now.astimezone(zone)
    if not _within(local.time(), begins, ends):
        return now
    return _next(zone, now, ends)


def _within(at: time, begins: time, ends: time) -> bool:
    return begins <= at < ends if begins <= ends else at >= begins or at < ends


def _next(zone: ZoneInfo, now: datetime, at: time) -> datetime:
    day = now.astimezone(zone).date()
    moment = local_instant(zone, day, at)
    return moment if moment > now else local_instant(zone, day + timedelta(days=1), at)


def digest_of(titles: list[tuple[str, str]]) -> tuple[str, str]:
    """Return title and body of one message that sums several up: (title, body) of each, in their order."""
    if len(titles) == 1:
        return titles[0]
    lines = [f"- {title}: {body}" if body else f"- {title}" for title, body in titles]
    return f"{len(titles)} messages", "\n".join(lines)


def spoken(moment: datetime, zone: ZoneInfo) -> str:
    """Return an instant as it is said in a message.

    >>> spoken(datetime(2026, 11, 23, 20, 0, tzinfo=UTC), ZoneInfo("America/Chicago"))
    'Monday 14:00'
    """
    return moment.astimezone(zone).strftime("%A %H:%M")
