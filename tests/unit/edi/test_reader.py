"""Reading interchanges: structure, counts, control numbers, bad input, streams."""

from __future__ import annotations

import pytest

from crossdock import edi
from tests.unit.edi.samples import ISA, advice, interchange


def codes(data: bytes, *severities: str) -> list[str]:
    return [one.code for one in edi.read_all(data).all_findings() if not severities or one.severity in severities]


def test_a_clean_interchange_has_no_findings() -> None:
    """What conforms is read in full and nothing is said about it."""
    result = edi.read_all(interchange(advice("0001"), advice("0002")))

    (one,) = result.interchanges
    assert [] == result.all_findings()
    assert ("ZZ", "SWIFT3PL", "ZZ", "NORTHGATE") == (
        one.sender_qualifier, one.sender, one.receiver_qualifier, one.receiver,
    )  # fmt: skip
    assert ("000000117", "00401", "P", False) == (one.control_number, one.version, one.usage, one.ack_requested)
    assert [("945", "0001", True), ("945", "0002", True)] == [(s.code, s.control_number, s.accepted) for s in one.sets]
    assert interchange(advice("0001"), advice("0002")) == one.raw


def test_one_bad_set_of_twelve_does_not_hold_the_others() -> None:
    """Each set of an interchange is judged by itself."""
    sets = [advice(f"{number:04}", shipped="SEVEN" if number == 5 else "7") for number in range(1, 13)]

    result = edi.read_all(interchange(*sets))

    assert ["0005"] == [one.control_number for one in result.interchanges[0].sets if not one.accepted]
    (finding,) = result.all_findings()
    assert "element-character" == finding.code
    assert "ISA 1 > GS 1 > ST 0005 > W12 #5 > W1203" == finding.pointer
    assert b"SEVEN" == interchange(*sets)[finding.offset or 0 :][:5]


def test_a_lenient_agreement_accepts_with_errors_but_never_a_cut_set() -> None:
    """Lenient turns R into E, except where the set's end is missing."""
    overlay = edi.PartnerOverlay(acceptance="lenient")
    cut = advice("0002").rsplit("SE*", 1)[0]

    sets = edi.read_all(interchange(advice(count=3), cut), partner_overlay=overlay).interchanges[0].sets

    assert [("0001", "E"), ("0002", "R")] == [(one.control_number, one.acceptance) for one in sets]


@pytest.mark.parametrize(
    "data, expected",
    [
        (interchange(advice(count=8)), "segment-count-wrong"),
        (interchange(advice().replace("SE*9*0001", "SE*9*0002")), "set-control-number-differs"),
        (interchange(advice(), end="118"), "group-control-number-differs"),
        (interchange(advice(), number="000000118"), "interchange-control-number-differs"),
        (interchange(advice(), advice()), "set-control-number-duplicate"),
        (interchange(advice()).replace(b"GE*1", b"GE*2"), "set-count-wrong"),
        (interchange(advice()).replace(b"IEA*1", b"IEA*3"), "group-count-wrong"),
        (interchange(advice()).replace(b"GS*SW", b"GS*OW"), "group-type-mismatch"),
        (interchange(advice(), group="9999999999", end="9999999999"), "group-control-number-invalid"),
        (interchange(advice()).replace(b"ST*945*0001~", b""), "se-without-st"),
        (interchange(advice()).replace(b"GE*1*117~", b""), "ge-missing"),
        (interchange(advice()).replace(b"IEA*1*000000117~", b""), "iea-missing"),
        (interchange(advice())[: len(ISA) + 80], "se-missing"),
        (interchange(advice()).replace(b"W06*", b"w06*"), "segment-tag-bad"),
        (interchange(advice()).replace(b"LX*1~", b"LX*1~ZZ9*1~"), "segment-unrecognized"),
        (interchange(advice()).replace(b"LX*1~", b"LX*1~W05*N~"), "segment-not-in-set"),
        (interchange(advice()).replace(b"N1*ST", b"ZZZ~N1*ST").replace(b"Cafe", b"Caf\xe9"), "not-utf-8"),
        (interchange(advice()).replace(b"SKU-1", b"SKU\x001"), "nul-bytes"),
        (interchange(advice()).replace(b"SKU-1", b"SKU\n1"), "newline-in-segment"),
        (interchange(advice()) + b"\r\nthanks, bye", "garbage"),
        (b"hello" + interchange(advice()), "garbage"),
        (interchange(advice())[:-1], "segment-unterminated"),
        (interchange(advice()) + interchange(advice()), "duplicate-interchange"),
        (advice().encode(), "bare-transaction-set"),
        (b"\x00\x00 \n" + interchange(advice()), "leading-bytes"),
        (b"\xef\xbb\xbf" + interchange(advice()), "byte-order-mark"),
        (b"", "no-envelope"),
        (b"ISA", "no-envelope"),
        (b"%PDF-1.7 ...", "no-envelope"),
        (ISA[:70].encode(), "isa-too-short"),
        (b"ISA*00*  *~" + advice().encode(), "isa-too-short"),
        (interchange(advice()).replace(b"000000117*0*P*>", b"00000000117*0*P*>"), "isa-control-number-invalid"),
        (interchange(advice()).replace(b"*000000117*0*P", b"*00000A117*0*P"), "isa-control-number-invalid"),
        (interchange(advice()).replace(b"*", b"X"), "delimiter-unusual"),
        (interchange(advice()).replace(b"*P*>~", b"*P*~~"), "delimiters-not-distinct"),
        (interchange(advice()).replace(b"~", b"\r"), None),
        (interchange(advice()).replace(b"~", b"\r\n"), None),
        (interchange(advice()).replace(b"~", b"7"), "terminator-recovered"),
    ],
)  # fmt: skip
def test_each_defect_has_its_finding(data: bytes, expected: str | None) -> None:
    """A damaged message is read as far as it goes, and the damage is named with its place."""
    found = edi.read_all(data).all_findings()

    assert expected is None or expected in [one.code for one in found]
    assert all(one.offset is not None for one in found if one.code not in ("too-many-findings",))
    if expected is None:
        assert [] == codes(data, "error", "warning")


