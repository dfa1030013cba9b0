"""The amended version of a message for a partner: bytes of its own, and everything he knows it by of its own too.

An interchange gets the next control number. Under the old one a partner that checks for duplicates would take it for
what it refused, and drop it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .. import edi
from ..errors import Conflict, DocumentRejected, Finding
from ..governance.configuration import Configuration
from ..governance.pack import ConnectionSpec
from ..store import outbound, payloads
from ..store.engine import Row
from ..store.outbound import OutboundRow
from .batch import Batch, Ready
from .edits import REFUSED
from .render import Draft, SendMode, decode_numbers, identity_of

X12 = "application/edi-x12"


def enter_version(
    batch: Batch, row: Row, request_key: str, content: bytes, configuration: Configuration, mode_of: SendMode
) -> None:
    """Enter a send with bytes of its own, beside the one (`row`) that it amends.

    Raises DocumentRejected and Conflict.
    """
    message_id = batch.ids.new("msg", batch.now)
    spec = configuration.connections[row[1]]
    state, slot, handed = mode_of(configuration.tenant_id, row[1], row[6])
    identity, awaits, overdue_minutes = identity_of(request_key), False, 0
    if row[16] == X12:
        content, identity = _renumbered(batch, row, configuration.tenant_id, spec, content, message_id, state)
        assert spec.x12 is not None
        awaits, overdue_minutes = row[10] not in ("", "none"), spec.x12.ack_overdue_minutes
    name = _name(row, identity, message_id)
    digest = payloads.digest_of(content)
    batch.contents.append((configuration.tenant_id, message_id, digest, content))
    batch.outbound.append(
        OutboundRow(
            tenant_id=configuration.tenant_id,
            message_id=message_id,
            connection_id=row[1],
            partner=row[2],
            document_type=row[3],
            object=row[4],
            subject=row[5],
            lane=row[6],
            request_key=request_key,
            identity=identity,
            state=state,
            ack_state="awaited" if awaits else "none",
            ack_due_at=batch.now_micros + overdue_minutes * 60_000_000 if awaits else None,
            digest=digest,
            size_bytes=len(content),
            content_type=row[16],
            name=name,
            headers=row[18],
            canonical=row[19],
            map=row[20],
            release_id=configuration.release_id,
            causation_id=row[22],
            inbound_message_id=row[23],
            created_at=batch.now_micros,
            error_class="",
            error_code="",
            error="",
            traceparent=row[30],
            slot=slot,
            handed=handed,
        )
    )
    headers = msgspec.json.decode(row[18], type=dict[str, str]) if row[18] else {}
    batch.ready.append(
        Ready(
            configuration.tenant_id,
            message_id,
            row[1],
            row[6],
            identity,
            row[3],
            content,
            row[16],
            headers,
            name,
            state=state,
        )
    )


def _renumbered(
    batch: Batch, row: Row, tenant_id: str, spec: ConnectionSpec, content: bytes, message_id: str, state: str
) -> tuple[bytes, str]:
    """Return an interchange under the next control number, and that number; its sets are remembered by it."""
    x12 = spec.x12
    if x12 is None:
        raise DocumentRejected(
            f"{spec.connection} has no x12 envelope settings any more", code=REFUSED, hint="Put them back into the pack"
        )
    if state == "unknown":
        raise Conflict(
            f"{row[2]} may have got a version of this before the record was restored",
            hint="Close what the restore left to be asked of this partner first, then amend it",
        )
    number = outbound.next_control_numbers(batch.connection, tenant_id, x12.us, x12.them, "interchange", 1)
    (interchange,) = edi.read_all(content).interchanges
    made = with_control_number(content, interchange, number)
    (group,) = interchange.groups
    batch.sets += [
        (tenant_id, x12.us, x12.them, group.functional_id, str(number), one.control_number.lstrip("0"), message_id)
        for one in group.sets
    ]
    return made, f"{number:09d}"


def with_control_number(content: bytes, interchange: edi.Interchange, number: int) -> bytes:
    """Return the bytes of an interchange of one group with another control number in its envelope and its group's.

    Every other byte stays: only ISA13, IEA02, GS06 and GE02 are written anew.
    """
    (group,) = interchange.groups
    places = [(one, {"ISA": 13, "IEA": 2}[one.tag]) for one in interchange.segments if one.tag in ("ISA", "IEA")]
    places += [(group.header, 6), (group.trailer, 2)] if group.header and group.trailer else []
    for segment, element in sorted(places, key=lambda place: -place[0].offset):
        old, begin = segment.get(element), segment.element_offset(element)
        text = f"{number:09d}" if segment.tag in ("ISA", "IEA") else str(number)
        content = content[:begin] + text.encode() + content[begin + segment.byte_length(old) :]
    return content


def _name(row: Row, identity: str, message_id: str) -> str:
    """Return the file name of the version: where the old one stood for its identity or id, the new ones do."""
    name = str(row[17])
    for old, new in ((row[8], identity), (row[0], message_id)):
        if old:
            name = name.replace(str(old), new)
    return name


def draft_of(row: Row, configuration: Configuration, request_key: str, document: bytes) -> Draft:
    if row[20] not in configuration.maps or row[1] not in configuration.connections:
        raise DocumentRejected(
            f"The active release has no map {row[20] or 'for this'}, so it cannot be rendered again",
            code=REFUSED,
            hint="Amend the raw content",
        )
    try:
        decoded = decode_numbers(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused((Finding("XD-DOC-002", str(error)),)) from error
    return Draft(
        tenant_id=configuration.tenant_id,
        spec=configuration.connections[row[1]],
        configuration=configuration,
        kind=row[3],
        object=row[4],
        request_key=request_key,
        subject=row[5],
        lane=row[6],
        map=row[20],
        document=decoded,
        event_id=row[22],
        inbound_message_id=row[23],
        traceparent=row[30],
    )


def well_formed_json(content: bytes) -> bytes:
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused((Finding("XD-DOC-002", str(error)),)) from error
    return content


def must_be_readable(content: bytes, content_type: str) -> None:
    """A version for a partner is at least well-formed; what he makes of it he says himself."""
    if content_type == "application/json":
        well_formed_json(content)
    elif content_type == X12:
        result = edi.read_all(content)
        findings = tuple(one for interchange in result.interchanges for one in interchange.findings)
        sets = [made for interchange in result.interchanges for made in interchange.sets]
        findings += tuple(one for made in sets for one in made.findings)
        findings += tuple(result.findings)
        if not result.interchanges or any(finding.severity == "error" for finding in findings):
            raise refused(findings)
        if len(result.interchanges) != 1 or len(result.interchanges[0].groups) != 1:
            raise refused((Finding(REFUSED, "an amended version is one interchange with one group"),))


def refused(findings: Sequence[Finding]) -> DocumentRejected:
    worst = next((finding for finding in findings if finding.severity == "error"), None)
    told = f": {worst.code} {worst.message}" if worst is not None else ""
    return DocumentRejected(
        f"The amended version would be refused as well{told}",
        code=REFUSED,
        pointer=worst.pointer if worst is not None else "",
        findings=tuple(findings),
        hint=("Correct the named places; the original is untouched",),
    )
