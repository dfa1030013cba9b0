"""Turn the bytes of a message into canonical documents. Pure: message and configuration in, papers out.

Every document of a message is judged by itself: one bad set of twelve, or one bad row of a file, stops only itself.
Whatever a partner sends ends in applied, held, rejected or ignored with a reason, never in an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import msgspec

from .. import edi
from ..canonical.catalog import OBJECTS, faults_of
from ..canonical.instants import OFFSET_HINT, lacks_offset
from ..canonical.units import TABLE as UNITS
from ..error_codes import lookup
from ..errors import CrossdockError, DocumentRejected, Finding, HeldAwaiting
from ..formats import FORMATS, JsonOptions, options_of
from ..governance.configuration import Configuration
from ..governance.pack import ConnectionSpec, InboundRule
from ..mapping import CompiledMap, MapContext
from .ingest import Stored
from .inventory import STOCK_REPORTS, check_units
from .papers import InterchangeNote, Paper, Translation, Trouble

_encode = msgspec.json.Encoder(decimal_format="string").encode
_PLAIN_JSON = JsonOptions()
# What the field `number` of an object names.
_NUMBER_NAMES = {"order": "order", "order_change": "order", "fulfillment_answer": "fulfillment"}


class OverBudget(CrossdockError):
    """A message costs more than one message may."""

    code = "XD-SYS-052"


UNASKED_BYTES_MAX = 16_384
UNASKED_DOCUMENTS_MAX = 8


class Budget:
    """What one message may cost: documents, and seconds of processor time, looked at before each document.

    `seconds` tells the processor time used so far; it is handed in, so that the middle reads no clock. Asking is a
    system call: the first documents of a small message, which the steps of their map bound, are let through unasked.
    """

    def __init__(self, seconds_max: float, documents_max: int, seconds: Callable[[], float]) -> None:
        self._seconds_max = seconds_max
        self._documents_max = documents_max
        self._seconds = seconds
        self._until = 0.0
        self._unasked = 0

    def begin(self, size_bytes: int) -> None:
        """Start with the next message."""
        self._unasked = UNASKED_DOCUMENTS_MAX if size_bytes <= UNASKED_BYTES_MAX else 0
        if not self._unasked:
            self._until = self._seconds() + self._seconds_max

    def spend(self) -> None:
        """Raise OverBudget when the time of this message is used up."""
        if self._unasked:
            self._unasked -= 1
            if not self._unasked:
                self._until = self._seconds() + self._seconds_max
            return
        if self._seconds() > self._until:
            raise OverBudget(f"it used more than {self._seconds_max:g} s of processor time and was stopped")

    def count(self, documents: int) -> None:
        """Raise OverBudget for a message of too many documents."""
        if documents > self._documents_max:
            raise OverBudget(f"it holds {documents:,} documents, {self._documents_max:,} may be", code="XD-DOC-017")


FREE = Budget(float("inf"), 1_000_000_000, lambda: 0.0)


# Says whether a document is of a shape its map may read; marks the paper when it is not (shapes.Shapes.look).
Sensor = Callable[[Stored, ConnectionSpec, str, Any, Paper], bool]
Look = Callable[[str, Any, Paper], bool]


def translate(
    message: Stored, configuration: Configuration, budget: Budget = FREE, sensor: Sensor | None = None
) -> Translation:
    """Return what came of a message under a configuration; one that costs too much failed, and holds up no other.

    `sensor` looks at the documents of connections that say so; without one (a dry run) nobody looks.
    """
    spec = configuration.connections[message.connection_id]
    kind = _format_of(message, spec)
    look = None if sensor is None or spec.drift.policy == "off" else partial(sensor, message, spec)
    budget.begin(len(message.content))
    try:
        if kind == "x12":
            translation = _translate_x12(message, spec, configuration, budget, look)
        else:
            translation = _translate_plain(message, spec, configuration, kind, budget, look)
        budget.spend()
    except OverBudget as error:
        translation = _too_costly(message, kind, error)
    if look is not None:
        _hold_together(translation, configuration)
    for paper in translation.papers:
        if paper.trouble is not None:
            paper.findings = _explained(paper.findings, paper.trouble)
    return translation


def _hold_together(translation: Translation, configuration: Configuration) -> None:
    """Hold a whole message when a document is held before a map that makes several papers of it.

    Nobody knows yet how many they are: those behind it would not be found again at their places.
    """
    held = [paper for paper in translation.papers if paper.awaits.startswith("shape:")]
    if not any(configuration.maps[paper.map].definition.select is not None for paper in held):
        return
    for paper in translation.papers:
        if paper.state == "applied" and paper.object != "ack":
            paper.state, paper.awaits, paper.trouble = "held", held[0].awaits, held[0].trouble
            paper.value = paper.canonical = None


def _explained(findings: tuple[Finding, ...], trouble: Trouble) -> tuple[Finding, ...]:
    """Return the findings of a refused or held paper: at least one error, and for each what to do about it."""
    if not any(finding.severity == "error" for finding in findings):
        message = f"{trouble.title}: {trouble.detail}" if trouble.detail else trouble.title
        findings = (*findings, Finding(trouble.code, message, pointer=trouble.pointer))
    return tuple(
        finding if finding.hint else msgspec.structs.replace(finding, hint=_fix_of(finding.code, trouble.code))
        for finding in findings
    )


def _fix_of(*codes: str) -> str:
    """Return the steps of the first code the catalogue knows, as one sentence."""
    entry = next((entry for entry in map(lookup, codes) if entry is not None), None)
    return "; ".join(entry.fix) if entry is not None else "Replay the message once the cause is corrected"


def _format_of(message: Stored, spec: ConnectionSpec) -> str:
    """Choose the format: the only one the connection takes, else by the first bytes, else by the file name."""
    kinds = dict.fromkeys(rule.format for rule in spec.inbound)
    if len(kinds) == 1:
        return next(iter(kinds))
    head = message.content[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x00")
    if "x12" in kinds and head.startswith((b"ISA", b"UNA", b"UNB")):
        return "x12"
    if "json" in kinds and head[:1] in (b"{", b"["):
        return "json"
    return next((rule.format for rule in spec.inbound if _name_fits(rule, message.name)), next(iter(kinds), "json"))


def _name_fits(rule: InboundRule, name: str) -> bool:
    return bool(rule.name_glob) and fnmatchcase(name.lower(), rule.name_glob.lower())


def _translate_plain(
    message: Stored, spec: ConnectionSpec, configuration: Configuration, kind: str, budget: Budget, look: Look | None
) -> Translation:
    """JSON, CSV and fixed width: the rule's map names columns and options, so the rule is chosen before decoding."""
    rule = None
    if kind != "json":
        rule = configuration.inbound_rule(
            message.connection_id, format=kind, set_code="", name=message.name, document=None
        )
        if rule is None:
            return _no_rule(message, spec, kind, f"a {kind} file named {message.name!r}")
        if rule.ignore:
            return Translation(message, [], "ignored")
    options = _options(configuration.maps[rule.map]) if rule else _json_options(spec, configuration)
    try:
        decoded = FORMATS[kind][1].decode(message.content, options)
    except DocumentRejected as error:
        return _unreadable(message, kind, error)
    papers: list[Paper] = []
    documents = decoded.documents
    budget.count(len(documents))
    for position, document in enumerate(documents):
        budget.spend()
        chosen = rule or configuration.inbound_rule(
            message.connection_id, format=kind, set_code="", name=message.name, document=document
        )
        pointer = f"document {position + 1}" if len(documents) > 1 else ""
        paper = Paper(position, pointer, kind, byte_length=len(message.content))
        paper.position = len(papers)
        if position < len(decoded.positions):
            place = decoded.positions[position]
            paper.byte_offset, paper.byte_length = place.offset_start, place.offset_end - place.offset_start
        if chosen is None:
            if len(documents) == 1:
                return _no_rule(message, spec, kind, "a JSON document of this shape")
            _reject(
                paper,
                "XD-DOC-020",
                "No map reads this document",
                f"no inbound rule of {spec.connection} fits",
                spec,
                pointer,
            )
        elif chosen.ignore:
            continue
        elif look is None or look(chosen.map, document, paper):
            _run_map(
                paper,
                document,
                configuration.maps[chosen.map],
                _context(message, spec, configuration, {}),
                spec,
                papers,
                budget,
            )
            continue
        papers.append(paper)
    _add_row_findings(papers, decoded.findings, kind, spec, rule)
    if not papers and not decoded.findings:
        return Translation(message, [], "ignored")
    return Translation(message, papers)


