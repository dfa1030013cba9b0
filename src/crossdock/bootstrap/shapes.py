"""A person's word on a changed shape: approved, what waited for it is released by itself; refused, it is rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..durable.identity import to_micros
from ..errors import NotFound
from ..flow import recovery
from ..flow.ingest import Stored
from ..flow.shapes import awaited
from ..governance import audit
from ..store import issues, shapes
from ..store.engine import Connection

if TYPE_CHECKING:
    from .hub import Hub

Decision = Literal["approve", "refuse"]


class ShapeDecisions:
    """Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def decide(
        self,
        tenant_id: str,
        connection_id: str,
        document_type: str,
        digest: str,
        decision: Decision,
        *,
        actor: str,
        reason: str = "",
    ) -> int:
        """Decide on one set of changes; return how many messages were set free. Raises NotFound for an unknown one."""
        configuration, now = self._hub.tenancy.require(tenant_id), self._hub.clock.now()
        name = awaited(connection_id, document_type, digest)
        state = "accepted" if decision == "approve" else "refused"

        def write(connection: Connection) -> list[Stored]:
            place = (tenant_id, connection_id, document_type, digest)
            if not shapes.decide(connection, place, state, actor, to_micros(now)):
                raise NotFound(f"There is no change {digest} of {document_type} on {connection_id}")
            issues.resolve_objects(connection, tenant_id, [name], f"{state} by {actor}", to_micros(now))
            audit.append(
                connection,
                tenant_id,
                actor=actor or "system",
                action=f"shape.{decision}",
                object=name,
                reason=reason,
                at=now,
            )
            # The sensor reads the decision from the record: no cycle runs while this one has the turn.
            self._hub.stages.shapes.forget()
            return recovery.released(connection, tenant_id, {name}, configuration.release_id)

        stored: list[Stored] = await self._hub.pipeline.write(write)
        self._hub.pipeline.resume(stored)
        return len(stored)
