"""Answer what was received (997, TA1), and understand what partners answer (997, 999, TA1).

An acknowledgment speaks of syntax only. One 997 per received functional group, every set listed, accepted ones too,
because senders reconcile per ST02. Groups of acknowledgments are never acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from crossdock.edi.codes import CATALOG
from crossdock.edi.model import (
    Delimiters,
    EdiFinding,
    Envelope,
    Group,
    GroupEnvelope,
    Interchange,
    Segment,
    TransactionSet,
    is_number,
)
from crossdock.edi.writer import write_interchange
from crossdock.errors import Finding

_SEGMENT_ERRORS_MAX = 999
_ELEMENT_ERRORS_MAX = 99
_VALUE_LENGTH_MAX = 99
_STRUCTURE_CODES = frozenset(("isa-too-short", "isa-control-number-invalid", "delimiters-not-distinct"))


class AckNumbers(msgspec.Struct, frozen=True):
    """Control numbers reserved for an answer; sets are numbered on from `first_set`."""

    interchange: int
    group: int
    first_set: int = 1


def acknowledge(
    interchange: Interchange,
    *,
    control_numbers: AckNumbers,
    at: datetime,
    duplicate: bool = False,
    usage: str = "",
    newline: str = "",
) -> bytes:
    """Return the answer to an interchange, or no bytes when none is due.

    A TA1 is due when ISA14 asks for it, when the envelope is damaged, or when the interchange is a conflicting
    duplicate (then nothing else is answered). `at` gives ISA09/10 and GS04/05, written as it is.
    """
    wants_ta1 = wants_technical_acknowledgment(interchange, duplicate)
    services = [technical_acknowledgment(interchange, duplicate=duplicate)] if wants_ta1 else []
    bodies = [] if duplicate else acknowledgment_sets(interchange, first_control_number=control_numbers.first_set)
    if not services and not bodies:
        return b""
    signs = _answer_delimiters(interchange.delimiters)
    version = next((group.version for group in interchange.groups if group.version), "004010")[:6]
    version = version if is_number(version) and len(version) == 6 else "004010"
    release = interchange.version if len(interchange.version) == 5 and is_number(interchange.version) else "00401"
    envelope = Envelope(
        sender_qualifier=_fitting(interchange.receiver_qualifier, 2, signs).ljust(2),
        sender=_fitting(interchange.receiver, 15, signs),
        receiver_qualifier=_fitting(interchange.sender_qualifier, 2, signs).ljust(2),
        receiver=_fitting(interchange.sender, 15, signs),
        control_number=control_numbers.interchange, date=f"{at:%Y%m%d}", time=f"{at:%H%M}",
        usage="T" if (usage or interchange.usage) == "T" else "P", interchange_version=release,
        group_version=version, delimiters=signs, newline=newline,
    )  # fmt: skip
    groups = []
    if bodies:
        first = next(group for group in interchange.groups if _is_due(group))
        groups.append(
            GroupEnvelope(
                "FA",
                control_numbers.group,
                bodies,
                sender=_plain(first.receiver, signs) or envelope.sender,
                receiver=_plain(first.sender, signs) or envelope.receiver,
                version=version,
            )
        )
    return write_interchange(envelope, groups, services=services)


def _fitting(value: str, width: int, signs: Delimiters) -> str:
    """Return an id as it can stand in ISA: a damaged one is answered as well as it can be."""
    return "".join(sign for sign in _plain(value, signs) if sign.isascii())[:width]


def _answer_delimiters(received: Delimiters) -> Delimiters:
    """Answer in the partner's own delimiters where they are sound, in the usual ones where they are not."""
    used = (received.element, received.segment, received.component, received.repetition)
    signs = [sign for sign in used if sign]
    sound = all(sign.isascii() and not sign.isalnum() and sign.isprintable() and sign != " " for sign in signs)
    return received if sound and received.component and len(set(signs)) == len(signs) else Delimiters()


def _is_due(group: Group) -> bool:
    return bool(group.header) and group.functional_id != "FA" and is_number(group.control_number)


def acknowledgment_sets(
    interchange: Interchange, *, first_control_number: int = 1, delimiters: Delimiters | None = None
) -> list[list[Segment]]:
    """Return one 997 (ST to SE) for each received functional group that is to be acknowledged.

    `delimiters` are those the answer will be written with; left out, the partner's own.
    """
    signs = delimiters or _answer_delimiters(interchange.delimiters)
    due = [group for group in interchange.groups if _is_due(group)]
    return [_functional(group, f"{first_control_number + at:04}", signs) for at, group in enumerate(due)]


