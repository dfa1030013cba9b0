"""The sets of orders, receipts, returns, freight and invoices: golden pairs, defects with their places, answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossdock import edi
from crossdock.edi.sets import CODE_MEANINGS, FUNCTIONAL_IDS, schema_for

DOCUMENTS = Path(__file__).parents[2] / "documents/x12"
SETS = ("180", "204", "210", "214", "810", "846", "850", "855", "856", "860", "861", "865", "944", "990")
OURS = sorted(path for path in DOCUMENTS.glob("*/*.edi") if path.parent.name in SETS)
WITHOUT_CHILD_CODES = "856-flat"  # the writer adds HL04


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def only_set(data: bytes) -> edi.TransactionSet:
    ((one,),) = ([*interchange.sets] for interchange in edi.read_all(data).interchanges)
    return one


def golden(code: str, name: str) -> str:
    return (DOCUMENTS / code / f"{name}.edi").read_text()


def recounted(text: str) -> bytes:
    """Give SE01 the count it ought to have, so that only the defect at hand is there."""
    lines = text.replace("\n", "").split("~")[:-1]
    start = next(at for at, line in enumerate(lines) if line.startswith("ST*"))
    end = next(at for at, line in enumerate(lines) if line.startswith("SE*"))
    lines[end] = f"SE*{end - start + 1}*0001"
    return ("~".join(lines) + "~").encode()


def test_each_set_has_a_golden_pair() -> None:
    """A set without a document of our own would be read by nobody."""
    assert set(SETS) == {path.parent.name for path in OURS}


@pytest.mark.parametrize("path", OURS, ids=named)
def test_a_golden_document_reads_as_expected(path: Path) -> None:
    """No defect, no code without a meaning, nothing unplaced, and exactly the document beside it."""
    result = edi.read_all(path.read_bytes())
    one = only_set(path.read_bytes())

    assert {"newline-after-terminator"} == {finding.code for finding in result.all_findings()}
    assert json.loads(path.with_suffix(".json").read_text()) == edi.set_to_document(one)


@pytest.mark.parametrize("path", OURS, ids=named)
def test_every_value_knows_where_it_stood(path: Path) -> None:
    """The position of each value points at its bytes in the file."""
    data = path.read_bytes()
    document, positions = edi.set_with_positions(only_set(data))
    values = 0
    for pointer, position in positions.items():
        if position.element:
            value: Any = document
            for part in pointer.split("/")[1:]:
                value = value[int(part)] if isinstance(value, list) else value[part]
            assert data[position.offset :].startswith(value.encode()), pointer
            values += 1
    assert values > 3


@pytest.mark.parametrize("path", [path for path in OURS if named(path) != WITHOUT_CHILD_CODES], ids=named)
def test_a_golden_document_is_written_byte_for_byte(path: Path) -> None:
    """The document beside it, written with the same envelope, gives the file."""
    document = json.loads(path.with_suffix(".json").read_text())
    (interchange,) = edi.read_all(path.read_bytes()).interchanges
    rendered = edi.document_to_set(document)
    envelope = edi.Envelope(
        interchange.sender_qualifier, interchange.sender, interchange.receiver_qualifier, interchange.receiver,
        int(interchange.control_number), "20" + interchange.date, interchange.time, newline="\n",
    )  # fmt: skip
    group = edi.GroupEnvelope(
        FUNCTIONAL_IDS[document["set"]], int(interchange.groups[0].control_number), [rendered.segments]
    )

    assert rendered.sendable
    assert path.read_bytes() == edi.write_interchange(envelope, [group])


DEFECTS = [
    # set, document, text, what stands instead, finding, AK3 (segment, number, code), AK4 (element, code)
    ("850", "purchase_order", "BEG*00*SA*PO-7001**20261123**AC~\n", "", "segment-missing", ("BEG", "2", "3"), None),
    ("850", "purchase_order", "PO1*1*120*EA", "PO1*1*12O*EA", "element-character", ("PO1", "18", "8"), ("2", "6")),
    ("850", "purchase_order", "*VN*HR-1105", "*VN*", "element-conditional-missing", ("PO1", "24", "8"), ("7", "2")),
    ("855", "acknowledgment", "BAK*00*AC*", "BAK*00**", "element-missing", ("BAK", "2", "8"), ("2", "1")),
    ("855", "acknowledgment", "ACK*IA*100*EA", "ACK*IA*100*", "element-conditional-missing",
     ("ACK", "7", "8"), ("3", "2")),
    ("860", "change", "POC*1*QD", "POC*1*", "element-missing", ("POC", "5", "8"), ("2", "1")),
    ("865", "change_acknowledgment", "*20261123*****20261124", "*2026112*****20261124", "element-date",
     ("BCA", "2", "8"), ("6", "8")),
    ("856", "pallets", "HL*4*3*P", "HL*4*33*P", "hierarchy-parent-unknown", ("HL", "22", "8"), ("2", "7")),
    ("856", "pallets", "HL*6*3*I", "HL*5*3*I", "hierarchy-number-duplicate", ("HL", "29", "8"), ("1", "7")),
    ("856", "pallets", "SN1*1*60*EA", "SN1*1**EA", "element-missing", ("SN1", "27", "8"), ("2", "1")),
    ("810", "invoice", "TDS*213200~\n", "", "segment-missing", ("TDS", "17", "3"), None),
    ("810", "invoice", "TDS*213200", "TDS*2132.00", "element-character", ("TDS", "16", "8"), ("1", "6")),
    ("846", "stock", "QTY*33*412~\n", "QTY*33~\n", "element-conditional-missing", ("QTY", "8", "8"), ("2", "2")),
    ("846", "stock", "CTT*2~\n", "CTT*2~\nREF*WS*X~\n", "segment-out-of-order", ("REF", "16", "7"), None),
    ("944", "receipt", "W14*136*140*4~\n", "", "segment-missing", ("W14", "17", "3"), None),
    ("944", "receipt", "W13*4*EA*01", "W13*4*EA*", "element-missing", ("W13", "12", "8"), ("3", "1")),
    ("861", "receiving_advice", "DTM*050*20261129*0940*PT~\n", "", "segment-missing", ("DTM", "4", "3"), None),
    ("180", "authorization", "BLI*VN*NG-1105*1*EA", "BLI*VN*NG-1105*1*", "element-conditional-missing",
     ("BLI", "19", "8"), ("4", "2")),
    ("180", "request", "N9*OQ*SO-1001", "N9*OQ", "element-conditional-missing", ("N9", "3", "8"), ("2", "2")),
    ("204", "tender", "B2A*00*LT~\n", "", "segment-missing", ("B2A", "3", "3"), None),
    ("204", "tender", "S5*2*CU", "S5**CU", "element-missing", ("S5", "29", "8"), ("1", "1")),
    ("990", "acceptance", "*LOAD-501*", "**", "element-missing", ("B1", "2", "8"), ("2", "1")),
    ("214", "status", "AT7*X6*NS*", "AT7*X6*NS*AA", "element-excluded", ("AT7", "15", "8"), ("3", "10")),
    ("214", "status", "*0615*CT", "*2575*CT", "element-time", ("AT7", "15", "8"), ("6", "9")),
    ("210", "invoice", "*98250**", "***", "element-missing", ("B3", "2", "8"), ("7", "1")),
    ("210", "invoice", "L1*3***5300", "L1*3***53.00", "element-character", ("L1", "31", "8"), ("4", "6")),
]  # fmt: skip


@pytest.mark.parametrize(
    "code, name, text, instead, finding, segment, element",
    DEFECTS,
    ids=[f"{row[0]}-{row[4]}-{row[5][0]}" for row in DEFECTS],
)
def test_a_defect_is_found_at_its_place_and_answered(
    code: str, name: str, text: str, instead: str, finding: str,
    segment: tuple[str, str, str], element: tuple[str, str] | None,
) -> None:  # fmt: skip
    """One defect gives one kind of finding, rejects the set, and the 997 says where."""
    whole = golden(code, name)
    assert text in whole

    (interchange,) = edi.read_all(recounted(whole.replace(text, instead, 1))).interchanges
    (one,) = interchange.sets
    errors = {each.code for each in one.findings if each.severity == "error"}
    (answer,) = edi.acknowledgment_sets(interchange)
    lines = ["*".join(each.elements) for each in answer]

    assert errors == {finding}
    assert one.acceptance == "R"
    assert f"AK2*{code}*0001" in lines
    assert any(line.startswith("*".join(("AK3", segment[0], segment[1], "", segment[2]))) for line in lines), lines
    if element is not None:
        assert any(line.startswith(f"AK4*{element[0]}*") and line.split("*")[3] == element[1] for line in lines), lines
    assert "AK5*R*5" in lines


def test_the_defects_are_not_there_before() -> None:
    """The same files without the defect are accepted, so what was found is the defect."""
    for code, name, *_ in DEFECTS:
        (interchange,) = edi.read_all(recounted(golden(code, name))).interchanges
        (answer,) = edi.acknowledgment_sets(interchange)

        assert ["AK5*A"] == ["*".join(each.elements) for each in answer if each.tag == "AK5"]


def test_one_bad_set_of_two_leaves_the_other_accepted() -> None:
    """Each set of a group is judged by itself: AK9 says partly."""
    text = golden("990", "acceptance").replace("\n", "")
    start, end = text.index("ST*"), text.index("GE*")
    good = text[start:end]
    bad = good.replace("0001~", "0002~").replace("*LOAD-501*", "**")
    data = (text[:start] + good + bad + text[end:].replace("GE*1*", "GE*2*")).encode()

    (interchange,) = edi.read_all(data).interchanges
    (answer,) = edi.acknowledgment_sets(interchange)
    lines = ["*".join(each.elements) for each in answer]

    assert ["A", "R"] == [one.acceptance for one in interchange.sets]
    assert [line for line in lines if line.startswith(("AK5", "AK9"))] == ["AK5*A", "AK5*R*5", "AK9*P*2*2*1"]


# -- levels of a ship notice ----------------------------------------------------------------------------------------


def levels_of(*lines: str) -> tuple[Any, list[tuple[str, int | None]]]:
    """Return the (kind, children) tree of these HL lines, and the warnings and errors with their segment."""
    body = "".join(f"{line}~" for line in lines)
    count = len(lines) + 3
    text = golden("856", "flat").replace("\n", "")
    start, end = text.index("ST*"), text.index("GE*")
    data = text[:start] + f"ST*856*0001~BSN*00*A-1*20261127*1530~{body}SE*{count}*0001~" + text[end:]
    one = only_set(data.encode())

    def tree(levels: list[dict[str, Any]]) -> Any:
        return [(level["level"] + level["number"], *tree(level.get("children", []))) for level in levels]

    noticed = [(each.code, getattr(each, "segment", None)) for each in one.findings if each.severity != "info"]
    return tree(edi.set_to_document(one)["levels"]), noticed


def test_levels_hang_under_the_parent_they_name() -> None:
    """Also when the parent is not the level just before."""
    tree, noticed = levels_of("HL*1**S", "HL*2*1*O", "HL*3*1*O", "HL*4*2*I", "HL*5*3*I")

    assert tree == [("S1", ("O2", ("I4",)), ("O3", ("I5",)))]
    assert noticed == []


def test_a_level_without_parent_hangs_under_the_nearest_of_another_kind() -> None:
    """Orders under the shipment, items side by side under their order; each with a notice."""
    tree, noticed = levels_of("HL*1**S", "HL*2**O", "HL*3**I", "HL*4**I", "HL*5**O", "HL*6**I")

    assert tree == [("S1", ("O2", ("I3",), ("I4",)), ("O5", ("I6",)))]
    assert noticed == [("hierarchy-parent-missing", number) for number in range(4, 9)]


def test_an_unknown_parent_is_an_error_and_nothing_is_lost() -> None:
    """The level is kept where it most likely belongs; the set is refused."""
    tree, noticed = levels_of("HL*1**S", "HL*2*1*O", "HL*3*9*I")

    assert tree == [("S1", ("O2", ("I3",)))]
    assert noticed == [("hierarchy-parent-unknown", 5)]


def test_a_level_cannot_be_its_own_parent() -> None:
    """Parents come first, so there is no circle."""
    tree, noticed = levels_of("HL*1**S", "HL*2*2*O")

    assert tree == [("S1", ("O2",))]
    assert noticed == [("hierarchy-parent-unknown", 4)]


def test_gaps_and_child_codes_are_noticed() -> None:
    """A gap is said once; HL04 must say whether levels follow below."""
    tree, noticed = levels_of("HL*1**S*0", "HL*5*1*O*1", "HL*6*5*I*0")

    assert tree == [("S1", ("O5", ("I6",)))]
    assert noticed == [("hierarchy-child-code-wrong", 3), ("hierarchy-number-gap", 4)]


def test_the_writer_numbers_the_levels() -> None:
    """A map nests levels; numbers, parents and child codes come from their places."""
    document = {
        "bsn": {"purpose": "00", "number": "A-1", "date": "20261127", "time": "1530"},
        "levels": [
            {
                "level": "S",
                "children": [
                    {"level": "O", "prf": {"purchase_order": "PO-1"}, "children": [{"level": "I"}, {"level": "I"}]},
                    {"level": "O"},
                ],
            }
        ],
    }

    rendered = edi.document_to_set(document, "856")

    assert rendered.sendable
    levels = ["*".join(each.elements) for each in rendered.segments if each.tag == "HL"]
    assert levels == ["HL*1**S*1", "HL*2*1*O*1", "HL*3*2*I*0", "HL*4*2*I*0", "HL*5*1*O*0"]


@pytest.mark.parametrize("wrong", [{"number": "7"}, {"parent": "9"}, {"has_children": "1"}])
def test_the_writer_refuses_numbers_that_do_not_fit(wrong: dict[str, str]) -> None:
    """A number that contradicts the place is a defect of the map, not silently corrected."""
    levels = [{"level": "S", "children": [{"level": "O", **wrong}]}]
    document = {"bsn": {"purpose": "00", "number": "A-1", "date": "20261127", "time": "1530"}, "levels": levels}

    rendered = edi.document_to_set(document, "856")

    assert not rendered.sendable
    assert [one.code for one in rendered.findings] == ["document-level-number"]


@pytest.mark.parametrize(
    "levels",
    [
        [{"level": "S"}, {"level": "O"}],
        [{"level": "S", "children": [{"level": "S"}]}, {"level": "S"}],
    ],
)
def test_a_second_top_level_must_be_told_from_a_level_below(levels: list[dict[str, Any]]) -> None:
    """What would be read under another level is refused; a second shipment beside the first is written."""
    head = {"bsn": {"purpose": "00", "number": "A-1", "date": "20261127", "time": "1530"}}

    refused = edi.document_to_set({**head, "levels": levels}, "856")
    written = edi.document_to_set({**head, "levels": [{"level": "S"}, {"level": "S"}]}, "856")

    assert [one.code for one in refused.findings if one.severity == "error"] == ["document-level-number"]
    assert written.sendable


@pytest.mark.parametrize("children", ["x", [1]])
def test_levels_of_a_wrong_shape_are_refused(children: object) -> None:
    """What cannot be written is a finding."""
    document = {"bsn": {"purpose": "00", "number": "A-1", "date": "20261127", "time": "1530"},
                "levels": [{"level": "S", "children": children}]}  # fmt: skip

    assert not edi.document_to_set(document, "856").sendable


# -- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_without_a_meaning_passes_with_a_notice() -> None:
    """It is handed on as sent; an agreement may make it an error."""
    data = recounted(golden("990", "acceptance").replace("*A~", "*Z~"))

    one = only_set(data)
    (notice,) = one.findings
    overlay = edi.PartnerOverlay(severities={"code-not-interpreted": "error"})
    (strict,) = edi.read_all(data, partner_overlay=overlay).interchanges[0].sets

    assert (notice.code, notice.severity, notice.value) == ("code-not-interpreted", "info", "Z")
    assert one.acceptance == "A"
    assert edi.set_to_document(one)["b1"]["action"] == "Z"
    assert strict.acceptance == "R"


def test_meanings_belong_to_elements_that_exist() -> None:
    """Each set with meanings has the segments and elements they are given for."""
    for code, places in CODE_MEANINGS.items():
        schema = schema_for(code)
        assert schema is not None
        for place, codes in places.items():
            tag, number = place.split(".")
            element = schema.segments[tag].elements[int(number) - 1]
            assert tag in schema.tags, (code, tag)
            assert element.known == frozenset(codes), (code, place)
            assert all(element.min <= len(each) <= element.max for each in codes), (code, place)
