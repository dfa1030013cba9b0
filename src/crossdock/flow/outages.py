"""Outage mode of connections: declared by a person or detected, kept in the record, ended with care.

While one lasts, the sender holds the connection, or what has certainly not reached the partner goes out through the
fallback under the same request key: the row itself moves, so an effect never goes both ways. At the end stale updates
are discarded with the reason and the id of the newer one, in the transaction that ends the outage; then what waits
goes out gently. Beginning, diverting and ending are audited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from ..durable.identity import Clock, Ids, from_micros, to_micros
from ..durable.outage import OutageAction, OutageCause, OutagePolicy, detected
from ..durable.retry import Circuit
from ..errors import Conflict, NotFound
from ..governance import audit
from ..governance.configuration import Configuration
from ..governance.pack import ConnectionSpec
from ..store import issues, outages
from ..store.engine import CommitUnknown, Connection, Store, StoreUnavailable
from ..store.outages import OutageRow
from .send import Sender

log = structlog.get_logger()

SILENCE_EVERY = timedelta(minutes=1)
# How soon the record is asked again after a commit in doubt, and how seldom at last.
DOUBT_SECONDS = 0.05
DOUBT_SECONDS_MAX = 2.0
HUB = "hub"

Place = tuple[str, str]


class Write(Protocol):
    """Runs a function in the record; returns when it is durable."""

    def __call__(self, function: Callable[[Connection], Any]) -> Awaitable[Any]: ...


class Outage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One outage as people see it. `waiting` is what waits for the connection now."""

    outage_id: str
    connection: str
    cause: str
    action: str
    reason: str
    began_by: str
    began_at: datetime
    fallback_connection: str = ""
    ended_by: str = ""
    ended_at: datetime | None = None
    diverted: int = 0
    superseded: int = 0
    waiting: int = 0