def _functional(group: Group, control_number: str, signs: Delimiters) -> list[Segment]:
    lines: list[list[str]] = [["ST", "997", control_number]]
    number = group.control_number[-9:]
    lines.append(["AK1", _plain(group.functional_id, signs)[:2], number])
    if group.version[:6] >= "005010":
        lines[-1].append(_plain(group.version, signs)[:12])
    for one in group.sets:
        lines += _set_lines(one, signs)
    accepted = sum(one.accepted for one in group.sets)
    declared = group.declared_count if is_number(group.declared_count) else str(len(group.sets))
    codes = _unique(
        CATALOG[finding.code].acknowledgment
        for finding in group.findings
        if finding.severity == "error" and CATALOG[finding.code].level == "group"
    )
    counts = [declared.lstrip("0")[-6:] or "0", str(len(group.sets)), str(accepted)]
    lines.append(["AK9", group_code(group), *counts, *codes[:5]])
    lines.append(["SE", str(len(lines) + 1), control_number])
    return [Segment(line) for line in lines]


def group_code(group: Group) -> str:
    """Return AK901: A all accepted, E accepted with errors, P some accepted, R none."""
    accepted = [one for one in group.sets if one.accepted]
    if not accepted:
        return "R"
    if len(accepted) < len(group.sets):
        return "P"
    clean = all(one.acceptance == "A" for one in accepted)
    return "A" if clean and not any(finding.severity == "error" for finding in group.findings) else "E"


def _set_lines(one: TransactionSet, signs: Delimiters) -> list[list[str]]:
    control = _plain(one.control_number, signs)[:9] or "0000"
    lines = [["AK2", _plain(one.code, signs)[:3] or "000", control]]
    errors = [finding for finding in one.findings if finding.severity == "error" and isinstance(finding, EdiFinding)]
    by_segment: dict[tuple[int, str, str], list[EdiFinding]] = {}
    codes: list[str] = []
    for finding in errors:
        kind = CATALOG[finding.code]
        if kind.level == "set":
            codes.append(kind.acknowledgment)
        elif finding.segment is not None and kind.level in ("segment", "element"):
            own = kind.acknowledgment if kind.level == "segment" else "8"
            by_segment.setdefault((finding.segment, finding.tag, own), []).append(finding)
    for (number, tag, code), findings in sorted(by_segment.items(), key=lambda item: item[0])[:_SEGMENT_ERRORS_MAX]:
        lines.append(["AK3", _plain(tag, signs)[:3] or "???", str(number), "", code])
        if code == "8":
            lines += [_element_line(finding, signs) for finding in findings[:_ELEMENT_ERRORS_MAX]]
    if by_segment:
        codes.append("5")
    lines.append(["AK5", one.acceptance, *_unique(codes)[:5]])
    return lines


def _element_line(finding: EdiFinding, signs: Delimiters) -> list[str]:
    place = str(finding.element or 1)
    if finding.component:
        place += f"{signs.component}{finding.component}"
    reference = finding.reference if is_number(finding.reference) else ""
    line = ["AK4", place, reference, CATALOG[finding.code].acknowledgment]
    value = _plain(finding.value or "", signs)[:_VALUE_LENGTH_MAX]
    return [*line, value] if value else line


def _plain(value: str, signs: Delimiters) -> str:
    """Strip delimiters and control characters: a raw delimiter is never echoed into an answer."""
    forbidden = {signs.element, signs.segment, signs.component, signs.repetition}
    return "".join(sign for sign in value if sign.isprintable() and sign not in forbidden).strip()


def _unique(codes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(code for code in codes if code))


def wants_technical_acknowledgment(interchange: Interchange, duplicate: bool = False) -> bool:
    """Tell whether a TA1 is due: asked for, or the envelope is damaged, or a conflicting duplicate."""
    if not interchange.isa or interchange.format != "x12":
        return False
    return duplicate or interchange.ack_requested or any(_is_envelope_error(one) for one in interchange.findings)


def _is_envelope_error(finding: Finding) -> bool:
    return finding.severity == "error" and CATALOG[finding.code].level == "interchange"


