"""Write interchanges: an ISA of exactly 106 bytes, groups and sets, counts and control-number copies.

Nothing is invented and nothing is cut: ids, numbers, date and time come in with the envelope, a value that does not
fit is refused, and so is data that holds a delimiter.
"""

from __future__ import annotations

from collections.abc import Iterable

from crossdock.edi.codes import make
from crossdock.edi.envelope import ISA_LENGTH, ISA_WIDTHS
from crossdock.edi.model import Delimiters, EdiFinding, Envelope, GroupEnvelope, Interchange, Segment
from crossdock.edi.sets import segment_rule
from crossdock.errors import DocumentRejected


def write_interchange(
    envelope: Envelope, groups: Iterable[GroupEnvelope], *, services: Iterable[Segment] = ()
) -> bytes:
    """Return the bytes of an interchange. `services` (TA1) go between ISA and the first group.

    Raises DocumentRejected, with findings, when an id or number does not fit or data holds a delimiter.
    """
    signs = envelope.delimiters
    lines = [isa_text(envelope)]
    lines += [segment_text(segment, signs) for segment in services]
    count = 0
    for group in groups:
        count += 1
        lines += _group_lines(envelope, group)
    lines.append(signs.element.join(["IEA", str(count), f"{envelope.control_number:09}"]))
    return _encoded(lines, signs.segment + envelope.newline, envelope.charset)


def _encoded(lines: list[str], ending: str, charset: str) -> bytes:
    text = ending.join(lines) + ending
    try:
        return text.encode(charset)
    except UnicodeEncodeError as error:
        sign = text[error.start]
        raise DocumentRejected(
            f"{sign!r} cannot be written in {charset}", hint="Send UTF-8, or replace the character in the map."
        ) from error


def isa_text(envelope: Envelope) -> str:
    """Return ISA without its terminator: 105 bytes, every element padded to its width."""
    signs = envelope.delimiters
    check_delimiters(signs)
    release = envelope.interchange_version
    values = (
        envelope.authorization[0], envelope.authorization[1], envelope.security[0], envelope.security[1],
        envelope.sender_qualifier, envelope.sender, envelope.receiver_qualifier, envelope.receiver,
        envelope.date[-6:], envelope.time[:4], signs.repetition or "U", release,
        f"{envelope.control_number:09}", "1" if envelope.ack_requested else "0", envelope.usage, signs.component,
    )  # fmt: skip
    findings: list[EdiFinding] = []
    if not 1 <= envelope.control_number <= 999_999_999:
        message = f"Control number {envelope.control_number} is not between 1 and 999999999."
        findings.append(make("isa-control-number-invalid", message, pointer="ISA13", value=values[12]))
    for number, (value, width) in enumerate(zip(values, ISA_WIDTHS, strict=True), 1):
        delimiter = number not in (11, 16) and any(sign in value for sign in _used(signs))
        padded = number in (2, 4, 6, 8)
        if len(value) > width or (not padded and len(value) != width) or delimiter or not value.isascii():
            message = f"ISA{number:02} {value!r} does not fit {width} characters or holds a delimiter."
            findings.append(
                make("isa-value-invalid", message, severity="error", pointer=f"ISA{number:02}", value=value)
            )
    if findings:
        raise DocumentRejected(
            findings[0].message, findings=tuple(findings), hint="Correct the partner's EDI settings."
        )
    padded_values = [value.ljust(width) for value, width in zip(values, ISA_WIDTHS, strict=True)]
    text = signs.element.join(["ISA", *padded_values])
    assert len(text) == ISA_LENGTH - 1
    return text


