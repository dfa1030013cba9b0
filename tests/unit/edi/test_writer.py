"""Writing: 106 bytes of ISA, nothing cut, nothing that would break the partner's reader."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from crossdock import edi
from crossdock.errors import ConfigurationError, DocumentRejected

ENVELOPE = edi.Envelope(
    sender_qualifier="ZZ", sender="NORTHGATE", receiver_qualifier="ZZ", receiver="SWIFT3PL",
    control_number=41, date="20260302", time="1200",
)  # fmt: skip


def order(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "set": "940",
        "w05": {"order_status": "N", "depositor_order": "SO-1"},
        "parties": {"ST": {"name": "Blue Fern Cafe"}},
        "w66": {"payment": "PP", "mode": "M"},
        "lines": [{"number": 1, "items": [{"ordered": Decimal("1.50"), "uom": "EA"}]}],
    }
    return {**document, **changes}


def written(document: dict[str, Any], **envelope: Any) -> bytes:
    rendered = edi.document_to_set(document, control_number="0001")
    return edi.write_interchange(
        msgspec.structs.replace(ENVELOPE, **envelope), [edi.GroupEnvelope("OW", 41, [rendered.segments])]
    )


def test_the_interchange_is_complete_and_clean() -> None:
    """ISA is 106 bytes, dates have their two forms, counts and copies are right: our reader finds nothing."""
    data = written(order())

    assert "~" == chr(data[105])
    assert b"*260302*1200*U*00401*000000041*0*P*>~GS*OW*NORTHGATE*SWIFT3PL*20260302*1200*41*X*004010~" in data
    assert b"W01*1.50*EA~" in data
    assert b"N1*ST*Blue Fern Cafe~" in data
    assert [] == edi.read_all(data).all_findings()


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "A-NAME-LONGER-THAN-15"},
        {"receiver": "HAS*STAR"},
        {"control_number": 1_000_000_000},
        {"control_number": 0},
        {"sender_qualifier": "Z"},
        {"date": "26032"},
        {"sender": "CAFÉ"},
        {"delimiters": edi.Delimiters("*", "*", ">")},
        {"delimiters": edi.Delimiters("A", "~", ">")},
        {"delimiters": edi.Delimiters("*", "~", "")},
    ],
)
def test_an_envelope_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    """An id too long is an error, never a silent cut; so are bad numbers and delimiters."""
    with pytest.raises(DocumentRejected):
        written(order(), **changes)


@pytest.mark.parametrize("sign", ["*", "~", ">", "\n"])
def test_data_that_holds_a_delimiter_is_refused(sign: str) -> None:
    """A delimiter inside data is found before it is sent, with the element's name."""
    notes = [{"qualifier": "WHI", "text": f"door{sign}3"}]

    with pytest.raises(DocumentRejected) as refused:
        written(order(notes=notes))

    assert "NTE02" == refused.value.pointer


def test_other_delimiters_make_the_same_data_sendable() -> None:
    """What collides with one partner's delimiters is data to another."""
    notes = [{"qualifier": "WHI", "text": "door*3 > left"}]

    data = written(order(notes=notes), delimiters=edi.Delimiters("|", "'", "\\"))

    assert "door*3 > left" == edi.set_to_document(next(edi.read(data)).sets[0])["notes"][0]["text"]


def test_letters_beyond_ascii_are_written_in_the_agreed_charset() -> None:
    """UTF-8 by default; in Latin-1 what it lacks is refused."""
    parties = {"ST": {"name": "Café Łódź"}}

    assert "Café Łódź".encode() in written(order(parties=parties))
    with pytest.raises(DocumentRejected):
        written(order(parties=parties), charset="latin-1")


@pytest.mark.parametrize(
    "changes, code, pointer",
    [
        ({"w5": {}}, "document-field-unknown", "/w5"),
        ({"w05": {"order_status": "N", "orderno": "1"}}, "document-field-unknown", "/w05/orderno"),
        ({"notes": {"text": "x"}}, "document-field-unknown", "/notes"),
        ({"parties": [{"role": "ST"}]}, "document-field-unknown", "/parties"),
        ({"w66": {"payment": "PP", "mode": True}}, "document-value-not-text", "/w66/mode"),
        ({"w66": None}, "segment-missing", "ST 0001 > W66 #4"),
        ({"w05": {"order_status": "NEW"}}, "element-too-long", "ST 0001 > W05 #2 > W0501"),
        ({"lines": []}, "segment-missing", "ST 0001 > LX #5"),
        ({"parties": {"ST": {"id": "7"}}}, "element-conditional-missing", "ST 0001 > N1 #3 > N102"),
    ],
)
def test_a_wrong_document_is_a_finding(changes: dict[str, Any], code: str, pointer: str) -> None:
    """Unknown fields, wrong shapes and missing values are named; the set is not sendable."""
    rendered = edi.document_to_set(order(**changes), control_number="0001")

    assert (code, pointer) in [(one.code, one.pointer) for one in rendered.findings]
    assert not rendered.sendable


def test_a_set_without_schema_cannot_be_rendered() -> None:
    """Rendering needs a layout; the error says which sets have one."""
    with pytest.raises(ConfigurationError):
        edi.document_to_set({"set": "943"})


def test_composites_are_taken_apart_and_put_together() -> None:
    """AK401 holds element and component; both are fields."""
    document = {
        "set": "997", "ak1": {"functional_id": "SW", "control_number": "17"},
        "sets": [{"set_id": "945", "control_number": "0001",
                  "segments": [{"tag": "W12", "position": "9", "error": "8",
                                "elements": [{"position": "3", "component": "2", "error": "6"}]}],
                  "ak5": {"code": "R"}}],
        "ak9": {"code": "R", "included": "1", "received": "1", "accepted": "0"},
    }  # fmt: skip

    rendered = edi.document_to_set(document)

    assert ["AK4", "3>2", "", "6"] == rendered.segments[4].elements
    assert rendered.sendable


def test_a_set_that_miscounts_itself_is_refused() -> None:
    """The writer does not repair SE in silence."""
    segments = [edi.Segment(["ST", "940", "0001"]), edi.Segment(["SE", "3", "0001"])]

    with pytest.raises(DocumentRejected):
        edi.write_interchange(ENVELOPE, [edi.GroupEnvelope("OW", 1, [segments])])


def test_elements_beyond_the_schema_survive_the_way_through_a_document() -> None:
    """An element the rule does not know is kept as `tag_NN` and written back in its place."""
    data = b"ST*945*0001~W06*F*SO-1*20260303**********X~SE*3*0001~"
    one = edi.read_all(data).interchanges[0].sets[0]

    document = edi.set_to_document(one)

    assert "X" == document["w06"]["w06_13"]
    assert [segment.elements for segment in one.segments] == [
        segment.elements for segment in edi.document_to_set(document).segments
    ]
