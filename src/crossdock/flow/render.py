"""Turn the requests of processes into outbound messages: route, map, encode, envelope, identity.

An effect is made once: its request key is unique for the tenant and connection, and its identity is derived from that
key, so that every attempt, and every later replay, carries the same one. Control numbers are taken in the transaction
that writes the row. What cannot be rendered is kept as a dead letter with its canonical document, and can be
rendered again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from .. import edi
from ..durable.identity import to_micros
from ..errors import DocumentRejected, HeldAwaiting
from ..formats import encode as encode_format
from ..governance.configuration import Configuration
from ..governance.pack import ConnectionSpec, Route, X12Spec
from ..mapping import CompiledMap, MapContext
from ..store import outbound, payloads, restores
from ..store.outbound import OutboundRow
from .batch import Batch, Ready
from .orchestrate import PlacedRequest, fault_of
from .ownership import remember
from .papers import Trouble
from .translate import partner_record

_encode_numbers = msgspec.json.Encoder(decimal_format="number").encode
decode_numbers = msgspec.json.Decoder(float_hook=Decimal).decode
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "fixed": "text/plain", "x12": "application/edi-x12"}
EXTENSIONS = {"json": "json", "csv": "csv", "fixed": "txt", "x12": "edi"}

_UNSAFE = re.compile(r"[^0-9A-Za-z._-]")
_SAFE_ASCII = {code: "-" for code in range(128) if _UNSAFE.match(chr(code))}

# (tenant, connection, lane) → the state a new message is written in, its slot, and 1 when another process sends it.
SendMode = Callable[[str, str, str], tuple[str, int, int]]


class Draft(msgspec.Struct):
    """One outbound message in the making."""

    tenant_id: str
    spec: ConnectionSpec
    configuration: Configuration
    kind: str
    object: str
    request_key: str
    subject: str
    lane: str
    map: str
    document: Any
    event_id: str
    inbound_message_id: str
    traceparent: str
    content: bytes = b""
    format: str = "json"
    identity: str = ""
    set_code: str = ""
    segments: Any = None
    services: tuple[Any, ...] = ()
    trouble: Trouble | None = None
    canonical: bytes | None = None
    attributes: Mapping[str, str] = {}


def render_requests(batch: Batch, requests: list[PlacedRequest], mode_of: SendMode) -> set[str]:
    """Make the outbound messages of some requests; return the keys of those that a route takes.

    `mode_of` tells in which state (tenant, connection, lane) takes a new one, and who sends it.
    """
    routed = [draft for request in requests for draft in _drafts(request, batch)]
    drafts = _without_known(batch, routed)
    for draft in drafts:
        run_map(draft)
    finish(batch, drafts, mode_of)
    return {draft.request_key for draft in routed}


def finish(batch: Batch, drafts: list[Draft], mode_of: SendMode) -> None:
    """Give rendered drafts their envelopes and identities, and enter them in the batch."""
    _envelope(
        batch, [draft for draft in drafts if draft.format == "x12" and draft.trouble is None and not draft.identity]
    )
    for draft in drafts:
        _enter(batch, draft, mode_of)


def _drafts(placed: PlacedRequest, batch: Batch) -> list[Draft]:
    request, configuration = placed.request, placed.configuration
    variables = {"site": request.site, **request.attributes}
    canonical = _encode_numbers(request.document)
    document = decode_numbers(canonical)
    if isinstance(document, dict):
        variables = {**document, **variables}
    routes = configuration.routes_for(request.kind, variables)
    if not routes:
        batch.faults.append(_unrouted(placed))
    if request.kind == "service_case" and configuration.policy.case.one_desk:
        # Two desks that both open a case for one cause are noise twice over: the first route that takes it has it.
        routes = routes[:1]
    for route in routes:
        remember(
            batch, configuration, route.connection, configuration.maps[route.map].source.object or "", request.document
        )
    return [_draft(placed, route, document, canonical) for route in routes]


def _draft(placed: PlacedRequest, route: Route, document: Any, canonical: bytes) -> Draft:
    configuration = placed.configuration
    compiled = configuration.maps[route.map]
    return Draft(
        tenant_id=placed.tenant_id,
        spec=configuration.connections[route.connection],
        configuration=configuration,
        kind=placed.request.kind,
        object=compiled.source.object or "",
        request_key=placed.request.key,
        subject=placed.subject,
        lane=placed.subject,
        map=route.map,
        document=document,
        event_id=placed.event_id,
        inbound_message_id=placed.message_id,
        traceparent=placed.traceparent,
        canonical=canonical,
        attributes=placed.request.attributes,
    )


def _unrouted(placed: PlacedRequest) -> Any:
    request = placed.request
    trouble = Trouble(
        code="XD-CFG-020",
        cause=f"XD-CFG-020|{request.kind}|{request.site}",
        title=f"No route for {request.kind}" + (f" of site {request.site}" if request.site else ""),
        detail=f"{request.key} was decided, but no route of the release takes it",
        error_class="system",
    )
    return fault_of(trouble, placed.tenant_id, "order", f"{placed.subject}|{request.key}", placed.subject, "", "")


def _without_known(batch: Batch, drafts: list[Draft]) -> list[Draft]:
    """Leave out effects that exist already, in the record or earlier in this batch."""
    by_tenant: dict[str, list[str]] = {}
    for draft in drafts:
        by_tenant.setdefault(draft.tenant_id, []).append(draft.request_key)
    known: set[tuple[str, str, str]] = set()
    for tenant_id, keys in by_tenant.items():
        known |= {(tenant_id, *found) for found in outbound.known_requests(batch.connection, tenant_id, keys)}
    result = []
    for draft in drafts:
        place = (draft.tenant_id, draft.request_key, draft.spec.connection)
        if place not in known:
            known.add(place)
            result.append(draft)
    return result


def run_map(draft: Draft) -> None:
    """Fill a draft's content (or its X12 segments), or its trouble."""
    compiled = draft.configuration.maps[draft.map]
    draft.format = compiled.target.format or "json"
    try:
        target = compiled.run(draft.document, _context(draft))
        if draft.format == "x12":
            draft.set_code = str(compiled.target.options["set"])
            draft.segments = _segments(draft, target)
        else:
            draft.content = encode_format(target, compiled.target)
    except HeldAwaiting as error:
        draft.trouble = _held(error, draft, compiled)
    except DocumentRejected as error:
        draft.trouble = Trouble(
            code=error.code,
            cause=f"{error.code}|{draft.spec.connection}|{draft.map}|out",
            title=f"Map {draft.map} cannot render a {draft.kind}",
            detail=str(error),
            pointer=error.pointer,
        )