@lru_cache(maxsize=512)
def _options(compiled: CompiledMap) -> Any:
    return options_of(compiled.source)


def _json_options(spec: ConnectionSpec, configuration: Configuration) -> Any:
    """Return the JSON options of a connection: those its only JSON rule names, else the document is the whole file."""
    rules = [rule for rule in spec.inbound if rule.format == "json" and rule.map]
    return _options(configuration.maps[rules[0].map]) if len(rules) == 1 else _PLAIN_JSON


def _add_row_findings(
    papers: list[Paper], findings: Iterable[Finding], kind: str, spec: ConnectionSpec, rule: InboundRule | None
) -> None:
    """Rows that could not be read become rejected papers of their own; the other rows went on."""
    bad = [finding for finding in findings if finding.severity == "error"]
    for number, finding in enumerate(bad):
        if number and finding.line is not None and finding.line == bad[number - 1].line:
            # What follows from a bad row (its group was left out) is no second fault.
            papers[-1].findings = (*papers[-1].findings, finding)
            continue
        paper = Paper(len(papers), finding.pointer, kind, map=rule.map if rule else "", byte_offset=finding.offset or 0)
        _reject(paper, finding.code, "A row could not be read", finding.message, spec, finding.pointer, (finding,))
        papers.append(paper)


