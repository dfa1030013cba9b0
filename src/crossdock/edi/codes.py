"""The catalogue of EDI findings: one stable code each, its severity, its acknowledgment code, its remedy.

`make` is the only place that builds a finding, so no code exists that is not in the table.
Levels: `segment` codes become AK304, `element` AK403, `set` AK502, `group` AK905, `interchange` TA105.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from crossdock.edi.model import EdiFinding
from crossdock.errors import Severity

Level = Literal["file", "interchange", "group", "set", "segment", "element"]

FINDINGS_PER_SET_MAX = 1_000


class Code(NamedTuple):
    """One kind of defect."""

    severity: Severity
    level: Level
    acknowledgment: str
    hint: str


CATALOG: dict[str, Code] = {
    # file
    "byte-order-mark": Code("info", "file", "", "Harmless; the sender's editor added it."),
    "leading-bytes": Code("info", "file", "", "Blanks before the first segment are skipped."),
    "nul-bytes": Code("warning", "file", "", "Ask the sender to pad with blanks, not with NUL."),
    "no-envelope": Code("error", "file", "", "The file is neither X12 (ISA) nor EDIFACT (UNA, UNB)."),
    "garbage": Code("warning", "file", "", "These bytes belong to no interchange; they were not read."),
    "bare-transaction-set": Code("error", "interchange", "022", "Sets without ISA/GS name no partner; ask for one."),
    # interchange header
    "isa-too-short": Code("error", "interchange", "022", "ISA must hold 16 elements; resend the whole file."),
    "isa-not-fixed-width": Code("warning", "interchange", "022", "Pad the ISA elements to 106 bytes; a trim broke it."),
    "isa-component-separator-missing": Code("warning", "interchange", "027", "Put the component separator in ISA16."),
    "isa-extra-elements": Code("warning", "interchange", "022", "ISA ends with ISA16 and the terminator."),
    "isa-value-invalid": Code("warning", "interchange", "022", "Correct this ISA element."),
    "isa-control-number-invalid": Code("error", "interchange", "018", "ISA13 is a number of nine digits."),
    "delimiters-not-distinct": Code("error", "interchange", "026", "Use a different character for each separator."),
    "delimiter-unusual": Code("warning", "interchange", "026", "Separators should be ASCII signs absent from data."),
    "terminator-recovered": Code("warning", "interchange", "026", "Byte 106 must be the segment terminator."),
    "stray-terminator": Code("warning", "interchange", "026", "Put this character in ISA, or leave it out."),
    "repetition-separator-ignored": Code("info", "interchange", "", "From 00402 on ISA11 is the repetition separator."),
    "version-disagreement": Code("info", "interchange", "", "GS08 decides which release is read."),
    # interchange trailer
    "iea-missing": Code("error", "interchange", "023", "The interchange was cut short; ask for it again."),
    "interchange-control-number-differs": Code("error", "interchange", "001", "IEA02 must repeat ISA13."),
    "group-count-wrong": Code("error", "interchange", "021", "IEA01 must be the number of groups."),
    "iea-without-isa": Code("error", "interchange", "022", "A trailer stands without its header."),
    "duplicate-interchange": Code("warning", "interchange", "025", "The same interchange is in the file twice."),
    # layout
    "newline-after-terminator": Code("info", "interchange", "", "Harmless."),
    "indented-segments": Code("info", "interchange", "", "Harmless; blanks before segments are skipped."),
    "wrapped-lines": Code("info", "interchange", "", "Line breaks inside segments were removed."),
    "newline-in-segment": Code("warning", "segment", "", "A terminator is probably missing here."),
    "not-utf-8": Code("info", "interchange", "", "These bytes were read as Latin-1."),
    "count-zero-padded": Code("info", "interchange", "", "Harmless; counts are compared as numbers."),
    "segment-unterminated": Code("warning", "interchange", "023", "The last segment has no terminator; it may be cut."),
    "segment-tag-bad": Code("error", "segment", "1", "A segment starts with a tag of two or three capitals or digits."),
    "segment-outside-set": Code("warning", "interchange", "024", "This segment belongs to no set; it was kept apart."),
    # group
    "ge-missing": Code("error", "group", "3", "End the group with GE."),
    "ge-without-gs": Code("error", "interchange", "022", "A trailer stands without its header."),
    "gs-missing": Code("error", "interchange", "022", "A set needs a functional group (GS) around it."),
    "group-control-number-differs": Code("error", "group", "4", "GE02 must repeat GS06."),
    "group-control-number-invalid": Code("error", "group", "6", "GS06 is a number of at most nine digits."),
    "group-control-number-duplicate": Code("warning", "group", "6", "GS06 must differ inside one interchange."),
    "set-count-wrong": Code("error", "group", "5", "GE01 must be the number of sets."),
    "group-type-mismatch": Code("warning", "group", "1", "GS01 does not fit the sets inside."),
    # set
    "se-missing": Code("error", "set", "2", "The set was cut short; ask for it again."),
    "se-without-st": Code("error", "interchange", "024", "A trailer stands without its header."),
    "set-control-number-differs": Code("error", "set", "3", "SE02 must repeat ST02."),
    "set-control-number-invalid": Code("error", "set", "7", "ST02 holds four to nine characters."),
    "set-control-number-duplicate": Code("error", "set", "23", "ST02 must differ inside one group."),
    "segment-count-wrong": Code("error", "set", "4", "SE01 counts all segments, ST and SE included."),
    "set-without-schema": Code("info", "set", "", "Read by structure only; no schema is held for this set."),
    "too-many-findings": Code("warning", "set", "5", "Further findings of this set are left out."),
    # segment
    "segment-unrecognized": Code("error", "segment", "1", "No such segment is known."),
    "segment-unexpected": Code("error", "segment", "2", "This segment has no place here."),
    "segment-missing": Code("error", "segment", "3", "This segment is mandatory."),
    "loop-repeats": Code("error", "segment", "4", "The loop occurs too often."),
    "segment-repeats": Code("error", "segment", "5", "The segment occurs too often."),
    "segment-not-in-set": Code("error", "segment", "6", "This segment is not part of the set."),
    "segment-out-of-order": Code("error", "segment", "7", "This segment stands too late."),
    # levels of a ship notice
    "hierarchy-parent-missing": Code("warning", "element", "7", "HL02 names the level above."),
    "hierarchy-parent-unknown": Code("error", "element", "7", "HL02 must be the HL01 of a level before this one."),
    "hierarchy-number-duplicate": Code("error", "element", "7", "HL01 must differ inside one set."),
    "hierarchy-number-gap": Code("warning", "element", "7", "HL01 counts the levels from 1 without a gap."),
    "hierarchy-child-code-wrong": Code("warning", "element", "7", "HL04 is 1 with levels below, 0 without."),
    # element
    "element-missing": Code("error", "element", "1", "This element is mandatory."),
    "element-conditional-missing": Code("error", "element", "2", "Another element requires this one."),
    "element-unexpected": Code("error", "element", "3", "The segment has fewer elements than were sent."),
    "element-too-short": Code("error", "element", "4", "Lengthen the value."),
    "element-too-long": Code("error", "element", "5", "Shorten the value."),
    "element-character": Code("error", "element", "6", "Only the characters of the element's type are allowed."),
    "element-code": Code("error", "element", "7", "The agreement does not list this code."),
    "code-not-interpreted": Code("info", "element", "7", "It is handed on as sent; a map has to know it."),
    "element-date": Code("error", "element", "8", "Dates are CCYYMMDD and exist in the calendar."),
    "element-time": Code("error", "element", "9", "Times are HHMM, HHMMSS or with hundredths."),
    "element-excluded": Code("error", "element", "10", "Only one of these elements may be sent."),
    "trailing-empty-elements": Code("info", "element", "", "Harmless; empty elements at the end are not needed."),
    # EDIFACT
    "edifact": Code("info", "file", "", "EDIFACT is read by structure; its sets are mapped by a later release."),
    "unb-missing": Code("error", "interchange", "", "Messages without UNB name no partner."),
    "unz-missing": Code("error", "interchange", "", "The interchange was cut short; ask for it again."),
    "unz-incomplete": Code("error", "interchange", "", "UNB and UNZ must hold the same reference."),
    "unt-missing": Code("error", "set", "", "The message was cut short; ask for it again."),
    "unt-without-unh": Code("error", "interchange", "", "A trailer stands without its header."),
    "message-count-wrong": Code("error", "interchange", "29", "UNZ counts messages, or groups where UNG is used."),
    # documents to be written
    "document-field-unknown": Code("error", "element", "", "Use the field names of the document layout."),
    "document-field-missing": Code("error", "element", "", "Give this field; the set is not valid without it."),
    "document-level-number": Code(
        "error", "element", "", "Leave the numbers of levels to the writer; top levels are of one kind."
    ),
    "document-value-not-text": Code("error", "element", "", "Format the value as text in the map."),
}


# The same defects in the words of EDIFACT.
EDIFACT_HINTS = {
    "terminator-recovered": "End each segment with the terminator of UNA, or ' without one.",
    "segment-tag-bad": "A segment starts with a tag of three capitals.",
    "interchange-control-number-differs": "UNZ02 must repeat UNB05.",
    "set-control-number-differs": "UNT02 must repeat UNH01.",
    "segment-count-wrong": "UNT01 counts all segments, UNH and UNT included.",
}


def make(code: str, message: str, **place: Any) -> EdiFinding:
    """Build a finding of a known code; severity and remedy come from the catalogue unless given."""
    kind = CATALOG[code]
    severity = place.pop("severity", None) or kind.severity
    is_edifact = str(place.get("pointer", "")).startswith("UNB")
    hint = place.pop("hint", None) or (EDIFACT_HINTS.get(code) if is_edifact else None) or kind.hint
    value = place.pop("value", None)
    if value is not None and len(value) > 80:
        value = value[:77] + "..."
    return EdiFinding(code=code, message=message, severity=severity, hint=hint, value=value, **place)
