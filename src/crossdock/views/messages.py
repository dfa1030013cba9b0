"""The message inspector: the bytes of one message, what was made of them, what went out, and who answered what.

Bytes are shown only after their digest was checked: a changed byte is reported as damage, never shown as good.
`linked` explains every target field of a document by the map that made it, with the place in the bytes it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from .. import edi, formats
from ..durable.identity import from_micros
from ..error_codes import lookup
from ..errors import CrossdockError, Finding, NotFound
from ..governance.configuration import Configuration
from ..mapping import CompiledMap, MapContext
from ..store import payloads
from ..store.engine import Connection, Row

DAMAGED = payloads.PayloadDamaged.code
ROWS_MAX = 500
ANSWERS_LOOKED_AT_MAX = 200


class Raw(msgspec.Struct, frozen=True):
    """The bytes of a message. With `damage` (a finding) there are none: what is stored is not what came or went."""

    size_bytes: int
    digest: str
    content_type: str
    content: bytes = b""
    damage: Finding | None = None


class DocumentView(msgspec.Struct, frozen=True):
    """One document of an inbound message, with its canonical form and findings."""

    document_id: str
    position: int
    pointer: str
    type: str
    map: str
    object: str
    event_type: str
    state: str
    awaits: str
    subject: str
    business_key: str
    canonical: Any
    findings: tuple[Mapping[str, Any], ...]
    release_id: str
    byte_offset: int
    byte_length: int
    replay_of: str
    updated_at: datetime


class AttemptView(msgspec.Struct, frozen=True):
    """One try to send. `response` is the partner's answer, at most 8 KB, as text for people."""

    number: int
    outcome: str
    started_at: datetime
    duration_ms: float
    http_status: int | None
    code: str
    detail: str
    response: str


class Related(msgspec.Struct, frozen=True):
    """A message before or after this one, and what it is to this one (`acknowledgment`: it answers this one)."""

    relation: Literal["caused", "caused_by", "duplicate_of", "acknowledgment", "acknowledges"]
    direction: Literal["in", "out"]
    message_id: str
    partner: str
    what: str
    state: str
    at: datetime


class IssueLink(msgspec.Struct, frozen=True):
    """An open or settled issue that a message or one of its documents belongs to."""

    issue_id: str
    code: str
    title: str
    state: str
    object_id: str


class InboundView(msgspec.Struct, frozen=True):
    """Everything about one inbound message. Without `fix` (steps in words) nothing has to be done."""

    message_id: str
    connection_id: str
    partner: str
    state: str
    name: str
    headers: Mapping[str, str]
    receipt_key: str
    received_at: datetime
    processed_at: datetime | None
    release_id: str
    error_code: str
    error: str
    traceparent: str
    raw: Raw
    documents: tuple[DocumentView, ...]
    related: tuple[Related, ...]
    documents_rejected: int = 0
    documents_held: int = 0
    issues: tuple[IssueLink, ...] = ()
    fix: tuple[str, ...] = ()