class Outages:
    """The outages of a worker's tenants. Lives on the event loop."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        *,
        write: Write,
        clock: Clock,
        ids: Ids,
        configurations: Callable[[], Mapping[str, Configuration]],
        chore: Callable[[Coroutine[Any, Any, Any]], None],
        changed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._sender = sender
        self._write = write
        self._clock = clock
        self._ids = ids
        self._configurations = configurations
        self._chore = chore
        self._changed = changed
        self._lasting: dict[Place, OutageRow] = {}
        self._ending: set[Place] = set()
        self._silence_due_at = clock.now()
        self._heard_at: dict[Place, float] = {}

    # -- what is known

    async def refresh(self) -> None:
        """Take up what the record says: after a start, and what another worker began or ended."""
        rows = await self._store.read(outages.lasting)
        found = {(row.tenant_id, row.connection_id): row for row in rows}
        for place, row in found.items():
            if place not in self._lasting:
                self._take_up(row)
        for place in [one for one in self._lasting if one not in found and one not in self._ending]:
            await self._let_go(place, None, "")

    def next_due_at(self) -> datetime | None:
        """Return when the next outage will be detected, or a partner be asked whether it is back."""
        now = self._clock.now()
        times = []
        for place, since in self._sender.opened().items():
            spec = self._spec(place)
            if place in self._lasting:
                if not self._lasting[place].fallback_connection:
                    continue
                probe_at = self._sender.probe_at(*place)
                if probe_at is not None:
                    times.append(datetime.fromtimestamp(probe_at, now.tzinfo))
            elif spec is not None and spec.outage.detect_after_minutes:
                times.append(
                    datetime.fromtimestamp(since, now.tzinfo) + timedelta(minutes=spec.outage.detect_after_minutes)
                )
        return min(times, default=None)

    async def listed(self, tenant_id: str, limit: int = 100) -> list[Outage]:
        """Return a tenant's outages: those that last first, then the newest."""
        rows = await self._store.read(lambda connection: outages.listed(connection, tenant_id, limit))
        return [self._shown(row) for row in rows]

    def _shown(self, row: OutageRow) -> Outage:
        waiting = self._sender.states().get((row.tenant_id, row.connection_id), ("", 0, 0))[1]
        return Outage(
            row.outage_id,
            row.connection_id,
            row.cause,
            row.action,
            row.reason,
            row.began_by,
            from_micros(row.began_at),
            row.fallback_connection,
            row.ended_by,
            None if row.ended_at is None else from_micros(row.ended_at),
            row.diverted,
            row.superseded,
            0 if row.ended_at is not None else waiting,
        )

    def _spec(self, place: Place) -> ConnectionSpec | None:
        configuration = self._configurations().get(place[0])
        return None if configuration is None else configuration.connections.get(place[1])

    # -- beginning

    async def declare(
        self, tenant_id: str, connection_id: str, *, actor: str, reason: str, action: OutageAction | None = None
    ) -> Outage:
        """Begin an outage by a person's word. Raises NotFound, or Conflict when one lasts already or cannot be so."""
        spec = self._spec((tenant_id, connection_id))
        if spec is None:
            raise NotFound(f"There is no connection {connection_id}")
        chosen = action or spec.outage.action
        if chosen == "file" and not spec.outage.fallback_connection:
            raise Conflict(
                f"{connection_id} has no fallback connection",
                code="XD-PTR-026",
                hint="Name one in the pack: outage: {fallback_connection: …}, or choose hold or reroute",
            )
        row = await self._begin(spec, tenant_id, "declared", actor, reason, chosen)
        if row is None:
            raise Conflict(f"An outage of {connection_id} lasts already", code="XD-PTR-024")
        return self._shown(row)

    async def _begin(
        self, spec: ConnectionSpec, tenant_id: str, cause: OutageCause, actor: str, reason: str, action: OutageAction
    ) -> OutageRow | None:
        now = self._clock.now()
        fallback = spec.outage.fallback_connection if action != "hold" else ""
        row = OutageRow(
            tenant_id,
            self._ids.new("out", now),
            spec.connection,
            cause,
            action,
            fallback,
            reason,
            actor,
            to_micros(now),
        )

        def begin(connection: Connection) -> bool:
            if not outages.begin(connection, row):
                return False
            audit.append(
                connection,
                tenant_id,
                actor=actor,
                action="outage.begin",
                object=f"connection/{spec.connection}",
                reason=reason,
                detail={"outage": row.outage_id, "cause": cause, "action": action, "fallback": fallback},
                at=now,
            )
            return True

        if not await self._write(begin):
            return None
        self._take_up(row)
        log.warning("outage.began", connection_id=spec.connection, cause=cause, action=action, reason=reason)
        return row

    def _take_up(self, row: OutageRow) -> None:
        place = (row.tenant_id, row.connection_id)
        self._lasting[place] = row
        self._sender.begin_outage(*place, self._policy(row), declared=row.cause != "detected")
        self._changed(row.tenant_id)

    def _policy(self, row: OutageRow) -> OutagePolicy:
        spec = self._spec((row.tenant_id, row.connection_id))
        policy = spec.outage if spec is not None else OutagePolicy()
        action: Any = row.action
        return msgspec.structs.replace(policy, action=action, fallback_connection=row.fallback_connection)

    # -- another way

    def divert(self, tenant_id: str, connection_id: str, fallback: str, message_ids: list[str]) -> None:
        """Give waiting sends to the fallback; the sender is told which of them went."""
        self._chore(self._diverted(tenant_id, connection_id, fallback, message_ids))

    async def _diverted(self, tenant_id: str, connection_id: str, fallback: str, message_ids: list[str]) -> None:
        spec, now = self._spec((tenant_id, fallback)), self._clock.now()
        gone: list[str] = []

        def run(connection: Connection) -> list[str]:
            assert spec is not None
            going = outages.divert(connection, tenant_id, connection_id, fallback, spec.partner, message_ids)
            if going:
                audit.append(
                    connection,
                    tenant_id,
                    actor=HUB,
                    action="outage.divert",
                    object=f"connection/{connection_id}",
                    detail={"to": fallback, "messages": len(going), "first": going[0], "last": going[-1]},
                    at=now,
                )
            return going

        try:
            if spec is not None:
                gone = await self._write(run)
        except StoreUnavailable as error:
            # Whether they went is in doubt: nothing may start here until the record has said whose they are.
            log.warning("outage.divert_in_doubt", connection_id=connection_id, error=repr(error))
            found = await self._surely(
                lambda connection: outages.gone_over(connection, tenant_id, connection_id, fallback, message_ids)
            )
            if found is None:
                return
            gone = found
        except Exception:
            self._sender.diverted(tenant_id, connection_id, message_ids, [])
            raise
        self._sender.diverted(tenant_id, connection_id, message_ids, gone)

    async def _surely(self, function: Callable[[Connection], list[str]]) -> list[str] | None:
        """Run something in the record until it answers; None: this process ends, or the record is closed for good."""
        pause = DOUBT_SECONDS
        while not self._sender.stopping and self._store.broken() is None:
            try:
                found: list[str] = await self._write(function)
                return found
            except StoreUnavailable as error:
                log.warning("outage.in_doubt", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, DOUBT_SECONDS_MAX)
        return None

    # -- ending

    async def end(self, tenant_id: str, outage_id: str, *, actor: str, reason: str = "") -> Outage:
        """End an outage: discard what is stale, then send what waits. Raises NotFound and Conflict."""
        row = await self._store.read(lambda connection: outages.load(connection, tenant_id, outage_id))
        if row is None:
            raise NotFound(f"There is no outage {outage_id}")
        place = (tenant_id, row.connection_id)
        if row.ended_at is not None or place in self._ending:
            raise Conflict(f"The outage {outage_id} has ended", code="XD-PTR-024")
        await self._let_go(place, row, actor, reason)
        ended = await self._store.read(lambda connection: outages.load(connection, tenant_id, outage_id))
        assert ended is not None
        return self._shown(ended)

    async def _let_go(self, place: Place, row: OutageRow | None, actor: str, reason: str = "") -> None:
        """Discard what is stale and let the sender go on; with a row, end that outage in the same transaction.

        With the commit in doubt the connection stays held until the record has answered.
        """
        self._ending.add(place)
        self._sender.hold_for_end(*place, True)
        spec = self._spec(place)
        newest = self._sender.stale(*place, spec.outage.collapse if spec is not None else ())
        run = partial(_ended, place, row, newest, actor, reason, self._clock.now())
        try:
            gone: list[str] = await self._write(run)
        except (CommitUnknown, asyncio.CancelledError):
            self._chore(self._let_go_surely(place, run, actor))
            raise
        except Exception:
            self._ending.discard(place)
            self._sender.hold_for_end(*place, False)
            raise
        self._gone_on(place, gone, actor)

    async def _let_go_surely(self, place: Place, run: Callable[[Connection], list[str]], actor: str) -> None:
        gone = await self._surely(run)
        if gone is not None:
            self._gone_on(place, gone, actor)

    def _gone_on(self, place: Place, gone: list[str], actor: str) -> None:
        self._sender.leave_out(*place, gone)
        self._lasting.pop(place, None)
        self._sender.end_outage(*place)
        self._ending.discard(place)
        self._sender.hold_for_end(*place, False)
        self._changed(place[0])
        log.warning("outage.ended", connection_id=place[1], superseded=len(gone), by=actor or "another worker")

    # -- by itself

    def circuit_changed(self, tenant_id: str, connection_id: str, circuit: Circuit) -> None:
        """A probe went through: a detected outage is over."""
        row = self._lasting.get((tenant_id, connection_id))
        if row is not None and row.cause == "detected" and circuit.state == "closed":
            self._chore(self._over((tenant_id, connection_id)))

    async def _over(self, place: Place) -> None:
        row, spec = self._lasting.get(place), self._spec(place)
        if row is None or place in self._ending:
            return
        if spec is not None and self._why(place, spec.outage):
            return
        await self._let_go(place, row, HUB, "the partner answers again")

    async def tick(self, *, chores: bool = True) -> None:
        """Detect what has begun and what is over; of several workers one does the `chores`: it notices silence, and
        asks partners for whom nothing waits whether they are back.
        """
        await self.refresh()
        if chores:
            await self._listen()
        for place in {*self._sender.opened(), *self._heard_at}:
            spec = self._spec(place)
            if spec is None or place in self._lasting:
                continue
            why = self._why(place, spec.outage)
            if why:
                cause: OutageCause = "silent" if self._sender.open_since(*place) is None else "detected"
                await self._begin(spec, place[0], cause, HUB, why, spec.outage.action)
        for place, row in list(self._lasting.items()):
            if row.cause == "declared" or (row.cause == "silent" and not chores):
                continue
            if self._sender.open_since(*place) is None:
                await self._over(place)
            elif chores and row.fallback_connection:
                probe_at = self._sender.probe_at(*place)
                if probe_at is not None and probe_at <= self._clock.now().timestamp():
                    self._chore(self._sender.probe(*place))

    def _why(self, place: Place, policy: OutagePolicy) -> str:
        return detected(
            policy,
            open_since=self._sender.open_since(*place),
            heard_at=self._heard_at.get(place),
            now=self._clock.now().timestamp(),
        )

    async def _listen(self) -> None:
        """Look, once a minute, when the partners were last heard of whose silence means something."""
        now = self._clock.now()
        if now < self._silence_due_at:
            return
        self._silence_due_at = now + SILENCE_EVERY
        places = [
            (tenant_id, spec.connection)
            for tenant_id, configuration in self._configurations().items()
            for spec in configuration.connections.values()
            if spec.outage.silence_minutes
        ]
        if places:
            heard = await self._store.read(lambda connection: outages.heard_at(connection, places))
            self._heard_at = {place: micros / 1e6 for place, micros in heard.items()}


def _ended(
    place: Place,
    row: OutageRow | None,
    newest: dict[str, str],
    actor: str,
    reason: str,
    now: datetime,
    connection: Connection,
) -> list[str]:
    tenant_id, connection_id = place
    micros = to_micros(now)
    gone = outages.supersede(connection, tenant_id, newest) if newest else []
    if gone:
        issues.resolve_objects(connection, tenant_id, gone, "a newer update was sent in its place", micros)
    if row is not None and outages.end(connection, tenant_id, row.outage_id, actor, len(gone), micros):
        audit.append(
            connection,
            tenant_id,
            actor=actor,
            action="outage.end",
            object=f"connection/{connection_id}",
            reason=reason,
            detail={
                "outage": row.outage_id,
                "superseded": len(gone),
                "sent_instead": sorted({newest[one] for one in gone})[:50],
            },
            at=now,
        )
    return gone
