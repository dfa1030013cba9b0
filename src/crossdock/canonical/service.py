"""What customers and people inside are told, and what was not told on purpose.

A `Notification` is one message to one recipient; it goes out by a route like every request (kind `notification`).
"""

from __future__ import annotations

import msgspec

from .instants import Instant
from .nouns import EventType, Noun


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message to one recipient, in plain words. `channel` is what routes choose by: mail, webhook, or a name.

    `recipient` is an address or the name of a team; `topic` what it may be unsubscribed from. `events` counts what a
    digest sums up. `unsubscribe` is the text a recipient answers with, or the link of the portal.
    """

    id: str
    channel: str
    recipient: str
    title: str
    body: str
    audience: str = "internal"
    topic: str = ""
    order_number: str = ""
    language: str = "en"
    events: int = 1
    at: Instant | None = None


NOUN = Noun(
    objects={"notification": Notification},
    events=(
        EventType("crossdock.case.suppressed.v1", dict, "", False, "A risk became no case: the noise budget is spent."),
        EventType("crossdock.field.conflict.v1", dict, "", False, "A partner wrote a field it does not own."),
        EventType("crossdock.notice.sent.v1", dict, "", False, "Somebody was told something, by which rule."),
        EventType("crossdock.notice.suppressed.v1", dict, "", False, "Somebody was not told on purpose; says why."),
    ),
    requests={"notification": "notification"},
)