def _translate_x12(
    message: Stored, spec: ConnectionSpec, configuration: Configuration, budget: Budget, look: Look | None
) -> Translation:
    strict = spec.x12 is None or spec.x12.acknowledge != "lenient"
    overlay = edi.PartnerOverlay(acceptance="strict" if strict else "lenient")
    result = edi.read_all(message.content, partner_overlay=overlay)
    if not result.interchanges:
        return _unreadable(message, "x12", _edi_trouble("XD-EDI-001", result.findings))
    if not any(interchange.sets for interchange in result.interchanges):
        findings = [finding for interchange in result.interchanges for finding in interchange.findings]
        if any(finding.severity == "error" for finding in findings):
            return _unreadable(message, "x12", _edi_trouble("XD-EDI-011", findings))
    budget.count(sum(len(interchange.sets) for interchange in result.interchanges))
    papers: list[Paper] = []
    notes: list[InterchangeNote] = []
    for interchange in result.interchanges:
        first = len(papers)
        wrong = _envelope_trouble(interchange, spec)
        for one in interchange.sets:
            budget.spend()
            papers += _translate_set(one, interchange, message, spec, configuration, len(papers), wrong, budget, look)
        notes.append(
            InterchangeNote(
                sender=f"{interchange.sender_qualifier}:{interchange.sender}",
                receiver=f"{interchange.receiver_qualifier}:{interchange.receiver}",
                control_number=interchange.control_number,
                usage=interchange.usage,
                first_position=first,
                last_position=len(papers) - 1,
                acknowledge=wrong is None and spec.x12 is not None and spec.x12.acknowledge != "silent",
                foreign=wrong is not None,
                interchange=interchange,
            )
        )
    return Translation(message, papers, interchanges=tuple(notes))


def _edi_trouble(code: str, findings: Iterable[Finding]) -> DocumentRejected:
    """Return the refusal of a whole message; the codec's own codes stay in the findings."""
    found = tuple(findings) or (Finding("no-envelope", "no interchange was found"),)
    worst = next((finding for finding in found if finding.severity == "error"), found[0])
    return DocumentRejected(f"{worst.code}: {worst.message}", code=code, pointer=worst.pointer, findings=found)


