"""What one cycle does inside its transaction, stage by stage. `pipeline.py` decides when; here is what.

    book         outcomes of sends → ledger, states, issues
    ingest       new offers → messages, receipts, payloads            (ingest.py)
    work         messages the last cycle stored → papers → decisions → outbound messages
    deadlines    timers that have passed → decisions
A batch that fails is taken apart: each message runs in a savepoint of its own, and only the culprit is set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
import structlog

from ..canonical.events import Event
from ..canonical.identifiers import match_key
from ..durable.identity import Ids, from_micros, to_micros
from ..errors import CrossdockError, Finding
from ..governance.configuration import Configuration
from ..store import aggregates, messages, outbound
from ..store.engine import Connection, Row, StoreUnavailable
from . import acknowledge, deadlines
from .batch import Batch, Ready
from .cycle import run_apart
from .ingest import AgainDocument, Stored, still_to_run
from .orchestrate import Health, Item, Orchestration, PlacedRequest, fault_of
from .papers import Paper, Translation, Trouble
from .render import SendMode, finish, render_requests
from .shapes import Shapes
from .translate import FREE, Budget, translate

log = structlog.get_logger()

_encode = msgspec.json.Encoder(decimal_format="string").encode
RUNS_MAX = 5


class Worked(msgspec.Struct):
    """What a cycle made: messages ready to be sent, events for subscribers, and counts."""

    ready: list[Ready]
    events: list[Event]
    duplicates: int = 0
    parked: bool = False


class Stages:
    """The stages with what they need of the world."""

    def __init__(
        self,
        *,
        ids: Ids,
        configuration_of: Callable[[Connection, str, str], Configuration],
        health: Health,
        mode_of: SendMode,
        budget: Budget = FREE,
    ) -> None:
        self._ids = ids
        self._budget = budget
        self._preview_ids = ids.fork()
        self._configuration_of = configuration_of
        self._health = health
        self._mode_of = mode_of
        self.parked = True
        self.shapes = Shapes()

    # -- work

    def work(
        self,
        connection: Connection,
        stored: list[Stored],
        now: datetime,
        unwritten: Mapping[str, messages.InboundRow] | None = None,
    ) -> Worked:
        """Translate and apply messages; whatever happens, every one of them ends with a state and a reason.

        `unwritten` holds the rows, by message id, of those that this very transaction stores: they are written here.
        """
        if not stored:
            return Worked([], [])
        connection.execute("savepoint work")
        try:
            worked = self._work(connection, stored, now, unwritten)
            connection.flush()
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the worker: whatever escapes is recorded against its message
            connection.execute("rollback to savepoint work")
            connection.execute("release savepoint work")
            self.shapes.forget()
            return self._work_one_by_one(connection, stored, now, error, unwritten)
        connection.execute("release savepoint work")
        return worked

    def _work_one_by_one(
        self,
        connection: Connection,
        stored: list[Stored],
        now: datetime,
        error: Exception,
        unwritten: Mapping[str, messages.InboundRow] | None,
    ) -> Worked:
        if len(stored) == 1:
            log.error("message.poisoned", message_id=stored[0].message_id, error=repr(error), exc_info=error)
            return self._set_aside(connection, stored[0], now, error, unwritten)
        merged = Worked([], [])
        for message in stored:
            worked = self.work(connection, [message], now, unwritten)
            merged.ready += worked.ready
            merged.events += worked.events
            merged.duplicates += worked.duplicates
        return merged

    def _set_aside(
        self,
        connection: Connection,
        message: Stored,
        now: datetime,
        error: Exception,
        unwritten: Mapping[str, messages.InboundRow] | None,
    ) -> Worked:
        """A fault of ours: the message is kept as failed, with what happened, for a person and a replay."""
        batch = Batch(connection, self._ids, now, unwritten)
        known = isinstance(error, CrossdockError)
        trouble = Trouble(
            code=error.code if isinstance(error, CrossdockError) else "XD-SYS-050",
            cause=f"XD-SYS-050|{type(error).__name__}|{message.connection_id}",
            title=str(error) if known else "A message made the hub stumble",
            detail=f"{type(error).__name__}: {error}",
            error_class="system",
        )
        batch.inbound_settled.append(
            (
                "failed",
                batch.now_micros,
                0,
                trouble.code,
                trouble.detail,
                message.release_id,
                message.tenant_id,
                message.message_id,
            )
        )
        batch.faults.append(
            fault_of(
                trouble, message.tenant_id, "message", message.message_id, "", message.partner, message.connection_id
            )
        )
        batch.save()
        return Worked([], batch.events)

    def _work(
        self,
        connection: Connection,
        stored: list[Stored],
        now: datetime,
        unwritten: Mapping[str, messages.InboundRow] | None,
    ) -> Worked:
        batch = Batch(connection, self._ids, now, unwritten)
        items: list[Item] = []
        done: list[Translation] = []
        configuration_of = self._asked_once(connection)
        self.shapes.begin(connection, batch.now_micros)
        for message in still_to_run(connection, stored):
            configuration = configuration_of(message.tenant_id, message.release_id)
            translation = translate(message, configuration, self._budget, self.shapes.look)
            done.append(translation)
            items += self._items(batch, translation, configuration)
        orchestration = Orchestration(batch, self._health, parked=self.parked)
        orchestration.apply(items, configuration_of)
        for translation in done:
            self._settle(batch, translation)
        for item in orchestration.freed:
            settle_stored(batch, item.tenant_id, item.configuration.release_id, item.paper)
        orchestration.finish()
        render_requests(batch, orchestration.requests, self._mode_of)
        batch.shapes, faults = self.shapes.take()
        batch.faults += faults
        batch.save()
        self.parked = self.parked or orchestration.parked_now
        return Worked(batch.ready, batch.events, orchestration.duplicates, orchestration.parked_now)

    def preview(
        self,
        connection: Connection,
        stored: list[Stored],
        now: datetime,
        candidate: Configuration | None = None,
    ) -> tuple[list[tuple[Stored, Paper]], list[PlacedRequest], int]:
        """Go through translate and decide without writing: papers, requests and how many told nothing new.

        `candidate` is run for the messages that name its release, which need not be in the record.
        """
        # Runs beside the writer: the writer's sequence of ids is not shared.
        batch = Batch(connection, self._preview_ids.fork(), now)
        items: list[Item] = []
        papers: list[tuple[Stored, Paper]] = []
        asked = self._asked_once(connection)

        def configuration_of(tenant_id: str, release_id: str) -> Configuration:
            if candidate is not None and release_id == candidate.release_id:
                return candidate
            return asked(tenant_id, release_id)

        for message in stored:
            configuration = configuration_of(message.tenant_id, message.release_id)
            translation = translate(message, configuration)
            if message.only is not None:
                translation.papers = [paper for paper in translation.papers if paper.position in message.only]
            if message.again is not None:
                translation.papers = _taken_again(translation.papers, message.again)
            for paper in translation.papers:
                papers.append((message, paper))
                if paper.state == "applied" and paper.object != "ack":
                    items.append(
                        Item(
                            message.tenant_id,
                            configuration,
                            paper,
                            message.message_id,
                            message.partner,
                            message.received_at,
                        )
                    )
        orchestration = Orchestration(batch, self._health, parked=False)
        orchestration.apply(items, configuration_of)
        return papers, orchestration.requests, orchestration.duplicates

    def _asked_once(self, connection: Connection) -> Callable[[str, str], Configuration]:
        """Return the way to the configurations of (tenant, release) that asks the record once for each."""
        known: dict[tuple[str, str], Configuration] = {}

        def find(tenant_id: str, release_id: str) -> Configuration:
            found = known.get((tenant_id, release_id))
            if found is None:
                found = known[(tenant_id, release_id)] = self._configuration_of(connection, tenant_id, release_id)
            return found

        return find

    def _items(self, batch: Batch, translation: Translation, configuration: Configuration) -> list[Item]:
        """Give the papers their ids, deal with envelopes and acknowledgments, and return what the processes must
        see.
        """
        message = translation.message
        barred: set[int] = set()
        if message.only is not None:
            translation.papers = [paper for paper in translation.papers if paper.position in message.only]
        if translation.interchanges and message.again is None and not message.amends:
            barred = acknowledge.judge_interchanges(batch, translation)
            drafts = acknowledge.owed(batch, translation, configuration, barred)
            acknowledge.envelope_acknowledgments(batch, drafts)
            finish(batch, drafts, self._mode_of)
        if message.again is not None:
            translation.papers = _taken_again(translation.papers, message.again)
        self._find_orders(batch, message.tenant_id, translation.papers)
        items = []
        for paper in translation.papers:
            if not paper.document_id:
                paper.document_id = self._ids.new("doc", batch.now)
            if paper.state != "applied" or paper.position in barred:
                continue
            if paper.object == "ack":
                acknowledge.match(batch, message.tenant_id, paper, message.connection_id, message.partner)
                continue
            items.append(
                Item(
                    message.tenant_id,
                    configuration,
                    paper,
                    message.message_id,
                    message.partner,
                    message.received_at,
                    message.traceparent,
                    message.connection_id,
                )
            )
        return items

    def _find_orders(self, batch: Batch, tenant_id: str, papers: list[Paper]) -> None:
        """Tell of papers that did not go through which order they concern, where their names say so."""
        faulty = [paper for paper in papers if paper.names and not paper.subject]
        if not faulty:
            return
        known = aggregates.resolve(batch.connection, tenant_id, [value for paper in faulty for _, value in paper.names])
        for paper in faulty:
            found = (known.get((kind, match_key(value))) for kind, value in paper.names)
            paper.subject = next((subject for subject in found if subject), "")
            if paper.object == "order" and not paper.business_key:
                # There is no such order yet, but papers that wait for it know it by this number.
                paper.business_key = next((value for kind, value in paper.names if kind == "order"), "")

    # -- settling papers and messages

    def _settle(self, batch: Batch, translation: Translation) -> None:
        message = translation.message
        state: str = translation.state
        trouble = translation.trouble
        count, told = self._told(batch, translation)
        if (
            translation.interchanges
            and translation.papers
            and all(paper.state == "superseded" for paper in translation.papers)
        ):
            state = "duplicate"
        batch.inbound_settled.append(
            (
                state,
                batch.now_micros,
                count,
                *told,
                message.release_id,
                message.tenant_id,
                message.message_id,
            )
        )
        if message.runs and state != "failed":
            batch.resolve(message.tenant_id, message.message_id, "a later run went through")
        if message.again is not None and state in ("processed", "ignored") and trouble is None:
            self._resolve_again(batch, translation)
        if trouble is not None and not translation.papers:
            batch.faults.append(
                fault_of(
                    trouble,
                    message.tenant_id,
                    "message",
                    message.message_id,
                    "",
                    message.partner,
                    message.connection_id,
                )
            )
        for paper in translation.papers:
            self._settle_paper(batch, message, paper)

    def _told(self, batch: Batch, translation: Translation) -> tuple[int, tuple[str, str]]:
        """Return how many documents the message has, and code and words of its first trouble: its own, or a paper's."""
        message, papers = translation.message, translation.papers
        count = len(papers)
        trouble = translation.trouble or next((paper.trouble for paper in papers if paper.trouble is not None), None)
        told = (trouble.code, trouble.detail or trouble.title) if trouble is not None else ("", "")
        if message.again is not None:
            # The papers this run was not about still stand as they were.
            mine = {paper.document_id for paper in papers if paper.stored_before}
            others = messages.documents_of(batch.connection, message.tenant_id, message.message_id)
            others = [row for row in others if row[0] not in mine]
            count += len(others)
            left = next((row for row in others if row[8] in ("rejected", "held") and row[13]), None)
            if trouble is None and left is not None:
                finding = msgspec.json.decode(left[13], type=list[Finding])[0]
                told = (finding.code, finding.message)
        return count, told

    def _resolve_again(self, batch: Batch, translation: Translation) -> None:
        if not translation.papers:
            for before in (translation.message.again or {}).values():
                batch.resolve(translation.message.tenant_id, before.document_id, "ignored by the rules as now")
        for paper in translation.papers:
            if paper.state in ("applied", "parked") and paper.stored_before:
                batch.resolve(translation.message.tenant_id, paper.document_id, "released by itself")

    def _settle_paper(self, batch: Batch, message: Stored, paper: Paper) -> None:
        if paper.stored_before:
            settle_stored(batch, message.tenant_id, message.release_id, paper)
        else:
            batch.documents.append(document_row(batch, message, paper))
        if paper.trouble is None:
            return
        if paper.stored_before:
            batch.judged_again.append((message.tenant_id, paper.document_id, paper.trouble.cause))
        batch.faults.append(
            fault_of(
                paper.trouble,
                message.tenant_id,
                "document",
                paper.document_id,
                paper.subject,
                message.partner,
                message.connection_id,
            )
        )
        kind = "crossdock.document.held.v1" if paper.state == "held" else "crossdock.document.rejected.v1"
        batch.record(
            batch.event(
                message.tenant_id,
                kind,
                paper.subject or f"document/{paper.document_id}",
                {
                    "document_id": paper.document_id,
                    "code": paper.trouble.code,
                    "title": paper.trouble.title,
                    "awaits": paper.awaits,
                },
                causation_id=paper.document_id,
                message_id=message.message_id,
                partner=message.partner,
            )
        )

    # -- deadlines

    def deadlines(
        self, connection: Connection, now: datetime, active: Callable[[Connection, str], Configuration]
    ) -> Worked:
        """Let deadlines that have passed come back as events; warn of papers parked and acknowledgments overdue."""
        worked = Worked([], [])
        run_apart(
            connection,
            aggregates.due_timers(connection, to_micros(now)),
            lambda part: self._pass_timers(connection, part, now, active, worked),
            lambda row, error: deadlines.postpone_timer(connection, row, error, ids=self._ids, now=now),
        )
        run_apart(
            connection,
            outbound.overdue_acknowledgments(connection, to_micros(now)),
            lambda part: self._pass_overdue(connection, part, now),
            lambda row, error: deadlines.postpone_overdue(connection, row, error, ids=self._ids, now=now),
        )
        return worked

    def _pass_timers(
        self,
        connection: Connection,
        due: list[Row],
        now: datetime,
        active: Callable[[Connection, str], Configuration],
        worked: Worked,
    ) -> None:
        batch = Batch(connection, self._ids, now)
        orchestration = Orchestration(batch, self._health, parked=False)
        for tenant_id, subject, name, due_at in due:
            batch.set_timer(tenant_id, subject, name, None)
            if subject.startswith("document/"):
                deadlines.warn_parked(batch, tenant_id, subject.partition("/")[2])
                continue
            data = {"name": name, "due_at": from_micros(due_at).isoformat()}
            event = batch.event(
                tenant_id, "crossdock.deadline.passed.v1", subject, data, occurred_at=from_micros(due_at)
            )
            orchestration.apply_event(event, active(connection, tenant_id))
        orchestration.finish()
        render_requests(batch, orchestration.requests, self._mode_of)
        batch.save()
        worked.ready += batch.ready
        worked.events += batch.events

    def _pass_overdue(self, connection: Connection, late: list[Row], now: datetime) -> None:
        batch = Batch(connection, self._ids, now)
        for row in late:
            deadlines.warn_overdue(batch, row)
        batch.save()


