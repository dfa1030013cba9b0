"""Notification rules at work: read the journal, decide who is told what, and tell it when it is due.

`follow` reads what happened since the last look and returns notices; `enter` keeps them; `tell` makes requests of those
that are due (kind `notification`), which go out by routes like every other: a webhook, a spool of files, a JSON API;
`told` notes which of them a route took. What no route takes waits, and is tried again after a while.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ..canonical.events import Event
from ..canonical.service import Notification
from ..durable.identity import from_micros, to_micros
from ..governance.configuration import Configuration
from ..processes.notices import CUSTOMER, OWNER, NoticeRule, Recipient, digest_of, due_at, filled, once_key, spoken
from ..processes.order_state import OrderState
from ..processes.outcome import Request
from ..store import aggregates, journal
from ..store import notices as store
from ..store.engine import Connection
from ..store.notices import NoticeRow
from .batch import Batch
from .orchestrate import PlacedRequest

EVENTS_MAX = 500
# What no route takes is tried again after this; until then it keeps no other notice from its turn.
UNROUTED_AGAIN = timedelta(minutes=15)

_state = msgspec.json.Decoder(OrderState)


class Followed(msgspec.Struct):
    """What one look at the journal came to. `more` says that there is more to read at once."""

    rows: list[NoticeRow]
    cursor: str
    more: bool = False


class Telling(msgspec.Struct):
    """One request and the notices it tells of."""

    placed: PlacedRequest
    rows: list[NoticeRow]


def follow(connection: Connection, configuration: Configuration, now: datetime) -> Followed:
    """Return the notices that the events since the last look call for. Reads only."""
    tenant_id = configuration.tenant_id
    place = store.cursor(connection, tenant_id)
    if place is None:
        # Rules begin with what comes next: nobody is told of the past.
        return Followed([], str(journal.end(connection)))
    pairs = journal.follow(connection, tenant_id, journal.Cursor.parse(place), EVENTS_MAX)
    if not pairs:
        return Followed([], place)
    wanted = {rule.on for rule in configuration.notices.rules}
    events = [event for event, _ in pairs if event.type in wanted]
    numbers = sorted({event.subject.partition("/")[2] for event in events if event.subject.startswith("order/")})
    orders = {
        key: _state.decode(row[3]) for key, row in aggregates.load(connection, tenant_id, "order", numbers).items()
    }
    unsubscribed = store.unsubscribed(connection, tenant_id) if events else set()
    rows: dict[str, NoticeRow] = {}
    for event in events:
        for rule, condition in configuration.notice_rules(event.type):
            row = _notice(event, rule, condition, orders, unsubscribed, configuration, now)
            if row is not None:
                rows.setdefault(row.once_key, row)
    told = store.known(connection, tenant_id, list(rows)) if rows else set()
    fresh = [row for key, row in rows.items() if key not in told]
    return Followed(fresh, str(pairs[-1][1]), len(pairs) == EVENTS_MAX)


def _notice(
    event: Event,
    rule: NoticeRule,
    condition: Any,
    orders: Mapping[str, OrderState],
    unsubscribed: set[tuple[str, str]],
    configuration: Configuration,
    now: datetime,
) -> NoticeRow | None:
    order = orders.get(event.subject.partition("/")[2]) if event.subject.startswith("order/") else None
    recipient, address, zone = _who(event, rule, order, configuration)
    if recipient is None:
        return None
    values = _values(event, order, zone)
    if condition is not None and condition.evaluate(values) is not True:
        return None
    matter = str(event.data.get("due_at") or "") if event.type.startswith("crossdock.contract.") else ""
    key = once_key(rule, address, event.subject, event.id, matter)
    state, reason = "waiting", ""
    audience = "customer" if rule.to == CUSTOMER else "internal"
    other = next((one for one in configuration.channel_owners(event.type, audience, values)), None)
    if other is not None:
        state, reason = "suppressed", f"{other} tells of it"
    elif {(address.lower(), rule.topic), (address.lower(), "")} & unsubscribed:
        state, reason = "suppressed", "unsubscribed"
    elif not address:
        state, reason = "suppressed", "there is no address"
    moment = due_at(recipient, zone, now, urgent=rule.urgent)
    micros = to_micros(now)
    return NoticeRow(
        configuration.tenant_id,
        "ntc_" + hashlib.sha256(f"{configuration.tenant_id}|{key}".encode()).hexdigest()[:26],
        key,
        rule.rule,
        address,
        recipient.channel,
        event.subject,
        rule.topic,
        state,
        reason,
        filled(rule.title, values),
        filled(rule.body, values),
        to_micros(moment),
        micros,
    )


def _who(
    event: Event, rule: NoticeRule, order: OrderState | None, configuration: Configuration
) -> tuple[Recipient | None, str, ZoneInfo]:
    """Return whom a rule means, at which address, in which zone."""
    rules, own = configuration.notices, configuration.compiled_policy.zone
    if rule.to == CUSTOMER:
        recipient = rules.recipients.get(CUSTOMER, Recipient())
        if order is None:
            return None, "", own
        zone = rules.zones.get(order.region) or recipient.timezone
        return recipient, order.order.email, ZoneInfo(zone) if zone else own
    name = str(event.data.get("owner") or "") if rule.to == OWNER else rule.to
    found = rules.recipients.get(name)
    if found is None:
        return None, "", own
    return found, found.address or name, ZoneInfo(found.timezone) if found.timezone else own


def _values(event: Event, order: OrderState | None, zone: ZoneInfo) -> dict[str, Any]:
    """Return what placeholders and conditions may use."""
    data = event.data
    values: dict[str, Any] = {
        "event": event.type,
        "subject": event.subject,
        "title": data.get("title", ""),
        "partner": data.get("partner", event.partner),
        "detail": data.get("detail", ""),
        "cause": data.get("cause", ""),
        "orders": ", ".join(str(one) for one in data.get("orders") or ()),
        "due": _spoken(data.get("due_at"), zone),
        "order": "",
    }
    if order is None:
        return values
    lines = data.get("lines") or ()
    names = {line.line_no: line.description or line.sku for line in order.order.lines}
    items = [
        f"{one.get('quantity', '')} × {names.get(str(one.get('line_no')), one.get('sku', ''))}".strip(" ×")
        for one in lines
        if isinstance(one, Mapping)
    ]
    customer = order.order.customer
    return {
        **values,
        "order": order.order.number,
        "customer": (customer.name if customer else "") or (order.order.ship_to.name if order.order.ship_to else ""),
        "items": ", ".join(items),
        "count": len(items),
        "of": len(order.order.lines),
        "status": order.status,
        "channel": order.order.channel,
        "region": order.region,
        "service_level": order.service_level,
    }


def _spoken(text: Any, zone: ZoneInfo) -> str:
    return spoken(datetime.fromisoformat(text), zone) if isinstance(text, str) and text else ""


def enter(batch: Batch, configuration: Configuration, followed: Followed) -> None:
    """Keep new notices and how far the rules have read, in one transaction."""
    store.enter(batch.connection, followed.rows)
    store.save_cursor(batch.connection, configuration.tenant_id, followed.cursor)
    for row in followed.rows:
        if row.state == "suppressed":
            _record(batch, configuration, "suppressed", row)


def tell(batch: Batch, configuration: Configuration) -> list[Telling]:
    """Make a request of everything that is due; what belongs into one digest becomes one."""
    tenant_id = configuration.tenant_id
    rows = store.due(batch.connection, tenant_id, batch.now_micros)
    unsubscribed = store.unsubscribed(batch.connection, tenant_id) if rows else set()
    together: dict[tuple[str, str, str], list[NoticeRow]] = {}
    for row in rows:
        if {(row.recipient.lower(), row.topic), (row.recipient.lower(), "")} & unsubscribed:
            # Unsubscribed while it waited.
            reason = "unsubscribed"
            store.settle(batch.connection, [("suppressed", reason, "", None, tenant_id, row.notice_id)])
            _record(batch, configuration, "suppressed", msgspec.structs.replace(row, reason=reason))
            continue
        digest = row.recipient if row.due_at > row.created_at and _has_digest(configuration, row) else row.notice_id
        together.setdefault((row.channel, row.recipient, digest), []).append(row)
    tellings = []
    for (channel, recipient, _), mine in together.items():
        first = mine[0]
        title, body = digest_of([(row.title, row.body) for row in mine])
        subject = first.subject if len(mine) == 1 else f"notice/{first.notice_id}"
        document = Notification(
            id=first.notice_id,
            channel=channel,
            recipient=recipient,
            title=title,
            body=body,
            audience="customer" if _is_customer(configuration, first) else "internal",
            topic=first.topic,
            order_number=subject.partition("/")[2] if subject.startswith("order/") else "",
            events=len(mine),
            at=batch.now,
        )
        request = Request("notification", f"notification:{first.notice_id}", document)
        placed = PlacedRequest(tenant_id, configuration, request, subject, first.notice_id, "", "")
        tellings.append(Telling(placed, mine))
    return tellings


def told(batch: Batch, configuration: Configuration, tellings: Sequence[Telling], taken: Set[str]) -> None:
    """Settle the notices of the requests that a route took (by key); the others wait on, and say why."""
    tenant_id, settled, waiting = configuration.tenant_id, [], []
    again_at = to_micros(batch.now + UNROUTED_AGAIN)
    for telling in tellings:
        first = telling.rows[0]
        if telling.placed.request.key not in taken:
            reason = f"no route takes channel {first.channel}"
            waiting += [(again_at, reason, tenant_id, row.notice_id) for row in telling.rows]
            continue
        if first.reason:
            batch.resolve(tenant_id, f"{telling.placed.subject}|{telling.placed.request.key}", "a route takes it now")
        digest_id = first.notice_id if len(telling.rows) > 1 else ""
        for row in telling.rows:
            state = "sent" if row is first else "merged"
            settled.append((state, "", digest_id, batch.now_micros, tenant_id, row.notice_id))
            _record(batch, configuration, "sent", row)
    store.settle(batch.connection, settled)
    store.put_off(batch.connection, waiting)


def _has_digest(configuration: Configuration, row: NoticeRow) -> bool:
    rules = configuration.notices
    name = CUSTOMER if _is_customer(configuration, row) else row.recipient
    found = rules.recipients.get(name) or next(
        (one for one in rules.recipients.values() if one.address == row.recipient), None
    )
    return found is not None and bool(found.digest)


def _is_customer(configuration: Configuration, row: NoticeRow) -> bool:
    return any(rule.rule == row.rule and rule.to == CUSTOMER for rule in configuration.notices.rules)


def _record(batch: Batch, configuration: Configuration, word: str, row: NoticeRow) -> None:
    # The journal names the notice, never the address: events go to subscribers and outlive the notice.
    data = {"rule": row.rule, "notice": row.notice_id, "channel": row.channel, "title": row.title}
    batch.record(
        batch.event(
            configuration.tenant_id,
            f"crossdock.notice.{word}.v1",
            row.subject or f"notice/{row.notice_id}",
            {**data, "reason": row.reason, "due_at": from_micros(row.due_at).isoformat()},
            release_id=configuration.release_id,
        )
    )
