"""How long what is kept: the periods of a tenant and its connections, and what may go at all.

Nothing is removed unless the pack says so. Open work never goes: what waits, is parked or held, is a dead letter, or
has an open issue stays, however old it is.
"""

from __future__ import annotations

import re

import msgspec

from ..canonical.identifiers import CROCKFORD

RECEIPT_DAYS_MIN = 90
DAY_MICROS = 86_400_000_000
_PERIOD = re.compile(r"([1-9][0-9]{0,4})d")

# Nothing more happens to these by itself. A failed message, or a rejected document, may go when its issue is closed.
SETTLED_INBOUND = ("processed", "failed", "ignored", "duplicate", "superseded", "discarded")
SETTLED_OUTBOUND = ("sent", "discarded")


class RetentionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long a tenant, or one connection, keeps what: days, such as `30d`; empty keeps it for ever.

    `payloads`: the bytes; digest and size stay. `messages`: messages and their documents and attempts. `receipts`: the
    memory that absorbs repetitions, at least 90d. `orders`: finished orders, returns, purchases, loads and claims with
    their events, and what is settled of stock, statements, reconciliation and notices.
    A connection says `payloads` and `messages` for itself; the rest is the tenant's.
    """

    payloads: str = ""
    messages: str = ""
    receipts: str = ""
    orders: str = ""


def days(period: str) -> int | None:
    """Return a period in days, None for one without end. Raises ValueError for anything else.

    >>> days("30d"), days("")
    (30, None)
    """
    if not period:
        return None
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise ValueError(f"{period!r} is not a number of days such as 30d")
    return int(found.group(1))


def faults_of(spec: RetentionSpec) -> list[tuple[str, str]]:
    """Return what is wrong with some periods, as (field, words)."""
    faults = []
    read: dict[str, int | None] = {}
    for field in ("payloads", "messages", "receipts", "orders"):
        try:
            read[field] = days(getattr(spec, field))
        except ValueError as error:
            faults.append((field, str(error)))
    if faults:
        return faults
    payloads, messages, receipts, orders = (read[name] for name in ("payloads", "messages", "receipts", "orders"))
    if receipts is not None and receipts < RECEIPT_DAYS_MIN:
        faults.append(("receipts", f"receipts are kept {RECEIPT_DAYS_MIN}d at least: partners repeat themselves late"))
    if messages is not None and payloads is not None and payloads > messages:
        faults.append(("payloads", "bytes cannot be kept longer than their message"))
    if orders is not None and messages is not None and orders < messages:
        faults.append(("orders", "an order is kept at least as long as its messages"))
    return faults


class Periods(msgspec.Struct, frozen=True):
    """The periods of one tenant in days; None keeps for ever. Connections may keep bytes and messages otherwise."""

    payloads: int | None = None
    messages: int | None = None
    receipts: int | None = None
    orders: int | None = None
    by_connection: dict[str, tuple[int | None, int | None]] = {}

    def keeps_everything(self) -> bool:
        """Tell whether nothing ever goes."""
        own = (self.payloads, self.messages, self.receipts, self.orders)
        return all(one is None for one in own) and not any(any(pair) for pair in self.by_connection.values())

    def payload_days(self, connection_id: str) -> int | None:
        """Return for how many days the bytes of a connection's messages are kept: never longer than the messages."""
        own = self.by_connection.get(connection_id, (None, None))[0] or self.payloads
        found = [one for one in (own, self.message_days(connection_id)) if one is not None]
        return min(found, default=None)

    def message_days(self, connection_id: str) -> int | None:
        """Return for how many days the messages of a connection are kept."""
        return self.by_connection.get(connection_id, (None, None))[1] or self.messages

    def shortest(self, what: str) -> int | None:
        """Return the shortest period for `payloads` or `messages` over all connections: younger things need no look."""
        of = self.payload_days if what == "payloads" else self.message_days
        found = [one for one in (of(""), *map(of, self.by_connection)) if one is not None]
        return min(found, default=None)


def periods_of(tenant: RetentionSpec, connections: dict[str, RetentionSpec]) -> Periods:
    """Return the periods that a pack says."""
    return Periods(
        days(tenant.payloads),
        days(tenant.messages),
        days(tenant.receipts),
        days(tenant.orders),
        {
            name: (days(spec.payloads), days(spec.messages))
            for name, spec in connections.items()
            if spec.payloads or spec.messages
        },
    )


def first_id(prefix: str, micros: int) -> str:
    """Return an id that is not greater than any made from an instant on (durable.identity.Ids).

    >>> first_id("msg", 0)
    'msg_00000000000000000000000000'
    """
    number = max(0, micros) // 1000 << 50
    head = "".join(CROCKFORD[(number >> shift) & 31] for shift in range(95, -1, -5))
    return f"{prefix}_{head}000000"