class OutboundView(msgspec.Struct, frozen=True):
    """Everything about one outbound message. `identity` is what the partner knows the effect by."""

    message_id: str
    connection_id: str
    partner: str
    document_type: str
    object: str
    subject: str
    state: str
    identity: str
    name: str
    headers: Mapping[str, str]
    map: str
    release_id: str
    canonical: Any
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None
    ack_state: str
    ack_due_at: datetime | None
    error_class: str
    error_code: str
    error: str
    reference: str
    traceparent: str
    raw: Raw
    attempts: tuple[AttemptView, ...]
    related: tuple[Related, ...]
    issues: tuple[IssueLink, ...] = ()
    fix: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value in three panes. `target` and `sources` are JSON pointers, `offsets` places in the bytes.

    `lookups` are (table, key, value); `line` is the line of the map that made the value.
    """

    target: str
    value: Any
    expression: str
    line: int
    sources: tuple[str, ...]
    offsets: tuple[int, ...] = ()
    lookups: tuple[tuple[str, str, str | None], ...] = ()


class LinkedPanes(msgspec.Struct, frozen=True):
    """The decoded source of a document, what the map makes of it and the link of every field; `error` says why not."""

    source: Any
    links: tuple[Link, ...]
    release_id: str
    map: str
    error: str = ""


_INBOUND = (
    "message_id, connection_id, partner, state, name, headers, receipt_key, received_at, processed_at, release_id,"
    " error_code, error, traceparent, digest, size_bytes, content_type, duplicate_of"
)
_OUTBOUND = (
    "message_id, connection_id, partner, document_type, object, subject, state, identity, name,"
    " headers, map, release_id,"
    " canonical, created_at, sent_at, next_attempt_at, ack_state, ack_due_at, error_class,"
    " error_code, error, reference,"
    " traceparent, digest, size_bytes, content_type, inbound_message_id"
)
_DOCUMENT = (
    "document_id, position, pointer, type, map, object, event_type, state, awaits, subject,"
    " business_key, canonical, findings,"
    " release_id, byte_offset, byte_length, replay_of, updated_at"
)


def load_inbound(connection: Connection, tenant_id: str, message_id: str) -> InboundView:
    """Return one inbound message of this tenant, or raise `NotFound`."""
    row = connection.one(
        f"select {_INBOUND} from inbound_messages where tenant_id = ? and message_id = ?",  # noqa: S608
        (tenant_id, message_id),
    )
    if row is None:
        raise NotFound(f"There is no message {message_id}")
    documents = tuple(
        _document(found)
        for found in connection.query(
            f"select {_DOCUMENT} from documents where tenant_id = ? and message_id = ? order by position limit ?",  # noqa: S608
            (tenant_id, message_id, ROWS_MAX),
        )
    )
    related = [*_duplicate(connection, tenant_id, row[16]), *_caused(connection, tenant_id, message_id, documents)]
    related += [*_answers(connection, tenant_id, message_id), *_acknowledges(connection, tenant_id, documents)]
    return InboundView(
        message_id=row[0],
        connection_id=row[1],
        partner=row[2],
        state=row[3],
        name=row[4],
        headers=_json(row[5]) or {},
        receipt_key=row[6],
        received_at=from_micros(row[7]),
        processed_at=_instant(row[8]),
        release_id=row[9],
        error_code=row[10],
        error=row[11],
        traceparent=row[12],
        # A duplicate's bytes are the first one's: they are kept once.
        raw=load_raw(
            connection, tenant_id, row[16] if row[3] == "duplicate" else row[0], bytes(row[13]), row[14], row[15]
        ),
        documents=documents,
        related=tuple(_unique(related)),
        documents_rejected=sum(1 for document in documents if document.state == "rejected"),
        documents_held=sum(1 for document in documents if document.state == "held"),
        issues=_issues(connection, tenant_id, [message_id, *(document.document_id for document in documents)]),
        fix=_fix(row[10]),
    )


def load_outbound(connection: Connection, tenant_id: str, message_id: str) -> OutboundView:
    """Return one outbound message of this tenant, or raise `NotFound`."""
    row = connection.one(
        f"select {_OUTBOUND} from outbound_messages where tenant_id = ? and message_id = ?",  # noqa: S608
        (tenant_id, message_id),
    )
    if row is None:
        raise NotFound(f"There is no message {message_id}")
    attempts = connection.query(
        "select number, outcome, started_at, duration_ms, http_status, code, detail, response from attempts"
        " where tenant_id = ? and message_id = ? order by number limit ?",
        (tenant_id, message_id, ROWS_MAX),
    )
    return OutboundView(
        message_id=row[0],
        connection_id=row[1],
        partner=row[2],
        document_type=row[3],
        object=row[4],
        subject=row[5],
        state=row[6],
        identity=row[7],
        name=row[8],
        headers=_json(row[9]) or {},
        map=row[10],
        release_id=row[11],
        canonical=_json(row[12]),
        created_at=from_micros(row[13]),
        sent_at=_instant(row[14]),
        next_attempt_at=_instant(row[15]),
        ack_state=row[16],
        ack_due_at=_instant(row[17]),
        error_class=row[18],
        error_code=row[19],
        error=row[20],
        reference=row[21],
        traceparent=row[22],
        raw=load_raw(connection, tenant_id, row[0], bytes(row[23]), row[24], row[25]),
        attempts=tuple(_attempt(attempt) for attempt in attempts),
        related=tuple(
            _unique([*_causes(connection, tenant_id, row[26]), *_acknowledged_by(connection, tenant_id, row)])
        ),
        issues=_issues(connection, tenant_id, [message_id]),
        fix=_fix(row[19]),
    )


def _issues(connection: Connection, tenant_id: str, object_ids: list[str]) -> tuple[IssueLink, ...]:
    """Return the issues these objects are open members of, each once."""
    rows = connection.many(
        "select i.issue_id, i.code, i.title, i.state, e.object_id from exceptions e join issues i"
        " on i.tenant_id = e.tenant_id and i.issue_id = e.issue_id"
        " where e.tenant_id = ? and e.state = 'open' and e.object_id in ({})",
        [tenant_id],
        object_ids,
    )
    return tuple({row[0]: IssueLink(*row) for row in sorted(rows)}.values())


def _fix(code: str) -> tuple[str, ...]:
    """Return the steps of an error code, the first one to try first."""
    entry = lookup(code) if code else None
    return entry.fix if entry is not None else ()


def load_raw(
    connection: Connection, tenant_id: str, message_id: str, digest: bytes, size_bytes: int, content_type: str
) -> Raw:
    """Return a message's bytes, unpacked and checked against their digest; damage is a finding, without bytes."""
    address = digest.hex()
    try:
        content = payloads.load(connection, tenant_id, [message_id]).get(message_id)
    except payloads.PayloadDamaged as error:
        return Raw(size_bytes, address, content_type, b"", _damage(error.code, str(error)))
    if content is None:
        why = payloads.absence(connection, tenant_id, message_id)
        return Raw(size_bytes, address, content_type, b"", _damage(why.code, str(why)))
    if payloads.digest_of(content) != digest:
        return Raw(size_bytes, address, content_type, b"", _damage(DAMAGED, "these are not the bytes of this message"))
    return Raw(size_bytes, address, content_type, content)


