"""The event: a canonical fact in the past tense, immutable, with the CloudEvents envelope for the outside.

`Event` is the row of the journal. `cloud_event` renders it for subscribers. What types exist says `catalog.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .instants import Instant


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact. `type` is a key of the catalogue, `subject` is `<object>/<business key>` and chooses the lane.

    `occurred_at` is when it happened in the world, `recorded_at` when the hub wrote it down.
    `data` is the canonical object as plain JSON values.
    """

    id: str
    tenant_id: str
    type: str
    subject: str
    data: dict[str, Any]
    occurred_at: Instant
    recorded_at: Instant
    correlation_id: str = ""
    causation_id: str = ""
    message_id: str = ""
    partner: str = ""
    release_id: str = ""
    traceparent: str = ""


def cloud_event(event: Event, *, source: str, schema_root: str) -> dict[str, Any]:
    """Return the event as a structured CloudEvents 1.0 JSON object.

    `source` names the installation and tenant, `schema_root` where the JSON Schemas of the catalogue are published.
    """
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": f"{schema_root}/{event.type}.json",
        "data": event.data,
        "recordedtime": event.recorded_at.isoformat().replace("+00:00", "Z"),
        "correlationid": event.correlation_id,
    }
    if event.traceparent:
        body["traceparent"] = event.traceparent
    return body
