"""Replay many messages by a filter: first say everything it would do, then do just that, at a bounded rate.

The plan goes through the same translate and decide as a run and writes nothing; its digest covers every document,
every effect and every difference. A run takes the digest and is refused when it no longer holds. A job then runs item
by item, each in the same transaction as the note that it ran: ended anywhere, it goes on there, and nothing runs twice.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from ..durable.identity import from_micros, to_micros
from ..errors import Conflict, CrossdockError, DocumentRejected, HeldAwaiting
from ..governance import releases
from ..governance.configuration import Configuration
from ..store import jobs, messages
from ..store.engine import Connection, Row
from . import replay
from .edits import Difference, of_values
from .render import Draft, decode_numbers, rendered_fields
from .replay import Effect, ReplayedDocument
from .stages import Stages, Worked

KIND = "replay"
# What one transaction runs at most, so that a job never delays what comes in by more than a few of its messages.
ITEMS_AT_ONCE = 20
SENDS_MAX = 20_000
SHOWN_MAX = 500
_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode

Under = Literal["original", "current", "candidate"]
Name = Annotated[str, msgspec.Meta(max_length=200)]


class StalePlan(Conflict):
    """What the replay would do now is not what its dry run showed."""

    code = "XD-API-010"


class Unselectable(CrossdockError):
    """The filter is empty, or finds more than one run may take."""

    code = "XD-API-012"


class ReasonRequired(CrossdockError):
    """This needs a reason."""

    code = "XD-API-011"


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which inbound messages. Every field that is set must fit; `received_until` is not included."""

    partner: Name = ""
    connection_id: Name = ""
    document_type: Name = ""
    state: Literal["", "processed", "failed", "ignored", "discarded"] = ""
    document_state: Literal["", "applied", "held", "parked", "rejected", "superseded", "discarded"] = ""
    issue_id: Name = ""
    code: Name = ""
    received_from: datetime | None = None
    received_until: datetime | None = None

    def conditions(self) -> dict[str, str | int]:
        """Return what is set, as `store.jobs.select_messages` takes it. Raises Unselectable when nothing is."""
        found: dict[str, str | int] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value:
                found[name] = to_micros(value) if isinstance(value, datetime) else value
        if not found:
            raise Unselectable("The filter is empty: it would take everything", hint="Name a partner, an issue, a time")
        return found


class Rendering(msgspec.Struct, frozen=True):
    """A message for a partner that exists and would be rendered otherwise now. It is not sent again by a replay."""

    message_id: str
    connection: str
    key: str
    differences: tuple[Difference, ...] = ()
    trouble: str = ""


class Plan(msgspec.Struct, frozen=True):
    """Everything a replay would do. Lists show the first 500; counts and digest are about all of it."""

    digest: str
    under: str
    release_id: str
    messages: int
    counts: dict[str, int]
    documents: tuple[ReplayedDocument, ...]
    effects: tuple[Effect, ...]
    renderings: tuple[Rendering, ...]
    duplicates: int
    documents_total: int
    effects_total: int
    renderings_total: int


class Job(msgspec.Struct, frozen=True):
    """One bulk replay and how far it is."""

    job_id: str
    state: str
    actor: str
    reason: str
    under: str
    release_id: str
    filter: Filter
    per_second: float
    total: int
    done: int
    failed: int
    deviated: int
    created_at: datetime
    ended_at: datetime | None
    eta_seconds: float | None = None


class _Wanted(msgspec.Struct, frozen=True):
    filter: Filter
    under: str
    release_id: str
    digest: str
    per_second: float
    reason: str


class _Report(msgspec.Struct):
    """The clock of a job: what it had done when it last began to run. `deviated` counts what went another way."""

    resumed_at: int
    done_then: int = 0
    deviated: int = 0


def select(connection: Connection, tenant_id: str, wanted: Filter, limit: int) -> list[str]:
    """Return the messages a filter finds. Raises Unselectable for none, or more than `limit`."""
    found = jobs.select_messages(connection, tenant_id, wanted.conditions(), limit + 1)
    if len(found) > limit:
        raise Unselectable(
            f"The filter finds more than {limit:,} messages", hint="Narrow it by time, or raise replay.messages_max"
        )
    if not found:
        raise Unselectable("No message fits the filter", hint="Look at crossdock dead list, or widen the filter")
    return found


