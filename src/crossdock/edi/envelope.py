"""Find the delimiters of an X12 interchange, however badly its ISA was treated on the way.

Text comes in decoded as Latin-1, so one character is one byte and positions are byte offsets.
The ISA is believed by the letter where it can be; where it cannot, the delimiters are recovered from
what follows, and a finding says so. Nothing here raises.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from crossdock.edi.codes import make
from crossdock.edi.model import Delimiters, EdiFinding, is_number

ISA_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
ISA_LENGTH = 106
LOOK_AHEAD = 2_048

_SEPARATOR_POSITIONS = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_NEXT_TAGS = "GS|TA1|ISB|ISE|IEA|ST"
_USUAL_TERMINATORS = "~'!|^\x1c\x1d\x85"
_BARE_SET = re.compile(r"ST([^A-Za-z0-9\s])(\d{3})\1([A-Za-z0-9]{1,9})(?:\1[A-Za-z0-9.\-]*)?([^A-Za-z0-9]{1,2})")


class Header(NamedTuple):
    """What an interchange header says.

    `tail` are characters cut from the end of every segment; `wrapped`: line breaks inside segments are removed.
    `elements` holds ISA and its sixteen elements; `length` counts raw bytes up to and with the terminator.
    """

    delimiters: Delimiters
    elements: list[str]
    length: int
    tail: str
    wrapped: bool
    findings: list[EdiFinding]


def starts_interchange(text: str, at: int) -> bool:
    """Whether an ISA stands at `at`: its separator is a sign, or the fixed positions agree on one byte."""
    if not text.startswith("ISA", at) or len(text) < at + 4:
        return False
    separator = text[at + 3]
    return (not _is_word(separator) and separator not in "\r\n\x00") or _is_fixed(text[at : at + ISA_LENGTH])


def _is_word(sign: str) -> bool:
    return sign.isascii() and sign.isalnum()


def _is_fixed(head: str) -> bool:
    if len(head) < ISA_LENGTH - 1:
        return False
    separator = head[3]
    return all(head[at] == separator for at in _SEPARATOR_POSITIONS) and (
        _is_word(separator) or head.count(separator, 0, 104) == len(_SEPARATOR_POSITIONS)
    )


def read_isa(text: str, at: int, base: int, pointer: str) -> Header:
    """Read the ISA at `at` of `text`; `base` is the file offset of `text[0]`."""
    head = text[at : at + LOOK_AHEAD]
    findings: list[EdiFinding] = []
    offset = base + at
    wrapped = False
    if not _is_fixed(head) and re.search(r"[\r\n]", head[:104]):
        flat = re.sub(r"[\r\n]", "", head)
        if _is_fixed(flat):
            head, wrapped = flat, True
            findings.append(make("wrapped-lines", "Lines break inside segments.", pointer=pointer, offset=offset))
    if _is_fixed(head):
        header = _literal(head, findings, offset, pointer)
    else:
        header = _uneven(head, findings, offset, pointer)
    if wrapped:
        header = header._replace(wrapped=True, length=_raw_length(text, at, header.length))
    _check_delimiters(header, offset, pointer)
    return header


def _raw_length(text: str, at: int, flat_length: int) -> int:
    """Return how many raw characters hold `flat_length` characters that are not line breaks."""
    position = at
    while flat_length and position < len(text):
        flat_length -= text[position] not in "\r\n"
        position += 1
    return position - at


def _literal(head: str, findings: list[EdiFinding], offset: int, pointer: str) -> Header:
    """Read an ISA whose elements all have their width: byte 105 is ISA16, byte 106 the terminator."""
    separator = head[3]
    component = head[104]
    terminator = head[105:106]
    if component in "\r\n" or not terminator or terminator == separator or _is_word(terminator):
        return _recovered(head, 104, findings, offset, pointer)
    if terminator in "\r\n":
        stray = _stray_of_lines(head, 106)
        if stray == component or (not stray and component in _USUAL_TERMINATORS and not head[106:].strip()):
            return _recovered(head, 104, findings, offset, pointer)
        if head[105:107] == "\r\n":
            return _header(head, separator, "\n", component, 107, "\r", findings, 105)
        if terminator == "\n":
            return _header(head, separator, "\n", component, 106, "\r", findings, 105)
    return _header(head, separator, terminator, component, 106, "", findings, 105)


def _uneven(head: str, findings: list[EdiFinding], offset: int, pointer: str) -> Header:
    """Read an ISA that lost its fixed widths: count separators instead of bytes."""
    separator = head[3]
    parts = head.split(separator, 16)
    early = next((number for number, part in enumerate(parts[:16]) if number and re.search(r"[\r\n]", part)), None)
    sep = re.escape(separator)
    next_inside = re.search(rf"[^\w\s{sep}]\s*(?:{_NEXT_TAGS}){sep}", separator.join(parts[:16]))
    if len(parts) < 17 or early is not None or next_inside:
        return _too_short(head, findings, offset, pointer)
    at16 = len(separator.join(parts[:16])) + 1
    findings.append(
        make(
            "isa-not-fixed-width",
            "The ISA elements do not have their fixed widths.",
            pointer=pointer,
            offset=offset,
            value=head[:at16].rstrip(),
            expected="106 bytes",
        )
    )
    component, terminator = head[at16 : at16 + 1], head[at16 + 1 : at16 + 2]
    unusable = not terminator or terminator == separator or _is_word(terminator) or _is_word(component)
    if unusable or component in "\r\n":
        return _recovered(head, at16, findings, offset, pointer)
    if terminator in "\r\n":
        stray = _stray_of_lines(head, at16 + 2)
        if component == stray or (not stray and component in _USUAL_TERMINATORS):
            return _recovered(head, at16, findings, offset, pointer)
        length = at16 + (3 if head[at16 + 1 : at16 + 3] == "\r\n" else 2)
        return _header(head, separator, "\n", component, length, "\r", findings, at16 + 1)
    return _header(head, separator, terminator, component, at16 + 2, "", findings, at16 + 1)


def _recovered(head: str, at16: int, findings: list[EdiFinding], offset: int, pointer: str) -> Header:
    """Find the real end of an ISA whose last two bytes cannot be a component separator and a terminator."""
    separator = head[3]
    literal = head[at16 + 1 : at16 + 2]
    sep = re.escape(separator)
    ending = re.compile(rf"(?P<tail>[^\w\s{sep}]?)(?P<nl>\r\n|\r|\n|$)\s*(?:(?:{_NEXT_TAGS}){sep}|$)")
    inline = re.compile(rf"(?P<tail>[^\w\s{sep}])\s*(?:{_NEXT_TAGS}){sep}")
    match = ending.search(head, at16) or inline.search(head, at16)
    if match is None:
        terminator = next((sign for sign in "~'" if sign in head[at16:]), "\n")
        end = head.find(terminator, at16)
        end = len(head) if end < 0 else end
        tail, body_end, length = "", end, min(end + 1, len(head))
    elif match.groupdict().get("nl"):
        newline = match["nl"]
        terminator = "\r" if newline == "\r" else "\n"
        tail = (match["tail"] or _stray_of_lines(head, match.end("nl"))) + ("\r" if newline == "\r\n" else "")
        body_end, length = match.start(), match.end("nl")
    else:
        terminator = match["tail"] or "~"
        tail, body_end, length = "", match.start(), match.start() + len(match["tail"])
    last = head[at16:body_end].split(separator)
    component = last[0][:1] if last[0] and not _is_word(last[0][0]) and last[0][0] not in tail + terminator else ""
    _explain_recovery(last, component, terminator, literal, findings, offset, at16, pointer)
    elements = [*head[: at16 - 1].split(separator), *last]
    delimiters = Delimiters(separator, terminator, component, _repetition(elements))
    return Header(delimiters, elements, length, tail, False, findings)


def _explain_recovery(
    last: list[str],
    component: str,
    terminator: str,
    literal: str,
    findings: list[EdiFinding],
    offset: int,
    at16: int,
    pointer: str,
) -> None:
    where = {"pointer": f"{pointer} > ISA16", "offset": offset + at16}
    if not component:
        findings.append(make("isa-component-separator-missing", "ISA16 holds no component separator.", **where))
    if len(last) > 1:
        message = f"ISA holds {15 + len(last)} elements; the standard knows 16."
        findings.append(make("isa-extra-elements", message, value="*".join(last[1:]), **where))
    if literal != terminator:
        message = (
            f"Byte 106 would make {literal!r} the segment terminator, which leaves bad segment tags and no IEA; "
            f"{terminator!r} is used instead."
        )
        findings.append(make("terminator-recovered", message, value=literal, expected=terminator, **where))


def _too_short(head: str, findings: list[EdiFinding], offset: int, pointer: str) -> Header:
    """Read what there is of an ISA with fewer than sixteen elements."""
    separator = head[3]
    match = re.search(rf"([^\w\s{re.escape(separator)}]?)(\r\n|\r|\n)|[~']", head)
    if match is None:
        body, length, terminator, tail = head, len(head), "~", ""
    elif match[2]:
        terminator, tail = "\n", match[1] + "\r"
        body, length = head[: match.start()], match.end()
    else:
        terminator, tail = match[0], ""
        body, length = head[: match.start()], match.end()
    elements = body.split(separator)[:17]
    message = f"ISA holds {max(len(elements) - 1, 0)} of its 16 elements."
    findings.append(make("isa-too-short", message, pointer=pointer, offset=offset, value=body, expected="16"))
    return Header(Delimiters(separator, terminator, "", ""), elements, length, tail, False, findings)


def _header(
    head: str,
    separator: str,
    terminator: str,
    component: str,
    length: int,
    tail: str,
    findings: list[EdiFinding],
    body_end: int,
) -> Header:
    elements = head[:body_end].split(separator, 16)
    delimiters = Delimiters(separator, terminator, component, _repetition(elements))
    return Header(delimiters, elements, length, tail, False, findings)


def _repetition(elements: list[str]) -> str:
    """ISA11 separates repetitions only from release 00402 on, and never when it is a letter, a digit or blank."""
    if len(elements) < 13 or len(elements[11]) != 1:
        return ""
    release, sign = elements[12], elements[11]
    return sign if is_number(release) and release >= "00402" and not _is_word(sign) and sign != " " else ""


def _stray_of_lines(head: str, at: int) -> str:
    """Return the sign that ends the next line as well, when lines end segments and the sign is a usual terminator."""
    line = re.search(r"[^\r\n]*[^\s\r\n]", head[at:])
    return line[0][-1] if line and line[0][-1] in _USUAL_TERMINATORS else ""


def _check_delimiters(header: Header, offset: int, pointer: str) -> None:
    signs = header.delimiters
    used = [sign for sign in (signs.element, signs.segment, signs.component, signs.repetition) if sign]
    if len(set(used)) != len(used):
        header.findings.append(
            make(
                "delimiters-not-distinct",
                "Two delimiters are the same byte.",
                value=" ".join(used),
                pointer=pointer,
                offset=offset + 3,
            )
        )
    for name, sign in (("element separator", signs.element), ("segment terminator", signs.segment),
                       ("component separator", signs.component)):  # fmt: skip
        if _is_word(sign) or sign == " " or sign > "\x7e":
            header.findings.append(
                make(
                    "delimiter-unusual",
                    f"The {name} {sign!r} may occur in data.",
                    value=sign,
                    pointer=pointer,
                    offset=offset + 3,
                )
            )
    elements = header.elements
    if len(elements) > 12 and elements[12] >= "00402" and is_number(elements[12]) and not signs.repetition:
        header.findings.append(
            make(
                "repetition-separator-ignored",
                "ISA11 is not a sign, so no repetition separator is used.",
                value=elements[11],
                pointer=f"{pointer} > ISA11",
                offset=offset,
            )
        )


def read_bare_set(text: str, at: int) -> Header | None:
    """Guess the delimiters of sets sent without ISA, or return None when no ST stands at `at`."""
    match = _BARE_SET.match(text[at : at + 200])
    if match is None:
        return None
    separator, end = match[1], match[4]
    if end[0] in "\r\n":
        return Header(Delimiters(separator, "\n", "", ""), [], 0, "\r", False, [])
    component = ":" if end[0] != ":" else ">"
    return Header(Delimiters(separator, end[0], component, ""), [], 0, "", False, [])
