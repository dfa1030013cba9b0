"""Who was told what, by which rule, over which channel; and who was not told on purpose, with the reason."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..durable.identity import from_micros
from ..store.engine import Connection
from ..store.notices import listed, subscribe, unsubscribe

__all__ = ["Notice", "NoticeList", "load", "subscribe", "unsubscribe"]


class Notice(msgspec.Struct, frozen=True):
    """One notice. `state` is waiting, sent, merged (into a digest) or suppressed, with its reason."""

    notice_id: str
    rule: str
    recipient: str
    channel: str
    subject: str
    topic: str
    state: str
    reason: str
    title: str
    body: str
    due_at: datetime
    sent_at: datetime | None


class NoticeList(msgspec.Struct, frozen=True):
    """Notices, the newest first."""

    items: tuple[Notice, ...]


def load(connection: Connection, tenant_id: str, *, subject: str = "") -> NoticeList:
    """Return a tenant's notices."""
    return NoticeList(
        tuple(
            Notice(
                row.notice_id,
                row.rule,
                row.recipient,
                row.channel,
                row.subject,
                row.topic,
                row.state,
                row.reason,
                row.title,
                row.body,
                from_micros(row.due_at),
                None if row.sent_at is None else from_micros(row.sent_at),
            )
            for row in listed(connection, tenant_id, subject=subject)
        )
    )
