"""What people ask for about returns and invoices: one transaction each, with its audit entry.

What follows for partners and subscribers starts after the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..canonical.invoices import RebillRequest
from ..canonical.returns import ReturnChange, ReturnRequest
from ..flow.batch import Batch
from ..flow.by_hand import Writing, ask_to_return, tell
from ..governance import audit, releases
from ..store.engine import Connection

if TYPE_CHECKING:
    from .hub import Hub


class ByHand:
    """The acts of people on returns and invoices. Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def ask_to_return(self, tenant_id: str, request: ReturnRequest, actor: str, form: str = "") -> Any:
        """Begin a return; return its state (`processes.returns.state.ReturnState`), judged line by line.

        The hub gives the number. Raises NotFound for an unknown order, `SentAgain` where the form with this nonce was
        taken before.
        """
        return await self._write(
            tenant_id,
            lambda writing: ask_to_return(writing, request, form),
            actor,
            "return.request",
            f"order/{request.order_number}",
            request.note,
        )

    async def change_return(self, tenant_id: str, change: ReturnChange, actor: str) -> Any:
        """Approve, refuse or cancel a return; return its state. Raises NotFound, or `Refused` when it is too late."""
        subject = f"return/{change.number}"
        return await self._write(
            tenant_id,
            lambda writing: tell(
                writing, subject, "crossdock.return.change_requested.v1", lambda _: change, existing=True
            ),
            actor,
            f"return.{change.action}",
            subject,
            change.reason,
        )

    async def rebill(self, tenant_id: str, asked: RebillRequest, actor: str) -> Any:
        """Have a wrong invoice credited and released anew; return the order's state. Raises NotFound or `Refused`."""
        subject = f"order/{asked.order_number}"
        return await self._write(
            tenant_id,
            lambda writing: tell(
                writing, subject, "crossdock.invoice.rebill_requested.v1", lambda _: asked, existing=True
            ),
            actor,
            "invoice.rebill",
            subject,
            asked.reason,
        )

    async def _write(
        self,
        tenant_id: str,
        work: Callable[[Writing], tuple[Batch, Any]],
        actor: str,
        action: str,
        about: str,
        reason: str,
    ) -> Any:
        hub = self._hub
        configuration, now = hub.tenancy.require(tenant_id), hub.clock.now()

        def run(connection: Connection) -> tuple[Batch, Any]:
            writing = Writing(
                connection,
                tenant_id,
                configuration,
                hub.writer_ids,
                hub.tenancy.health,
                hub.mode_of,
                now,
                lambda tenant, release_id: releases.load(connection, tenant, release_id),
            )
            batch, state = work(writing)
            audit.append(
                connection,
                tenant_id,
                actor=actor or "system",
                action=action,
                object=about,
                reason=reason,
                at=now,
            )
            batch.ready = hub.pipeline.in_order(connection, batch.ready)
            return batch, state

        batch, state = await hub.pipeline.write(run, then=lambda found: hub.pipeline.send_on(found[0].ready))
        hub.backbone.announce(batch.events)
        return state
