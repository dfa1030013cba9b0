"""Acknowledgments: what we answer, and what we understand of answers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from crossdock import edi
from tests.unit.edi.samples import advice, interchange

AT = datetime(2026, 3, 3, 16, 6)  # noqa: DTZ001 - written as it is
NUMBERS = edi.AckNumbers(interchange=42, group=43, first_set=7)


def answer(data: bytes, **overlay: str) -> list[str]:
    """Return the segments of the answer to the first interchange."""
    partner = msgspec.convert(overlay, edi.PartnerOverlay)
    one = next(edi.read(data, partner_overlay=partner))
    return edi.acknowledge(one, control_numbers=NUMBERS, at=AT).decode().split("~")[:-1]


def test_a_clean_group_is_accepted_set_by_set() -> None:
    """Every set is listed, accepted ones too, and the answer itself is a clean interchange."""
    lines = answer(interchange(advice("0001"), advice("0002")))

    assert [
        "GS*FA*NORTHGATE*SWIFT3PL*20260303*1606*43*X*004010",
        "ST*997*0007", "AK1*SW*117", "AK2*945*0001", "AK5*A", "AK2*945*0002", "AK5*A", "AK9*A*2*2*2", "SE*8*0007",
        "GE*1*43", "IEA*1*000000042",
    ] == lines[1:]  # fmt: skip
    assert "ZZ*NORTHGATE      *ZZ*SWIFT3PL       " in lines[0]
    assert [] == edi.read_all("~".join([*lines, ""]).encode()).all_findings()


def test_defects_are_named_with_their_places() -> None:
    """AK3 counts segments from ST; AK4 names element, reference, code and bad value; the group is partly accepted."""
    bad = advice("0002", shipped="SEVEN", count=3).replace("N9*LV*LPN6569", "N9*LV*LPN6569~W06*F*X")

    lines = answer(interchange(advice("0001"), bad))

    assert [
        "AK2*945*0001", "AK5*A",
        "AK2*945*0002", "AK3*W12*5**8", "AK4*3*382*6*SEVEN", "AK3*W06*7**7", "AK5*R*4*5",
        "AK9*P*2*2*1",
    ] == lines[4:-3]  # fmt: skip


def test_a_lenient_agreement_answers_accepted_with_errors() -> None:
    """E is answered where the agreement is lenient."""
    lines = answer(interchange(advice(count=3)), acceptance="lenient")

    assert ["AK5*E*4", "AK9*E*1*1*1"] == [line for line in lines if line.startswith(("AK5", "AK9"))]


def test_group_defects_are_answered() -> None:
    """A wrong count and a differing control number of the group appear in AK905 and after."""
    data = interchange(advice(), end="118").replace(b"GE*1", b"GE*4")

    assert "AK9*E*4*1*1*5*4" in answer(data)


def test_acknowledgments_are_never_acknowledged() -> None:
    """An interchange that holds only a 997 gets no answer."""
    group = interchange("ST*997*0001~AK1*OW*1~AK9*A*1*1*1~SE*4*0001~").replace(b"GS*SW", b"GS*FA")

    assert [] == answer(group)


def test_ta1_is_sent_when_asked_for() -> None:
    """ISA14 = 1 puts a TA1 in front of the group."""
    lines = answer(interchange(advice()).replace(b"*0*P*>", b"*1*P*>"))

    assert "TA1*000000117*260303*1605*A*000" == lines[1]


def test_ta1_reports_a_damaged_envelope() -> None:
    """A differing control number is answered though nobody asked; the sets were delivered, hence E."""
    assert "TA1*000000117*260303*1605*E*001" == answer(interchange(advice(), number="000000118"))[1]


def test_a_conflicting_duplicate_gets_025_only() -> None:
    """The same key with other bytes is refused as duplicate and its sets are not acknowledged."""
    one = next(edi.read(interchange(advice())))

    lines = edi.acknowledge(one, control_numbers=NUMBERS, at=AT, duplicate=True).decode().split("~")

    assert ["TA1*000000117*260303*1605*R*025", "IEA*0*000000042", ""] == lines[1:]


def test_no_delimiter_is_echoed() -> None:
    """A bad value is stripped of the delimiters and control characters of the answer."""
    data = interchange(advice(shipped="7>8\x019"))

    assert "AK4*3*382*6*789" in answer(data)


def test_the_answer_may_use_other_delimiters() -> None:
    """What is stripped from bad values is what the answer is written with, not what was received."""
    one = next(edi.read(interchange(advice(shipped="7:8|9"))))

    (lines,) = edi.acknowledgment_sets(one, delimiters=edi.Delimiters("|", "'", ":"))

    assert ["AK4", "3", "382", "6", "789"] == next(line.elements for line in lines if line.tag == "AK4")


def test_every_damaged_sample_of_ours_gets_a_valid_answer() -> None:
    """Answers to damaged interchanges are themselves without errors."""
    whole = interchange(advice("0001"), advice("0002"))
    for at in range(110, len(whole), 2):
        lines = answer(whole[:at] + whole[at + 1 :])
        found = edi.read_all("".join(line + "~" for line in lines).encode()) if lines else None
        errors = [one for one in found.all_findings() if one.severity == "error"] if found else []
        assert [] == [one for one in errors if one.code not in ("element-too-short", "element-character")], at


def test_a_997_is_read_into_outcomes() -> None:
    """What we answer, a partner's reader (ours) understands: code and errors for each set."""
    bad = advice("0002", shipped="SEVEN")
    lines = answer(interchange(advice("0001"), bad))

    read = edi.read_acknowledgment(next(edi.read("".join(line + "~" for line in lines).encode())).sets[0])

    assert ("SW", "117", "P", "2", "1") == (
        read.functional_id, read.group_control_number, read.code, read.received, read.accepted,
    )  # fmt: skip
    assert [("0001", "A", True), ("0002", "R", False)] == [(s.control_number, s.code, s.accepted) for s in read.sets]
    (segment,) = read.sets[1].segments
    assert ("W12", "5", "8") == (segment.tag, segment.position, segment.code)
    assert [("3", "6", "SEVEN")] == [(one.place, one.code, one.value) for one in segment.elements]
    assert ("A", "R", "P") == (read.outcome("0001"), read.outcome("0002"), read.code)


def test_a_group_answer_speaks_for_all_sets() -> None:
    """A 997 without AK2 accepts or rejects the whole group."""
    one = edi.read_all(b"ST*997*0001~AK1*OW*9~AK9*A*3*3*3~SE*4*0001~").interchanges[0].sets[0]

    assert "A" == edi.read_acknowledgment(one).outcome("0002")


def test_a_999_is_read_like_a_997() -> None:
    """IK3, IK4 and IK5 give the same outcomes."""
    data = b"ST*999*0001*005010X231~AK1*HC*1~AK2*837*0001~IK3*CLM*22**8~IK4*2*782*1~IK5*R*5~AK9*R*1*1*0~SE*8*0001~"

    read = edi.read_acknowledgment(edi.read_all(data).interchanges[0].sets[0])

    assert [("R", ("5",))] == [(one.code, one.errors) for one in read.sets]
    assert "782" == read.sets[0].segments[0].elements[0].reference


def test_ta1_is_read() -> None:
    """TA1s of a received interchange are listed."""
    data = interchange(advice()).replace(b"GS*SW", b"TA1*000000009*260302*1200*R*025~GS*SW")

    (one,) = edi.read_interchange_acknowledgments(next(edi.read(data)))

    assert ("000000009", "R", "025") == (one.control_number, one.code, one.note)