def _envelope_trouble(interchange: Any, spec: ConnectionSpec) -> Trouble | None:
    """Sender and receiver are bound to the connection: an envelope of somebody else is never applied."""
    if spec.x12 is None:
        return None
    sender = f"{interchange.sender_qualifier.strip()}:{interchange.sender.strip()}"
    receiver = f"{interchange.receiver_qualifier.strip()}:{interchange.receiver.strip()}"
    if sender == spec.x12.them and receiver == spec.x12.us:
        return None
    return Trouble(
        code="XD-ING-002",
        cause=f"XD-ING-002|{spec.connection}|{sender}|{receiver}",
        title=f"An interchange on {spec.connection} is from {sender} to {receiver}",
        detail=f"expected {spec.x12.them} to {spec.x12.us}; nothing of it was applied",
        pointer="ISA06, ISA08",
        error_class="partner",
    )


def _translate_set(
    one: Any,
    interchange: Any,
    message: Stored,
    spec: ConnectionSpec,
    configuration: Configuration,
    position: int,
    wrong: Trouble | None,
    budget: Budget,
    look: Look | None,
) -> list[Paper]:
    last = one.segments[-1] if one.segments else None
    end = last.element_offset(len(last.elements)) if last is not None else one.offset
    paper = Paper(
        position,
        one.pointer,
        f"x12:{one.code}",
        findings=tuple(one.findings),
        byte_offset=one.offset,
        byte_length=end - one.offset,
    )
    if wrong is not None:
        paper.state, paper.trouble = "rejected", wrong
        return [paper]
    if one.code in ("997", "999"):
        paper.object, paper.event_type = "ack", "crossdock.document.acknowledged.v1"
        paper.value = (interchange, edi.read_acknowledgment(one))
        return [paper]
    if not one.accepted:
        worst = next((finding for finding in one.findings if finding.severity == "error"), one.findings[0])
        _reject(
            paper,
            "XD-EDI-010",
            f"{spec.partner} sent a faulty {one.code} ({worst.code})",
            worst.message,
            spec,
            worst.pointer,
            tuple(one.findings),
            kind=worst.code,
        )
        return [paper]
    rule = configuration.inbound_rule(
        message.connection_id, format="x12", set_code=one.code, name=message.name, document=None
    )
    if rule is None:
        _reject(
            paper,
            "XD-DOC-020",
            f"No map reads a {one.code} of {spec.partner}",
            f"{spec.connection} has no rule for it",
            spec,
            one.pointer,
        )
        return [paper]
    if rule.ignore:
        return []
    envelope = {
        "sender": interchange.sender.strip(),
        "receiver": interchange.receiver.strip(),
        "control_number": interchange.control_number,
        "set_control_number": one.control_number,
        "usage": interchange.usage,
        "date": interchange.date,
        "time": interchange.time,
    }
    papers: list[Paper] = []
    document = edi.set_to_document(one)
    if look is not None and not look(rule.map, document, paper):
        return [paper]
    context = _context(message, spec, configuration, envelope)
    _run_map(paper, document, configuration.maps[rule.map], context, spec, papers, budget)
    return papers


def _context(
    message: Stored, spec: ConnectionSpec, configuration: Configuration, envelope: Mapping[str, Any]
) -> MapContext:
    return MapContext(
        lookups=configuration.lookups,
        message={"name": message.name, "headers": message.headers, "received_at": message.received_at.isoformat()},
        partner=partner_record(configuration, spec.partner),
        tenant={"id": configuration.tenant_id, "name": configuration.head.name},
        envelope=dict(envelope),
    )


@lru_cache(maxsize=256)
def partner_record(configuration: Configuration, partner_id: str) -> dict[str, Any]:
    """Return what a map reads as `partner`: code, name, time zone and every identifier. Maps never change it."""
    partner = configuration.partners[partner_id]
    return {"code": partner.partner, "name": partner.name, "timezone": partner.timezone, **partner.identifiers}


def _run_map(
    paper: Paper,
    document: Any,
    compiled: CompiledMap,
    context: MapContext,
    spec: ConnectionSpec,
    papers: list[Paper],
    budget: Budget,
) -> None:
    """Run the map and book its result on the paper, or on one paper for each element it selects."""
    paper.map, paper.object = compiled.name, compiled.target.object or ""
    paper.event_type = compiled.target.event or ""
    if compiled.definition.select is not None:
        _run_each(paper, document, compiled, context, spec, papers, budget)
        return
    _run_one(paper, document, compiled, context, spec, papers)


