"""Send what is ready: in order within a lane, side by side between lanes, at the partner's pace.

Everything here is memory; the ledger is in the record. A message reaches the sender reserved (`sending`), or is
reserved
first. An attempt ends done, failed or unknown; unknown is resolved by asking the partner (`find`), else by the same
identity again. A failing message holds its own lane only; a failing partner opens the circuit of its connection, which
buffers, probes, and drains in the order things were made. A connection's budget (`pacing.py`) says how fast it is sent
to; an outage (`outages.py`) holds it, or gives what waits to another connection.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import structlog

from ..durable.identity import Clock
from ..durable.outage import OutagePolicy, Waiting, divertible, stale
from ..durable.rates import RateLimit
from ..durable.retry import Circuit, RetryPolicy
from ..errors import ConfigurationError, CrossdockError, NotFound, PermanentError, TransientError, UnknownOutcome
from ..governance.pack import ConnectionSpec
from ..sdk import Connector, Outbound, PushResult
from .batch import Ready
from .bookings import Outcome, sound
from .pacing import Pace

log = structlog.get_logger()

Health = Literal["healthy", "degraded", "down"]
Place = tuple[str, str]

_OVERDUE = "the push has no end"

# Of a connection that has more waiting than this, the rest keeps its bytes in the record until its turn comes.
LOADED_MAX = 2_000
# A connection that would need longer than this for what waits is stuck: to accept less from everybody would not help
# it, so no more than STUCK_COUNTED of its messages are held against the others.
STUCK_SECONDS = 120.0
# So is one through which nothing has gone for this long while much waits.
SILENT_SECONDS = 5.0
STUCK_COUNTED = 200
# How often at most it is told that a connection works.
TOLD_WORKING_EVERY = timedelta(minutes=15)
# What a wall clock lags behind the monotonic one within a moment without having been set back.
SET_BACK_SECONDS_MIN = 1.0
# Of what waits for stuck, paused and absent partners, every so manieth counts after all: memory has an end.
IDLE_WEIGHT = 50


class Partner(msgspec.Struct):
    """What the sender must know of a connection."""

    spec: ConnectionSpec
    connector: Connector
    idempotent: bool


class _Queue:
    """Everything that waits for one connection."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self.partner = ""
        self.circuit = Circuit()
        self.lanes: dict[str, deque[Ready]] = {}
        self.runnable: list[tuple[str, str]] = []
        self.blocked: list[tuple[float, str, str]] = []
        self.known: set[str] = set()
        self.reserving: set[str] = set()
        self.flying: set[str] = set()
        self.waiting = 0
        self.loaded = 0
        # It works off what gathered while it could not send; that is no reason to accept less from everybody.
        self.draining = True
        self.in_flight = 0
        self.in_flight_max = 16
        self.paused = False
        self.pace = Pace()
        # When the last sends went through, in seconds since 1970.
        self.went: deque[float] = deque(maxlen=64)
        self.timer: asyncio.TimerHandle | None = None
        self.outage: OutagePolicy | None = None
        self.declared = False
        # The ids that are being given to the fallback; nothing starts until the record says which went.
        self.diverting: list[str] | None = None
        self.ending = False
        self.open_since: float | None = None
        self.last_error = ""
        self.last_error_at: datetime | None = None
        self.last_sent_at: datetime | None = None

    @property
    def held(self) -> bool:
        """Tell whether nothing may start: by a person, or by an outage. A detected one lets its circuit probe."""
        if self.paused or self.diverting is not None or self.ending:
            return True
        return self.outage is not None and (self.declared or self.circuit.state == "closed")

    def lagging(self, now: float) -> int:
        """Return how many of what waits is held against those who hand something in."""
        if self.waiting <= STUCK_COUNTED:
            return self.waiting
        seconds = now - self.went[0] if self.went else 0.0
        if not self.went or self.waiting * seconds > STUCK_SECONDS * len(self.went):
            return STUCK_COUNTED
        if now - self.went[-1] > SILENT_SECONDS:
            return STUCK_COUNTED
        return min(self.waiting, LOADED_MAX) if self.draining else self.waiting

    def set_back(self, seconds: float) -> None:
        """Set back every instant kept here."""
        self.blocked[:] = [(due_at - seconds, message_id, lane) for due_at, message_id, lane in self.blocked]
        for lane in self.lanes.values():
            for ready in lane:
                ready.due_at -= seconds
        self.went = deque([at - seconds for at in self.went], maxlen=self.went.maxlen)
        self.circuit.probe_at -= seconds
        self.pace.set_back(seconds)
        if self.open_since is not None:
            self.open_since -= seconds

    def as_waiting(self, ready: Ready) -> Waiting:
        """Return a message as the rules of an outage see it."""
        begun = ready.lane in self.flying or ready.message_id in self.reserving
        head = self.lanes[ready.lane][0] is ready
        return Waiting(
            ready.message_id, ready.lane, ready.document_type, ready.state != "unknown" and not (head and begun)
        )


