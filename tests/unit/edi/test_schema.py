"""The grammar, releases and overlays; element types and syntax notes."""

from __future__ import annotations

import pytest

from crossdock import edi
from crossdock.edi.checks import broken_note, value_defect
from crossdock.edi.codes import CATALOG
from crossdock.edi.model import Segment
from crossdock.edi.schema import ElementRule, Loop, compile_segments, compile_sets, patch
from crossdock.edi.sets import schema_for
from crossdock.errors import ConfigurationError
from tests.unit.edi.samples import advice, interchange


def findings(data: bytes, **overlay: str) -> list[str]:
    result = edi.read_all(data, partner_overlay=edi.PartnerOverlay(**overlay))  # type: ignore[arg-type]
    return [one.code for one in result.all_findings() if one.severity != "info"]


@pytest.mark.parametrize(
    "kind, low, high, value, expected",
    [
        ("AN", 1, 5, "abcde", None), ("AN", 2, 5, "a", "element-too-short"), ("AN", 1, 5, "abcdef", "element-too-long"),
        ("AN", 1, 5, "a\tb", "element-character"), ("AN", 1, 5, "Łódź", None),
        ("N0", 1, 3, "012", None), ("N0", 1, 3, "1.2", "element-character"), ("N2", 1, 3, "-123", None),
        ("R", 1, 4, "-12.34", None), ("R", 1, 4, ".5", None), ("R", 1, 4, "5.", None),
        ("R", 1, 4, "1,5", "element-character"), ("R", 1, 4, "12345", "element-too-long"),
        ("R", 1, 4, "1.2.3", "element-character"), ("R", 1, 4, "-", "element-character"),
        ("DT", 8, 8, "20260228", None), ("DT", 8, 8, "20260229", "element-date"), ("DT", 8, 8, "20240229", None),
        ("DT", 8, 8, "CCYYMMDD", "element-date"), ("DT", 6, 6, "260303", None), ("DT", 8, 8, "260303", "element-date"),
        ("TM", 4, 8, "2359", None), ("TM", 4, 8, "2400", "element-time"), ("TM", 4, 8, "235959", None),
        ("TM", 4, 8, "12000", "element-time"), ("ID", 2, 2, "EA", None),
    ],
)  # fmt: skip
def test_a_value_is_judged_by_its_type(kind: str, low: int, high: int, value: str, expected: str | None) -> None:
    """Types and lengths; a number's sign and point do not count. The fast pattern and the slow look agree."""
    rules = compile_segments(f"QQ {kind}{low}/{high}=value")
    defect = value_defect(ElementRule("value", False, kind, low, high, ""), value)
    from crossdock.edi.checks import fast_pattern

    matches = fast_pattern(rules["QQ"])
    assert expected == (defect[0] if defect else None)
    assert matches is not None
    if matches(f"QQ\x1f{value}"):
        assert expected is None


@pytest.mark.parametrize(
    "note, sent, expected",
    [
        (("P", (1, 2)), ["a", ""], 2), (("P", (1, 2)), ["a", "b"], None), (("P", (1, 2)), ["", ""], None),
        (("R", (1, 2)), ["", ""], 1), (("R", (1, 2)), ["", "b"], None),
        (("E", (1, 2)), ["a", "b"], 2), (("E", (1, 2)), ["a", ""], None),
        (("C", (1, 2)), ["a", ""], 2), (("C", (1, 2)), ["", "b"], None),
        (("L", (1, 2, 3)), ["a", "", ""], 2), (("L", (1, 2, 3)), ["a", "", "c"], None),
    ],
)  # fmt: skip
def test_syntax_notes(note: tuple[str, tuple[int, ...]], sent: list[str], expected: int | None) -> None:
    """P paired, R required, E exclusive, C conditional, L list conditional."""
    assert expected == broken_note(note, Segment(["QQ", *sent]))


def test_later_releases_are_patches() -> None:
    """N902 holds 30 characters in 004010 and 50 in 005010; GS08 decides."""
    long_value = interchange(advice().replace("LPN6569", "L" * 40))

    assert ["element-too-long"] == findings(long_value)
    assert [] == findings(long_value.replace(b"004010", b"005010"))


