"""Named crash points of the embedded product: the boundaries at which a kill hurts most.

`install` wraps the real functions from outside; nothing in the product knows of it. `CD_CRASH_AT=name:n` (or the order
of the fork server) ends the process with SIGKILL when the point is passed for the n-th time.
A point that stands on a commit counts only commits that changed something.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import apsw

from crossdock.bootstrap import hub as hub_module
from crossdock.bootstrap.hub import Hub
from crossdock.bootstrap.tenancy import Tenancy
from crossdock.connectors.files import FileExchange
from crossdock.connectors.http_json.connector import HttpJson
from crossdock.flow import recovery
from crossdock.flow.collect import Collector
from crossdock.flow.cycle import Cycle
from crossdock.flow.pipeline import Pipeline
from crossdock.store.sqlite import SqliteStore

# Each point, and where it stands.
POINTS: dict[str, str] = {
    "transaction.before_begin": "the writer has taken its jobs, the transaction is not open yet",
    "transaction.after_begin": "the transaction is open, nothing is written",
    "transaction.before_commit": "everything is written, nothing is durable",
    "transaction.after_commit": "everything is durable, nobody knows it yet",
    "cycle.before_answers": "the cycle is durable, no sender has its answer",
    "cycle.after_answers": "senders have their answers, nothing of it was sent on",
    "send.before_push": "reserved in the ledger, nothing has left",
    "send.after_push": "the partner has answered, nothing is booked",
    "send.before_booking": "the outcome waits in memory for the next cycle",
    "send.before_reservation": "a send asks to be entered in the ledger",
    "find.before": "an effect of unknown outcome is about to be asked for",
    "find.after": "the partner has said what it knows, nothing is booked",
    "recovery.before_sends": "the start has done nothing yet",
    "recovery.after_sends": "open sends are booked as unknown and in memory",
    "recovery.after_messages": "waiting messages are counted, none runs yet",
    "recovery.done": "everything is taken up, the doors are still closed",
    "collect.before_store": "a file was read, it is not stored",
    "collect.before_acknowledge": "the file is durable, it still lies in the inbox",
    "collect.after_acknowledge": "the file was renamed, nothing else happened",
    "deadline.before": "a timer ran out, nothing of it is written",
    "deadline.after": "what the timer decided is durable, it was not sent on",
    "release.before": "a new release is about to be written",
    "release.after": "the release is durable, nothing runs under it yet",
    "release.before_held": "what waited for the release is about to be looked for",
    "release.after_held": "what waited for the release is in memory",
}


class CrashPoint:
    """Counts how often its point is passed, and kills the process at the n-th time."""

    def __init__(self, name: str, count: int) -> None:
        if name not in POINTS:
            raise ValueError(f"there is no crash point {name}")
        self.name = name
        self._left = count

    def passed(self, name: str) -> None:
        if name != self.name:
            return
        self._left -= 1
        if self._left <= 0:
            # Whoever counts must not take another end of the process for this one.
            os.write(1, json.dumps({"pid": os.getpid(), "crashed": name}).encode() + b"\n")
            os.kill(os.getpid(), signal.SIGKILL)


class _Statements:
    """The writing connection of a store, with the two statements of a transaction wrapped."""

    def __init__(self, raw: apsw.Connection, point: CrashPoint) -> None:
        self._raw = raw
        self._point = point
        self._changes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "begin immediate":
            self._point.passed("transaction.before_begin")
            result = self._raw.execute(sql, *parameters)
            self._changes = self._raw.total_changes()
            self._point.passed("transaction.after_begin")
            return result
        if sql == "commit":
            counts = self._raw.total_changes() != self._changes
            if counts:
                self._point.passed("transaction.before_commit")
            result = self._raw.execute(sql, *parameters)
            if counts:
                self._point.passed("transaction.after_commit")
            return result
        return self._raw.execute(sql, *parameters)


def install(at: str) -> None:
    """Kill this process when a point is passed for the n-th time: `at` is `name:n`."""
    name, _, count = at.rpartition(":")
    point = CrashPoint(name, int(count))
    _around_transactions(point)
    _around_cycles(point)
    _around_sends(point)
    _around_the_start(point)
    _around_files(point)
    _around_deadlines_and_releases(point)


def _around_transactions(point: CrashPoint) -> None:
    run = SqliteStore._commit

    def commit(self: SqliteStore, batch: Any) -> Any:
        connection = self._connection
        if not isinstance(connection.raw, _Statements):
            connection.raw = _Statements(connection.raw, point)  # type: ignore[assignment]
        return run(self, batch)

    SqliteStore._commit = commit  # type: ignore[method-assign]


def _around_cycles(point: CrashPoint) -> None:
    after_commit = Pipeline._after_commit

    def after(self: Pipeline, cycle: Cycle) -> None:
        if cycle.offers:
            point.passed("cycle.before_answers")
        futures, dispatch = [future for _, future in cycle.offers], self._dispatch
        if futures:

            def answered(ready: Any) -> None:
                point.passed("cycle.after_answers")
                dispatch(ready)

            self._dispatch = answered
        try:
            after_commit(self, cycle)
        finally:
            self._dispatch = dispatch

    Pipeline._after_commit = after  # type: ignore[method-assign]


def _around_sends(point: CrashPoint) -> None:
    for kind in (HttpJson, FileExchange):
        kind.push = _around(kind.push, point, "send.before_push", "send.after_push")  # type: ignore[method-assign]
        kind.find = _around(kind.find, point, "find.before", "find.after")  # type: ignore[method-assign]
    for name, where in (("booked", "send.before_booking"), ("reserve", "send.before_reservation")):
        setattr(Pipeline, name, _before(getattr(Pipeline, name), point, where))


def _around_the_start(point: CrashPoint) -> None:
    recovery.open_sends = _before(recovery.open_sends, point, "recovery.before_sends")
    messages, recover = recovery.waiting_messages, hub_module.recover

    def sends_known(connection: Any, **arguments: Any) -> Any:
        point.passed("recovery.after_sends")
        return messages(connection, **arguments)

    async def recovered(hub: Hub) -> None:
        resume = hub.pipeline.resume

        def resumed(stored: Any) -> None:
            point.passed("recovery.after_messages")
            resume(stored)

        hub.pipeline.resume = resumed  # type: ignore[method-assign]
        await recover(hub)
        hub.pipeline.resume = resume  # type: ignore[method-assign]
        point.passed("recovery.done")

    recovery.waiting_messages = sends_known
    hub_module.recover = recovered


def _around_files(point: CrashPoint) -> None:
    Collector._take = _before_batch(Collector._take, point)  # type: ignore[method-assign]
    FileExchange._put_away = _around(  # type: ignore[method-assign]
        FileExchange._put_away, point, "collect.before_acknowledge", "collect.after_acknowledge"
    )


def _around_deadlines_and_releases(point: CrashPoint) -> None:
    deadlines = Pipeline.deadlines

    async def passed_due(self: Pipeline, now: Any, active: Any) -> None:
        point.passed("deadline.before")
        publish = self._publish

        def published(events: Any) -> None:
            point.passed("deadline.after")
            publish(events)

        self._publish = published
        try:
            await deadlines(self, now, active)
        finally:
            self._publish = publish

    Pipeline.deadlines = passed_due  # type: ignore[method-assign]
    Tenancy.apply_pack = _before(Tenancy.apply_pack, point, "release.before")  # type: ignore[method-assign]
    Tenancy.activate = _before(Tenancy.activate, point, "release.after", only=_after_apply)  # type: ignore[method-assign]
    Tenancy._release_held = _around(  # type: ignore[method-assign]
        Tenancy._release_held, point, "release.before_held", "release.after_held"
    )


def _after_apply(self: Tenancy, tenant_id: str, **options: Any) -> bool:
    return bool(self.active()) and options.get("release_held", True)


def _before(
    function: Callable[..., Any], point: CrashPoint, name: str, *, only: Callable[..., bool] | None = None
) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if only is None or only(*arguments, **named):
            point.passed(name)
        return function(*arguments, **named)

    return wrapped


def _before_batch(function: Callable[..., Any], point: CrashPoint) -> Callable[..., Any]:
    def wrapped(self: Any, place: Any, batch: Any, seconds: float) -> Any:
        if batch:
            point.passed("collect.before_store")
        return function(self, place, batch, seconds)

    return wrapped


def _around(function: Callable[..., Any], point: CrashPoint, before: str, after: str) -> Callable[..., Any]:
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        point.passed(before)
        result = await function(*arguments, **named)
        point.passed(after)
        return result

    return wrapped
