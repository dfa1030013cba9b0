"""Rows for the store's suite, with only what a test cares about spelled out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.store.aggregates import AggregateRow
from crossdock.store.issues import Fault
from crossdock.store.messages import DocumentRow, InboundRow
from crossdock.store.outbound import AttemptRow, OutboundRow

AT = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
DIGEST = bytes(range(32))


def made(row_type: Any, /, **given: Any) -> Any:
    """Return a row of a type; what is not given is the empty value of its field."""
    empty = {str: "", int: 0, bytes: DIGEST, float: 0.0}
    types = {field.name: field.type for field in msgspec.structs.fields(row_type)}
    return row_type(**{name: given.get(name, empty.get(annotation)) for name, annotation in types.items()})


def inbound(message_id: str, tenant_id: str = "acme", **given: Any) -> InboundRow:
    return made(InboundRow, tenant_id=tenant_id, message_id=message_id, **{"state": "received", **given})  # type: ignore[no-any-return]


def document(document_id: str, tenant_id: str = "acme", **given: Any) -> DocumentRow:
    defaults = {"message_id": "msg_1", "state": "applied", "type": "json", "canonical": b"{}", "findings": None}
    return made(DocumentRow, tenant_id=tenant_id, document_id=document_id, **{**defaults, **given})  # type: ignore[no-any-return]


def outbound(message_id: str, tenant_id: str = "acme", **given: Any) -> OutboundRow:
    defaults = {"state": "pending", "request_key": f"key {message_id}", "identity": message_id, "lane": "order/1"}
    defaults["ack_state"] = "none"
    return made(OutboundRow, tenant_id=tenant_id, message_id=message_id, **{**defaults, **given})  # type: ignore[no-any-return]


def attempt(message_id: str, number: int, outcome: str = "failed", tenant_id: str = "acme") -> AttemptRow:
    return made(AttemptRow, tenant_id=tenant_id, message_id=message_id, number=number, outcome=outcome)  # type: ignore[no-any-return]


def aggregate(key: str, tenant_id: str = "acme", **given: Any) -> AggregateRow:
    defaults = {"kind": "order", "aggregate_id": f"ord_{key}", "version": 1, "state": b"{}"}
    return made(AggregateRow, tenant_id=tenant_id, key=key, **{**defaults, **given})  # type: ignore[no-any-return]


def fault(object_id: str, cause: str = "XD-MAP-014|items", tenant_id: str = "acme", **given: Any) -> Fault:
    return Fault(tenant_id, cause.partition("|")[0], cause, f"title of {cause}", "document", object_id, **given)


def event(event_id: str, tenant_id: str = "acme", subject: str = "order/SO-1") -> Event:
    return Event(event_id, tenant_id, "crossdock.order.created.v1", subject, {"n": event_id}, AT, AT)