def _damage(code: str, message: str) -> Finding:
    steps = _fix(code) if code == payloads.PayloadReclaimed.code else ()
    return Finding(
        code, message, hint=steps[0] if steps else "Restore it from a backup, or ask the partner to send it again"
    )


def linked(view: InboundView, document: DocumentView, configuration: Configuration) -> LinkedPanes:
    """Explain one document of an inbound message by its map under a configuration. Pure; runs nothing for real."""
    compiled = configuration.maps.get(document.map)
    if compiled is None or view.raw.damage is not None:
        why = (
            view.raw.damage.message
            if view.raw.damage
            else f"release {configuration.release_id} has no map {document.map!r}"
        )
        return LinkedPanes(None, (), configuration.release_id, document.map, why)
    try:
        source, offsets, envelope, root = _decoded(view, document, compiled)
        spec = configuration.connections.get(view.connection_id)
        partner = configuration.partners.get(spec.partner) if spec else None
        context = MapContext(
            lookups=configuration.lookups,
            message={"name": view.name, "headers": dict(view.headers), "received_at": view.received_at.isoformat()},
            partner={"code": partner.partner, "name": partner.name, "timezone": partner.timezone, **partner.identifiers}
            if partner
            else {},
            tenant={"id": configuration.tenant_id, "name": configuration.head.name},
            envelope=envelope,
            root=root,
        )
        traces = compiled.explain(source, context)
    except CrossdockError as error:
        return LinkedPanes(None, (), configuration.release_id, document.map, f"{error.code}: {error}")
    links = tuple(
        Link(
            trace.target_pointer,
            trace.value,
            trace.expression,
            trace.line,
            tuple(trace.sources),
            tuple(offsets[pointer] for pointer in trace.sources if pointer in offsets),
            tuple(trace.lookups),
        )
        for trace in traces
    )
    return LinkedPanes(source, links, configuration.release_id, document.map)


def _decoded(
    view: InboundView, document: DocumentView, compiled: CompiledMap
) -> tuple[dict[str, Any], dict[str, int], dict[str, Any], dict[str, Any] | None]:
    """Decode what a document came from: the source, the byte of each of its values where known, envelope and root."""
    if compiled.source.format == "x12":
        for interchange in edi.read_all(view.raw.content).interchanges:
            for one in interchange.sets:
                if one.offset == document.byte_offset:
                    read = edi.set_with_positions(one)
                    envelope = {
                        "sender": interchange.sender.strip(),
                        "receiver": interchange.receiver.strip(),
                        "control_number": interchange.control_number,
                        "set_control_number": one.control_number,
                        "usage": interchange.usage,
                        "date": interchange.date,
                    }
                    places = {pointer: place.offset for pointer, place in read.positions.items()}
                    return read.document, places, envelope, None
        raise NotFound("the set is not at its place in the bytes any more")
    decoded = formats.decode(view.raw.content, compiled.source)
    pieces = [(piece, one) for one in decoded.documents for piece in compiled.split(one)]
    if not pieces:
        raise NotFound("the bytes hold no document that can be read")
    piece, root = pieces[min(document.position, len(pieces) - 1)]
    return piece, {}, {}, root if compiled.definition.select is not None else None


