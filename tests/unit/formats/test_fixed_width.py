"""Fixed width: a line is a record, and nothing is cut in silence."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import DocumentRejected
from crossdock.formats import Column, FixedOptions, fixed_width

COLUMNS = (
    Column("kind", width=2),
    Column("sku", width=5, required=True),
    Column("qty", width=6, type="decimal", align="right", fill="0", decimals=2),
    Column("note", width=4, start=16),
)
OPTIONS = FixedOptions(COLUMNS, record="LN", line_ending="lf")


def test_lines_are_read_by_position_and_judged_alone():
    """Only lines of the record are read; a bad one is a finding with line and column."""
    data = b"HD2026\nLNABC  000550  hi\nLNABC  0x0550\nLN\nLNXY   -00100\n"
    decoded = fixed_width.decode(data, OPTIONS)

    expected = [
        {"kind": "LN", "sku": "ABC", "qty": Decimal("5.50"), "note": "hi"},
        {"kind": "LN", "sku": "XY", "qty": Decimal("-1.00"), "note": None},
    ]
    assert expected == decoded.documents
    assert [("XD-DOC-018", "row 3, column qty"), ("XD-DOC-010", "row 4")] == [
        (f.code, f.pointer) for f in decoded.findings
    ]
    assert b"LNABC  000550  hi\n" == data[decoded.positions[0].offset_start : decoded.positions[0].offset_end]


def test_what_is_written_is_read_again():
    """Filling and implied decimals are undone by reading."""
    rows = [
        {"kind": "LN", "sku": "A", "qty": Decimal("5.50"), "note": "x"},
        {"kind": "LN", "sku": "B", "qty": Decimal("-0.01"), "note": None},
    ]
    data = fixed_width.encode({"rows": rows}, OPTIONS)

    assert b"LNA    000550  x   \nLNB    -00001      \n" == data
    assert rows == fixed_width.decode(data, OPTIONS).documents


@pytest.mark.parametrize(
    "row", [{"sku": "TOO-LONG"}, {"sku": "A", "qty": Decimal("0.001")}, {"sku": "A", "note": "a\nb"}, {}]
)
def test_what_does_not_fit_is_refused(row):
    """Too long, too exact, a line end inside, or missing: refused, never cut."""
    with pytest.raises(DocumentRejected):
        fixed_width.encode({"kind": "LN", **row}, OPTIONS)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_records_or_findings(data):
    """No bytes raise anything but a rejection with findings."""
    try:
        fixed_width.decode(b"LN" + data, OPTIONS)
    except DocumentRejected as error:
        findings = error.findings
    else:
        return

    assert findings


def test_overlapping_columns_are_refused():
    """A column may not begin inside another."""
    with pytest.raises(ValueError, match="begins inside"):
        FixedOptions((Column("a", width=5), Column("b", width=2, start=3)))