def _run_each(
    paper: Paper,
    document: Any,
    compiled: CompiledMap,
    context: MapContext,
    spec: ConnectionSpec,
    papers: list[Paper],
    budget: Budget,
) -> None:
    """Each element that the map selects is a paper of its own."""
    try:
        elements = compiled.split(document)
    except DocumentRejected as error:
        _refuse(paper, error, compiled, spec)
        papers.append(paper)
        return
    context = msgspec.structs.replace(context, root=document)
    budget.count(len(papers) + len(elements))
    for number, element in enumerate(elements):
        budget.spend()
        pointer = f"{paper.pointer} element {number + 1}".strip()
        piece = msgspec.structs.replace(paper, position=len(papers), pointer=pointer)
        _run_one(piece, element, compiled, context, spec, papers)


def _run_one(
    paper: Paper, document: Any, compiled: CompiledMap, context: MapContext, spec: ConnectionSpec, papers: list[Paper]
) -> None:
    try:
        _convert(paper, compiled.run(document, context), spec)
        if paper.trouble is not None:
            paper.names = _names(paper.object, compiled, document, context)
        if paper.state == "applied" and paper.object in STOCK_REPORTS:
            check_units(paper.value, context.lookups.get(UNITS, {}))
    except HeldAwaiting as error:
        paper.state, paper.awaits = "held", error.awaits
        paper.findings = (*paper.findings, *error.findings)
        paper.trouble = _held(error, spec, compiled)
        paper.names = _names(paper.object, compiled, document, context)
    except DocumentRejected as error:
        if error.code == "XD-MAP-018":
            return
        paper.names = _names(paper.object, compiled, document, context)
        _refuse(paper, error, compiled, spec)
    papers.append(paper)


def _refuse(paper: Paper, error: DocumentRejected, compiled: CompiledMap, spec: ConnectionSpec) -> None:
    """Book that a map refused a document."""
    title = f"Map {compiled.name} refused a document"
    _reject(paper, error.code, title, str(error), spec, error.pointer, error.findings)


def _names(kind: str, compiled: CompiledMap, document: Any, context: MapContext) -> tuple[tuple[str, str], ...]:
    """Return by which names the order of a faulty document may be found: the fields of its map that did come out."""
    try:
        made = {trace.target_pointer: trace.value for trace in compiled.explain(document, context)}
    except (HeldAwaiting, DocumentRejected):
        return ()
    wanted = {"/fulfillment_number": "fulfillment", "/order_number": "order", "/shipment_number": "shipment"}
    if kind in _NUMBER_NAMES:
        wanted["/number"] = _NUMBER_NAMES[kind]
    return tuple((name, str(made[pointer])) for pointer, name in wanted.items() if made.get(pointer))