def _document(row: Row) -> DocumentView:
    values = [*row[:11], _json(row[11]), tuple(_json(row[12]) or ()), *row[13:17], from_micros(row[17])]
    return DocumentView(**dict(zip(DocumentView.__struct_fields__, values, strict=True)))


def _attempt(row: Row) -> AttemptView:
    response = bytes(row[7]).decode("utf-8", "replace") if row[7] else ""
    return AttemptView(row[0], row[1], from_micros(row[2]), row[3], row[4], row[5], row[6], response)


def _duplicate(connection: Connection, tenant_id: str, duplicate_of: str) -> list[Related]:
    return _inbound(connection, tenant_id, duplicate_of, "duplicate_of") if duplicate_of else []


def _causes(connection: Connection, tenant_id: str, message_id: str) -> list[Related]:
    return _inbound(connection, tenant_id, message_id, "caused_by") if message_id else []


def _inbound(
    connection: Connection, tenant_id: str, message_id: str, relation: Literal["caused_by", "duplicate_of"]
) -> list[Related]:
    row = connection.one(
        "select partner, name, state, received_at from inbound_messages where tenant_id = ? and message_id = ?",
        (tenant_id, message_id),
    )
    return [Related(relation, "in", message_id, row[0], row[1], row[2], from_micros(row[3]))] if row else []


def _caused(
    connection: Connection, tenant_id: str, message_id: str, documents: tuple[DocumentView, ...]
) -> list[Related]:
    """What went out because of a message: found through the subjects of its documents."""
    subjects = sorted({document.subject for document in documents if document.subject})
    if not subjects:
        return []
    rows = connection.many(
        "select message_id, partner, document_type, state, created_at, inbound_message_id from outbound_messages"
        " where tenant_id = ? and subject <> '' and subject in ({})",
        [tenant_id],
        subjects,
    )
    return [
        Related("caused", "out", row[0], row[1], row[2], row[3], from_micros(row[4]))
        for row in sorted(rows)
        if row[5] == message_id
    ]


def _answers(connection: Connection, tenant_id: str, message_id: str) -> list[Related]:
    """The acknowledgments we sent for the interchanges of a message."""
    rows = connection.query(
        "select message_id, partner, document_type, state, created_at from outbound_messages"
        " where tenant_id = ? and inbound_message_id = ? and document_type = 'acknowledgment' limit ?",
        (tenant_id, message_id, ROWS_MAX),
    )
    return [Related("acknowledgment", "out", row[0], row[1], row[2], row[3], from_micros(row[4])) for row in rows]


def _acknowledges(connection: Connection, tenant_id: str, documents: tuple[DocumentView, ...]) -> list[Related]:
    """The messages of ours that the acknowledgments in a message are about."""
    named = [
        one.canonical.get("of", ()) for one in documents if one.object == "ack" and isinstance(one.canonical, dict)
    ]
    ids = [str(message_id) for found in named for message_id in found][:ROWS_MAX]
    if not ids:
        return []
    rows = connection.many(
        "select message_id, partner, document_type, ack_state, created_at from outbound_messages"
        " where tenant_id = ? and message_id in ({})",
        [tenant_id],
        ids,
    )
    return [
        Related("acknowledges", "out", row[0], row[1], row[2], row[3], from_micros(row[4])) for row in sorted(set(rows))
    ]


def _acknowledged_by(connection: Connection, tenant_id: str, row: Row) -> list[Related]:
    """The message that acknowledged one of ours: among the next of the same connection."""
    if row[16] not in ("accepted", "accepted_with_errors", "rejected"):
        return []
    later = connection.query(
        "select message_id, partner, name, state, received_at from inbound_messages"
        " where tenant_id = ? and connection_id = ? and message_id > ? order by message_id limit ?",
        (tenant_id, row[1], row[0], ANSWERS_LOOKED_AT_MAX),
    )
    if not later:
        return []
    acknowledgments = connection.many(
        "select message_id, canonical from documents where tenant_id = ? and object = 'ack' and message_id in ({})",
        [tenant_id],
        [found[0] for found in later],
    )
    naming = {found[0] for found in acknowledgments if row[0] in (_json(found[1]) or {}).get("of", ())}
    return [
        Related("acknowledgment", "in", found[0], found[1], found[2], found[3], from_micros(found[4]))
        for found in later
        if found[0] in naming
    ]


def _unique(related: list[Related]) -> list[Related]:
    return list({one.message_id: one for one in related}.values())


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _json(content: bytes | None) -> Any:
    return msgspec.json.decode(content) if content else None
