"""Amend a dead letter as a new version, and settle the old one. Runs in the caller's transaction, or not at all.

The original is never edited: a corrected message or document gets an id of its own that names it, goes the way of every
other one, and the original is superseded (a send: discarded). A version that would be refused again is not made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from ..canonical.catalog import OBJECTS
from ..durable.identity import Ids, from_micros, to_micros
from ..errors import Conflict, DocumentRejected, Finding, NotFound
from ..governance.configuration import Configuration
from ..store import dead_letters, issues, messages, outbound, payloads
from ..store.dead_letters import Wanted
from ..store.engine import Connection, Row
from ..store.messages import InboundRow
from .amended_sends import draft_of, enter_version, must_be_readable, refused, well_formed_json
from .batch import Batch, Ready
from .edits import REFUSED, Difference, Edit, differences, edited, of_contents
from .ingest import Stored
from .orchestrate import Health, Item, Orchestration, PlacedRequest
from .papers import Paper
from .render import SendMode, finish, render_requests, run_map
from .replay import Effect, effects_of
from .stages import Stages, document_row
from .translate import quantity_findings

_encode = msgspec.json.Encoder(decimal_format="string").encode
BULK_MAX = 1_000


class Change(msgspec.Struct, frozen=True):
    """The correction, of the raw bytes or the canonical document: the whole new content, or edits of single fields."""

    part: Literal["raw", "canonical"] = "raw"
    content: bytes = b""
    edits: tuple[Edit, ...] = ()


class Amended(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an amendment made, or would make. `new_id` is empty in a dry run."""

    original_id: str
    new_id: str
    message_id: str
    part: str
    state: str
    dry_run: bool
    differences: tuple[Difference, ...] = ()
    effects: tuple[Effect, ...] = ()


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one dead letter: done, would (dry run) or refused, then with code and words."""

    id: str
    outcome: str
    new_id: str = ""
    code: str = ""
    detail: str = ""
    amended: Amended | None = None


class Made(msgspec.Struct):
    """The answer with what must be announced and sent after the commit."""

    answer: Amended
    ready: list[Ready]
    events: list[Any]


class Amender:
    """Makes amended versions, with what that needs of the world."""

    def __init__(self, stages: Stages, *, ids: Ids, health: Health, mode_of: SendMode) -> None:
        self._stages = stages
        self._ids = ids
        # A dry run runs beside the writer, whose sequence of ids is not shared.
        self._preview_ids = ids.fork()
        self._health = health
        self._mode_of = mode_of

    def amend(
        self,
        connection: Connection,
        configuration: Configuration,
        dead_id: str,
        change: Change,
        *,
        author: str,
        reason: str,
        now: datetime,
        dry_run: bool = False,
    ) -> Made:
        """Make an amended version of one dead letter, or (dry run) say what that would do; then nothing is written.

        Raises NotFound, Conflict for what is no dead letter any more, and DocumentRejected with the findings when the
        version would be refused as well.
        """
        tenant_id = configuration.tenant_id
        row = dead_letter(connection, tenant_id, dead_id)
        if row[1] == "outbound":
            made = self._outbound(connection, configuration, row, change, now, dry_run)
        elif change.part == "raw":
            made = self._raw(connection, configuration, row, change, now, dry_run)
        else:
            made = self._canonical(connection, configuration, row, change, now, dry_run)
        if dry_run:
            return made
        answer = made.answer
        micros = to_micros(now)
        dead_letters.supersede(connection, tenant_id, [row], micros)
        dead_letters.link(
            connection,
            [
                (
                    *(tenant_id, dead_id, answer.new_id, answer.message_id, answer.part, author, reason),
                    *(_encode(answer.differences), micros),
                )
            ],
        )
        issues.resolve_objects(connection, tenant_id, [dead_id], f"amended as {answer.new_id}", micros)
        return made

    # -- a message that came in, with other bytes

    def _raw(
        self,
        connection: Connection,
        configuration: Configuration,
        dead: Row,
        change: Change,
        now: datetime,
        dry_run: bool,
    ) -> Made:
        tenant_id = configuration.tenant_id
        row = messages.load_inbound(connection, tenant_id, dead[2])
        assert row is not None
        old = payloads.load(connection, tenant_id, [dead[2]])[dead[2]]
        new = edited(old, change.edits) if change.edits else change.content
        _must_differ(old, new)
        ids = self._preview_ids.fork() if dry_run else self._ids
        stored = self._stored(connection, configuration, dead, row, new, ids.new("msg", now), now)
        papers, requests, _ = self._stages.preview(connection, [stored], now, configuration)
        _must_go_through([paper for _, paper in papers])
        found, effects = of_contents(old, new), effects_of(connection, requests)
        if dry_run:
            state = papers[0][1].state if papers else "ignored"
            return Made(Amended(dead[0], "", "", "raw", state, True, found, effects), [], [])
        digest = payloads.digest_of(new)
        key = f"amend:{dead[2]}:{dead_letters.versions_of(connection, tenant_id, dead[0]) + 1}:{digest.hex()[:16]}"
        payloads.save(connection, [(tenant_id, stored.message_id, digest, new)])
        messages.insert_inbound(
            connection,
            [
                InboundRow(
                    tenant_id=tenant_id,
                    message_id=stored.message_id,
                    connection_id=row[1],
                    partner=row[2],
                    state="received",
                    receipt_key=key,
                    digest=digest,
                    size_bytes=len(new),
                    content_type=row[7],
                    name=row[8],
                    headers=row[9],
                    received_at=to_micros(now),
                    release_id=configuration.release_id,
                    duplicate_of="",
                    traceparent=row[17],
                )
            ],
        )
        worked = self._stages.work(connection, [stored], now)
        made = messages.documents_of(connection, tenant_id, stored.message_id)
        bad = next((one for one in made if one[8] == "rejected"), None)
        if bad is not None:
            raise refused(msgspec.json.decode(bad[13], type=tuple[Finding, ...]) if bad[13] else ())
        if dead[1] == "document" and row[3] == "failed":
            _settle_message(connection, tenant_id, dead[2], now)
        state = made[0][8] if made else "ignored"
        answer = Amended(dead[0], stored.message_id, stored.message_id, "raw", state, False, found, effects)
        return Made(answer, worked.ready, worked.events)

    def _stored(
        self,
        connection: Connection,
        configuration: Configuration,
        dead: Row,
        row: Row,
        content: bytes,
        message_id: str,
        now: datetime,
    ) -> Stored:
        """Return the new version as it is run: limited to the one document where its message had others."""
        documents = messages.documents_of(connection, configuration.tenant_id, dead[2])
        mine = next((one for one in documents if one[0] == dead[0]), None)
        several = len({one[2] for one in documents}) > 1
        return Stored(
            tenant_id=configuration.tenant_id,
            message_id=message_id,
            connection_id=row[1],
            partner=row[2],
            content=content,
            content_type=row[7],
            name=row[8],
            headers=msgspec.json.decode(row[9], type=dict[str, str]) if row[9] else {},
            received_at=now,
            release_id=configuration.release_id,
            traceparent=row[17],
            amends=dead[2],
            only=frozenset((mine[2],)) if mine is not None and several else None,
        )

    # -- a document that came in, corrected behind its map

    def _canonical(
        self,
        connection: Connection,
        configuration: Configuration,
        dead: Row,
        change: Change,
        now: datetime,
        dry_run: bool,
    ) -> Made:
        tenant_id = configuration.tenant_id
        documents = messages.load_documents(connection, tenant_id, [dead[0]]) if dead[1] == "document" else []
        if not documents or not documents[0][6]:
            raise DocumentRejected(
                f"{dead[0]} was never mapped, so there is no canonical document to amend",
                code=REFUSED,
                hint="Amend the raw content",
            )
        row = documents[0]
        old = bytes(row[12]) if row[12] else b""
        if change.edits and not old:
            raise DocumentRejected(
                f"The map of {dead[0]} made no canonical document that could be edited",
                code=REFUSED,
                hint="Hand in the whole canonical document, or amend the raw content",
            )
        new = edited(old, change.edits) if change.edits else change.content
        _must_differ(old, new)
        message = messages.load_inbound(connection, tenant_id, row[1])
        assert message is not None
        ids = self._preview_ids.fork() if dry_run else self._ids
        paper = _paper(row, new, "" if dry_run else ids.new("doc", now))
        batch = Batch(connection, ids, now)
        orchestration = Orchestration(batch, self._health, parked=False)
        item = Item(tenant_id, configuration, paper, row[1], message[2], from_micros(message[10]), message[17])
        orchestration.apply([item], lambda _, release_id: configuration)
        _must_go_through([paper])
        found = differences(old or None, paper.canonical)
        effects = effects_of(connection, orchestration.requests)
        answer = Amended(dead[0], paper.document_id, row[1], "canonical", paper.state, dry_run, found, effects)
        if dry_run:
            return Made(answer, [], [])
        self._keep(batch, orchestration, paper, message, configuration)
        if message[3] == "failed":
            _settle_message(connection, tenant_id, row[1], now)
        return Made(answer, batch.ready, batch.events)

    def _keep(
        self,
        batch: Batch,
        orchestration: Orchestration,
        paper: Paper,
        message: Row,
        configuration: Configuration,
    ) -> None:
        stored = Stored(
            configuration.tenant_id,
            message[0],
            message[1],
            message[2],
            b"",
            message[7],
            message[8],
            {},
            from_micros(message[10]),
            configuration.release_id,
            message[17],
        )
        batch.documents.append(document_row(batch, stored, paper))
        orchestration.finish()
        requests: list[PlacedRequest] = orchestration.requests
        render_requests(batch, requests, self._mode_of)
        batch.save()
        # It may wait for an order, or be what another paper waits for.
        self._stages.parked = True

    # -- a message that goes out

    def _outbound(
        self,
        connection: Connection,
        configuration: Configuration,
        dead: Row,
        change: Change,
        now: datetime,
        dry_run: bool,
    ) -> Made:
        tenant_id = configuration.tenant_id
        row = outbound.load(connection, tenant_id, dead[0])
        assert row is not None
        if row[26] == "unknown":
            raise Conflict(
                f"Nobody knows whether {dead[0]} took effect; another version of it might be a second effect",
                hint="Requeue it: the partner is asked first",
            )
        version = dead_letters.versions_of(connection, tenant_id, dead[0]) + 1
        request_key = f"{row[7]}~{version + 1}"
        batch = Batch(connection, self._preview_ids.fork() if dry_run else self._ids, now)
        if change.part == "canonical":
            old, new = bytes(row[19] or b""), change.content
            new = edited(old, change.edits) if change.edits else new
            _must_differ(old, new)
            found = differences(old or None, well_formed_json(new))
            draft = draft_of(row, configuration, request_key, new)
            run_map(draft)
            if draft.trouble is not None:
                trouble = draft.trouble
                raise refused((Finding(trouble.code, trouble.detail or trouble.title, pointer=trouble.pointer),))
            if not dry_run:
                finish(batch, [draft], self._mode_of)
        else:
            old = payloads.load(connection, tenant_id, [dead[0]])[dead[0]]
            new = edited(old, change.edits) if change.edits else change.content
            _must_differ(old, new)
            must_be_readable(new, row[16])
            found = of_contents(old, new)
            if not dry_run:
                enter_version(batch, row, request_key, new, configuration, self._mode_of)
        effect = (Effect(row[3], request_key, (row[1],), False),)
        if dry_run:
            return Made(Amended(dead[0], "", "", change.part, "pending", True, found, effect), [], [])
        batch.save()
        (made,) = batch.outbound
        answer = Amended(dead[0], made.message_id, made.message_id, change.part, made.state, False, found, effect)
        return Made(answer, batch.ready, batch.events)


def dead_letter(connection: Connection, tenant_id: str, dead_id: str) -> Row:
    """Return one dead letter (store.dead_letters.find), or raise NotFound, or Conflict for one that is settled."""
    rows = dead_letters.find(connection, tenant_id, Wanted(ids=(dead_id,)), 1)
    if rows:
        return rows[0]
    table, column = (
        ("documents", "document_id")
        if dead_id.startswith("doc_")
        else (
            ("inbound_messages", "message_id")
            if messages.load_inbound(connection, tenant_id, dead_id)
            else ("outbound_messages", "message_id")
        )
    )
    row = connection.one(f"select state from {table} where tenant_id = ? and {column} = ?", (tenant_id, dead_id))  # noqa: S608 - our own names
    if row is None:
        raise NotFound(f"There is no dead letter {dead_id}")
    raise Conflict(
        f"{dead_id} is {row[0]}; it is no dead letter",
        hint=_way(row[0]),
    )


def _way(state: str) -> str:
    return "Its dead letters are its documents: list them" if state == "failed" else "Look at it: it is settled already"


def discard(
    connection: Connection, configuration: Configuration, rows: Sequence[Row], reason: str, *, ids: Ids, now: datetime
) -> Batch:
    """Set dead letters aside for good, with a reason; each is told in the journal and closes its faults."""
    tenant_id = configuration.tenant_id
    batch = Batch(connection, ids, now)
    dead_letters.discard(connection, tenant_id, rows, batch.now_micros)
    for row in rows:
        batch.resolve(tenant_id, row[0], f"discarded: {reason}"[:500])
        data = {"dead_letter_id": row[0], "kind": row[1], "type": row[5], "reason": reason}
        subject = row[6] or f"{'document' if row[1] == 'document' else 'message'}/{row[0]}"
        batch.record(
            batch.event(
                tenant_id,
                "crossdock.document.discarded.v1",
                subject,
                data,
                causation_id=row[0],
                message_id=row[2] if row[1] != "outbound" else "",
                partner=row[4],
                release_id=configuration.release_id,
            )
        )
    batch.save()
    for message_id in {row[2] for row in rows if row[1] == "document"}:
        _settle_message(connection, tenant_id, message_id, now, "discarded")
    return batch


def _settle_message(
    connection: Connection, tenant_id: str, message_id: str, now: datetime, state: str = "superseded"
) -> None:
    """Settle a failed message once none of its documents is a dead letter any more."""
    left = connection.one(
        "select count(*) from documents where tenant_id = ? and message_id = ? and state = 'rejected'",
        (tenant_id, message_id),
    )
    # The one that is being amended still stands there as rejected.
    if left is None or left[0] <= (1 if state == "superseded" else 0):
        connection.execute(
            "update inbound_messages set state = ?, processed_at = ? where tenant_id = ? and message_id = ?"
            " and state = 'failed'",
            (state, to_micros(now), tenant_id, message_id),
        )


def _paper(row: Row, content: bytes, document_id: str) -> Paper:
    """Return the corrected document as the processes take it, checked against its canonical type."""
    try:
        value = msgspec.json.decode(content, type=OBJECTS[row[6]], strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text, _, place = str(error).partition(" - at `")
        raise refused((Finding("XD-MAP-020", f"no valid {row[6]}: {text}", pointer=place.rstrip("`")),)) from error
    findings = quantity_findings(value)
    if findings:
        raise refused(findings)
    return Paper(
        row[2],
        row[3],
        row[4],
        map=row[5],
        object=row[6],
        event_type=row[7],
        value=value,
        canonical=_encode(value),
        byte_offset=row[15],
        byte_length=row[16],
        document_id=document_id,
        replay_of=row[0],
    )


def _must_differ(old: bytes, new: bytes) -> None:
    if not new:
        raise DocumentRejected(
            "An amendment needs new content, or edits of fields", code=REFUSED, hint="Hand in content or edits"
        )
    if old == new:
        raise DocumentRejected(
            "The amended version is the same as the original", code=REFUSED, hint="To send it as it is, requeue it"
        )


def _must_go_through(papers: Sequence[Paper]) -> None:
    findings: tuple[Finding, ...] = ()
    for paper in papers:
        if paper.state == "rejected":
            trouble = paper.trouble
            findings += paper.findings or (
                (Finding(trouble.code, trouble.detail or trouble.title, pointer=trouble.pointer),) if trouble else ()
            )
            if not findings:
                findings = (Finding(REFUSED, "it is refused"),)
    if findings:
        raise refused(findings)
