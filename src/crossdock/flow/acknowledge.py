"""Acknowledgments of interchanges, both ways: the 997 we owe, and what a partner's 997 says of ours.

A duplicate interchange (same key, same bytes) is answered with the acknowledgment of the first, and never run again.
The same key with other bytes is kept aside and reported. Matching is by exact keys: sender, receiver, functional
group, control numbers; a rejection is never taken for a receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from .. import edi
from ..durable.identity import Ids, to_micros
from ..governance.configuration import Configuration
from ..store import issues, outbound, payloads
from ..store.engine import Connection, Row
from .batch import Batch, Ready, ready_of_row
from .papers import InterchangeNote, Paper, Translation, Trouble
from .render import Draft, delimiters_of, interchange_bytes, local_time

# Everything else is a rejection: a group that is accepted in part (P) without saying which sets is one as well.
_STATES = {"A": "accepted", "E": "accepted_with_errors"}
_GROUP_REFUSED = frozenset("RMWX")


def judge_interchanges(batch: Batch, translation: Translation) -> set[int]:
    """Return the positions of papers that must not run: their interchange came before.

    Enters new interchanges in the ledger. One whose envelope does not fit its connection is never entered: whoever sent
    it would use up a control number of the partner it names.
    """
    barred: set[int] = set()
    message = translation.message
    entered: set[tuple[str, ...]] = set()
    for note in translation.interchanges:
        if note.foreign or note.last_position < note.first_position:
            continue
        digest = payloads.digest_of(note.interchange.raw)
        key = (message.tenant_id, note.sender, note.receiver, note.control_number, note.usage)
        row = batch.connection.one(
            "select digest, message_id from interchanges where tenant_id = ? and sender = ? and receiver = ?"
            " and control_number = ? and usage = ?",
            key,
        )
        if row is None:
            if not any(known[:5] == key for known in batch.interchange_rows):
                batch.interchange_rows.append((*key, digest, message.message_id, "", to_micros(message.received_at)))
                entered.add(key)
                continue
            row = next((known[5], known[6]) for known in batch.interchange_rows if known[:5] == key)
        if row[1] == message.message_id and key not in entered:
            continue
        positions = range(note.first_position, note.last_position + 1)
        barred.update(positions)
        same = bytes(row[0]) == digest
        for position in positions:
            paper = translation.papers[position]
            paper.state = "superseded" if same else "rejected"
            paper.trouble = None if same else _reused(note, message.connection_id, str(row[1]))
    return barred


def _reused(note: InterchangeNote, connection_id: str, first_id: str) -> Trouble:
    return Trouble(
        code="XD-ING-011",
        cause=f"XD-ING-011|{connection_id}",
        title=f"{note.sender} used interchange control number {note.control_number} again",
        detail=f"{first_id} came under the same number with other bytes; this one was not applied",
        pointer="ISA13",
        error_class="partner",
    )


def owed(batch: Batch, translation: Translation, configuration: Configuration, barred: set[int]) -> list[Draft]:
    """Return the 997s that the interchanges of a message call for; a duplicate gets the stored one sent again."""
    message = translation.message
    spec = configuration.connections[message.connection_id]
    if spec.x12 is None:
        return []
    drafts = []
    for note in translation.interchanges:
        if not note.acknowledge:
            continue
        request_key = f"997:{note.sender}:{note.receiver}:{note.control_number}:{note.usage}"
        if note.first_position in barred:
            if translation.papers[note.first_position].state == "superseded":
                _answer_again(batch, message.tenant_id, request_key, spec.connection)
            continue
        sets = edi.acknowledgment_sets(note.interchange, delimiters=delimiters_of(spec.x12))
        if not sets and not edi.wants_technical_acknowledgment(note.interchange):
            continue
        drafts.append(
            Draft(
                tenant_id=message.tenant_id,
                spec=spec,
                configuration=configuration,
                kind="acknowledgment",
                object="ack",
                request_key=request_key,
                subject="",
                lane="acknowledgments/" + spec.connection,
                map="",
                document=None,
                event_id="",
                inbound_message_id=message.message_id,
                traceparent=message.traceparent,
                format="x12",
                set_code="997",
                segments=sets,
                services=_services(note),
            )
        )
    return drafts


def _services(note: InterchangeNote) -> tuple[Any, ...]:
    """Return the TA1 of an interchange that asks for one, or whose envelope is damaged."""
    wanted = edi.wants_technical_acknowledgment(note.interchange)
    return (edi.technical_acknowledgment(note.interchange),) if wanted else ()


def answer_duplicates(
    connection: Connection, repeated: Sequence[tuple[str, str]], *, ids: Ids, now: datetime
) -> list[Ready]:
    """Return the stored acknowledgments of messages that came once more: (tenant_id, message_id of the first).

    Whoever repeats an interchange byte for byte has not seen our answer; it goes out again as it was. One whose bytes
    are damaged is an issue and does not go out; what else came in with it is not concerned.
    """
    ready: list[Ready] = []
    faults: list[issues.Fault] = []
    for tenant_id, message_id in dict.fromkeys(repeated):
        for row in outbound.sent_acknowledgments(connection, tenant_id, message_id):
            _send_again(connection, tenant_id, row, ready, faults)
    if faults:
        issues.raise_faults(connection, faults, ids=ids, now_micros=to_micros(now))
    return ready


def _send_again(
    connection: Connection, tenant_id: str, row: Row, ready: list[Ready], faults: list[issues.Fault]
) -> None:
    sound, damaged = payloads.load_sound(connection, tenant_id, [row[0]])
    ready += [ready_of_row(row, content) for content in sound.values()]
    for error in damaged.values():
        faults.append(
            issues.Fault(
                tenant_id=tenant_id,
                code=error.code,
                cause=f"{error.code}|{row[1]}|out",
                title="The stored bytes of an acknowledgment are damaged; it was not sent again",
                object_kind="outbound",
                object_id=row[0],
                detail=str(error),
                error_class="system",
                partner=row[2],
                connection_id=row[1],
            )
        )


def _answer_again(batch: Batch, tenant_id: str, request_key: str, connection_id: str) -> None:
    """Send the stored acknowledgment once more: identical bytes, identical control numbers."""
    row = outbound.find_request(batch.connection, tenant_id, request_key, connection_id)
    if row is not None and row[9] == "sent":
        _send_again(batch.connection, tenant_id, row, batch.ready, batch.faults)


def envelope_acknowledgments(batch: Batch, drafts: list[Draft]) -> None:
    """Wrap the 997s; all sets of one interchange's answer go into one group."""
    for draft in drafts:
        spec = draft.spec.x12
        assert spec is not None
        number = outbound.next_control_numbers(batch.connection, draft.tenant_id, spec.us, spec.them, "interchange", 1)
        at = local_time(batch.now, draft.configuration)
        draft.content = interchange_bytes(spec, "997", draft.segments, number, at, services=draft.services)
        draft.identity = f"{number:09d}"


