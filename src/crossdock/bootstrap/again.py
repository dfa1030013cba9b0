"""What is done again at a person's word: replays of messages and documents, and looking for sites once more.

Each act is one transaction with its audit entry; what follows for partners and subscribers starts after its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import Conflict, NotFound
from ..flow import replay as replays
from ..flow.batch import Batch
from ..flow.source_again import SourcedOrder, source_again
from ..governance import audit
from ..store import aggregates, issues
from ..store.engine import Connection

if TYPE_CHECKING:
    from .hub import Hub

# How many orders of an issue are sourced in one transaction.
SOURCED_AT_ONCE = 200


class Again:
    """The acts of doing again. Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # -- replay

    async def fix_issue(
        self, tenant_id: str, issue_id: str, table: str, key: str, value: str, actor: str
    ) -> replays.ReplayReport:
        """Add a row to a lookup table (a new release); documents that waited for it are released, dead letters
        rendered again.
        """
        stored = await self._hub.tenancy.set_lookup_row(tenant_id, table, key, value, actor)
        report = await self._replay(
            tenant_id, (), issue_id, "current", actor, f"added {key} to {table}", sends_only=True
        )
        return msgspec.structs.replace(report, messages=report.messages + stored)

    async def replay(self, tenant_id: str, request: Any) -> replays.ReplayReport:
        """Run messages or an issue's members again, or (dry run) say what that would do."""
        if request.dry_run:
            configuration = self._hub.tenancy.require(tenant_id)
            now = self._hub.clock.now()

            def look(connection: Connection) -> replays.ReplayReport:
                selection = replays.select(
                    connection,
                    tenant_id,
                    message_ids=tuple(request.message_ids),
                    issue_id=request.issue_id,
                    release_id=configuration.release_id if request.under == "current" else "",
                )
                return replays.preview(connection, self._hub.stages, selection, now)

            return await self._hub.store.read(look)
        return await self._replay(
            tenant_id, tuple(request.message_ids), request.issue_id, request.under, request.actor, request.reason
        )

    async def run_again(
        self, tenant_id: str, message_ids: tuple[str, ...], document_ids: tuple[str, ...], *, actor: str, reason: str
    ) -> replays.ReplayReport:
        """Run messages (either way) and single documents again under the active release."""
        return await self._replay(tenant_id, message_ids, "", "current", actor, reason, document_ids=document_ids)

    async def _replay(
        self,
        tenant_id: str,
        message_ids: tuple[str, ...],
        issue_id: str,
        under: Any,
        actor: str,
        reason: str,
        *,
        sends_only: bool = False,
        document_ids: tuple[str, ...] = (),
    ) -> replays.ReplayReport:
        configuration = self._hub.tenancy.require(tenant_id)
        now = self._hub.clock.now()

        def run(connection: Connection) -> tuple[replays.Selection, list[Any]]:
            selection = replays.select(
                connection,
                tenant_id,
                message_ids=message_ids,
                issue_id=issue_id,
                release_id=configuration.release_id if under == "current" else "",
                document_ids=document_ids,
            )
            batch = Batch(connection, self._hub.writer_ids, now)
            ready = replays.requeue_dead(connection, tenant_id, selection.dead, configuration, batch, self._hub.mode_of)
            batch.save()
            audit.append(
                connection,
                tenant_id,
                actor=actor or "system",
                action="message.replay",
                object=issue_id or ",".join((*message_ids, *document_ids))[:200],
                reason=reason,
                at=now,
            )
            return selection, self._hub.pipeline.in_order(connection, [*ready, *batch.ready])

        selection, _ = await self._hub.pipeline.write(run, then=lambda found: self._hub.pipeline.send_on(found[1]))
        if not sends_only:
            self._hub.pipeline.resume(selection.stored)
        return replays.ReplayReport(
            dry_run=False,
            messages=0 if sends_only else len(selection.stored),
            sends=tuple(row[0] for row in selection.dead),
        )

    # -- sourcing

    async def source_again(self, tenant_id: str, order_number: str, actor: str) -> SourcedOrder:
        """Look for sites for one order that waits, now and past any hold; the act is audited.

        Raises NotFound for an unknown order and Conflict for one that does not wait.
        """
        answers = await self._source(tenant_id, [order_number], actor, f"order/{order_number}")
        if answers:
            return answers[0]
        rows = await self._hub.store.read(lambda found: aggregates.load(found, tenant_id, "order", [order_number]))
        if not rows:
            raise NotFound(f"There is no order {order_number}")
        raise Conflict(f"Order {order_number} does not wait for a site")

    async def source_issue_again(self, tenant_id: str, issue_id: str, actor: str) -> tuple[SourcedOrder, ...]:
        """Look for sites for every order behind an issue's open members; what does not wait is left out."""
        numbers = await self._hub.store.read(lambda connection: issues.orders_of(connection, tenant_id, issue_id))
        answers: list[SourcedOrder] = []
        for first in range(0, len(numbers), SOURCED_AT_ONCE):
            answers += await self._source(
                tenant_id, numbers[first : first + SOURCED_AT_ONCE], actor, f"issue/{issue_id}"
            )
        return tuple(answers)

    async def _source(self, tenant_id: str, numbers: Sequence[str], actor: str, about: str) -> tuple[SourcedOrder, ...]:
        configuration, now = self._hub.tenancy.require(tenant_id), self._hub.clock.now()

        def run(connection: Connection) -> tuple[Batch, tuple[SourcedOrder, ...]]:
            batch, answers = source_again(
                connection,
                tenant_id,
                numbers,
                configuration,
                ids=self._hub.writer_ids,
                health=self._hub.tenancy.health,
                mode_of=self._hub.mode_of,
                now=now,
            )
            if answers:
                detail = {"orders": len(answers), "sourced": sum(1 for answer in answers if answer.requests)}
                audit.append(
                    connection,
                    tenant_id,
                    actor=actor or "system",
                    action="order.source",
                    object=about,
                    detail=detail,
                    at=now,
                )
            batch.ready = self._hub.pipeline.in_order(connection, batch.ready)
            return batch, answers

        batch, answers = await self._hub.pipeline.write(
            run, then=lambda found: self._hub.pipeline.send_on(found[0].ready)
        )
        self._hub.backbone.announce(batch.events)
        return answers
