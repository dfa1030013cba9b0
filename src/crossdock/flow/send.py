"""Send what is ready: in order within a lane, side by side between lanes, at the partner's pace.

Everything here is memory; the ledger is in the record. A message reaches the sender reserved (`sending`), or is
reserved
first. An attempt ends done, failed or unknown; unknown is resolved by asking the partner (`find`), else by the same
identity again. A failing message holds its own lane only; a failing partner opens the circuit of its connection, which
buffers, probes, and drains in the order things were made.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Literal

import msgspec
import structlog

from ..durable.identity import Clock
from ..durable.retry import Circuit, RetryPolicy
from ..errors import ConfigurationError, CrossdockError, NotFound, PermanentError, TransientError, UnknownOutcome
from ..governance.pack import ConnectionSpec
from ..sdk import Connector, Outbound, PushResult
from .batch import Ready
from .bookings import Outcome, sound

log = structlog.get_logger()

Health = Literal["healthy", "degraded", "down"]
Place = tuple[str, str]

_OVERDUE = "the push has no end"

# Of a connection that has more waiting than this, the rest keeps its bytes in the record until its turn comes.
LOADED_MAX = 2_000


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
        self.waiting = 0
        self.loaded = 0
        # It works off what gathered while it could not send; that is no reason to accept less from everybody.
        self.draining = True
        self.in_flight = 0
        self.in_flight_max = 16
        self.paused = False
        self.last_error = ""
        self.last_error_at: datetime | None = None
        self.last_sent_at: datetime | None = None


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
    ) -> None:
        self._clock = clock
        self._partner_of = partner_of
        self._spec_of = spec_of
        self._booked = booked
        self._reserve = reserve
        self._circuit_changed = circuit_changed
        self._queues: dict[Place, _Queue] = {}
        self._partners: dict[Place, Partner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # -- what others ask

    def waiting(self) -> int:
        """Return how many messages wait that could go out now: what sending lags behind.

        A connection that is paused, or whose partner is away, counts nothing; one that drains counts a part.
        """
        return sum(
            min(queue.waiting, LOADED_MAX) if queue.draining else queue.waiting
            for queue in self._queues.values()
            if not queue.paused and queue.circuit.state == "closed"
        )

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
            or (queue is not None and (queue.paused or queue.circuit.state != "closed" or queue.waiting >= LOADED_MAX))
        ):
            return "pending"
        return "sending"

    def health(self, tenant_id: str, connection_id: str) -> Health:
        """Return how a connection does: by its circuit."""
        queue = self._queues.get((tenant_id, connection_id))
        if queue is None or (queue.circuit.state == "closed" and not queue.circuit.failures):
            return "healthy"
        return "degraded" if queue.circuit.state == "closed" else "down"

    def states(self) -> Mapping[Place, tuple[str, int, int]]:
        """Return for each connection its circuit, what waits and what is in flight."""
        return {
            place: (
                "paused" if queue.paused else queue.circuit.state,
                queue.waiting,
                queue.in_flight,
            )
            for place, queue in self._queues.items()
        }

    def idle(self, now: float) -> bool:
        """Tell whether nothing is being sent and nothing could be sent at this instant."""
        for queue in self._queues.values():
            if queue.in_flight or queue.reserving:
                return False
            if queue.runnable and not queue.paused and self._would_allow(queue, now):
                return False
            if queue.blocked and queue.blocked[0][0] <= now and not queue.paused and self._would_allow(queue, now):
                return False
        return True

    @staticmethod
    def _would_allow(queue: _Queue, now: float) -> bool:
        return queue.circuit.state == "closed" or (queue.circuit.state == "open" and now >= queue.circuit.probe_at)

    def next_due_at(self) -> float | None:
        """Return the instant (seconds since 1970) at which a retry or a probe may start."""
        times: list[float] = []
        for queue in self._queues.values():
            if queue.paused:
                continue
            first = 0.0 if queue.runnable else queue.blocked[0][0] if queue.blocked else None
            if first is None:
                continue
            if queue.circuit.state == "open":
                # The probe is a message that may go out: not before the circuit allows it, not before its own time.
                times.append(max(queue.circuit.probe_at, first))
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
                if one.state == "pending":
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
            self._pump(place, self._queues[place])

    @staticmethod
    def _unload(queue: _Queue, ready: Ready) -> None:
        """Leave the bytes of what must wait for its reservation anyway in the record, when enough is in memory."""
        if ready.state == "pending" and queue.loaded >= LOADED_MAX:
            ready.content, ready.headers, ready.loaded = b"", {}, False
        queue.loaded += ready.loaded

    def _new_queue(self, place: Place) -> _Queue:
        queue = _Queue(RetryPolicy())
        self._configure(place, queue)
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

    def _make_runnable(self, queue: _Queue, head: Ready) -> None:
        if head.due_at > self._clock.now().timestamp():
            heapq.heappush(queue.blocked, (head.due_at, head.message_id, head.lane))
        else:
            heapq.heappush(queue.runnable, (head.message_id, head.lane))

    def tick(self) -> None:
        """Take up retries and probes whose time has come."""
        now = self._clock.now().timestamp()
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

    # -- sending

    def _pump(self, place: Place, queue: _Queue) -> None:
        if queue.paused or self._stopping:
            return
        now = self._clock.now().timestamp()
        while queue.runnable and queue.in_flight + len(queue.reserving) < queue.in_flight_max:
            if not queue.circuit.allows(now):
                return
            _, lane = heapq.heappop(queue.runnable)
            head = queue.lanes[lane][0]
            if head.state == "pending":
                queue.reserving.add(head.message_id)
                # Its bytes come with the reservation.
                queue.loaded += not head.loaded
                self._reserve(head)
            else:
                self._start(place, queue, head)
            if queue.circuit.state == "probing":
                return

    def _start(self, place: Place, queue: _Queue, ready: Ready) -> None:
        queue.in_flight += 1
        task = asyncio.get_running_loop().create_task(self._send(place, queue, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, place: Place, queue: _Queue, ready: Ready) -> None:
        started_at = self._clock.now()
        began = self._clock.monotonic()
        try:
            result = await self._attempt(place, ready)
        except Exception as error:
            log.error("send.stumbled", message_id=ready.message_id, connection_id=ready.connection_id, exc_info=error)
            result = PushResult(
                "unknown", error_class="system", code="XD-SYS-050", detail=f"{type(error).__name__}: {error}"
            )
        if not result.duration_ms:
            result = msgspec.structs.replace(result, duration_ms=(self._clock.monotonic() - began) * 1000)
        subject = ready.lane if "/" in ready.lane else ""
        outcome = Outcome(ready, ready.attempts + 1, sound(result), started_at, queue.partner, subject, queue.policy)
        queue.in_flight -= 1
        self._settle(place, queue, ready, outcome)
        self._booked(outcome)
        self._pump(place, queue)

    async def _attempt(self, place: Place, ready: Ready) -> PushResult:
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
        try:
            if ready.state == "unknown":
                found, pushed_is_final = await self._ask(partner, outbound)
                if found is not None:
                    return found
            result = await _pushed(partner, outbound)
        except TimeoutError:
            return PushResult(
                "unknown", error_class="unknown", code="XD-PTR-003", detail="no answer within the time allowed"
            )
        except CrossdockError as error:
            result = _result_of(error)
        # A partner that acts once gives one identity one answer: taken or refused for good counts for both attempts.
        settled = result.outcome == "done" or (result.permanent and result.error_class != "system")
        return result if pushed_is_final or settled else _still_unknown(result)

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
        now = self._clock.now().timestamp()
        before = queue.circuit.state
        answered = result.outcome == "done" or (
            result.outcome == "failed" and result.permanent and result.error_class != "system"
        )
        queue.circuit.book(queue.policy, answered, now, result.retry_after_seconds)
        if result.outcome == "done":
            queue.last_sent_at = outcome.started_at
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
            self._circuit_changed(*place, queue.circuit, queue.last_error)
        if step.action in ("settle", "dead"):
            self._next_in_lane(queue, ready)
        else:
            ready.attempts += 1
            ready.state = "unknown" if step.action == "resolve" else "pending"
            ready.due_at = now + step.delay_seconds
            heapq.heappush(queue.blocked, (ready.due_at, ready.message_id, ready.lane))
        if before == "probing" and queue.circuit.state == "closed":
            queue.draining = True
            self._drain(queue)

    def _next_in_lane(self, queue: _Queue, ready: Ready) -> None:
        lane = queue.lanes[ready.lane]
        lane.popleft()
        queue.known.discard(ready.message_id)
        queue.waiting -= 1
        queue.loaded -= 1
        if queue.waiting < LOADED_MAX:
            queue.draining = False
        if lane:
            self._make_runnable(queue, lane[0])
        else:
            del queue.lanes[ready.lane]

    def _drain(self, queue: _Queue) -> None:
        """The partner is back: what failed while it was away does not wait for its retry time any more."""
        for _, message_id, lane in queue.blocked:
            queue.lanes[lane][0].due_at = 0.0
            heapq.heappush(queue.runnable, (message_id, lane))
        queue.blocked.clear()


async def _pushed(partner: Partner, outbound: Outbound) -> PushResult:
    """Push under a deadline of our own; raises TimeoutError when the connector does not keep its own.

    `asyncio.timeout` does the same for five times the price, which counts once per message.
    """
    task = asyncio.current_task()
    assert task is not None
    deadline = asyncio.get_running_loop().call_later(partner.spec.timeout_seconds + 5, task.cancel, _OVERDUE)
    try:
        return await partner.connector.push(outbound)
    except asyncio.CancelledError as error:
        if error.args != (_OVERDUE,) or task.uncancel():
            raise
        raise TimeoutError from error
    finally:
        deadline.cancel()


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