def rendered_fields(draft: Draft) -> Any:
    """Return what the map makes of a draft, before any encoding. Raises HeldAwaiting and DocumentRejected."""
    return draft.configuration.maps[draft.map].run(draft.document, _context(draft))


def _segments(draft: Draft, target: Mapping[str, Any]) -> Any:
    """Return the segments of the set, judged as the partner would judge it; a faulty one is never sent."""
    spec = draft.spec.x12
    if spec is None:
        rendered = edi.document_to_set(target, draft.set_code)
    else:
        rendered = edi.document_to_set(target, draft.set_code, release=spec.version, delimiters=delimiters_of(spec))
    if not rendered.sendable:
        worst = next(finding for finding in rendered.findings if finding.severity == "error")
        raise DocumentRejected(worst.message, code=worst.code, pointer=worst.pointer, findings=tuple(rendered.findings))
    return rendered.segments


def _held(error: HeldAwaiting, draft: Draft, compiled: CompiledMap) -> Trouble:
    _, _, rest = error.awaits.partition(":")
    table, _, key = rest.partition(":")
    return Trouble(
        code=error.code,
        cause=f"{error.code}|{error.awaits}|{draft.spec.connection}|out",
        title=f"{key!r} is not in lookup table {table!r}",
        detail=f"{draft.kind} {draft.request_key} waits: {error}",
        pointer=error.pointer,
        suggestion={"action": "set_lookup_row", "table": table, "key": key},
    )


