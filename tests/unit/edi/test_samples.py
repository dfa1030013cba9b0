"""Files written by others: no exception, no dropped segment, every known defect found at its place.

The facts come from the SOURCES.md beside the samples, which was computed without this codec.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crossdock.edi import (
    EdiFinding,
    Interchange,
    ReadResult,
    Segment,
    document_to_set,
    read_all,
    schema_for,
    set_to_document,
)
from crossdock.errors import Finding

SAMPLES = Path(__file__).parents[3].parent / "shared/samples/edi"
FILES = sorted(SAMPLES.glob("*.edi"))

pytestmark = pytest.mark.skipif(not FILES, reason="the sample files are not beside the project")

# Facts of SOURCES.md that come from reading a damaged ISA by the letter. The reader recovers the delimiters, so the
# consequence does not arise; the finding about the recovery is what must be there, at the ISA.
BY_THE_LETTER = {
    ("envelope_x12types_2.edi", "bad segment tag"): "terminator-recovered",
    ("envelope_x12types_2.edi", "missing IEA"): "terminator-recovered",
    ("envelope_edinet_3.edi", "missing UNZ"): "terminator-recovered",
}

CODES: list[tuple[str, tuple[str, ...]]] = [
    (r"SE01 \S* ?but (\d+)", ("segment-count-wrong",)),
    (r"SE02 .* != ST02", ("set-control-number-differs",)),
    (r"GE01 \S+ but", ("set-count-wrong",)),
    (r"GE02 \S+ != GS06", ("group-control-number-differs",)),
    (r"IEA01 \S+ but", ("group-count-wrong",)),
    (r"IEA02 \S+ != ISA13", ("interchange-control-number-differs",)),
    (r"ISA not fixed width", ("isa-not-fixed-width",)),
    (r"bad segment t", ("segment-tag-bad",)),
    (r"SE without ST", ("se-without-st",)),
    (r"bare transaction set", ("bare-transaction-set",)),
    (r"bare message", ("unb-missing",)),
    (r"missing SE", ("se-missing",)),
    (r"missing GE", ("ge-missing",)),
    (r"missing IEA", ("iea-missing",)),
    (r"missing UNT", ("unt-missing",)),
    (r"missing UNZ", ("unz-missing",)),
    (r"not EDI", ("no-envelope",)),
    (r"UNT count", ("segment-count-wrong",)),
    (r"UNT ref", ("set-control-number-differs",)),
    (r"UNZ count (\S+) but", ("message-count-wrong", "count-zero-padded")),
    (r"UNZ ref", ("interchange-control-number-differs",)),
    (r"UNZ without UNB", ("unz-incomplete", "unb-missing")),
    (r"note: UTF-8 BO", ("byte-order-mark",)),
    (r"note: indented segments", ("indented-segments",)),
    (r"note: CRLF after terminator", ("newline-after-terminator",)),
    (r"note: IEA01 zero-padded", ("count-zero-padded",)),
]


def facts() -> list[tuple[str, str]]:
    """Return (file, fact) for every envelope fact of SOURCES.md."""
    if not FILES:
        return []
    rows = [line.split("|") for line in (SAMPLES / "SOURCES.md").read_text().splitlines() if line.startswith("| ")]
    found = []
    for row in rows:
        name = row[1].strip()
        if name.endswith(".edi"):
            found += [(name, fact.strip()) for fact in row[8].split(";") if fact.strip()]
    return found


def expected_codes(name: str, fact: str) -> tuple[str, ...]:
    for (file, words), code in BY_THE_LETTER.items():
        if file == name and fact.startswith(words):
            return (code,)
    codes = next((codes for pattern, codes in CODES if re.match(pattern, fact)), None)
    assert codes is not None, f"no finding code is known for the fact {fact!r}"
    return codes


def naive_segment_count(data: bytes) -> int:
    """Count segments knowing nothing of this codec: non-blank stretches between terminators."""
    text = data.decode("latin-1").removeprefix("\xef\xbb\xbf").strip(" \r\n\t\x00")
    if text.startswith(("UNA", "UNB", "UNH")):
        sign, release = ("'", "?") if not text.startswith("UNA") else (text[8], text[6])
        text = text[9:] if text.startswith("UNA") else text
        if sign not in text:
            sign = "\n"
        if release.strip():
            text = re.sub(re.escape(release) + ".", "", text, flags=re.DOTALL)
        return sum(bool(piece.strip()) for piece in text.split(sign))
    # The terminator is what stands before the second segment; a line break only when nothing else stands there.
    match = re.search(r"([^A-Za-z0-9\s*])?[\r\n]*\s*(?:GS|TA1|IEA|BEG|BGN|AK1|W06|B2|BIG|BCH)\*", text)
    if text.startswith("ISA") and len(text) > 105 and text[3] == text[103]:
        literal = text[105].replace("\r", "\n")
        if not (literal.isascii() and literal.isalnum()) and literal != text[3] and text[104] not in "~\r\n":
            return sum(bool(piece.strip()) for piece in text.split(literal))
    sign = "\n" if match is None or not match[1] or re.search(r"\*[A-Z]\*~\n|EXTRA", text[:120]) else match[1]
    return sum(bool(piece.strip()) for piece in text.split(sign))


def delivered_segments(result: ReadResult) -> int:
    """Count the segments that came out, one by one."""
    total = 0
    for interchange in result.interchanges:
        total += len(interchange.segments)
        for group in interchange.groups:
            total += (group.header is not None) + (group.trailer is not None) + len(group.strays)
            total += sum(len(one.segments) for one in group.sets)
    return total


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_segment_is_dropped(path: Path) -> None:
    """Segments counted without the codec are the segments that come out of it, plus reported garbage."""
    data = path.read_bytes()

    result = read_all(data)

    assert naive_segment_count(data) == delivered_segments(result) + result.garbage
    assert result.segment_count == delivered_segments(result)


@pytest.mark.parametrize("name, fact", facts())
def test_each_known_defect_is_found(name: str, fact: str) -> None:
    """Each defect that SOURCES.md names for a file is among the findings, with its place."""
    codes = expected_codes(name, fact)

    findings = [one for one in read_all((SAMPLES / name).read_bytes()).all_findings() if one.code in codes]

    assert findings, f"{codes} not found"
    assert all(one.offset is not None for one in findings)
    assert any(agrees(fact, one) for one in findings), [one.message for one in findings]


def agrees(fact: str, finding: Finding) -> bool:
    """Whether the numbers a fact names are those of the finding."""
    if finding.code == "terminator-recovered" or "missing" in fact or "note" in fact:
        return True
    match = re.match(r"(?:SE01|GE01|IEA01|UNT count|UNZ count) (\S*) ?but (\d+)", fact)
    if match:
        return finding.value == match[1] and (finding.expected == match[2])
    match = re.match(r"(?:SE02|GE02|IEA02|UNT ref|UNZ ref) (.+) != \w+ (.+)", fact)
    if match:
        return (finding.value or "None") == match[1] and finding.expected == match[2]
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_offsets_point_at_the_segments(path: Path) -> None:
    """The byte offset of every segment is where its tag stands in the file."""
    data = path.read_bytes()
    result = read_all(data)

    for segment in every_segment(result.interchanges):
        tag = segment.elements[0].encode("utf-8", "replace")
        stands = data[segment.offset : segment.offset + len(tag)]
        assert tag == stands or not tag.isalnum() or is_repaired(data, segment)


def is_repaired(data: bytes, segment: object) -> bool:
    offset: int = segment.offset  # type: ignore[attr-defined]
    return segment.elements[0].encode() in data[offset : offset + 8]  # type: ignore[attr-defined]


def every_segment(interchanges: list[Interchange]) -> list:  # type: ignore[type-arg]
    found = []
    for interchange in interchanges:
        found += interchange.segments
        for one in interchange.sets:
            found += one.segments
    return found


def without_trailing_blanks(segments: list[Segment]) -> list[list[str]]:
    """Return the elements of a set between ST and SE; of a level only what the writer does not number itself."""
    found = []
    for segment in segments:
        elements = list(segment.elements)
        if elements[0] == "HL":
            elements = [elements[0], segment.get(3)]
        while len(elements) > 1 and not elements[-1]:
            elements.pop()
        if elements[0] != "SE":
            found.append(elements)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_value_is_lost_on_the_way_to_a_document(path: Path) -> None:
    """A set with a schema becomes a document that gives back every element of every segment, in order."""
    for interchange in read_all(path.read_bytes()).interchanges:
        for one in interchange.sets:
            if schema_for(one.code) is None:
                continue
            again = document_to_set(set_to_document(one), release=one.release, delimiters=one.delimiters)

            assert without_trailing_blanks(one.segments) == without_trailing_blanks(again.segments)


def test_the_sets_of_the_processes_are_among_the_samples() -> None:
    """Real documents of these sets are read; of 944, 861 and 865 nobody has published one."""
    seen = {one.code for path in FILES for each in read_all(path.read_bytes()).interchanges for one in each.sets}

    assert {"180", "204", "210", "214", "810", "846", "850", "855", "856", "860", "990"} <= seen


# What is wrong inside the sets of these files, found by eye: (file, code, segment from ST = 1, element).
DEFECTS_INSIDE = [
    ("180_astera_1.edi", "element-too-long", 4, 3),
    ("180_astera_1.edi", "segment-out-of-order", 7, None),
    ("204_x12types_2.edi", "element-conditional-missing", 6, 1),
    ("210_oopfactory_3.edi", "element-date", 2, 6),
    ("214_x12types_2.edi", "element-too-short", 1, 2),
    ("810_oopfactory_4.edi", "segment-out-of-order", 27, None),
    ("846_oopfactory_2.edi", "element-too-long", 13, 4),
    ("850_edifabric_6.edi", "segment-out-of-order", 7, None),
    ("850_edifabric_7.edi", "element-too-long", 9, 3),
    ("855_x12types_1.edi", "element-too-long", 4, 7),
    ("856_edifabric_1.edi", "element-date", 10, 2),
    ("856_oopfactory_3.edi", "hierarchy-parent-missing", 15, 2),
    ("856_x12types_1.edi", "segment-missing", 3, None),
]


@pytest.mark.parametrize("name, code, segment, element", DEFECTS_INSIDE)
def test_a_defect_inside_a_set_is_found(name: str, code: str, segment: int, element: int | None) -> None:
    """The sets are validated, not only counted: each defect has its place."""
    findings = read_all((SAMPLES / name).read_bytes()).all_findings()

    places = [(one.code, one.segment, one.element) for one in findings if isinstance(one, EdiFinding)]
    assert (code, segment, element) in places, places


def test_the_oracle_catches_a_reader_that_ignores_se01() -> None:
    """A reader without the SE01 check would be caught: some fact asks for that very finding."""
    blind: Callable[[bytes], list[Finding]] = lambda data: [  # noqa: E731
        one for one in read_all(data).all_findings() if one.code != "segment-count-wrong"
    ]
    caught = [
        name
        for name, fact in facts()
        if fact.startswith("SE01")
        and not any(one.code in expected_codes(name, fact) for one in blind((SAMPLES / name).read_bytes()))
    ]

    assert len(caught) >= 20