def technical_acknowledgment(interchange: Interchange, *, duplicate: bool = False) -> Segment:
    """Return the TA1 for an interchange: A, E when sets were still delivered, R when nothing could be used."""
    errors = [finding for finding in interchange.findings if _is_envelope_error(finding)]
    note = next((CATALOG[one.code].acknowledgment for one in errors if CATALOG[one.code].acknowledgment), "000")
    delivered = any(one.accepted for one in interchange.sets)
    broken = any(finding.code in _STRUCTURE_CODES for finding in errors)
    code = "A" if not errors else "E" if delivered and not broken else "R"
    if duplicate:
        code, note = "R", "025"
    digits = "".join(sign for sign in interchange.control_number if is_number(sign))
    date = interchange.date if len(interchange.date) == 6 and is_number(interchange.date) else "000000"
    time = interchange.time if len(interchange.time) == 4 and is_number(interchange.time) else "0000"
    return Segment(["TA1", digits[-9:].zfill(9), date, time, code, note])


# -- what partners answer -----------------------------------------------------------------------------------------


class ElementError(msgspec.Struct, frozen=True):
    """AK4 or IK4: `place` is element[:component[:repetition]]."""

    place: str
    code: str
    reference: str = ""
    value: str = ""


class SegmentError(msgspec.Struct, frozen=True):
    """AK3 or IK3; `position` counts from ST = 1."""

    tag: str
    position: str
    code: str
    loop: str = ""
    elements: tuple[ElementError, ...] = ()


class SetOutcome(msgspec.Struct, frozen=True):
    """What became of one of our sets; an empty `code` means the partner did not say."""

    set_id: str
    control_number: str
    code: str
    errors: tuple[str, ...] = ()
    segments: tuple[SegmentError, ...] = ()

    @property
    def accepted(self) -> bool:
        """A and E were taken in; R, M, W and X were not."""
        return self.code in ("A", "E")


class Acknowledgment(msgspec.Struct, frozen=True):
    """A received 997 or 999: the group it answers and the outcome of each set it lists."""

    functional_id: str
    group_control_number: str
    code: str
    sets: tuple[SetOutcome, ...]
    version: str = ""
    included: str = ""
    received: str = ""
    accepted: str = ""
    errors: tuple[str, ...] = ()

    def outcome(self, set_control_number: str) -> str:
        """Return the code for one of our sets; an acknowledgment without AK2 speaks for all of them by AK901."""
        for one in self.sets:
            if one.control_number == set_control_number:
                return one.code
        return self.code if self.code in ("A", "E", "R") else ""


class InterchangeAcknowledgment(msgspec.Struct, frozen=True):
    """A received TA1."""

    control_number: str
    code: str
    note: str
    date: str = ""
    time: str = ""


def read_acknowledgment(one: TransactionSet) -> Acknowledgment:
    """Read a 997 or 999 into per-set outcomes; a damaged one gives what it holds."""
    functional_id = group = version = code = included = received = accepted = ""
    errors: tuple[str, ...] = ()
    sets: list[SetOutcome] = []
    for segment in one.segments:
        get = segment.get
        tag = segment.tag
        if tag == "AK1":
            functional_id, group, version = get(1), get(2), get(3)
        elif tag == "AK2":
            sets.append(SetOutcome(get(1), get(2), ""))
        elif tag in ("AK3", "IK3") and sets:
            error = SegmentError(get(1), get(2), get(4), get(3))
            sets[-1] = msgspec.structs.replace(sets[-1], segments=(*sets[-1].segments, error))
        elif tag in ("AK4", "IK4") and sets and sets[-1].segments:
            sets[-1] = _with_element_error(sets[-1], ElementError(get(1), get(3), get(2), get(4)))
        elif tag in ("AK5", "IK5") and sets:
            sets[-1] = msgspec.structs.replace(sets[-1], code=get(1), errors=tuple(filter(None, segment.elements[2:])))
        elif tag == "AK9":
            code, included, received, accepted = get(1), get(2), get(3), get(4)
            errors = tuple(filter(None, segment.elements[5:]))
    return Acknowledgment(functional_id, group, code, tuple(sets), version, included, received, accepted, errors)


def _with_element_error(outcome: SetOutcome, error: ElementError) -> SetOutcome:
    last = outcome.segments[-1]
    last = msgspec.structs.replace(last, elements=(*last.elements, error))
    return msgspec.structs.replace(outcome, segments=(*outcome.segments[:-1], last))


def read_interchange_acknowledgments(interchange: Interchange) -> list[InterchangeAcknowledgment]:
    """Return every TA1 of an interchange."""
    return [
        InterchangeAcknowledgment(one.get(1), one.get(4), one.get(5), one.get(2), one.get(3))
        for one in interchange.segments
        if one.tag == "TA1"
    ]