def _context(draft: Draft) -> MapContext:
    return MapContext(
        lookups=draft.configuration.lookups,
        message={
            "key": draft.request_key,
            "identity": identity_of(draft.request_key),
            "attributes": dict(draft.attributes),
        },
        partner=partner_record(draft.configuration, draft.spec.partner),
        tenant={"id": draft.tenant_id, "name": draft.configuration.head.name},
    )


def identity_of(request_key: str) -> str:
    """Return the identity under which partners know an effect: the key itself where it fits into a header, else
    its hash.
    """
    if request_key.isascii() and request_key.isprintable() and " " not in request_key and len(request_key) <= 128:
        return request_key
    return "sha256:" + hashlib.sha256(request_key.encode()).hexdigest()


# -- X12


def _envelope(batch: Batch, drafts: list[Draft]) -> None:
    """Wrap each draft into its own interchange; numbers are taken once per partner and batch."""
    by_partner: dict[tuple[str, str, str], list[Draft]] = {}
    for draft in drafts:
        if draft.spec.x12 is None:
            draft.trouble = Trouble(
                "XD-CFG-021",
                f"XD-CFG-021|{draft.spec.connection}",
                f"{draft.spec.connection} has no x12 envelope settings",
                error_class="system",
            )
            continue
        by_partner.setdefault((draft.tenant_id, draft.spec.x12.us, draft.spec.x12.them), []).append(draft)
    for (tenant_id, us, them), mine in sorted(by_partner.items(), key=lambda pair: pair[0]):
        first = outbound.next_control_numbers(batch.connection, tenant_id, us, them, "interchange", len(mine))
        for number, draft in enumerate(mine, first):
            assert draft.spec.x12 is not None
            draft.content = interchange_bytes(
                draft.spec.x12, draft.set_code, [draft.segments], number, local_time(batch.now, draft.configuration)
            )
            draft.identity = f"{number:09d}"


def delimiters_of(spec: X12Spec) -> edi.Delimiters:
    """Return the separators agreed with a partner."""
    return edi.Delimiters(element=spec.element_separator, segment=spec.terminator, component=spec.component_separator)


def interchange_bytes(
    spec: X12Spec, set_code: str, sets: list[Any], number: int, at: datetime, *, services: tuple[Any, ...] = ()
) -> bytes:
    """Return one interchange with one group (none without sets). `services` are TA1 segments.

    The group carries the interchange's number: unique, and easy to follow.
    """
    us_qualifier, _, us = spec.us.partition(":")
    them_qualifier, _, them = spec.them.partition(":")
    envelope = edi.Envelope(
        sender_qualifier=us_qualifier,
        sender=us,
        receiver_qualifier=them_qualifier,
        receiver=them,
        control_number=number,
        date=at.strftime("%Y%m%d"),
        time=at.strftime("%H%M"),
        usage=spec.usage,
        interchange_version=f"{spec.version[:5]}",
        group_version=spec.version,
        delimiters=delimiters_of(spec),
    )
    group = edi.GroupEnvelope(
        functional_id=edi.FUNCTIONAL_IDS.get(set_code, "OW"),
        control_number=number,
        sets=sets,
        sender=spec.group_us or us,
        receiver=spec.group_them or them,
        version=spec.version,
        date=at.strftime("%Y%m%d"),
        time=at.strftime("%H%M"),
    )
    return edi.write_interchange(envelope, [group] if sets else [], services=services)


def local_time(moment: datetime, configuration: Configuration) -> datetime:
    """Return the instant in the tenant's own zone: what an envelope states."""
    return moment.astimezone(ZoneInfo(configuration.head.timezone))


# -- the row