def _group_lines(envelope: Envelope, group: GroupEnvelope) -> list[str]:
    signs = envelope.delimiters
    version = group.version or envelope.group_version
    date = group.date or envelope.date
    if not 1 <= group.control_number <= 999_999_999:
        raise DocumentRejected(f"Group control number {group.control_number} is not between 1 and 999999999")
    header = Segment([
        "GS", group.functional_id, group.sender or envelope.sender, group.receiver or envelope.receiver,
        date if version[:6] >= "004010" else date[-6:], group.time or envelope.time, str(group.control_number),
        group.agency, version,
    ])  # fmt: skip
    lines = [segment_text(header, signs)]
    for segments in group.sets:
        _check_set(segments)
        lines += [segment_text(segment, signs) for segment in segments]
    lines.append(signs.element.join(["GE", str(len(group.sets)), str(group.control_number)]))
    return lines


def _check_set(segments: list[Segment]) -> None:
    whole = len(segments) > 1 and segments[0].tag == "ST" and segments[-1].tag == "SE"
    if not whole or segments[-1].get(1) != str(len(segments)) or segments[-1].get(2) != segments[0].get(2):
        raise DocumentRejected("A set must run from ST to a SE that repeats its count and control number")


def check_delimiters(signs: Delimiters) -> None:
    """Refuse delimiters that are not single, distinct ASCII signs."""
    used = _used(signs)
    single = all(len(sign) == 1 and sign.isascii() and not sign.isalnum() and sign != " " for sign in used)
    if not single or len(set(used)) != len(used) or not signs.component:
        raise DocumentRejected(
            f"Delimiters {used} must be distinct single signs", hint="Correct the partner's EDI settings."
        )


def _used(signs: Delimiters) -> list[str]:
    return [sign for sign in (signs.element, signs.segment, signs.component, signs.repetition) if sign]


def segment_text(segment: Segment, signs: Delimiters) -> str:
    """Return a segment without its terminator and without empty elements at the end."""
    elements = segment.elements
    if not elements[-1]:
        elements = list(elements)
        while len(elements) > 1 and not elements[-1]:
            elements.pop()
    text = signs.element.join(elements)
    # One look at the joined text is several times cheaper than one at each element.
    if (
        text.count(signs.element) != len(elements) - 1
        or signs.segment in text
        or (signs.component and signs.component in text)
        or (signs.repetition and signs.repetition in text)
        or not text.isprintable()
    ):
        _check_collision(segment, signs)
    return text


def _check_collision(segment: Segment, signs: Delimiters) -> None:
    rule = segment_rule(segment.tag)
    for number, value in enumerate(segment.elements):
        composite = rule is None or (0 < number <= len(rule.elements) and bool(rule.elements[number - 1].components))
        forbidden = [signs.element, signs.segment, "\r", "\n", "\x00"]
        forbidden += [] if composite else [sign for sign in (signs.component, signs.repetition) if sign]
        found = next((sign for sign in forbidden if sign in value), None)
        if found is not None:
            place = f"{segment.tag}{number:02}"
            finding = make("element-character", f"{place} holds the delimiter {found!r}.", value=value, pointer=place,
                           tag=segment.tag, element=number)  # fmt: skip
            raise DocumentRejected(
                finding.message, findings=(finding,), pointer=place,
                hint="Choose other delimiters for this partner, or replace the sign in the map.",
            )  # fmt: skip


def write(interchange: Interchange) -> bytes:
    """Write back what was read: `write(read(x)) == x` but for BOM, line breaks between segments and trailing blanks.

    For a conforming interchange; damaged ones keep their damage.
    """
    signs = interchange.delimiters
    segments = list(interchange.segments)
    for group in interchange.groups:
        segments += [one for one in (group.header, group.trailer) if one is not None]
        segments += group.strays
        for each in group.sets:
            segments += each.segments
    segments.sort(key=lambda segment: segment.offset)
    ending = signs.segment.encode("latin-1")
    lines = []
    for segment in segments:
        elements = segment.elements
        while len(elements) > 1 and not elements[-1] and elements[0] != "ISA":
            elements = elements[:-1]
        text = signs.element.join(elements)
        lines.append(text.encode("latin-1" if segment.single_byte else "utf-8"))
    return b"".join(line + ending for line in lines)