def _convert(paper: Paper, result: Mapping[str, Any], spec: ConnectionSpec) -> None:
    """Check what the map made against the canonical type; only then is it a canonical object."""
    try:
        paper.value = msgspec.convert(result, OBJECTS[paper.object], strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        field, hint = place.rstrip("`"), f"Correct map {paper.map}"
        if lacks_offset(message):
            message, hint = f"{field.removeprefix('$.')} is a time without its offset, so no instant", OFFSET_HINT
        finding = Finding("XD-MAP-020", f"the map's {paper.object} is not valid: {message}", pointer=field, hint=hint)
        _reject(
            paper,
            finding.code,
            f"Map {paper.map} makes an invalid {paper.object}",
            finding.message,
            spec,
            finding.pointer,
            (finding,),
        )
        return
    findings = quantity_findings(paper.value)
    if findings:
        paper.value = None
        title = f"{spec.partner} sent a quantity that cannot be"
        first = findings[0]
        _reject(paper, first.code, title, first.message, spec, first.pointer, findings)
        return
    paper.canonical = _encode(paper.value)


def quantity_findings(value: Any) -> tuple[Finding, ...]:
    """Return a finding for each quantity of a canonical object that nobody could order or ship."""
    return tuple(
        Finding(
            "XD-DOC-021",
            f"{fault.message}, not {fault.value}",
            pointer=fault.pointer,
            value=fault.value,
            expected=fault.expected,
        )
        for fault in faults_of(value)
    )


def _held(error: HeldAwaiting, spec: ConnectionSpec, compiled: CompiledMap) -> Trouble:
    kind, _, rest = error.awaits.partition(":")
    table, _, key = rest.partition(":")
    finding = error.findings[0] if error.findings else None
    suggestion: dict[str, Any] | None = None
    if kind == "lookup":
        suggestion = {"action": "set_lookup_row", "table": table, "key": key}
        if finding is not None and finding.expected:
            suggestion["value"] = finding.expected
    return Trouble(
        code=error.code,
        cause=f"{error.code}|{error.awaits}|{spec.connection}",
        title=f"{key!r} is not in lookup table {table!r}" if kind == "lookup" else str(error),
        detail=str(error),
        pointer=error.pointer or (finding.pointer if finding else ""),
        suggestion=suggestion,
    )


def _reject(
    paper: Paper,
    code: str,
    title: str,
    detail: str,
    spec: ConnectionSpec,
    pointer: str = "",
    findings: tuple[Finding, ...] = (),
    *,
    kind: str = "",
) -> None:
    """Book a refusal. `kind` tells causes apart that share a code."""
    paper.state = "rejected"
    paper.findings = (
        paper.findings if paper.findings[: len(findings)] == findings and findings else (*paper.findings, *findings)
    )
    paper.trouble = Trouble(
        code=code,
        cause=f"{code}{kind and ':' + kind}|{spec.connection}|{paper.type}|{paper.map}|{_place(pointer)}",
        title=title,
        detail=detail,
        pointer=pointer,
    )


def _place(pointer: str) -> str:
    """Return the pointer without its counts, so that the same defect in many documents is one cause."""
    return "".join("#" if character.isdigit() else character for character in pointer.rpartition(">")[2].strip())


def _no_rule(message: Stored, spec: ConnectionSpec, kind: str, what: str) -> Translation:
    """Nobody said what this is: one refused paper stands for the whole message."""
    count = len(spec.inbound)
    trouble = Trouble(
        code="XD-DOC-020",
        cause=f"XD-DOC-020|{message.connection_id}",
        title=f"No inbound rule of {message.connection_id} reads {what}",
        detail=f"none of its {count} rules fits" if count > 1 else "its only rule does not fit",
        error_class="system",
    )
    paper = Paper(0, "", kind, "rejected", trouble=trouble, byte_length=len(message.content))
    return Translation(message, [paper], "failed", trouble)


# To accept or refuse sets that nobody looked at would be a lie, and a partner believes it.
_NO_ANSWER = (
    "; no 997 was sent, because none of its sets was judged: its partner waits for an answer until it is run again"
    " or sent anew in parts"
)


def _too_costly(message: Stored, kind: str, error: OverBudget) -> Translation:
    """One refused paper stands for a message that was stopped; nothing of it is applied."""
    trouble = Trouble(
        code=error.code,
        cause=f"{error.code}|{message.connection_id}",
        title=f"A message on {message.connection_id} costs more than one message may",
        detail=str(error) + (_NO_ANSWER if kind == "x12" else ""),
        error_class="system" if error.code == OverBudget.code else "partner",
    )
    paper = Paper(0, "", kind, "rejected", trouble=trouble, byte_length=len(message.content))
    return Translation(message, [paper], "failed", trouble)


_A_KIND = {"x12": "An X12", "json": "A JSON", "csv": "A CSV", "fixed": "A fixed-width"}


def _unreadable(message: Stored, kind: str, error: DocumentRejected) -> Translation:
    finding = error.findings[0] if error.findings else Finding(error.code, str(error))
    paper = Paper(0, finding.pointer, kind, "rejected", findings=error.findings, byte_length=len(message.content))
    trouble = Trouble(
        code=error.code,
        cause=f"{error.code}|{message.connection_id}",
        title=f"{_A_KIND.get(kind, f'A {kind}')} message on {message.connection_id} cannot be read",
        detail=str(error),
        pointer=error.pointer or finding.pointer,
        error_class="partner",
    )
    paper.trouble = trouble
    return Translation(message, [paper], "failed", trouble)