def plan(
    connection: Connection,
    stages: Stages,
    tenant_id: str,
    message_ids: list[str],
    under: Under,
    configuration: Configuration,
    now: datetime,
) -> tuple[Plan, list[tuple[str, str]]]:
    """Return what a replay of some messages would do, and the items a job of it has: (message_id, planned states).

    `configuration` is what they would run under, unless `under` is original.
    """
    release_id = "" if under == "original" else configuration.release_id
    selection = replay.select(connection, tenant_id, message_ids=tuple(message_ids), issue_id="", release_id=release_id)
    papers, requests, duplicates = stages.preview(connection, selection.stored, now, configuration)
    documents = [replay.replayed(message, paper, selection.before) for message, paper in papers]
    effects = replay.effects_of(connection, requests)
    renderings = _renderings(connection, tenant_id, message_ids, configuration) if release_id else []
    counts: dict[str, int] = {}
    planned: dict[str, list[str]] = {message_id: [] for message_id in message_ids}
    for document in documents:
        counts[document.after] = counts.get(document.after, 0) + 1
        planned[document.message_id].append(document.after)
    items = [(message_id, ",".join(sorted(planned[message_id]))) for message_id in message_ids]
    digest = hashlib.sha256()
    # A document that does not exist yet has no id to compare.
    parts: list[Any] = [tenant_id, under, configuration.digest if release_id else "", message_ids]
    for part in (*parts, *documents, *effects, *renderings):
        digest.update(_encode(part))
    return (
        Plan(
            digest=digest.hexdigest(),
            under=under,
            release_id=release_id,
            messages=len(message_ids),
            counts=counts,
            documents=tuple(documents[:SHOWN_MAX]),
            effects=effects[:SHOWN_MAX],
            renderings=tuple(renderings[:SHOWN_MAX]),
            duplicates=duplicates,
            documents_total=len(documents),
            effects_total=len(effects),
            renderings_total=len(renderings),
        ),
        items,
    )


def _renderings(
    connection: Connection, tenant_id: str, message_ids: list[str], configuration: Configuration
) -> list[Rendering]:
    """Return what was rendered before and would be otherwise under a configuration, field by field."""
    found = []
    then: dict[str, Configuration] = {}
    for row in jobs.sends_of(connection, tenant_id, message_ids, SENDS_MAX):
        if row[9] == configuration.release_id:
            continue
        if row[9] not in then:
            then[row[9]] = releases.load(connection, tenant_id, row[9])
        before, _ = _rendered(row, then[row[9]])
        after, trouble = _rendered(row, configuration)
        differences = () if trouble else of_values(before, after)
        if differences or trouble:
            found.append(Rendering(row[0], row[1], row[6], differences, trouble))
    return found


def _rendered(row: Row, configuration: Configuration) -> tuple[Any, str]:
    spec = configuration.connections.get(row[1])
    if spec is None or row[8] not in configuration.maps:
        return None, f"the release has no {'map ' + row[8] if spec is not None else 'connection ' + row[1]}"
    draft = Draft(
        tenant_id=configuration.tenant_id,
        spec=spec,
        configuration=configuration,
        kind=row[2],
        object=row[3],
        request_key=row[6],
        subject=row[4],
        lane=row[5],
        map=row[8],
        document=decode_numbers(row[7]),
        event_id="",
        inbound_message_id=row[10],
        traceparent="",
    )
    try:
        return rendered_fields(draft), ""
    except (HeldAwaiting, DocumentRejected) as error:
        return None, f"{error.code}: {error}"


def begin(
    connection: Connection,
    tenant_id: str,
    job_id: str,
    wanted: Filter,
    made: Plan,
    items: list[tuple[str, str]],
    *,
    actor: str,
    reason: str,
    per_second: float,
    now: datetime,
) -> Job:
    """Enter a job that runs a plan."""
    spec = _Wanted(wanted, made.under, made.release_id, made.digest, per_second, reason)
    micros = to_micros(now)
    report = _encode(_Report(micros))
    jobs.insert(connection, tenant_id, job_id, KIND, actor, _encode(spec), report, items, micros)
    row = jobs.load(connection, tenant_id, job_id)
    assert row is not None
    return job_of(row)


def job_of(row: Row) -> Job:
    """Return a job as people see it."""
    spec, report = msgspec.json.decode(row[3], type=_Wanted), msgspec.json.decode(row[4], type=_Report)
    left = row[5] - row[6]
    return Job(
        job_id=row[0],
        state=row[1],
        actor=row[2],
        reason=spec.reason,
        under=spec.under,
        release_id=spec.release_id,
        filter=spec.filter,
        per_second=spec.per_second,
        total=row[5],
        done=row[6],
        failed=row[7],
        deviated=report.deviated,
        created_at=from_micros(row[8]),
        ended_at=from_micros(row[9]) if row[9] is not None else None,
        eta_seconds=round(left / spec.per_second, 1) if row[1] == "running" else None,
    )


MOVES = {"pause": ("running", "paused"), "resume": ("paused", "running"), "cancel": ("", "cancelled")}