class _LeaseInDoubt(Exception):
    """Another process may be sending this by now; nothing was sent here."""


class Sender:
    """The sending side of a worker. Lives on one event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        partner_of: Callable[[str, str], Awaitable[Partner]],
        spec_of: Callable[[str, str], ConnectionSpec],
        booked: Callable[[Outcome], None],
        reserve: Callable[[Ready], None],
        circuit_changed: Callable[[str, str, Circuit, str], None],
        asked_for_rest: Callable[[str, str, float], None] = lambda *_: None,
        worked: Callable[[str, str, datetime], None] = lambda *_: None,
        divert: Callable[[str, str, str, list[str]], None] = lambda *_: None,
        draw: Callable[[str, str, RateLimit, float], Awaitable[tuple[float, float]]] | None = None,
        may_start: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._partner_of = partner_of
        self._spec_of = spec_of
        self._booked = booked
        self._reserve = reserve
        self._circuit_changed = circuit_changed
        self._asked_for_rest = asked_for_rest
        # Told now and then that a connection works: its newest messages may be too old to be looked for.
        self._worked = worked
        self._divert = divert
        # Where several workers share a connection: draws cost of its budget from the record; returns what was granted
        # and for how many seconds nothing more will be.
        self._draw = draw
        # Among several processes: whether this one may send on a (tenant, lane) now, by its lease.
        self._may_start = may_start
        self._queues: dict[Place, _Queue] = {}
        self._outages: dict[Place, tuple[OutagePolicy, bool]] = {}
        self._ending: set[Place] = set()
        self._partners: dict[Place, Partner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # While a task whose send has ended looks for the next: whether it is still free, and what it goes on with.
        self._free = False
        self._next: tuple[Place, _Queue, Ready] | None = None
        self._overdue = Overdue()
        self._stopping = False
        # The wall clock and the monotonic one when they were last compared.
        self._compared = (clock.now().timestamp(), clock.monotonic())

    def _now(self) -> float:
        """Return seconds since 1970. When the wall clock was set back, everything here that waits for an instant waits
        no longer for it than before: its instant is set back as well.
        """
        now, steady = self._clock.now().timestamp(), self._clock.monotonic()
        back = round(self._compared[0] + (steady - self._compared[1]) - now, 3)
        self._compared = (now, steady)
        if back >= SET_BACK_SECONDS_MIN:
            log.warning("clock.set_back", seconds=round(back))
            for queue in self._queues.values():
                queue.set_back(back)
        return now

    # -- what others ask

    def waiting(self) -> int:
        """Return how many messages wait that could go out now: what sending lags behind.

        A connection that is paused, or whose partner is away, counts nothing; one that drains counts a part; one that
        is stuck counts next to nothing. Only when very much waits for such does it count at last.
        """
        now = lagging = total = 0.0
        for queue in self._queues.values():
            total += queue.waiting
            if not queue.waiting or queue.held or queue.circuit.state != "closed":
                continue
            if queue.waiting > STUCK_COUNTED and not now:
                now = self._now()
            lagging += queue.lagging(now)
        return int(max(lagging, total // IDLE_WEIGHT))

    def knows(self, tenant_id: str, connection_id: str, message_id: str) -> bool:
        """Tell whether a message is held here, waiting or on its way."""
        queue = self._queues.get((tenant_id, connection_id))
        return queue is not None and message_id in queue.known

    def mode_of(self, tenant_id: str, connection_id: str) -> str:
        """Return the state in which a new message of a connection is written: reserved at once, or waiting its turn.

        Only a partner that acts once for one identity may be reserved ahead: after a crash its messages are sent again.
        """
        place = (tenant_id, connection_id)
        partner = self._partners.get(place)
        queue = self._queues.get(place)
        if (
            partner is None
            or not partner.idempotent
            or (queue is not None and (queue.held or queue.circuit.state != "closed" or queue.waiting >= LOADED_MAX))
            or (queue is not None and not queue.pace.free)
        ):
            return "pending"
        return "sending"

    def health(self, tenant_id: str, connection_id: str) -> Health:
        """Return how a connection does: by its circuit; in an outage by what its policy wants.

        An outage that reroutes is `down`, so that new releases are sourced elsewhere; one that holds, or goes through a
        file, is `degraded`: it still takes releases.
        """
        queue = self._queues.get((tenant_id, connection_id))
        if queue is not None and queue.outage is not None:
            return "down" if queue.outage.action == "reroute" else "degraded"
        if queue is None or (queue.circuit.state == "closed" and not queue.circuit.failures):
            return "healthy"
        return "degraded" if queue.circuit.state == "closed" else "down"

    def states(self) -> Mapping[Place, tuple[str, int, int]]:
        """Return for each connection its circuit, what waits and what is in flight."""
        return {
            place: (
                "paused" if queue.paused else "outage" if queue.outage is not None else queue.circuit.state,
                queue.waiting,
                queue.in_flight,
            )
            for place, queue in self._queues.items()
        }

    def idle(self, now: float) -> bool:
        """Tell whether nothing is being sent and nothing could be sent at this instant."""
        for queue in self._queues.values():
            if queue.in_flight or queue.reserving or queue.diverting is not None or queue.pace.drawing:
                return False
            if queue.held or not self._would_allow(queue, now):
                continue
            if queue.runnable and not self._delay(queue, now):
                return False
            if queue.blocked and queue.blocked[0][0] <= now:
                return False
        return True

    @staticmethod
    def _would_allow(queue: _Queue, now: float) -> bool:
        return queue.circuit.state == "closed" or (queue.circuit.state == "open" and now >= queue.circuit.probe_at)

    def next_due_at(self) -> float | None:
        """Return the instant (seconds since 1970) at which a retry or a probe may start."""
        times: list[float] = []
        now = self._now()
        for queue in self._queues.values():
            if queue.held:
                continue
            first = 0.0 if queue.runnable else queue.blocked[0][0] if queue.blocked else None
            if first is None:
                continue
            if queue.runnable and queue.circuit.state == "closed" and (delay := self._delay(queue, now)):
                first = now + delay
            if queue.circuit.state == "open":
                # The probe is a message that may go out: not before the circuit allows it, not before its own time.
                rested_at = now + self._delay(queue, now) if queue.runnable else 0.0
                times.append(max(queue.circuit.probe_at, first, rested_at))
            elif first:
                times.append(first)
        return min(times, default=None)

    # -- what comes in

    def dispatch(self, ready: list[Ready]) -> None:
        """Take messages that are committed; they go out in this order within each lane."""
        touched: dict[Place, None] = {}
        for one in ready:
            place = (one.tenant_id, one.connection_id)
            queue = self._queues.get(place)
            if queue is None:
                queue = self._queues[place] = self._new_queue(place)
            touched[place] = None
            if one.message_id in queue.reserving:
                queue.reserving.discard(one.message_id)
                if one.refused:
                    log.warning("send.refused", message_id=one.message_id, connection_id=one.connection_id)
                    if queue.circuit.state == "probing":
                        queue.circuit.state = "open"
                    self._next_in_lane(queue, one)
                elif one.state == "pending":
                    # It could not be entered in the ledger: not before its new time.
                    queue.loaded -= not one.loaded
                    self._make_runnable(queue, one)
                elif not self._stopping:
                    self._start(place, queue, one)
                continue
            if one.message_id in queue.known:
                continue
            queue.known.add(one.message_id)
            queue.waiting += 1
            self._unload(queue, one)
            lane = queue.lanes.get(one.lane)
            if lane is not None:
                lane.append(one)
                continue
            queue.lanes[one.lane] = deque((one,))
            self._make_runnable(queue, one)
        for place in touched:
            self._start_diverting(place, self._queues[place])
            self._pump(place, self._queues[place])

    @staticmethod
    def _unload(queue: _Queue, ready: Ready) -> None:
        """Leave the bytes of what must wait for its reservation anyway in the record, when enough is in memory."""
        if ready.state == "pending" and queue.loaded >= LOADED_MAX:
            ready.content, ready.headers, ready.loaded = b"", {}, False
        queue.loaded += ready.loaded

    def _new_queue(self, place: Place) -> _Queue:
        queue = _Queue(RetryPolicy())
        queue.ending = place in self._ending
        self._configure(place, queue)
        if place in self._outages:
            policy, declared = self._outages[place]
            self._enter_outage(queue, policy, declared=declared)
        return queue

    def _configure(self, place: Place, queue: _Queue) -> None:
        """Take over a connection's settings. One that the release does not have any more holds what it has."""
        try:
            spec = self._spec_of(*place)
        except NotFound:
            queue.paused = True
            return
        queue.draining = queue.draining or queue.paused
        queue.policy, queue.in_flight_max, queue.paused = spec.retry, spec.in_flight_max, spec.paused
        queue.partner = spec.partner
        now = self._now()
        queue.pace.configure(spec.rate, spec.drain_per_second, shared=self._draw is not None, now=now)

    def _make_runnable(self, queue: _Queue, head: Ready) -> None:
        if head.due_at and head.due_at > self._now():
            heapq.heappush(queue.blocked, (head.due_at, head.message_id, head.lane))
        else:
            heapq.heappush(queue.runnable, (head.message_id, head.lane))

    def tick(self) -> None:
        """Take up retries and probes whose time has come."""
        now = self._now()
        for place, queue in list(self._queues.items()):
            while queue.blocked and queue.blocked[0][0] <= now:
                _, message_id, lane = heapq.heappop(queue.blocked)
                heapq.heappush(queue.runnable, (message_id, lane))
            self._pump(place, queue)

    def pause(self, tenant_id: str, connection_id: str, paused: bool) -> None:
        """Hold a connection back, or let it go on; nothing is lost meanwhile."""
        place = (tenant_id, connection_id)
        queue = self._queues.setdefault(place, self._new_queue(place))
        queue.paused, queue.draining = paused, True
        self._pump(place, queue)

    def rest(self, tenant_id: str, connection_id: str, until: float) -> None:
        """Leave a partner alone until an instant (seconds since 1970): it asked a worker for it."""
        place = (tenant_id, connection_id)
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = self._new_queue(place)
        queue.pace.budget.pause(until)

    # -- outages

    def begin_outage(self, tenant_id: str, connection_id: str, policy: OutagePolicy, *, declared: bool) -> None:
        """Hold a connection whose partner is away, and give what waits to its fallback where the policy says so."""
        place = (tenant_id, connection_id)
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = self._new_queue(place)
        self._outages[place] = (policy, declared)
        self._enter_outage(queue, policy, declared=declared)
        self._start_diverting(place, queue)

    def _enter_outage(self, queue: _Queue, policy: OutagePolicy, *, declared: bool) -> None:
        queue.outage, queue.declared = policy, declared
        if not declared and queue.circuit.state == "closed":
            # Another worker found it, or the process before: probe rather than believe that it lasts, or is over.
            now = self._now()
            queue.circuit = Circuit("open", queue.policy.circuit_failures_max, now)
            queue.open_since = now

    @property
    def stopping(self) -> bool:
        """Tell whether nothing is begun any more."""
        return self._stopping

    def hold_for_end(self, tenant_id: str, connection_id: str, held: bool) -> None:
        """Start nothing, not even a probe, while the record decides what an outage leaves stale."""
        place = (tenant_id, connection_id)
        (self._ending.add if held else self._ending.discard)(place)
        queue = self._queues.get(place)
        if queue is not None:
            queue.ending = held
            self._pump(place, queue)

    def end_outage(self, tenant_id: str, connection_id: str) -> None:
        """Let a connection go on: gently, in the order things were made."""
        place = (tenant_id, connection_id)
        self._outages.pop(place, None)
        queue = self._queues.get(place)
        if queue is None or queue.outage is None:
            return
        queue.outage, queue.declared, queue.draining = None, False, True
        queue.circuit = Circuit()
        queue.open_since = None
        self._drain(queue)
        self._pump(place, queue)

    def stale(self, tenant_id: str, connection_id: str, collapse: tuple[str, ...]) -> dict[str, str]:
        """Return which waiting updates a newer one makes stale: stale id → newest id."""
        queue = self._queues.get((tenant_id, connection_id))
        if queue is None:
            return {}
        return stale((queue.as_waiting(ready) for lane in queue.lanes.values() for ready in lane), collapse)

    def leave_out(self, tenant_id: str, connection_id: str, message_ids: Collection[str]) -> list[Ready]:
        """Drop waiting messages that the record gave to another connection, or discarded; return them."""
        place = (tenant_id, connection_id)
        queue = self._queues.get(place)
        if queue is None:
            return []
        left: list[Ready] = []
        wanted = set(message_ids)
        for lane, waiting in list(queue.lanes.items()):
            gone = [ready for ready in waiting if ready.message_id in wanted]
            if not gone:
                continue
            kept = deque(ready for ready in waiting if ready.message_id not in wanted)
            if kept:
                queue.lanes[lane] = kept
            else:
                del queue.lanes[lane]
            left += gone
        for ready in left:
            queue.known.discard(ready.message_id)
            queue.waiting -= 1
            queue.loaded -= ready.loaded
        self._line_up(queue)
        return left

    def diverted(self, tenant_id: str, connection_id: str, asked: list[str], gone: Collection[str]) -> None:
        """Of the list that was `asked` for the fallback has these now (perhaps none): go on with the others."""
        place = (tenant_id, connection_id)
        queue = self._queues.get(place)
        if queue is None or queue.diverting is not asked:
            # The lease was lost meanwhile; what the record says was taken up anew.
            return
        left = self.leave_out(tenant_id, connection_id, gone)
        queue.diverting = None
        policy = queue.outage
        if left and policy is not None:
            for ready in left:
                ready.connection_id, ready.state, ready.due_at = policy.fallback_connection, "pending", 0.0
            self.dispatch(left)
        if left:
            # More may have come meanwhile.
            self._start_diverting(place, queue)
        self._pump(place, queue)

    def _start_diverting(self, place: Place, queue: _Queue) -> None:
        policy = queue.outage
        if policy is None or not policy.diverts or queue.diverting is not None or self._stopping:
            return
        going = [
            message_id
            for lane in queue.lanes.values()
            for message_id in divertible(queue.as_waiting(ready) for ready in lane)
        ]
        if going:
            queue.diverting = going
            self._divert(*place, policy.fallback_connection, going)

    def _line_up(self, queue: _Queue) -> None:
        """Make the heads of all lanes wait anew for their turn."""
        queue.runnable.clear()
        queue.blocked.clear()
        for lane, waiting in queue.lanes.items():
            if lane not in queue.flying and waiting[0].message_id not in queue.reserving:
                self._make_runnable(queue, waiting[0])

    async def probe(self, tenant_id: str, connection_id: str) -> None:
        """Ask a partner whose circuit is open whether it is back, when nothing waits that could ask by itself."""
        place = (tenant_id, connection_id)
        queue = self._queues.get(place)
        now = self._now()
        if queue is None or queue.lanes or queue.circuit.state != "open" or not queue.circuit.allows(now):
            return
        try:
            partner = await self.partner(*place)
            async with asyncio.timeout(partner.spec.timeout_seconds + 5):
                ok = (await partner.connector.check()).ok
        except (CrossdockError, TimeoutError):
            ok = False
        queue.circuit.book(queue.policy, ok, self._now())
        if ok:
            queue.open_since = None
        self._circuit_changed(*place, queue.circuit, queue.last_error)

    def probe_at(self, tenant_id: str, connection_id: str) -> float | None:
        """Return when a partner may be asked whether it is back, if no waiting message asks; else None."""
        queue = self._queues.get((tenant_id, connection_id))
        if queue is None or queue.lanes or queue.circuit.state != "open":
            return None
        return queue.circuit.probe_at

    def opened(self) -> dict[Place, float]:
        """Return since when circuits have not been closed, of those that are not."""
        return {place: queue.open_since for place, queue in self._queues.items() if queue.open_since is not None}

    def open_since(self, tenant_id: str, connection_id: str) -> float | None:
        """Return since when (seconds since 1970) a connection's circuit has not been closed; None when it is."""
        queue = self._queues.get((tenant_id, connection_id))
        return None if queue is None else queue.open_since

    def forget(self, tenant_id: str) -> list[Connector]:
        """Drop the connectors of a tenant after a release; return them to be closed."""
        dropped = [place for place in self._partners if place[0] == tenant_id]
        for place, queue in self._queues.items():
            if place[0] == tenant_id:
                self._configure(place, queue)
        return [self._partners.pop(place).connector for place in dropped]

    def remember(self, tenant_id: str, connection_id: str, partner: Partner) -> None:
        """Keep a connection's connector at hand."""
        self._partners[(tenant_id, connection_id)] = partner

    async def partner(self, tenant_id: str, connection_id: str) -> Partner:
        """Return a connection's connector, made on first use. Raises what making it raised."""
        place = (tenant_id, connection_id)
        if place not in self._partners:
            self._partners[place] = await self._partner_of(*place)
        return self._partners[place]

    async def stop(self) -> None:
        """Let what is in flight end; what waits is in the record."""
        self._stopping = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    def unstarted(self) -> list[Ready]:
        """Return what is reserved and was never begun. To be asked after `stop`, when nothing is in flight."""
        return [
            ready
            for queue in self._queues.values()
            for lane in queue.lanes.values()
            for ready in lane
            if ready.state == "sending"
        ]

    # -- among several processes

    def busy(self, gone: Callable[[str, str], bool]) -> bool:
        """Tell whether something of some lanes is on its way or being reserved; `gone` gets (tenant, lane)."""
        return any(
            gone(place[0], lane) and (lane in queue.flying or messages[0].message_id in queue.reserving)
            for place, queue in self._queues.items()
            for lane, messages in queue.lanes.items()
        )

    def drop(self, gone: Callable[[str, str], bool] | None = None) -> None:
        """Forget the lanes that another process sends on; None: everything, also what is on its way."""
        if gone is None:
            self._queues = {}
            return
        for place, queue in self._queues.items():
            dropped = {lane for lane in queue.lanes if gone(place[0], lane)}
            for lane in dropped:
                for ready in queue.lanes.pop(lane):
                    queue.known.discard(ready.message_id)
                    queue.waiting -= 1
                    queue.loaded -= ready.loaded
            if dropped:
                queue.runnable = [entry for entry in queue.runnable if entry[1] not in dropped]
                queue.blocked = [entry for entry in queue.blocked if entry[2] not in dropped]
                heapq.heapify(queue.runnable)
                heapq.heapify(queue.blocked)

    # -- sending

    def _pump(self, place: Place, queue: _Queue) -> None:
        if queue.held or self._stopping:
            return
        held: list[tuple[str, str]] = []
        try:
            self._pump_runnable(place, queue, held)
        finally:
            for entry in held:
                heapq.heappush(queue.runnable, entry)

    def _pump_runnable(self, place: Place, queue: _Queue, held: list[tuple[str, str]]) -> None:
        """Start what may be started; lanes that may not (the lease is in doubt, they are given up) go into `held`."""
        if not queue.runnable:
            return
        now = self._now()
        pace = queue.pace
        most = pace.in_flight_max(queue.in_flight_max)
        while queue.runnable and queue.in_flight + len(queue.reserving) < most:
            if self._may_start is not None and not self._may_start(place[0], queue.runnable[0][1]):
                held.append(heapq.heappop(queue.runnable))
                continue
            if not pace.free and not self._within_budget(place, queue, now):
                return
            if not queue.circuit.allows(now):
                return
            _, lane = heapq.heappop(queue.runnable)
            head = queue.lanes[lane][0]
            if not pace.free:
                pace.spend(self._cost(queue, head), now)
            if head.state == "pending" or head.cut_off:
                # What may have ended the process is counted before it runs again.
                queue.reserving.add(head.message_id)
                # Its bytes come with the reservation.
                queue.loaded += not head.loaded
                self._reserve(head)
            else:
                self._start(place, queue, head)
            if queue.circuit.state == "probing":
                return

    @staticmethod
    def _cost(queue: _Queue, head: Ready) -> float:
        """Return what a send costs; one of unknown outcome asks first."""
        limit = queue.pace.limit
        return limit.cost_of(head.document_type) + (limit.cost_of("find") if head.state == "unknown" else 0.0)

    def _delay(self, queue: _Queue, now: float) -> float:
        """Return how many seconds the next send must wait for its budget."""
        if queue.pace.free:
            return 0.0
        head = queue.lanes[queue.runnable[0][1]][0]
        return queue.pace.wait(self._cost(queue, head), now)

    def _within_budget(self, place: Place, queue: _Queue, now: float) -> bool:
        """Tell whether the next send may start; if not, come back when it may."""
        if queue.pace.budget.paused_until <= now:
            queue.pace.budget.paused_until = 0.0
        head = queue.lanes[queue.runnable[0][1]][0]
        wanted = queue.pace.wants(self._cost(queue, head), now)
        if wanted and self._draw is not None:
            queue.pace.drawing = True
            task = asyncio.get_running_loop().create_task(self._draw_budget(place, queue, wanted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        delay = self._delay(queue, now)
        if not delay:
            return True
        if not queue.pace.drawing:
            if queue.timer is not None:
                queue.timer.cancel()
            queue.timer = asyncio.get_running_loop().call_later(delay, self._pump_again, place, queue)
        return False

    def _pump_again(self, place: Place, queue: _Queue) -> None:
        if self._queues.get(place) is queue:
            self._pump(place, queue)

    async def _draw_budget(self, place: Place, queue: _Queue, wanted: float) -> None:
        pace, rest = queue.pace, 1.0
        assert self._draw is not None
        try:
            granted, rest = await self._draw(*place, pace.limit, wanted)
            pace.drawn += granted
        except CrossdockError as error:
            log.warning("rate.not_drawn", connection_id=place[1], error=repr(error))
        finally:
            pace.drawing = False
            pace.draw_at = self._now() + rest
        self._pump_again(place, queue)

    def _start(self, place: Place, queue: _Queue, ready: Ready) -> None:
        queue.in_flight += 1
        queue.flying.add(ready.lane)
        if self._free:
            # The task whose send has just ended goes on with this one.
            self._free, self._next = False, (place, queue, ready)
            return
        task = asyncio.get_running_loop().create_task(self._send(place, queue, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, place: Place, queue: _Queue, ready: Ready) -> None:
        """Send one message, and then what it made way for, if anything."""
        following: tuple[Place, _Queue, Ready] | None = (place, queue, ready)
        while following is not None:
            place, queue, ready = following
            if await self._send_one(place, queue, ready):
                self._free = True
                try:
                    self._pump(place, queue)
                finally:
                    self._free = False
            following, self._next = self._next, None

    async def _send_one(self, place: Place, queue: _Queue, ready: Ready) -> bool:
        """Make one attempt and hand in its outcome; tell whether the queue may go on."""
        started_at = self._clock.now()
        began = self._clock.monotonic()
        try:
            result = await self._attempt(place, queue, ready)
        except _LeaseInDoubt:
            self._land(queue, ready)
            if queue.circuit.state == "probing":
                queue.circuit.state = "open"
            if self._queues.get(place) is queue:
                # Nothing left this process; it goes out when the lease is sure again.
                self._make_runnable(queue, ready)
            return False
        except Exception as error:
            log.error("send.stumbled", message_id=ready.message_id, connection_id=ready.connection_id, exc_info=error)
            result = PushResult(
                "unknown", error_class="system", code="XD-SYS-050", detail=f"{type(error).__name__}: {error}"
            )
        if not result.duration_ms:
            result = msgspec.structs.replace(result, duration_ms=(self._clock.monotonic() - began) * 1000)
        subject = ready.lane if "/" in ready.lane else ""
        partner = self._partners.get(place)
        outcome = Outcome(
            ready,
            ready.attempts + 1,
            sound(result),
            started_at,
            queue.partner,
            subject,
            queue.policy,
            ready.tries,
            result.outcome == "done" and partner is not None and partner.idempotent,
        )
        self._land(queue, ready)
        if self._queues.get(place) is not queue:
            log.warning("send.not_ours", message_id=ready.message_id, outcome=outcome.result.outcome)
            return False
        self._settle(place, queue, ready, outcome)
        self._booked(outcome)
        return True

    async def _attempt(self, place: Place, queue: _Queue, ready: Ready) -> PushResult:
        policy = queue.policy
        if ready.cut_off and ready.attempts >= policy.attempts_max:
            detail = f"the process ended during each of its {ready.attempts} attempts; it is not sent again by itself"
            return PushResult("unknown", error_class="unknown", code="XD-SYS-054", detail=detail)
        ready.cut_off = False
        if not ready.loaded:
            detail = "the stored bytes of this message are damaged or gone; it was not sent"
            return PushResult("failed", permanent=True, error_class="system", code="XD-SYS-020", detail=detail)
        try:
            partner = await self.partner(*place)
        except CrossdockError as error:
            # Nothing was sent; what was of unknown outcome before is so still.
            return _still_unknown(_result_of(error)) if ready.state == "unknown" else _result_of(error)
        outbound = Outbound(
            ready.message_id,
            ready.identity,
            ready.document_type,
            ready.content,
            ready.content_type,
            ready.headers,
            ready.name,
            ready.attempts + 1,
        )
        pushed_is_final = ready.state != "unknown"
        self._be_sure(place, queue, ready)
        try:
            if ready.state == "unknown":
                found, pushed_is_final = await self._ask(partner, outbound)
                if found is not None:
                    return found
                self._be_sure(place, queue, ready)
            result = await self._overdue.within(partner.spec.timeout_seconds + 5, partner.connector.push(outbound))
        except TimeoutError:
            return PushResult(
                "unknown", error_class="unknown", code="XD-PTR-003", detail="no answer within the time allowed"
            )
        except CrossdockError as error:
            result = _result_of(error)
        # A partner that acts once gives one identity one answer: taken or refused for good counts for both attempts.
        settled = result.outcome == "done" or (result.permanent and result.error_class != "system")
        return result if pushed_is_final or settled else _still_unknown(result)

    def _be_sure(self, place: Place, queue: _Queue, ready: Ready) -> None:
        """Let nothing out when another process may be sending the same by now, or soon; or this one, which lost its
        lease, has it again and took the send up anew in another queue.
        """
        if ready.state == "sent":
            # A repeated acknowledgment is in nobody else's hands.
            return
        if self._queues.get(place) is not queue:
            raise _LeaseInDoubt
        if self._may_start is not None and not self._may_start(ready.tenant_id, ready.lane):
            raise _LeaseInDoubt

    @staticmethod
    def _land(queue: _Queue, ready: Ready) -> None:
        queue.in_flight -= 1
        queue.flying.discard(ready.lane)

    async def _ask(self, partner: Partner, outbound: Outbound) -> tuple[PushResult | None, bool]:
        """Ask the partner whether an effect of unknown outcome is there.

        No result means: send under the same identity. The flag says that the answer to that send settles the matter:
        the partner said that the effect is absent. A question that fails settles nothing.
        """
        try:
            async with asyncio.timeout(partner.spec.timeout_seconds + 5):
                answer = await partner.connector.find(outbound)
        except CrossdockError as error:
            return _still_unknown(_result_of(error)), False
        if answer.answer == "found":
            detail = "the partner has it: " + (answer.detail or "found by its identity")
            return PushResult("done", reference=answer.reference, detail=detail), True
        if answer.answer == "absent":
            return None, True
        if partner.idempotent:
            return None, False
        return (
            PushResult(
                "unknown",
                error_class="unknown",
                code="XD-PTR-003",
                detail="the partner cannot be asked and does not promise to act once; a person must look: "
                + answer.detail,
            ),
            False,
        )

    def _settle(self, place: Place, queue: _Queue, ready: Ready, outcome: Outcome) -> None:
        result, step = outcome.result, outcome.next_step()
        now = self._now()
        before = queue.circuit.state
        answered = result.outcome == "done" or (
            result.outcome == "failed" and result.permanent and result.error_class != "system"
        )
        queue.circuit.book(queue.policy, answered, now, result.retry_after_seconds)
        queue.pace.ended(answered, queue.in_flight_max)
        if result.retry_after_seconds and not answered:
            self._asked_for_rest(*place, now + result.retry_after_seconds)
        if result.outcome == "done":
            if queue.last_sent_at is None or outcome.started_at - queue.last_sent_at > TOLD_WORKING_EVERY:
                queue.last_sent_at = outcome.started_at
                self._worked(*place, outcome.started_at)
            queue.went.append(now)
        else:
            queue.last_error, queue.last_error_at = result.detail, outcome.started_at
        if queue.circuit.state != before:
            log.info(
                "circuit.changed",
                connection_id=place[1],
                before=before,
                after=queue.circuit.state,
                failures=queue.circuit.failures,
            )
            queue.open_since = None if queue.circuit.state == "closed" else queue.open_since or now
            self._circuit_changed(*place, queue.circuit, queue.last_error)
        if step.action in ("settle", "dead") or not self._is_head(queue, ready):
            self._next_in_lane(queue, ready)
        else:
            ready.attempts += 1
            ready.tried(result.error_class)
            ready.state = "unknown" if step.action == "resolve" else "pending"
            ready.due_at = now + step.delay_seconds
            heapq.heappush(queue.blocked, (ready.due_at, ready.message_id, ready.lane))
        if before != "closed" and queue.circuit.state == "closed":
            queue.draining = True
            self._drain(queue)

    @staticmethod
    def _is_head(queue: _Queue, ready: Ready) -> bool:
        lane = queue.lanes.get(ready.lane)
        return lane is not None and lane[0] is ready

    def _next_in_lane(self, queue: _Queue, ready: Ready) -> None:
        lane = queue.lanes.get(ready.lane)
        if lane is not None and lane[0] is ready:
            lane.popleft()
            queue.known.discard(ready.message_id)
            queue.waiting -= 1
            queue.loaded -= 1
        # Else it was left out while it was on its way; what stands there is another message.
        if queue.waiting < LOADED_MAX:
            queue.draining = False
        if lane:
            self._make_runnable(queue, lane[0])
        else:
            queue.lanes.pop(ready.lane, None)

    def _drain(self, queue: _Queue) -> None:
        """The partner is back: what failed while it was away does not wait for its retry time any more."""
        if queue.outage is not None:
            # Not before the outage is ended: what is stale goes first.
            return
        queue.pace.recover(queue.waiting)
        for _, message_id, lane in queue.blocked:
            queue.lanes[lane][0].due_at = 0.0
            heapq.heappush(queue.runnable, (message_id, lane))
        queue.blocked.clear()


class Overdue:
    """Ends pushes whose connector does not keep its own deadline.

    One timer stands for all that are under way: one for each would be made and taken away again once per message.
    """

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, seconds: float, push: Coroutine[Any, Any, PushResult]) -> PushResult:
        """Await a push of the task that calls; raises TimeoutError when it takes longer than so many seconds."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        due = loop.time() + seconds
        self._due[task] = due
        if self._timer is None or self._timer.when() > due:
            self._watch(loop, due)
        try:
            return await push
        except asyncio.CancelledError as error:
            if error.args != (_OVERDUE,) or task.uncancel():
                raise
            raise TimeoutError from error
        finally:
            del self._due[task]

    def _watch(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for task in [task for task, due in self._due.items() if due <= now]:
            self._due[task] = float("inf")
            task.cancel(_OVERDUE)
        first = min(self._due.values(), default=float("inf"))
        if first < float("inf"):
            self._watch(loop, first)


def _result_of(error: CrossdockError) -> PushResult:
    """Return the outcome that an error of a connector stands for: its class is the policy."""
    detail = str(error) + "".join(f" ({hint})" for hint in error.hint)
    if isinstance(error, TransientError):
        return PushResult(
            "failed",
            error_class="partner",
            code=error.code,
            detail=detail,
            retry_after_seconds=error.retry_after_seconds,
        )
    if isinstance(error, UnknownOutcome):
        return PushResult("unknown", error_class="unknown", code=error.code, detail=detail)
    if isinstance(error, ConfigurationError):
        return PushResult("failed", error_class="system", code=error.code, detail=detail)
    permanent = isinstance(error, PermanentError)
    return PushResult("failed", permanent=permanent, error_class="partner", code=error.code, detail=detail)


def _still_unknown(result: PushResult) -> PushResult:
    """Return the outcome of an attempt that says nothing about the earlier one, whose outcome is unknown."""
    return msgspec.structs.replace(
        result,
        outcome="unknown",
        permanent=False,
        error_class="unknown",
        detail="whether it was taken is still unknown: " + result.detail,
    )
