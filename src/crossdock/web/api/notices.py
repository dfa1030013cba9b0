"""`/v1/notices` and `/v1/unsubscribes`: who was told what, and who does not want to be."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody

from ...durable.identity import to_micros
from ...governance import audit
from ...views import notices as notices_view
from ...views.notices import NoticeList
from ..context import api_principal, web_of
from ..idempotency import once
from .issues import IdempotencyKey


class Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recipient's address and a topic (empty: every topic). `again` subscribes them again."""

    recipient: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    topic: Annotated[str, msgspec.Meta(max_length=100)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    again: bool = False


class Unsubscribed(msgspec.Struct, frozen=True):
    """What holds from now on."""

    recipient: str
    topic: str
    unsubscribed: bool


@get("/v1/notices", operation_id="listNotices", summary="List notices", tags=["notices"])
async def list_notices(request: Request[Any, Any, Any], subject: FromQuery[str] = "") -> NoticeList:
    """Return who was told what, the newest first; `subject` (`order/SO-1`) limits it to one order."""
    principal = await api_principal(request)
    principal.require("issue.read")
    return await web_of(request).hub.store.read(
        lambda connection: notices_view.load(connection, principal.tenant_id, subject=subject)
    )


@post(
    "/v1/unsubscribes",
    operation_id="unsubscribe",
    summary="Keep that somebody wants no notices",
    tags=["notices"],
    status_code=200,
    responses={200: ResponseSpec(Unsubscribed, generate_examples=False, description="what holds now")},
)
async def unsubscribe(
    request: Request[Any, Any, Any], data: JSONBody[Unsubscribe], idempotency_key: IdempotencyKey = None
) -> Response[bytes]:
    """Keep that a recipient does not want to be told of a topic, over every change of the rules; audited."""
    principal = await api_principal(request)
    principal.require("order.note")
    hub = web_of(request).hub
    now = hub.clock.now()
    # The audit is kept for ever: it names the recipient by a keyed hash, so that the same one is known again.
    digest = hmac.new(hub.signing_key("audit of recipients"), data.recipient.lower().encode(), hashlib.sha256)
    recipient = f"recipient/{digest.hexdigest()[:16]}"

    def write(connection: Any) -> Unsubscribed:
        place = (principal.tenant_id, data.recipient, data.topic)
        if data.again:
            notices_view.subscribe(connection, *place)
        else:
            notices_view.unsubscribe(connection, *place, data.reason, to_micros(now))
        audit.append(
            connection,
            principal.tenant_id,
            actor=principal.actor,
            action="notice.subscribe" if data.again else "notice.unsubscribe",
            object=recipient,
            reason=data.reason,
            at=now,
        )
        return Unsubscribed(data.recipient, data.topic, not data.again)

    async def act() -> Unsubscribed:
        return await hub.store.write(write)

    return await once(request, principal, "notice.unsubscribe", data, act)