def _taken_again(papers: list[Paper], again: dict[int, AgainDocument]) -> list[Paper]:
    """Keep the papers a second run is about, each under the document it already has.

    A document that was applied is not touched: its replay becomes a document of its own, linked to it.
    """
    kept = []
    whole = any(before.whole for before in again.values())
    for paper in papers:
        before = again.get(paper.position)
        if before is None:
            if whole:
                kept.append(paper)
            continue
        if before.state == "applied":
            paper.replay_of = before.document_id
        else:
            paper.document_id, paper.stored_before = before.document_id, True
        kept.append(paper)
    return kept


def settle_stored(batch: Batch, tenant_id: str, release_id: str, paper: Paper) -> None:
    """Book what became of a document that was written in an earlier cycle."""
    batch.documents_settled.append(
        (
            paper.state,
            paper.awaits,
            paper.map,
            paper.object,
            paper.event_type,
            paper.subject,
            paper.business_key,
            paper.canonical,
            _encode(paper.findings) if paper.findings else None,
            release_id,
            batch.now_micros,
            tenant_id,
            paper.document_id,
        )
    )


def document_row(batch: Batch, message: Stored, paper: Paper) -> messages.DocumentRow:
    """Return the row of a paper."""
    return messages.DocumentRow(
        message.tenant_id,
        paper.document_id,
        message.message_id,
        paper.position,
        paper.pointer,
        paper.type,
        paper.map,
        paper.object,
        paper.event_type,
        paper.state,
        paper.awaits,
        paper.subject,
        paper.business_key,
        paper.canonical,
        _encode(paper.findings) if paper.findings else None,
        message.release_id,
        paper.byte_offset,
        paper.byte_length,
        paper.replay_of,
        batch.now_micros,
    )
