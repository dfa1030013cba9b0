"""Check the elements of segments: presence, type, length, codes and the syntax notes P R E C L.

A segment that is right is recognised by one compiled pattern; only the others are looked at element by element,
which keeps full validation within a few microseconds a segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from crossdock.edi.codes import make
from crossdock.edi.model import Delimiters, EdiFinding, Segment
from crossdock.edi.schema import ElementRule, SegmentRule
from crossdock.edi.walker import address

# Between elements in the compiled patterns; a control character never is data.
JOINER = "\x1f"

_PRINTABLE = "[^\x00-\x1f\x7f-\x9f]"
_TEXT = re.compile(f"{_PRINTABLE}*")
_DAY = "(?:(?:0[1-9]|1[0-2])(?:0[1-9]|1\\d|2[0-8])|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[13578]|1[02])31)"
_TIME = re.compile("(?:[01]\\d|2[0-3])[0-5]\\d(?:[0-5]\\d(?:\\d\\d?)?)?")
_REAL = re.compile(r"-?(?=\.?\d)\d*\.?\d*")
_WHOLE = re.compile(r"-?\d+")


def _pattern_of(element: ElementRule) -> str:
    low, high = max(element.min, 1), element.max
    if element.components:
        return ""
    if element.codes:
        body = "(?:" + "|".join(re.escape(code) for code in sorted(element.codes)) + ")"
    elif element.type == "DT":
        body = "(?:19|20)\\d\\d" + _DAY if high == 8 else "\\d\\d" + _DAY
    elif element.type == "TM":
        body = f"(?=\\d{{{low},{high}}}(?!\\d)){_TIME.pattern}"
    elif element.type == "R":
        body = f"-?(?=(?:\\.?\\d){{{low},{high}}}\\.?(?![\\d.]))\\d*\\.?\\d*"
    elif element.type.startswith("N"):
        body = f"-?\\d{{{low},{high}}}"
    else:
        body = f"{_PRINTABLE}{{{low},{high}}}"
    return body if element.mandatory else f"(?:{body})?"


@lru_cache(maxsize=4_096)
def fast_pattern(rule: SegmentRule) -> Callable[[str], object] | None:
    """Return a matcher for segments that are surely right (elements joined with JOINER), or None.

    A composite that is sent is never surely right; rules that demand one have no matcher.
    """
    if any(element.components and element.mandatory for element in rule.elements):
        return None
    needed = max((number for number, element in enumerate(rule.elements, 1) if element.mandatory), default=0)
    parts = [_pattern_of(element) for element in rule.elements]
    head = rule.tag + "".join(JOINER + part for part in parts[:needed])
    tail = ""
    for part in reversed(parts[needed:]):
        tail = f"(?:{JOINER}{part}{tail})?"
    return re.compile(head + tail).fullmatch


# What else a segment has to be looked at for.
_NOTES, _CODES = 1, 2

# Of one segment: its matcher, _NOTES and _CODES, its rule.
_Prepared = tuple[Callable[[str], object] | None, int, SegmentRule]


class ElementChecks:
    """The checks of one set under one schema; build once per schema and use for every set."""

    def __init__(self, rules: dict[str, SegmentRule]) -> None:
        self._rules = rules
        self._fast: dict[str, _Prepared] = {}
        self._coded: dict[str, tuple[tuple[int, frozenset[str]], ...]] = {}
        self._notes: dict[tuple[str, tuple[bool, ...]], bool] = {}

    def check(self, segments: list[Segment], delimiters: Delimiters, pointer: str) -> list[EdiFinding]:
        """Return the findings about the elements of these segments; the first is number 1."""
        findings: list[EdiFinding] = []
        fast, notes = self._fast, self._notes
        number = 0
        for segment in segments:
            number += 1
            elements = segment.elements
            known = fast.get(elements[0]) or self._known(elements[0])
            if known is None:
                continue
            matches, more, rule = known
            if matches is None or matches(JOINER.join(elements)) is None or not elements[-1]:
                _check_slowly(rule, segment, number, delimiters, pointer, findings)
            if more:
                if more & _NOTES:
                    present = (elements[0], tuple(map(bool, elements)))
                    kept = notes.get(present)
                    if kept is None:
                        kept = notes[present] = not any(broken_note(note, segment) for note in rule.notes)
                    if not kept:
                        _check_notes(rule, segment, number, pointer, findings)
                if more & _CODES:
                    for at, codes in self._coded[elements[0]]:
                        if at < len(elements) and elements[at] and elements[at] not in codes:
                            _note_code(rule, segment, number, at, pointer, findings)
        return findings

    def _known(self, tag: str) -> _Prepared | None:
        """Compile the pattern of a segment when it is first met; most sets use few."""
        rule = self._rules.get(tag)
        if rule is None:
            return None
        coded = tuple((at, element.known) for at, element in enumerate(rule.elements, 1) if element.known)
        if coded:
            self._coded[tag] = coded
        more = (_NOTES if rule.notes else 0) | (_CODES if coded else 0)
        known = self._fast[tag] = (fast_pattern(rule), more, rule)
        return known


def broken_note(note: tuple[str, tuple[int, ...]], segment: Segment) -> int | None:
    """Return the element number a syntax note asks for (or forbids, for E), or None when the note holds."""
    kind, numbers = note
    present = [bool(segment.get(number)) for number in numbers]
    if kind == "P":
        return numbers[present.index(False)] if any(present) and not all(present) else None
    if kind == "R":
        return None if any(present) else numbers[0]
    if kind == "E":
        return numbers[len(present) - 1 - present[::-1].index(True)] if sum(present) > 1 else None
    if kind == "C":
        return numbers[present.index(False)] if present[0] and not all(present) else None
    return numbers[1] if present[0] and not any(present[1:]) else None


_NOTE_WORDS = {
    "P": "must be sent together or not at all",
    "R": "need at least one of them",
    "E": "exclude each other",
    "C": "are all needed once the first is sent",
    "L": "need at least one more once the first is sent",
}


def _check_notes(rule: SegmentRule, segment: Segment, number: int, pointer: str, findings: list[EdiFinding]) -> None:
    for note in rule.notes:
        element = broken_note(note, segment)
        if element is not None:
            code = "element-excluded" if note[0] == "E" else "element-conditional-missing"
            names = ", ".join(f"{rule.tag}{one:02}" for one in note[1])
            findings.append(_finding(code, f"{names} {_NOTE_WORDS[note[0]]}.", rule, segment, number, element, pointer))


def _note_code(
    rule: SegmentRule, segment: Segment, number: int, at: int, pointer: str, findings: list[EdiFinding]
) -> None:
    name, value = rule.elements[at - 1].name, segment.get(at)
    message = f"{rule.tag}{at:02} ({name}) {value} is no code we have a meaning for."
    findings.append(_finding("code-not-interpreted", message, rule, segment, number, at, pointer, value=value))


def _check_slowly(
    rule: SegmentRule,
    segment: Segment,
    number: int,
    delimiters: Delimiters,
    pointer: str,
    findings: list[EdiFinding],
) -> None:
    elements = segment.elements
    if len(elements) > 1 and not elements[-1]:
        findings.append(
            _finding(
                "trailing-empty-elements",
                f"{rule.tag} ends with empty elements.",
                rule,
                segment,
                number,
                len(elements) - 1,
                pointer,
            )
        )
    for at in range(len(rule.elements) + 1, len(elements)):
        if elements[at]:
            message = f"{rule.tag} has {len(rule.elements)} elements; element {at} was sent."
            findings.append(_finding("element-unexpected", message, rule, segment, number, at, pointer))
    for at, element in enumerate(rule.elements, 1):
        value = segment.get(at)
        if not value:
            if element.mandatory:
                message = f"{rule.tag}{at:02} ({element.name}) is mandatory."
                findings.append(_finding("element-missing", message, rule, segment, number, at, pointer))
            continue
        repetitions = value.split(delimiters.repetition) if delimiters.repetition and element.components else [value]
        for one in repetitions:
            _check_value(element, one, rule, segment, number, at, delimiters, pointer, findings)


def _check_value(
    element: ElementRule,
    value: str,
    rule: SegmentRule,
    segment: Segment,
    number: int,
    at: int,
    delimiters: Delimiters,
    pointer: str,
    findings: list[EdiFinding],
) -> None:
    if not element.components:
        defect = value_defect(element, value)
        if defect:
            code, expected = defect
            message = f"{rule.tag}{at:02} ({element.name}) {_DEFECT_WORDS[code].format(expected=expected)}."
            findings.append(_finding(code, message, rule, segment, number, at, pointer, value=value, expected=expected))
        return
    parts = value.split(delimiters.component) if delimiters.component else [value]
    for part_at, part in enumerate(element.components, 1):
        sent = parts[part_at - 1] if part_at <= len(parts) else ""
        place = f"{rule.tag}{at:02}-{part_at} ({part.name})"
        if not sent and part.mandatory:
            message = f"{place} is mandatory."
            findings.append(_finding("element-missing", message, rule, segment, number, at, pointer, component=part_at))
        defect = value_defect(part, sent) if sent else None
        if defect:
            message = f"{place} {_DEFECT_WORDS[defect[0]].format(expected=defect[1])}."
            findings.append(
                _finding(
                    defect[0],
                    message,
                    rule,
                    segment,
                    number,
                    at,
                    pointer,
                    value=sent,
                    expected=defect[1],
                    component=part_at,
                )
            )
    if len(parts) > len(element.components):
        message = f"{rule.tag}{at:02} has {len(element.components)} components; {len(parts)} were sent."
        findings.append(_finding("element-unexpected", message, rule, segment, number, at, pointer, value=value))


_DEFECT_WORDS = {
    "element-too-short": "is too short: at least {expected} characters",
    "element-too-long": "is too long: at most {expected} characters",
    "element-character": "is not {expected}",
    "element-code": "is none of {expected}",
    "element-date": "is not a date ({expected})",
    "element-time": "is not a time ({expected})",
}


def value_defect(element: ElementRule, value: str) -> tuple[str, str] | None:
    """Return (finding code, what was expected) of the first defect of a value that was sent, or None."""
    if element.codes:
        return None if value in element.codes else ("element-code", ", ".join(sorted(element.codes)))
    if element.type == "DT":
        return None if _is_date(value, element.max) else ("element-date", "CCYYMMDD" if element.max == 8 else "YYMMDD")
    if element.type == "TM":
        fits = element.min <= len(value) <= element.max and _TIME.fullmatch(value)
        return None if fits else ("element-time", "HHMM[SS[DD]]")
    length = len(value)
    if element.type == "R" or element.type.startswith("N"):
        shape, words = (_REAL, "a number") if element.type == "R" else (_WHOLE, "a whole number")
        if not shape.fullmatch(value) or not value.isascii():
            return "element-character", words
        length = sum(sign.isdigit() for sign in value)
    elif not _TEXT.fullmatch(value):
        return "element-character", "printable text"
    if length < element.min:
        return "element-too-short", str(element.min)
    if length > element.max:
        return "element-too-long", str(element.max)
    return None


def _is_date(value: str, width: int) -> bool:
    if len(value) != width or not (value.isascii() and value.isdigit()):
        return False
    year = int(value[:-4]) if width == 8 else 2000 + int(value[:2])
    try:
        return date(year, int(value[-4:-2]), int(value[-2:])).year >= 1900
    except ValueError:
        return False


def _finding(
    code: str,
    message: str,
    rule: SegmentRule,
    segment: Segment,
    number: int,
    at: int,
    pointer: str,
    *,
    value: str | None = None,
    expected: str | None = None,
    component: int | None = None,
) -> EdiFinding:
    reference = rule.elements[at - 1].reference if at <= len(rule.elements) else ""
    return make(
        code,
        message,
        value=value,
        expected=expected,
        pointer=f"{address(pointer, rule.tag, number)} > {rule.tag}{at:02}",
        offset=segment.element_offset(at),
        segment=number,
        tag=rule.tag,
        element=at,
        component=component,
        reference=reference,
    )