def test_an_overlay_tightens_and_loosens() -> None:
    """A partner's agreement changes single facts in the same words as the grammar."""
    data = interchange(advice())

    assert ["element-code", "element-code"] == findings(data, schema="N9.01 in LT SI")
    assert [] == findings(data, schema="N9.01 in LV LT")
    assert ["element-missing"] == findings(data, schema="W12.09 mandatory")
    assert ["segment-repeats"] == findings(data, schema="N9 repeat 1")
    assert [] == findings(interchange(advice().replace("LPN6569", "L" * 40)), schema="N9.02 max 50")


def test_an_overlay_names_qualifiers() -> None:
    """`N1[ST] -> ship_to` changes the key in the document, both ways."""
    overlay = edi.PartnerOverlay(schema="N1[ST] -> ship_to")
    one = next(edi.read(interchange(advice()), partner_overlay=overlay)).sets[0]

    document = edi.set_to_document(one, partner_overlay=overlay)
    del document["parties"]["ship_to"]["role"]
    rendered = edi.document_to_set(document, partner_overlay=overlay)

    assert "ST" == next(segment for segment in rendered.segments if segment.tag == "N1").get(1)


@pytest.mark.parametrize("policy, expected", [("warn", True), ("pass", True), ("reject", False)])
def test_unknown_segments_follow_the_agreement(policy: str, expected: bool) -> None:
    """A segment outside our subset is warned about, let through or rejected."""
    data = interchange(advice().replace("LX*1~", "ZZ9*1~LX*1~").replace("SE*9", "SE*10"))
    overlay = edi.PartnerOverlay(unknown_segments=policy)  # type: ignore[arg-type]

    one = next(edi.read(data, partner_overlay=overlay)).sets[0]

    assert expected == one.accepted
    assert ["segment-unrecognized"] == [finding.code for finding in one.findings]
    assert {"tag": "ZZ9", "elements": ["1"], "after": 3} == edi.set_to_document(one)["unplaced"][0]


@pytest.mark.parametrize(
    "text", ["N9.02 big 50", "N9.99 max 5", "nonsense", "N9.02 max"],
)  # fmt: skip
def test_a_wrong_overlay_is_refused(text: str) -> None:
    """A statement that is not understood is a configuration error, not ignored."""
    schema = schema_for("945")
    assert schema is not None

    with pytest.raises(ConfigurationError):
        patch(schema, text)


@pytest.mark.parametrize("text", ["945 SW ST (N1 x10: N1", "945 SW ST W06!", "945 SW ST W06) SE", "945 SW ST QQ1 SE"])
def test_a_wrong_structure_is_refused(text: str) -> None:
    """Unclosed loops, unknown marks and segments without a rule are named."""
    with pytest.raises(ConfigurationError):
        compile_sets(text, compile_segments("ST AN1/1=a\nSE AN1/1=a\nN1 AN1/1=a\nW06 AN1/1=a"))


def test_names_merged_into_one_record_do_not_collide() -> None:
    """A field of a loop's record comes from one place only, so documents lose nothing."""

    def names(loop: Loop, segments: dict[str, object]) -> None:
        found: list[str] = []
        for at, child in enumerate(loop.children):
            if isinstance(child, Loop):
                found.append(child.name)
                names(child, segments)
            elif child.tag == "SE":
                continue
            elif at == 0 or child.name == "&":
                found += [element.name for element in segments[child.tag].elements]  # type: ignore[attr-defined]
            else:
                found.append(child.name)
        assert sorted(set(found)) == sorted(found), loop.tag
        assert all(found), loop.tag

    for code in edi.known_sets():
        schema = schema_for(code)
        assert schema is not None
        names(schema.root, dict(schema.segments))


def test_every_code_of_the_catalogue_has_a_remedy() -> None:
    """A finding always says what to do next."""
    assert [] == [code for code, kind in CATALOG.items() if not kind.hint.endswith(".")]