def move(connection: Connection, tenant_id: str, job_id: str, verb: str, now: datetime) -> Job | None:
    """Pause, resume or cancel a job; None where there is none. What ran stays; doing it twice changes nothing."""
    row = jobs.lock(connection, tenant_id, job_id)
    if row is None:
        return None
    came, goes = MOVES[verb]
    if row[1] != goes:
        if row[1] not in ("running", "paused") or (came and row[1] != came):
            raise Conflict(f"The replay {job_id} is {row[1]}", hint="Start another one")
        report = msgspec.json.decode(row[4], type=_Report)
        micros = to_micros(now)
        if goes == "running":
            report = _Report(micros, row[6], report.deviated)
        ended = micros if goes == "cancelled" else None
        jobs.save(
            connection,
            tenant_id,
            job_id,
            state=goes,
            report=_encode(report),
            done=row[6],
            failed=row[7],
            ended_at=ended,
        )
        row = jobs.load(connection, tenant_id, job_id)
        assert row is not None
    return job_of(row)


class Step(msgspec.Struct):
    """What one step of a job did. `next_at` is when it goes on; None when it has ended or does not run."""

    worked: Worked
    ran: int = 0
    next_at: datetime | None = None
    ended: bool = False


def step(connection: Connection, stages: Stages, tenant_id: str, job_id: str, now: datetime) -> Step:
    """Run what the rate allows now, in this transaction, and book it."""
    nothing = Worked([], [])
    row = jobs.lock(connection, tenant_id, job_id)
    if row is None or row[1] != "running":
        return Step(nothing)
    spec, report = msgspec.json.decode(row[3], type=_Wanted), msgspec.json.decode(row[4], type=_Report)
    begun = from_micros(report.resumed_at)
    allowed = allowed_by(now, begun, spec.per_second) - (row[6] - report.done_then)
    if allowed <= 0:
        return Step(nothing, next_at=_due(begun, row[6] - report.done_then, spec.per_second))
    items = jobs.next_items(connection, tenant_id, job_id, min(allowed, ITEMS_AT_ONCE))
    settled: list[tuple[int, str, str]] = []
    for position, message_id, planned in items:
        state, detail, worked = _run(connection, stages, tenant_id, message_id, spec.release_id, planned, now)
        nothing.ready += worked.ready
        nothing.events += worked.events
        report.deviated += detail != ""
        settled.append((position, state, detail))
    jobs.settle_items(connection, tenant_id, job_id, settled)
    done, failed = row[6] + len(items), row[7] + sum(1 for _, state, _ in settled if state == "failed")
    ended = not jobs.next_items(connection, tenant_id, job_id, 1)
    jobs.save(
        connection,
        tenant_id,
        job_id,
        state="done" if ended else "running",
        report=_encode(report),
        done=done,
        failed=failed,
        ended_at=to_micros(now) if ended else None,
    )
    due = None if ended else _due(begun, done - report.done_then, spec.per_second)
    return Step(nothing, len(items), due, ended)


def _run(
    connection: Connection,
    stages: Stages,
    tenant_id: str,
    message_id: str,
    release_id: str,
    planned: str,
    now: datetime,
) -> tuple[str, str, Worked]:
    """Run one message; return done or failed, how it went another way than planned, and what it made."""
    try:
        selection = replay.select(connection, tenant_id, message_ids=(message_id,), issue_id="", release_id=release_id)
    except CrossdockError as error:
        return "failed", f"{error.code}: {error}", Worked([], [])
    before = {row[0] for row in messages.documents_of(connection, tenant_id, message_id)}
    meant = {one.document_id for stored in selection.stored for one in (stored.again or {}).values()}
    worked = stages.work(connection, selection.stored, now)
    # A document that was applied runs again as one of its own; any other is judged where it stands.
    rows = messages.documents_of(connection, tenant_id, message_id)
    fresh = [row for row in rows if row[0] not in before]
    replayed = {row[17] for row in fresh}
    judged = [row for row in rows if row[0] in meant and row[0] not in replayed]
    states = sorted(row[8] for row in (*fresh, *judged))
    message = messages.load_inbound(connection, tenant_id, message_id)
    state = "failed" if message is None or message[3] == "failed" or "rejected" in states else "done"
    went = ",".join(states)
    return state, "" if went == planned else f"planned {planned or 'nothing'}, became {went or 'nothing'}", worked


def allowed_by(now: datetime, begun: datetime, per_second: float) -> int:
    """Return how many items a rate has allowed since a job began to run; the first one at once.

    >>> from datetime import UTC
    >>> allowed_by(datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), 5)
    11
    """
    return int((now - begun).total_seconds() * per_second + 1e-6) + 1


def _due(begun: datetime, ran: int, per_second: float) -> datetime:
    return begun + timedelta(seconds=ran / per_second)
