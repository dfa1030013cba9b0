"""What stands at the door of the spool: quotas per tenant and connection, and a disk that is almost full.

Intake is refused, with a code and a time to come back, before the disk is full; reads, sends and everything people do
go on. It resumes by itself. Between two looks into the record what was admitted is counted here; before anybody is
refused the record is asked again, so a quota is never enforced on an old count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache

import msgspec

from ..durable.identity import Clock
from ..durable.quotas import Held, Quota, Watermark, exceeded
from ..errors import TransientError
from .ingest import InboundOffer

ASK_AGAIN_SECONDS = 0.1
RETRY_AFTER_SECONDS = 5.0
DISK_RETRY_AFTER_SECONDS = 30.0

# How much is not worked off, by (tenant_id, connection_id), each direction by itself: what a connection brought in and
# waits to be looked at, and what waits to be sent on it.
Measurement = tuple[dict[tuple[str, str], Held], dict[tuple[str, str], Held]]


class QuotaExceeded(TransientError):
    """More of this tenant or connection is stored and not worked off than may be."""

    code = "XD-ING-013"


class DiskAlmostFull(TransientError):
    """The disk is almost full; nothing new is taken in."""

    code = "XD-SYS-016"


class Bounds(msgspec.Struct, frozen=True):
    """The quotas that apply at one door."""

    tenant: Quota
    connection: Quota

    @property
    def bounded(self) -> bool:
        return self.tenant.bounded or self.connection.bounded


@lru_cache(maxsize=1024)
def tighter(one: Quota, other: Quota) -> Quota:
    """Return the smaller of two bounds, each by itself; 0 is none."""
    messages = [bound for bound in (one.messages_max, other.messages_max) if bound]
    sizes = [bound for bound in (one.bytes_max, other.bytes_max) if bound]
    return Quota(min(messages, default=0), min(sizes, default=0))


class Spool:
    """Lives on the event loop. `bounds_of` names the quotas of a door, `measure` asks the record about some tenants."""

    def __init__(
        self,
        *,
        clock: Clock,
        bounds_of: Callable[[str, str], Bounds],
        measure: Callable[[Collection[str]], Awaitable[Measurement]],
        free_bytes: Callable[[], int],
        disk_free_bytes_min: int,
    ) -> None:
        self._clock = clock
        self._bounds_of = bounds_of
        self._measure = measure
        self._free_bytes = free_bytes
        self._watermark = Watermark(disk_free_bytes_min)
        self._tenants: dict[str, Held] = {}
        self._connections: dict[tuple[str, str], Held] = {}
        self._in_flight: dict[tuple[str, str], Held] = {}
        self._measured_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        # What was on its way when the record was asked, and what was let in until it answered.
        self._meanwhile: dict[str, dict[tuple[str, str], Held]] = {}

    @property
    def disk_full(self) -> bool:
        """Tell whether intake is refused because of the disk."""
        return self._watermark.full

    def trouble(self) -> str:
        """Say in words why nothing is taken in; empty when all is well."""
        if not self._watermark.full:
            return ""
        return (
            f"nothing is taken in: less than {self._watermark.low_bytes:,} bytes are free on the disk of the record;"
            " it goes on by itself when there is room"
        )

    def look_at_disk(self) -> None:
        """Measure the free space."""
        self._watermark.judge(self._free_bytes())

    async def admit(self, offers: Sequence[InboundOffer]) -> dict[tuple[str, str], Held]:
        """Let offers in, or raise QuotaExceeded or DiskAlmostFull for all of them.

        Hand what it returns to `durable` once they are in the record (or were refused there).
        """
        if self._watermark.full:
            raise DiskAlmostFull(
                f"less than {self._watermark.low_bytes:,} bytes are free on the disk of the record",
                retry_after_seconds=DISK_RETRY_AFTER_SECONDS,
                hint="Free space on the disk of the record, or make it larger; intake resumes by itself",
            )
        places = {(offer.tenant_id, offer.connection_id) for offer in offers}
        bounded = {place: bounds for place in places if (bounds := self._bounds_of(*place)).bounded}
        if not bounded:
            return {}
        asked: dict[tuple[str, str], Held] = {}
        for offer in offers:
            asked.setdefault((offer.tenant_id, offer.connection_id), Held()).add(1, len(offer.content))
        for place, bounds in bounded.items():
            if self._broken(place, bounds, asked[place]):
                await self._ask(place[0])
            if broken := self._broken(place, bounds, asked[place]):
                raise QuotaExceeded(
                    broken,
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                    hint="See on the overview what lags; raise the quota in the pack if the load is meant",
                )
        for place in bounded:
            self._count(place, asked[place].messages, asked[place].size_bytes)
            if place[0] in self._meanwhile:
                self._meanwhile[place[0]].setdefault(place, Held()).add(asked[place].messages, asked[place].size_bytes)
            self._in_flight.setdefault(place, Held()).add(asked[place].messages, asked[place].size_bytes)
        return {place: asked[place] for place in bounded}

    def durable(self, admitted: dict[tuple[str, str], Held]) -> None:
        """What was admitted is in the record now: the next look will see it there."""
        for place, held in admitted.items():
            self._in_flight[place].add(-held.messages, -held.size_bytes)

    def _count(self, place: tuple[str, str], messages: int, size_bytes: int) -> None:
        self._tenants.setdefault(place[0], Held()).add(messages, size_bytes)
        self._connections.setdefault(place, Held()).add(messages, size_bytes)

    def _broken(self, place: tuple[str, str], bounds: Bounds, asked: Held) -> str:
        """Return in words which quota would be broken, or an empty text."""
        first = place[0] not in self._measured_at
        tenant = self._tenants.get(place[0], Held())
        connection = self._connections.get(place, Held())
        if broken := exceeded(bounds.connection, connection, asked.messages, asked.size_bytes):
            return f"connection {place[1]}: {broken}"
        if broken := exceeded(bounds.tenant, tenant, asked.messages, asked.size_bytes):
            return f"tenant {place[0]}: {broken}"
        return "not measured yet" if first else ""

    async def _ask(self, tenant_id: str) -> None:
        """Ask the record how much of a tenant is not worked off, if that was not done just now; one asks for all."""
        asking = self._asking.get(tenant_id)
        if asking is None:
            now = self._clock.monotonic()
            if now - self._measured_at.get(tenant_id, -1e9) < ASK_AGAIN_SECONDS:
                return
            asking = self._asking[tenant_id] = asyncio.get_running_loop().create_task(self._look(tenant_id, now))
        await asyncio.shield(asking)

    async def _look(self, tenant_id: str, now: float) -> None:
        # What is on its way may or may not be in the answer: it is counted for certain. So is what comes meanwhile.
        beside = {place: msgspec.structs.replace(held) for place, held in self._in_flight.items()}
        self._meanwhile[tenant_id] = beside
        try:
            inbound, outbound = await self._measure((tenant_id,))
        finally:
            del self._asking[tenant_id], self._meanwhile[tenant_id]
        self._measured_at[tenant_id] = now
        self._tenants[tenant_id] = Held()
        for place in [one for one in self._connections if one[0] == tenant_id]:
            del self._connections[place]
        for counted in (beside, inbound):
            for place, held in counted.items():
                if place[0] == tenant_id:
                    self._count(place, held.messages, held.size_bytes)
        for place, held in outbound.items():
            self._tenants.setdefault(place[0], Held()).add(held.messages, held.size_bytes)
