"""Take messages in: store the bytes and the receipt, and say what the sender is to be told.

Nothing here understands the content. A receipt key makes every message unique within its tenant and connection:
the given identity, else a field the connection names, else the digest. A second message under a key is recorded,
linked and answered as the first was; it never runs. The same key with other bytes is a contradiction, kept and
reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ..durable.identity import Ids, to_micros
from ..durable.lanes import connection_lane
from ..governance.pack import ConnectionSpec
from ..store import issues, messages, payloads
from ..store.engine import Connection
from ..store.messages import InboundRow

RECEIPT_KEY_LENGTH_MAX = 255
NAME_LENGTH_MAX = 255
# A document in one of these states has had no effect: another run may still give it one.
_STILL_OPEN = ("held", "rejected")


class InboundOffer(msgspec.Struct):
    """What a door or a connector hands in. Authenticity is proven already; nothing else is.

    `receipt_key` is the identity the transport itself gave, if any. `headers` are the few worth keeping, names in
    lower case. `of_batch` says that name and headers are those of several documents: they identify none of them.
    """

    tenant_id: str
    connection_id: str
    content: bytes
    content_type: str = ""
    name: str = ""
    headers: Mapping[str, str] = {}
    receipt_key: str = ""
    traceparent: str = ""
    of_batch: bool = False


class IngestAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the sender is told after the commit.

    `state` is received, duplicate (then `message_id` is the first one's) or conflict (same identity, other bytes).
    """

    message_id: str
    state: str = "received"
    receipt_key: str = ""


class AgainDocument(msgspec.Struct, frozen=True):
    """A document that is run a second time, and the state it was left in.

    `whole` says that it stands for a message nobody could read: what comes of the message now may be many documents.
    """

    document_id: str
    state: str
    whole: bool = False


class Stored(msgspec.Struct):
    """A message that is durable and waits to be translated, with its bytes still in memory.

    `runs` counts earlier runs. `again` limits a second run to some documents, by their position. `slot` is where it
    waits in the record; -1 when it does not: a second run is nobody's but the process's that holds it. `amends` names
    the message this is an amended version of: its envelope is not judged or acknowledged once more; `only` are the
    positions of the documents that were amended.
    """

    tenant_id: str
    message_id: str
    connection_id: str
    partner: str
    content: bytes
    content_type: str
    name: str
    headers: Mapping[str, str]
    received_at: datetime
    release_id: str
    traceparent: str
    runs: int = 0
    again: dict[int, AgainDocument] | None = None
    slot: int = -1
    amends: str = ""
    only: frozenset[int] | None = None


def still_to_run(connection: Connection, stored: list[Stored]) -> list[Stored]:
    """Leave out of second runs what another run has settled since they were selected; ask in the same transaction.

    Two releases, or two clicks on replay, may select the same held document: it is applied once, by the later of the
    two. What was applied when it was selected is meant to run again, as a document of its own.
    """
    second = [message for message in stored if message.runs]
    if not second:
        return stored
    states, apart = _present_states(connection, second)
    seen: set[str] = set()
    kept: list[Stored] = []
    for message in reversed(stored):
        if not message.runs:
            kept.append(message)
        elif message.again is None:
            if message.message_id not in apart and message.message_id not in seen:
                kept.append(message)
            seen.add(message.message_id)
        else:
            left = _left_of(message.again, states, seen)
            seen.update(one.document_id for one in left.values())
            if left:
                kept.append(msgspec.structs.replace(message, again=left))
    return kept[::-1]


def _present_states(connection: Connection, second: list[Stored]) -> tuple[dict[str, str], set[str]]:
    """Return the states of the documents that are to run again, and which whole messages have documents now."""
    states: dict[str, str] = {}
    apart: set[str] = set()
    for tenant_id in {message.tenant_id for message in second}:
        mine = [message for message in second if message.tenant_id == tenant_id]
        documents = [one.document_id for message in mine for one in (message.again or {}).values()]
        whole = [message.message_id for message in mine if message.again is None]
        if documents:
            states |= messages.document_states(connection, tenant_id, documents)
        if whole:
            apart |= messages.taken_apart(connection, tenant_id, whole)
    return states, apart