def test_newlines_that_terminate_segments_are_not_data() -> None:
    """CR, LF and CRLF as terminators give the same segments as a tilde."""
    expected = [one.elements for one in edi.read_all(interchange(advice())).interchanges[0].sets[0].segments]

    for ending in (b"\r", b"\n", b"\r\n", b"~\n", b"~\r\n"):
        data = interchange(advice()).replace(b"~", ending)
        assert expected == [one.elements for one in edi.read_all(data).interchanges[0].sets[0].segments]


def test_a_file_wrapped_at_eighty_columns_is_read() -> None:
    """Line breaks every 80 characters, in the ISA and in segments, are taken out."""
    data = interchange(advice())
    wrapped = b"\r\n".join(data[at : at + 80] for at in range(0, len(data), 80))

    result = edi.read_all(wrapped)

    assert ["wrapped-lines"] == [one.code for one in result.all_findings() if one.code != "newline-after-terminator"]
    expected = [one.elements for one in edi.read_all(data).interchanges[0].sets[0].segments]
    assert expected == [one.elements for one in result.interchanges[0].sets[0].segments]


def test_isa_that_lost_its_padding_is_read() -> None:
    """ISA trimmed by a tool is read by its separators, with a finding."""
    data = interchange(advice()).replace(b"          ", b" ").replace(b"SWIFT3PL  ", b"SWIFT3PL")

    result = edi.read_all(data)

    assert ["isa-not-fixed-width"] == codes(data)
    assert result.interchanges[0].sets[0].accepted


def test_two_interchanges_with_different_delimiters_are_read() -> None:
    """Each interchange of a file has its own delimiters."""
    other = interchange(advice("0009"), number="000000118").replace(b"000000117*0", b"000000118*0")
    data = interchange(advice()) + b"\n" + other.replace(b"*", b"|").replace(b"~", b"'")

    result = edi.read_all(data)

    assert ["0001", "0009"] == [one.control_number for each in result.interchanges for one in each.sets]
    assert [] == codes(data)


def test_an_interchange_without_iea_does_not_swallow_the_next() -> None:
    """The next ISA ends an interchange whose trailer is missing."""
    data = interchange(advice()).replace(b"IEA*1*000000117~", b"") + interchange(advice("0002"))

    result = edi.read_all(data)

    assert [["0001"], ["0002"]] == [[one.control_number for one in each.sets] for each in result.interchanges]
    assert ["iea-missing"] == [one.code for one in result.interchanges[0].all_findings()]