def match(batch: Batch, tenant_id: str, paper: Paper, connection_id: str, partner: str) -> None:
    """Book what a partner's 997 says on the outbound messages it names; a rejection opens an issue."""
    interchange, acknowledgment = paper.value
    sender = f"{interchange.receiver_qualifier.strip()}:{interchange.receiver.strip()}"
    receiver = f"{interchange.sender_qualifier.strip()}:{interchange.sender.strip()}"
    group = acknowledgment.group_control_number.lstrip("0") or "0"
    results = _results(acknowledgment)
    matched: dict[str, tuple[str, Any]] = {}
    for set_control_number, code, segments in results:
        number = set_control_number.lstrip("0")
        state = _STATES.get(code, "rejected")
        for message_id in outbound.find_set(
            batch.connection, tenant_id, sender, receiver, acknowledgment.functional_id, group, number
        ):
            # One set that is named twice, or named and refused with its group: the rejection counts.
            if matched.get(message_id, ("", None))[0] != "rejected":
                matched[message_id] = (state, segments)
    for message_id, (state, segments) in matched.items():
        batch.acknowledged.append((tenant_id, message_id, state))
        if state == "rejected":
            batch.faults.append(_refused(tenant_id, message_id, connection_id, partner, segments))
    paper.value = None
    paper.canonical = msgspec.json.encode(
        {
            "of": list(matched),
            "group": group,
            "functional_id": acknowledgment.functional_id,
            "sets": [(n, c) for n, c, _ in results],
        }
    )
    paper.business_key = group
    if not matched:
        paper.trouble = Trouble(
            code="XD-EDI-090",
            cause=f"XD-EDI-090|{connection_id}",
            title=f"{partner} acknowledged something we never sent",
            detail=f"997 for group {acknowledgment.functional_id} {group} matches no outbound message",
            pointer=paper.pointer,
            error_class="partner",
        )
        paper.state = "rejected"


def _results(acknowledgment: Any) -> list[tuple[str, str, Any]]:
    """Return (set control number, code, segment errors) of what a 997 says; an empty number means the whole group.

    A set without a verdict of its own has that of its group, and a group that is refused takes all its sets with it.
    """
    group_code = acknowledgment.code
    results = [(one.control_number, one.code or group_code, one.segments) for one in acknowledgment.sets]
    if not results or group_code in _GROUP_REFUSED:
        results.append(("", group_code, ()))
    return results


def _refused(tenant_id: str, message_id: str, connection_id: str, partner: str, segments: Any) -> issues.Fault:
    first = next(iter(segments), None)
    reason = (
        f"segment {first.position}, {first.tag}: error {first.code}" if first else "the acknowledgment gives no reason"
    )
    return issues.Fault(
        tenant_id=tenant_id,
        code="XD-EDI-091",
        cause=f"XD-EDI-091|{connection_id}|{getattr(first, 'code', '')}",
        title=f"{partner} rejected a document of ours",
        object_kind="outbound",
        object_id=message_id,
        detail=reason,
        pointer=f"{first.tag} at {first.position}" if first else "",
        error_class="partner",
        partner=partner,
        connection_id=connection_id,
    )
