"""One running worker: the record, the pipeline, the sender and the collector, wired and started.

Everything it holds in memory can be lost at any instant and is found again in the record at the next start.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from ..canonical.events import Event
from ..config import Settings, load_root_key
from ..connectors.egress import Egress
from ..durable.identity import Clock, Ids, SystemClock, to_micros
from ..durable.outage import OutageAction
from ..durable.retry import Circuit
from ..errors import ConfigurationError
from ..flow import replay as replays
from ..flow.backlog import Limits
from ..flow.collect import Collector
from ..flow.ingest import InboundOffer, IngestAnswer
from ..flow.outages import Outage
from ..flow.pipeline import Pipeline
from ..flow.send import Sender
from ..flow.source_again import SourcedOrder
from ..flow.stages import Stages
from ..flow.translate import Budget
from ..governance import releases
from ..governance.configuration import Configuration
from ..store import connections, journal, outbound
from ..store.engine import Store, open_store
from . import logs, sharing
from .again import Again
from .backbone import backbone_of, trouble_of
from .by_hand import ByHand
from .cluster import Role
from .contracts import Contracts
from .doubts import Doubts
from .notices import Notices
from .reconciling import Reconciling
from .recovering import go_on_behind_the_newest, recover
from .repair import Repair
from .retention import Retention
from .sending import Sending
from .shapes import ShapeDecisions
from .steps import Steps, next_deadline
from .tenancy import Tenancy
from .ticker import Ticker

log = structlog.get_logger()

STOP_SECONDS_MAX = 30.0


class HubHealth(msgspec.Struct, frozen=True):
    """Whether the hub takes work; `reason` says in words why not."""

    ready: bool
    reason: str = ""


class Hub:
    """One running hub. Made by `start`, ended by `stop`."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, *, ids_seed: int | None, role: Role = "alone"
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.ids = Ids(clock, ids_seed)
        self.url = ""
        self.writer_ids = Ids(clock, None if ids_seed is None else ids_seed + 1)
        self._root_key = load_root_key(settings, create=True)
        self.backbone = backbone_of(settings, store, clock, url=lambda: self.url)
        self.doubts = Doubts(store)
        self.contracts = Contracts(self)
        self.notices = Notices(self)
        self._ticker = Ticker(clock, Steps(self).by_name())
        self._closing = False
        self._chores: set[asyncio.Task[Any]] = set()
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self.tenancy = Tenancy(
            store,
            settings,
            clock=clock,
            ids=self.writer_ids,
            root_key=self._root_key,
            egress=Egress(allow_networks=settings.security.allow_private_networks),
            chore=self.chore,
        )
        self.sending = Sending(store, settings, self.tenancy, clock=clock)
        ownership = sharing.ownership(role, clock)
        self.sender = Sender(
            clock=clock,
            partner_of=self.tenancy.partner_of,
            spec_of=self.tenancy.sending,
            booked=lambda outcome: self.pipeline.booked(outcome),
            reserve=lambda ready: self.pipeline.reserve(ready),
            circuit_changed=self._circuit_changed,
            worked=self._worked,
            asked_for_rest=self.sending.asked_for_rest,
            divert=self.sending.divert,
            draw=self.sending.draw,
            may_start=None if role == "alone" else ownership.may_start,
        )
        self.mode_of = self.doubts.around(sharing.send_mode(store, self.sender.mode_of, ownership))
        self.stages = Stages(
            ids=self.writer_ids,
            configuration_of=releases.load,
            health=self.tenancy.health,
            mode_of=self.mode_of,
            budget=Budget(
                settings.flow.translate_seconds_max, settings.limits.documents_per_message_max, time.thread_time
            ),
        )
        flow = settings.flow
        self.pipeline = Pipeline(
            store,
            self.stages,
            clock=clock,
            ids=self.writer_ids,
            specs=self.tenancy.receiving,
            dispatch=self.sender.dispatch,
            publish=self.backbone.announce,
            waiting_sends=self.sender.waiting,
            sender_knows=self.sender.knows,
            limits=Limits(flow.batch_events_max, flow.batch_bytes_max, outbound_max=flow.memory_outbound_max),
            weights=flow.weights,
            place=sharing.place(store, ownership),
        )
        self.collector = Collector(
            clock=clock,
            connector_of=self.tenancy.connector_of,
            ingest_many=self.ingest_many,
            failed=self._poll_failed,
            may_poll=None if role == "alone" else sharing.may_poll(ownership),
        )
        self.retention = Retention(
            records=store,
            write=self.pipeline.write,
            clock=clock,
            tenants=self.tenancy.active,
            configuration=self.tenancy.configuration,
        )
        self.cluster = None if role == "alone" else sharing.cluster_of(self, role, ownership)
        self.tenancy.attach(self.sender, self.pipeline, self.collector)
        self.sending.attach(self.sender, self.pipeline, self.writer_ids.fork(), self.chore)
        self.repair = Repair(self)
        self.again = Again(self)
        self.shape_decisions = ShapeDecisions(self)
        self.reconciling = Reconciling(self)
        self.by_hand = ByHand(self)

    # -- life

    @classmethod
    async def start(
        cls, settings: Settings, *, clock: Clock | None = None, ids_seed: int | None = None, role: Role = "alone"
    ) -> Hub:
        """Open the record and take up what waits. With a clock of your own nothing runs by itself: call `advance`.

        `role` other than alone makes it one of several processes on a PostgreSQL record; it keeps the system's time.
        The doors are opened by `web.server.open_doors`.
        """
        logs.configure(settings.log)
        store = open_store(settings.store.url, readers=settings.store.reader_count)
        try:
            if role == "alone":
                store.claim()
            else:
                store.join()
        except ConfigurationError:
            store.close()
            raise
        hub = cls(settings, store, clock or SystemClock(), ids_seed=ids_seed, role=role)
        try:
            await hub.tenancy.load()
            await hub.doubts.load()
            await hub.sending.load()
            if hub.cluster is not None:
                await go_on_behind_the_newest(hub)
                await hub.cluster.start()
            else:
                await recover(hub)
                await hub.tenancy.release_held()
        except BaseException:
            await asyncio.to_thread(store.close)
            raise
        hub.backbone.start()
        if clock is None:
            hub._ticker.start(settings.flow.poll_interval_seconds)
        return hub

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have something closed before the hub stops: its doors."""
        self._closers.append(close)

    async def stop(self) -> None:
        """Close the doors, let what is in flight end, close the record. Everything accepted is durable.

        What fails on the way is logged; the record is closed whatever happens.
        """
        self._closing = True
        if self.cluster is not None:
            self.cluster.let_go()
        try:
            for close in reversed(self._closers):
                await _quietly("doors", close())
            await self._ticker.stop()
            await _quietly("collector", self.collector.stop())
            await _quietly("sender", self.sender.stop())
            await _quietly("pipeline", asyncio.wait_for(self.pipeline.drained(), STOP_SECONDS_MAX))
            await _quietly("reservations", self._release_reservations())
            if self.cluster is not None:
                await _quietly("cluster", self.cluster.stop())
            if self._chores:
                await asyncio.wait(self._chores)
            await _quietly("backbone", self.backbone.stop())
            for tenant_id in self.tenancy.active():
                for connector in self.sender.forget(tenant_id):
                    await _quietly("connector", connector.close())
        finally:
            await asyncio.to_thread(self.store.close)

    async def _release_reservations(self) -> None:
        """What was reserved and never begun is not of unknown outcome: it waits its turn at the next start."""
        unstarted = [(ready.tenant_id, ready.message_id) for ready in self.sender.unstarted()]
        if unstarted and self.store.broken() is None:
            await self.pipeline.write(lambda connection: outbound.release(connection, unstarted))

    async def tick(self) -> None:
        """Run what has become due: retries, probes, polls, deadlines, releases made elsewhere; look for what is lost.

        Every step runs, whatever the others do; then the first error is raised.
        """
        await self._ticker.tick()

    def does_chores(self) -> bool:
        """Tell whether this process does what only one does: deadlines, old sessions, what waits for a new release."""
        return self.cluster is None or self.cluster.does_chores()

    # -- a clock of one's own

    async def advance(self) -> None:
        """Run what has become due after the clock has moved, until nothing more is."""
        while True:
            await self.tick()
            await self.settle()
            due = self.next_due_at()
            if due is None or due > self.clock.now():
                return

    async def settle(self) -> None:
        """Return when nothing is in memory, nothing is being sent and nothing could be sent at this instant."""
        quiet = 0
        while quiet < 2:
            now = self.clock.now().timestamp()
            if self.pipeline.idle() and self.sender.idle(now) and not self.collector.busy() and not self._chores:
                quiet += 1
                await asyncio.sleep(0)
            else:
                quiet = 0
                self.pipeline.book_now()
                await asyncio.sleep(0.0005)

    def next_due_at(self) -> datetime | None:
        """Return the next instant at which a timer, a retry, a probe or a poll is due."""
        sender = self.sender.next_due_at()
        times = [
            self.store.read_now(next_deadline),
            self.collector.next_due_at(),
            self.repair.next_due_at(),
            self.contracts.next_due_at(),
            self.notices.next_due_at(),
            None if sender is None else datetime.fromtimestamp(sender, UTC),
            self.sending.outages.next_due_at(),
        ]
        return min((time for time in times if time is not None), default=None)

    # -- doors

    async def ingest(self, offer: InboundOffer) -> IngestAnswer:
        """Store one message; return when it is durable."""
        admitted = await self.sending.spool.admit((offer,))
        try:
            return await self.pipeline.ingest(offer)
        finally:
            self.sending.spool.durable(admitted)

    async def ingest_many(self, offers: Sequence[InboundOffer]) -> list[IngestAnswer]:
        """Store several messages; the answers come in the order of the offers."""
        admitted = await self.sending.spool.admit(offers)
        try:
            return await self.pipeline.ingest_many(offers)
        finally:
            self.sending.spool.durable(admitted)

    def configuration(self, tenant_id: str) -> Configuration | None:
        """Return the active configuration, or None for a tenant that does not exist."""
        return self.tenancy.configuration(tenant_id)

    def inbound_secrets(self, tenant_id: str, references: Sequence[str]) -> tuple[str, ...]:
        """Return resolved secrets of inbound connections; one that cannot be resolved is left out."""
        return self.tenancy.inbound_secrets(tenant_id, references)

    async def journal_end(self, tenant_id: str) -> str:
        """Return the cursor behind everything the journal holds now."""
        return str(await self.store.read(journal.end))

    def subscribe(self, tenant_id: str, after: str | None) -> AsyncIterator[tuple[str, Event]]:
        """Follow a tenant's journal behind a cursor: empty starts at the beginning, None with what comes next."""
        return self.backbone.follow(tenant_id, after)

    def signing_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, derived from the root key; the same in every process."""
        return hmac.digest(self._root_key, b"crossdock signing|" + purpose.encode(), "sha256")

    def health(self) -> HubHealth:
        """Return whether the hub takes work."""
        broken = self.store.broken()
        if broken is not None:
            return HubHealth(False, f"the record stopped after an I/O error: {broken}")
        if self._closing:
            return HubHealth(False, "the hub is shutting down")
        if full := self.pipeline.trouble() or self.sending.spool.trouble():
            return HubHealth(False, full)
        if self._ticker.dead():
            return HubHealth(False, "the clockwork stopped: retries, polls and deadlines do not run; restart the hub")
        shared = "" if self.cluster is None else self.cluster.trouble()
        troubles = (self.tenancy.trouble(), self._ticker.trouble(), shared, trouble_of(self.backbone.lag()))
        return HubHealth(True, "; ".join(filter(None, troubles)))

    # -- configuration

    async def apply_pack(
        self, tenant_id: str, files: Mapping[str, str], author: str, note: str = ""
    ) -> releases.Release:
        """Make a release of a tenant's files, run under it, and take up what waited for it.

        Creates the tenant if it is new.
        """
        return await self.tenancy.apply_pack(tenant_id, files, author, note)

    async def fix_issue(
        self, tenant_id: str, issue_id: str, table: str, key: str, value: str, actor: str
    ) -> replays.ReplayReport:
        """Add a row to a lookup table (a new release); documents that waited for it are released, dead letters
        rendered again.
        """
        return await self.again.fix_issue(tenant_id, issue_id, table, key, value, actor)

    async def set_secret(self, tenant_id: str, name: str, value: str) -> None:
        """Seal a secret of a tenant; packs refer to it as `secret:NAME`."""
        await self.tenancy.set_secret(tenant_id, name, value)

    async def remove_secret(self, tenant_id: str, name: str) -> None:
        """Forget a secret of a tenant; connections that name it stop working."""
        await self.tenancy.remove_secret(tenant_id, name)

    async def create_key(self, tenant_id: str, role: str, connection: str = "", label: str = "") -> str:
        """Return a new API key of a tenant; `connection` binds it to one door."""
        return await self.tenancy.create_key(tenant_id, role, connection, label)

    # -- replay

    async def replay(self, tenant_id: str, request: Any) -> replays.ReplayReport:
        """Run messages or an issue's members again, or (dry run) say what that would do."""
        return await self.again.replay(tenant_id, request)

    async def run_again(
        self, tenant_id: str, message_ids: tuple[str, ...], document_ids: tuple[str, ...], *, actor: str, reason: str
    ) -> replays.ReplayReport:
        """Run messages (either way) and single documents again under the active release."""
        return await self.again.run_again(tenant_id, message_ids, document_ids, actor=actor, reason=reason)

    # -- sourcing

    async def source_again(self, tenant_id: str, order_number: str, actor: str) -> SourcedOrder:
        """Look for sites for one order that waits, now and past any hold; the act is audited.

        Raises NotFound for an unknown order and Conflict for one that does not wait.
        """
        return await self.again.source_again(tenant_id, order_number, actor)

    async def source_issue_again(self, tenant_id: str, issue_id: str, actor: str) -> tuple[SourcedOrder, ...]:
        """Look for sites for every order behind an issue's open members; what does not wait is left out."""
        return await self.again.source_issue_again(tenant_id, issue_id, actor)

    # -- outages

    async def outages(self, tenant_id: str) -> list[Outage]:
        """Return a tenant's outages: those that last first, then the newest."""
        return await self.sending.outages.listed(tenant_id)

    async def declare_outage(
        self, tenant_id: str, connection_id: str, actor: str, reason: str, action: OutageAction | None = None
    ) -> Outage:
        """Begin an outage of a connection by a person's word."""
        return await self.sending.outages.declare(tenant_id, connection_id, actor=actor, reason=reason, action=action)

    async def end_outage(self, tenant_id: str, outage_id: str, actor: str, reason: str = "") -> Outage:
        """End an outage: stale updates are discarded, then what waits goes out."""
        return await self.sending.outages.end(tenant_id, outage_id, actor=actor, reason=reason)

    # -- ports of the flow

    def _worked(self, tenant_id: str, connection_id: str, at: datetime) -> None:
        micros = to_micros(at)
        self.chore(
            self.pipeline.write(lambda connection: connections.save_sent(connection, tenant_id, connection_id, micros))
        )

    def _circuit_changed(self, tenant_id: str, connection_id: str, circuit: Circuit, error: str) -> None:
        self.tenancy.forget_health(tenant_id)
        self.sending.outages.circuit_changed(tenant_id, connection_id, circuit)
        now = to_micros(self.clock.now())
        state, failures, probe_at = circuit.state, circuit.failures, circuit.probe_at
        self.chore(
            self.pipeline.write(
                lambda connection: connections.save_circuit(
                    connection, tenant_id, connection_id, state, failures, int(probe_at * 1e6), error, now
                )
            )
        )

    def _poll_failed(self, tenant_id: str, connection_id: str, error: str) -> None:
        now = to_micros(self.clock.now())
        self.chore(
            self.pipeline.write(
                lambda connection: connections.save_error(connection, tenant_id, connection_id, error, now)
            )
        )

    def chore(self, work: Any) -> None:
        """Do something beside; `settle` and `stop` wait for it, and what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[Any]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("chore.failed", exc_info=task.exception())


async def _quietly(what: str, ending: Awaitable[Any]) -> None:
    """Let something end; log what it raises, so that everything else is ended too."""
    try:
        await ending
    except Exception as error:
        log.error("stop.failed", what=what, error=repr(error), exc_info=error)
