"""Run stored messages again: first say what it would do, then do it, once.

A replay runs under the release the message came under or under the active one. It links to what was there and never
edits it: a document that was applied stays as it is. The dry run goes through the same translate and decide as the real
one and shows the differences field by field and every effect, with those that exist already; it changes no row.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..governance.configuration import Configuration
from ..store import issues, messages, outbound, payloads
from ..store.engine import Connection, Row
from .batch import Batch, Ready, ready_of_row
from .edits import Difference, differences
from .ingest import AgainDocument, Stored
from .orchestrate import PlacedRequest, paper_of_row
from .papers import Paper
from .recovery import load_stored
from .render import Draft, SendMode, decode_numbers, finish, run_map
from .stages import Stages


class ReplayedDocument(msgspec.Struct, frozen=True):
    """What became, or would become, of one document."""

    message_id: str
    document_id: str
    type: str
    before: str
    after: str
    reason: str = ""
    differences: tuple[Difference, ...] = ()


class Effect(msgspec.Struct, frozen=True):
    """Something a partner would be told. `exists` says it was told before and will not be told again."""

    kind: str
    key: str
    connections: tuple[str, ...]
    exists: bool


class ReplayReport(msgspec.Struct, frozen=True):
    """The answer to a replay or its dry run."""

    dry_run: bool
    messages: int
    documents: tuple[ReplayedDocument, ...] = ()
    effects: tuple[Effect, ...] = ()
    duplicates: int = 0
    sends: tuple[str, ...] = ()

    @property
    def would_apply(self) -> int:
        """Return how many documents go through."""
        return sum(1 for document in self.documents if document.after == "applied")


class Selection(msgspec.Struct):
    """What a replay is about: stored messages limited to some documents, and dead letters."""

    stored: list[Stored]
    dead: list[Row]
    before: dict[str, Row]


def select(
    connection: Connection,
    tenant_id: str,
    *,
    message_ids: tuple[str, ...],
    issue_id: str,
    release_id: str,
    document_ids: tuple[str, ...] = (),
) -> Selection:
    """Return what is meant: single messages (inbound or outbound), single documents, or every open member of an issue.

    `release_id` is the release they run under; empty means the one each came under.
    """
    wanted: dict[str, dict[int, AgainDocument] | None] = {}
    dead: list[Row] = []
    before: dict[str, Row] = {}
    documents_wanted: list[str] = list(document_ids)
    outbound_ids: list[str] = []
    for kind, object_id in issues.members(connection, tenant_id, issue_id) if issue_id else ():
        if kind == "document":
            documents_wanted.append(object_id)
        elif kind == "message":
            wanted[object_id] = None
            # A second run that failed left documents: those still open are meant, not the whole message once more.
            rows = messages.documents_of(connection, tenant_id, object_id)
            documents_wanted += [row[0] for row in rows if row[8] in ("held", "parked", "rejected")]
        elif kind == "outbound":
            outbound_ids.append(object_id)
    for message_id in message_ids:
        # A replay is linked to the original, never to another replay.
        mine = messages.documents_of(connection, tenant_id, message_id)
        documents_wanted += [row[0] for row in mine if not row[17]]
        if messages.load_inbound(connection, tenant_id, message_id) is not None:
            wanted.setdefault(message_id, None)
        else:
            outbound_ids.append(message_id)
    documents = messages.load_documents(connection, tenant_id, documents_wanted)
    for message_id in {row[1] for row in documents}:
        wanted.setdefault(message_id, None)
    found = {one: messages.load_inbound(connection, tenant_id, one) for one in sorted(wanted)}
    for row in documents:
        before[row[0]] = row
        limited = wanted.get(row[1])
        if limited is None:
            limited = wanted[row[1]] = {}
        message = found[row[1]]
        limited[row[2]] = AgainDocument(row[0], row[8], whole=message is not None and message[3] == "failed")
    dead += outbound.load_many(connection, tenant_id, outbound_ids)
    rows = [row for row in found.values() if row is not None]
    again = {message_id: limited for message_id, limited in wanted.items() if limited}
    return Selection(load_stored(connection, rows, release_id=release_id, again=again), dead, before)


def preview(connection: Connection, stages: Stages, selection: Selection, now: datetime) -> ReplayReport:
    """Say what a replay would do; nothing is written."""
    papers, requests, duplicates = stages.preview(connection, selection.stored, now)
    documents = tuple(replayed(message, paper, selection.before) for message, paper in papers)
    return ReplayReport(
        dry_run=True,
        messages=len(selection.stored),
        documents=documents,
        effects=effects_of(connection, requests),
        duplicates=duplicates,
        sends=tuple(row[0] for row in selection.dead),
    )


def replayed(message: Stored, paper: Paper, before: dict[str, Row]) -> ReplayedDocument:
    known_id = paper.replay_of or paper.document_id
    row = before.get(known_id)
    old = paper_of_row(row) if row is not None else None
    return ReplayedDocument(
        message.message_id,
        known_id,
        paper.type,
        row[8] if row is not None else "",
        paper.state,
        paper.trouble.detail if paper.trouble else paper.awaits,
        differences(old.canonical if old else None, paper.canonical),
    )


def effects_of(connection: Connection, requests: list[PlacedRequest]) -> tuple[Effect, ...]:
    effects = []
    by_tenant: dict[str, list[str]] = {}
    for placed in requests:
        by_tenant.setdefault(placed.tenant_id, []).append(placed.request.key)
    known = {
        (tenant_id, key)
        for tenant_id, keys in by_tenant.items()
        for key, _ in outbound.known_requests(connection, tenant_id, keys)
    }
    for placed in requests:
        variables = {"site": placed.request.site, **placed.request.attributes}
        routes = placed.configuration.routes_for(placed.request.kind, variables)
        connections = tuple(route.connection for route in routes)
        effects.append(
            Effect(
                placed.request.kind, placed.request.key, connections, (placed.tenant_id, placed.request.key) in known
            )
        )
    return tuple(effects)


def requeue_dead(
    connection: Connection,
    tenant_id: str,
    rows: list[Row],
    configuration: Configuration,
    batch: Batch,
    mode_of: SendMode,
) -> list[Ready]:
    """Take dead letters up again under their old identity; those never rendered are rendered under the active release.

    A dead letter without content never left: its row is replaced by a rendered one under the same request key.
    """
    ready: list[Ready] = []
    sendable = [row for row in rows if row[9] == "dead" and row[15]]
    # One whose bytes are damaged stays dead, with its issue; it keeps nothing else from going out.
    contents, _ = payloads.load_sound(connection, tenant_id, [row[0] for row in sendable])
    sendable = [row for row in sendable if row[0] in contents]
    outbound.requeue(connection, [(tenant_id, row[0]) for row in sendable])
    outbound.hand_over(connection, [(tenant_id, row[0]) for row in sendable if mode_of(tenant_id, row[1], row[6])[2]])
    for row in sendable:
        one = ready_of_row(row, contents[row[0]])
        # What was given up without knowing whether it took effect is asked for first.
        one.state, one.due_at = "unknown" if row[26] == "unknown" else "pending", 0.0
        ready.append(one)
        batch.resolve(tenant_id, row[0], "sent again")
    drafts = [_draft(row, tenant_id, configuration) for row in rows if row[9] == "dead" and not row[15] and row[19]]
    for row in rows:
        if row[9] == "dead" and not row[15] and row[19]:
            connection.execute(
                "delete from outbound_messages where tenant_id = ? and message_id = ?", (tenant_id, row[0])
            )
            batch.resolve(tenant_id, row[0], "rendered again")
    for draft in drafts:
        run_map(draft)
    finish(batch, drafts, mode_of)
    return ready


def _draft(row: Row, tenant_id: str, configuration: Configuration) -> Draft:
    return Draft(
        tenant_id=tenant_id,
        spec=configuration.connections[row[1]],
        configuration=configuration,
        kind=row[3],
        object=row[4],
        request_key=row[7],
        subject=row[5],
        lane=row[6],
        map=row[20],
        document=decode_numbers(row[19]),
        event_id=row[22],
        inbound_message_id=row[23],
        traceparent=row[30],
        canonical=bytes(row[19]),
    )