def test_unknown_sets_are_read_by_structure() -> None:
    """A set without schema keeps every segment and is accepted; a finding says it was not validated."""
    one = edi.read_all(b"ST*943*0001~W06*N*A*20261123~ZZ9*1~SE*4*0001~").interchanges[0].sets[0]

    assert ["ST", "W06", "ZZ9", "SE"] == [segment.tag for segment in one.segments]
    assert ["set-without-schema"] == [finding.code for finding in one.findings]
    assert {"tag": "ZZ9", "elements": ["1"]} == edi.set_to_document(one)["segments"][1]


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_a_stream_gives_what_the_whole_gives(size: int) -> None:
    """Chunk borders make no difference, wherever they fall."""
    data = interchange(advice("0001"), advice("0002", count=3)) * 3 + b" trailing"
    expected = [one for each in edi.read(data) for one in each.sets]

    parts = (data[at : at + size] for at in range(0, len(data), size))
    streamed = [one for one in edi.read_sets(parts) if isinstance(one, edi.TransactionSet)]

    assert expected == streamed


def test_findings_of_a_set_are_capped() -> None:
    """A set with endless defects gives a thousand findings and says how many more there are."""
    lines = "N9*~" * 1500
    data = interchange(advice().replace("W03*", lines + "W03*"))

    findings = edi.read_all(data).interchanges[0].sets[0].findings

    assert 1001 == len(findings)
    assert "segment-count-wrong" in [one.code for one in findings]
    assert "too-many-findings" in [one.code for one in findings]


def test_edifact_is_read_by_structure() -> None:
    """UNA, release characters, messages and their counts are understood; a finding says that is all."""
    data = b"UNA:+.? 'UNB+UNOC:3+S:14+R:14+260303:1200+7'UNH+1+DESADV:D:96A:UN'FTX+AAI+++It?'s ?+ ??'UNT+3+1'UNZ+1+7'"

    result = edi.read_all(data)

    (one,) = result.interchanges[0].sets
    assert ("edifact", 5, ["edifact"]) == (result.format, result.segment_count, codes(data))
    assert ("DESADV", "D.96A") == (one.code, one.release)
    assert ["FTX", "AAI", "", "", "It?'s ?+ ??"] == one.segments[1].elements


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_letters_beyond_ascii_keep_offsets_and_bytes(charset: str) -> None:
    """UTF-8 and Latin-1 give the same text, exact offsets, and the same bytes when written back."""
    data = interchange(advice(shipped="SEVEN").replace("Blue", "Café").replace("VN*SKU-1", "VN*SKÜ")).decode()

    (one,) = edi.read_all(data.encode(charset)).interchanges

    segments = one.sets[0].segments
    assert ("Café Fern Cafe", "SKÜ") == (segments[2].get(2), segments[4].get(8))
    for segment in segments[2:5]:
        at, value = segment.element_offset(len(segment.elements) - 1), segment.elements[-1].encode(charset)
        assert value == data.encode(charset)[at : at + len(value)]
    assert data.encode(charset) == edi.write(one)


def test_edifact_findings_speak_of_edifact():
    """A wrong count and reference of UNT are explained by UNT and UNH, not by the segments of X12."""
    data = b"UNB+UNOC:3+S:14+R:14+260303:1200+7'UNH+1+DESADV:D:96A:UN'FTX+AAI'UNT+9+2'UNZ+1+8'"
    (interchange,) = edi.read_all(data).interchanges
    found = [*interchange.findings, *(one for message in interchange.sets for one in message.findings)]
    hints = {one.code: one.hint for one in found}

    assert "UNT01" in hints["segment-count-wrong"]
    assert "UNT02" in hints["set-control-number-differs"]
    assert "UNZ02" in hints["interchange-control-number-differs"]


def test_an_interchange_without_a_number_is_told_so():
    """The finding of a missing trailer has no hole where the number should stand."""
    (interchange,) = edi.read_all(b"UNB+UNOC:3+S:14+R:14+260303:1200+'UNH+1+DESADV:D:96A:UN'UNT+2+1'").interchanges

    assert any("without a reference has no UNZ" in one.message for one in interchange.findings)