def _left_of(again: dict[int, AgainDocument], states: dict[str, str], seen: set[str]) -> dict[int, AgainDocument]:
    left = {}
    for position, one in again.items():
        state = states.get(one.document_id, one.state)
        meant = state == one.state and state != "superseded"
        if state == "applied" and meant:
            left[position] = one
        elif (meant or state in _STILL_OPEN) and one.document_id not in seen:
            left[position] = AgainDocument(one.document_id, state, one.whole)
    return left


Place = Callable[[str, str], tuple[int, int]]


def store_offers(
    connection: Connection,
    offers: list[InboundOffer],
    *,
    specs: Callable[[str, str], tuple[ConnectionSpec, str]],
    ids: Ids,
    now: datetime,
    place: Place | None = None,
    unwritten: dict[str, InboundRow] | None = None,
) -> tuple[list[IngestAnswer], list[Stored]]:
    """Write a batch of offers; return the answers in the same order, and what is new.

    `specs` gives the connection and active release of (tenant, connection); `place` gives the slot of (tenant, lane)
    and whether another process works it. Without it this process works everything. Into `unwritten` go the rows of
    what is new, by message id, instead of into the record: whoever runs them at once writes them as they end.
    """
    now_micros = to_micros(now)
    keyed = _keyed(offers, specs)
    known = _known_receipts(connection, offers, keyed)
    answers: list[IngestAnswer] = []
    fresh: list[Stored] = []
    inbound: list[InboundRow] = []
    receipts: list[tuple[str, str, str, str, bytes, int]] = []
    contents: list[tuple[str, str, bytes, bytes]] = []
    conflicts: list[issues.Fault] = []
    for offer, (key, digest, spec, release_id) in zip(offers, keyed, strict=True):
        message_id = ids.new("msg", now)
        receipt = (offer.tenant_id, offer.connection_id, key)
        first = known.get(receipt)
        slot, handed = (0, 0) if place is None else place(offer.tenant_id, lane_of(offer, spec))
        if first is None:
            known[receipt] = (message_id, digest)
            receipts.append((*receipt, message_id, digest, now_micros))
            contents.append((offer.tenant_id, message_id, digest, offer.content))
            answer = IngestAnswer(message_id, "received", key)
            fresh.append(_stored(offer, message_id, spec, release_id, now, slot))
        elif first[1] == digest:
            answer = IngestAnswer(first[0], "duplicate", key)
        else:
            contents.append((offer.tenant_id, message_id, digest, offer.content))
            answer = IngestAnswer(message_id, "conflict", key)
            conflicts.append(_conflict(offer, message_id, first[0], key, spec))
        answers.append(answer)
        row = _row(offer, message_id, answer, key, digest, spec, release_id, now_micros, first)
        row.slot, row.handed = slot, handed
        if first is None and unwritten is not None:
            unwritten[message_id] = row
        else:
            inbound.append(row)
    messages.insert_receipts(connection, receipts)
    payloads.save(connection, contents)
    if inbound:
        messages.insert_inbound(connection, inbound)
    if conflicts:
        issues.raise_faults(connection, conflicts, ids=ids, now_micros=now_micros)
    return answers, fresh


_Keyed = tuple[str, bytes, ConnectionSpec, str]


def _keyed(offers: list[InboundOffer], specs: Callable[[str, str], tuple[ConnectionSpec, str]]) -> list[_Keyed]:
    keyed = []
    for offer in offers:
        spec, release_id = specs(offer.tenant_id, offer.connection_id)
        digest = payloads.digest_of(offer.content)
        keyed.append((receipt_key_of(offer, spec, digest), digest, spec, release_id))
    return keyed


def _known_receipts(
    connection: Connection, offers: list[InboundOffer], keyed: list[_Keyed]
) -> dict[tuple[str, str, str], tuple[str, bytes]]:
    doors: dict[tuple[str, str], list[str]] = {}
    for offer, (key, *_) in zip(offers, keyed, strict=True):
        doors.setdefault((offer.tenant_id, offer.connection_id), []).append(key)
    known: dict[tuple[str, str, str], tuple[str, bytes]] = {}
    for (tenant_id, connection_id), keys in doors.items():
        for key, receipt in messages.receipts_of(connection, tenant_id, connection_id, keys).items():
            known[(tenant_id, connection_id, key)] = receipt
    return known


def _stored(
    offer: InboundOffer, message_id: str, spec: ConnectionSpec, release_id: str, now: datetime, slot: int
) -> Stored:
    return Stored(
        offer.tenant_id,
        message_id,
        offer.connection_id,
        spec.partner,
        offer.content,
        clean(offer.content_type),
        clean(offer.name),
        offer.headers,
        now,
        release_id,
        clean(offer.traceparent),
        slot=slot,
    )


