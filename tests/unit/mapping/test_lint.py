"""Lint: what can be known about a map before it runs."""

from decimal import Decimal

import msgspec
import pytest

from crossdock.mapping import lint

HEAD = "map: m\nfrom: {format: json}\nto: {object: shipment}\n"


class Line(msgspec.Struct):
    sku: str
    quantity: Decimal
    count: int = 0


class Target(msgspec.Struct):
    number: str
    lines: list[Line]
    note: str | None = None
    complete: bool = False


class Order(msgspec.Struct):
    number: str
    weight: float
    lines: list[Line]
    ship_to: Line | None = None
    extra: dict[str, str] = {}


TARGET, SOURCE = msgspec.json.schema(Target), msgspec.json.schema(Order)
GOOD = """set:
  number: required(number)
  note: extra.anything
  complete: weight > 5
  lines:
    each: lines as line
    set: {sku: required(line.sku), quantity: required(number(line.quantity)), count: integer(line.count)}
"""


def found(body, **more):
    findings = lint(HEAD + body, file="m.yaml", source_schema=SOURCE, target_schema=TARGET, **more)
    return [(f.code, f.line) for f in findings if f.code != "XD-MAP-019" and f.severity != "info"]


def test_a_good_map_has_no_findings():
    """A map that fits both schemas is not blamed for anything but the tests it does not have."""
    assert [] == found(GOOD)
    assert ["XD-MAP-019"] == [f.code for f in lint(HEAD + GOOD, file="m", target_schema=TARGET) if f.severity != "info"]


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("number: required(number)", "numbr: number", [("XD-MAP-008", 5), ("XD-MAP-006", 5)]),
        ("required(number)", "required(numbre)", [("XD-MAP-005", 5)]),
        ("line.sku", "line.skew", [("XD-MAP-005", 10)]),
        ("extra.anything", "ship_to.name", [("XD-MAP-005", 6)]),
        ("extra.anything", "lines.sku", [("XD-MAP-005", 6)]),
        ("extra.anything", "lines[0].sku", []),
        ("extra.anything", "weight", [("XD-MAP-007", 6)]),
        ("extra.anything", "lines", [("XD-MAP-007", 6)]),
        ("weight > 5", "upper(number)", [("XD-MAP-007", 7)]),
        ("integer(line.count)", "line.sku", [("XD-MAP-007", 10)]),
        ("integer(line.count)", "'\"x\"'", [("XD-MAP-007", 10)]),
        ("each: lines as line", "each: number as line", [("XD-MAP-007", 9)]),
        ("quantity: required", "amount: required", [("XD-MAP-008", 10), ("XD-MAP-006", 10)]),
        ("required(number)", 'lookup("t", number)', [("XD-MAP-009", 5)]),
        ("required(number)", "uper(number)", [("XD-MAP-003", 5)]),
    ],
)
def test_what_does_not_fit_is_found_with_its_line(old, new, expected):
    """Each kind of misfit is found on its line, and nothing else is."""
    assert old in GOOD
    assert sorted(expected) == sorted(found(GOOD.replace(old, new)))


def test_findings_suggest_the_nearest_name():
    """A misspelled field is answered with the one that was probably meant."""
    findings = lint(HEAD + GOOD.replace("line.sku", "line.skuu"), file="m", source_schema=SOURCE)

    assert "did you mean sku?" in [finding.hint for finding in findings]


def test_tables_that_do_not_exist_are_found():
    """A declared table must exist, and must be read."""
    body = "lookups: [sites, codes]\nset: {number: 'lookup(\"sites\", number)', lines: {const: []}}"
    findings = lint(HEAD + body, file="m", lookups=["site", "codes"])

    assert ["error", "warning"] == sorted(f.severity for f in findings if f.code == "XD-MAP-009")


def test_required_targets_at_risk_are_named_once():
    """Required targets that depend on the source are listed in one piece of information."""
    findings = lint(HEAD + GOOD.replace("required(line.sku)", "line.sku"), file="m", target_schema=TARGET)

    (info,) = [finding for finding in findings if finding.severity == "info"]
    assert info.message.endswith("missing: lines.sku, lines")