def _enter(batch: Batch, draft: Draft, mode_of: SendMode) -> None:
    message_id = batch.ids.new("msg", batch.now)
    identity = draft.identity or identity_of(draft.request_key)
    digest = payloads.digest_of(draft.content)
    spec, failed = draft.spec, draft.trouble is not None
    state, slot, handed = mode_of(draft.tenant_id, spec.connection, draft.lane)
    state = "dead" if failed else state
    # After a restore: to ask by a number that was never sent says nothing. A person must look.
    doubted = state == "unknown" and draft.format == "x12"
    if doubted:
        state = "pending" if draft.kind == "acknowledgment" else "dead"
        doubted = state == "dead"
        draft.trouble = _doubt(draft) if doubted else None
    awaits_ack = draft.format == "x12" and draft.set_code not in ("997", "999") and spec.x12 is not None and not failed
    name = file_name(spec.outbound_name, draft, identity, message_id)
    content_type = CONTENT_TYPES[draft.format]
    batch.contents.append((draft.tenant_id, message_id, digest, draft.content))
    batch.outbound.append(
        OutboundRow(
            tenant_id=draft.tenant_id,
            message_id=message_id,
            connection_id=spec.connection,
            partner=spec.partner,
            document_type=draft.kind,
            object=draft.object,
            subject=draft.subject,
            lane=draft.lane,
            request_key=draft.request_key,
            identity=identity,
            state=state,
            ack_state="awaited" if awaits_ack else "none",
            ack_due_at=_ack_due(batch, spec) if awaits_ack else None,
            digest=digest,
            size_bytes=len(draft.content),
            content_type=content_type,
            name=name,
            headers=None,
            canonical=draft.canonical,
            map=draft.map,
            release_id=draft.configuration.release_id,
            causation_id=draft.event_id,
            inbound_message_id=draft.inbound_message_id,
            created_at=batch.now_micros,
            error_class="unknown" if doubted else draft.trouble.error_class if draft.trouble else "",
            error_code=draft.trouble.code if draft.trouble else "",
            error=draft.trouble.detail if draft.trouble else "",
            traceparent=draft.traceparent,
            slot=slot,
            handed=handed,
        )
    )
    if draft.trouble is not None:
        batch.faults.append(
            fault_of(
                draft.trouble, draft.tenant_id, "outbound", message_id, draft.subject, spec.partner, spec.connection
            )
        )
    if awaits_ack and spec.x12 is not None:
        functional_id = edi.FUNCTIONAL_IDS.get(draft.set_code, "OW")
        batch.sets.append(
            (draft.tenant_id, spec.x12.us, spec.x12.them, functional_id, str(int(identity)), "1", message_id)
        )
    if draft.trouble is not None:
        return
    batch.ready.append(
        Ready(
            draft.tenant_id,
            message_id,
            spec.connection,
            draft.lane,
            identity,
            draft.kind,
            draft.content,
            content_type,
            {},
            name,
            state=state,
        )
    )


def _doubt(draft: Draft) -> Trouble:
    """Return why an interchange made again after a restore waits for a person."""
    return Trouble(
        code=restores.DOUBT_CODE,
        cause=f"{restores.DOUBT_CODE}|{draft.spec.connection}",
        title=f"{draft.spec.partner} may have got this before the record was restored",
        detail=f"{draft.kind} {draft.request_key} was made again under a new control number; ask {draft.spec.partner}"
        " whether it has it: then discard it, else send it again",
        error_class="unknown",
    )


def _ack_due(batch: Batch, spec: ConnectionSpec) -> int | None:
    return None if spec.x12 is None else to_micros(batch.now + timedelta(minutes=spec.x12.ack_overdue_minutes))


def file_name(template: str, draft: Draft, identity: str, message_id: str) -> str:
    """Return the name under which a file partner gets the message: the same at every attempt, safe on any file
    system.
    """
    text = template.replace("{identity}", identity).replace("{document}", draft.set_code or draft.kind)
    if "{" in text:
        number = draft.document.get("number", "") if isinstance(draft.document, dict) else ""
        text = text.replace("{number}", str(number)).replace("{message_id}", message_id)
    safe = (text.translate(_SAFE_ASCII) if text.isascii() else _UNSAFE.sub("-", text)).strip(".")
    return safe if "." in safe else f"{safe}.{EXTENSIONS[draft.format]}"