def _row(
    offer: InboundOffer,
    message_id: str,
    answer: IngestAnswer,
    key: str,
    digest: bytes,
    spec: ConnectionSpec,
    release_id: str,
    now_micros: int,
    first: tuple[str, bytes] | None,
) -> InboundRow:
    clash = answer.state == "conflict" and first is not None
    state = "failed" if clash else answer.state
    return InboundRow(
        offer.tenant_id,
        message_id,
        offer.connection_id,
        spec.partner,
        state,
        key,
        digest,
        len(offer.content),
        clean(offer.content_type),
        clean(offer.name),
        msgspec.json.encode(offer.headers) if offer.headers else None,
        now_micros,
        release_id,
        first[0] if first else "",
        clean(offer.traceparent),
        "XD-ING-005" if clash else "",
        _clash_words(key, first[0]) if clash and first else "",
    )


def _clash_words(key: str, first_id: str) -> str:
    return f"{key} was {first_id} before, with other bytes; neither overwrote the other"


def _conflict(offer: InboundOffer, message_id: str, first_id: str, key: str, spec: ConnectionSpec) -> issues.Fault:
    return issues.Fault(
        tenant_id=offer.tenant_id,
        code="XD-ING-005",
        cause=f"XD-ING-005|{offer.connection_id}",
        title=f"{spec.partner} used one identity for two different contents",
        object_kind="message",
        object_id=message_id,
        detail=_clash_words(key, first_id),
        error_class="partner",
        partner=spec.partner,
        connection_id=offer.connection_id,
    )


def receipt_key_of(offer: InboundOffer, spec: ConnectionSpec, digest: bytes) -> str:
    """Return the receipt key of an offer: the first source of the connection that gives one, at last the digest."""
    if offer.receipt_key:
        return _short("id:" + offer.receipt_key)
    for source in spec.receipt_key:
        kind, _, argument = source.partition(":")
        value = ""
        if offer.of_batch and kind in ("header", "name"):
            continue
        if kind == "header":
            value = offer.headers.get(argument.lower(), "")
        elif kind == "field":
            value = field_of(offer.content, argument)
        elif kind == "name":
            value = offer.name
        elif kind == "name+digest" and offer.name:
            value = f"{offer.name}:{digest.hex()}"
        if value:
            return _short(f"{kind}:{value}")
    return "digest:" + digest.hex()


def lane_of(offer: InboundOffer, spec: ConnectionSpec) -> str:
    """Return the lane of an offer: what the connection says names it (best the order's number), else the connection."""
    kind, _, argument = spec.lane.partition(":")
    value = ""
    if kind == "field":
        value = field_of(offer.content, argument)
    elif kind == "header" and not offer.of_batch:
        value = offer.headers.get(argument.lower(), "")
    return value or connection_lane(offer.connection_id)


def _short(key: str) -> str:
    """Return the key as it is stored.

    One that is too long or not printable is kept as its hash: two keys never become one.
    """
    if key.isprintable() and len(key) <= RECEIPT_KEY_LENGTH_MAX:
        return key
    return "hash:" + payloads.digest_of(key.encode("utf-8", "surrogatepass")).hex()


def clean(text: str) -> str:
    """Return a name without control characters (PostgreSQL refuses NUL, logs refuse line breaks), cut to a sane
    length.
    """
    if text.isprintable() and len(text) <= NAME_LENGTH_MAX:
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:NAME_LENGTH_MAX]


@lru_cache(maxsize=256)
def _field_decoder(path: str) -> msgspec.json.Decoder[Any]:
    """Return a decoder that reads one field and skips everything else (about a microsecond per KB)."""
    shape: Any = str | int | float | None
    for number, part in enumerate(reversed(path.split("."))):
        shape = msgspec.defstruct(f"Field{number}", [("value", shape, None)], rename={"value": part})
    return msgspec.json.Decoder(shape)


def field_of(content: bytes, path: str) -> str:
    """Return a field of a JSON document as text; an unreadable document or an absent field gives an empty text.

    >>> field_of(b'{"event": {"id": 7}}', "event.id")
    '7'
    """
    try:
        value = _field_decoder(path).decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for _ in path.split("."):
        value = getattr(value, "value", None)
    return "" if value is None else str(value)
