"""CSV: one verdict for each row, and the header is an agreement."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import ConfigurationError, DocumentRejected
from crossdock.formats import Column, CsvOptions, csv_format, decode
from crossdock.mapping import MapSide

PLAIN = CsvOptions((Column("order"), Column("sku", header="SKU", required=True), Column("qty", type="decimal")))
GROUPED = CsvOptions(PLAIN.columns, group_by=("order",))


def test_rows_of_one_group_are_one_document():
    """Rows that share the grouping value become one document, with its rows, place and row numbers."""
    data = b'order,SKU,qty\r\n1,A,5\r\n1,"B ""x""\nz",2.5\r\n2,C,\r\n'
    decoded = csv_format.decode(data, GROUPED)

    rows = [{"order": "1", "sku": "A", "qty": Decimal(5)}, {"order": "1", "sku": 'B "x"\nz', "qty": Decimal("2.5")}]
    assert {"order": "1", "rows": rows} == decoded.documents[0]
    assert [(2, 3), (5,)] == [position.rows for position in decoded.positions]
    one, two = decoded.positions
    assert (
        data[one.offset_start : one.offset_end].startswith(b"1,A")
        and data[two.offset_start : two.offset_end] == b"2,C,\r\n"
    )


def test_a_bad_row_costs_its_group_and_no_other():
    """A row that is wrong takes its own document out, never the file."""
    data = b'order,SKU,qty\n1,A,x\n1,B,2\n2,C\n3,D,1\xff\n4,"E,1\n5,,1\n6,=cmd(),1\n'
    decoded = csv_format.decode(data, GROUPED)

    assert [{"order": "6", "rows": [{"order": "6", "sku": "=cmd()", "qty": 1}]}] == decoded.documents
    found = [(f.code, f.pointer) for f in decoded.findings]
    assert [
        ("XD-DOC-018", "row 2, column qty"),
        ("XD-DOC-009", "row 4"),
        ("XD-DOC-004", "row 5"),
        ("XD-DOC-009", "row 6"),
        ("XD-DOC-018", "row 7, column SKU"),
        ("XD-DOC-001", "row 2"),
        ("XD-DOC-001", "row 7"),
    ] == found
    assert b"\xff" == data[decoded.findings[2].offset :][:1]


def test_the_header_decides_the_order_and_is_checked():
    """Columns are found by name; a foreign one is a warning, a missing one ends the file with what it has instead."""
    decoded = csv_format.decode(b"qty,x,sku,order\n1,9,A,7\n", PLAIN)
    assert [{"order": "7", "sku": "A", "qty": 1}] == decoded.documents
    assert [("XD-DOC-008", "warning")] == [(f.code, f.severity) for f in decoded.findings]

    with pytest.raises(DocumentRejected) as caught:
        csv_format.decode(b"order,SKU,qty shipped\n1,A,1\n", PLAIN)
    finding = caught.value.findings[0]
    assert ("XD-DOC-008", 'the column "qty" is missing') == (finding.code, finding.message)


def test_another_layout_is_given_up_after_many_faults():
    """A file of which nothing fits is not read to its end."""
    with pytest.raises(DocumentRejected) as caught:
        csv_format.decode(b"order,SKU,qty\n" + b"1\n" * 5_000, PLAIN)

    assert len(caught.value.findings) <= 1_001


def test_what_is_written_is_read_again():
    """Quotes, delimiters, line ends and formula-like text survive as data."""
    rows = [{"order": "=1+1", "sku": 'a,"b"\r\nc', "qty": Decimal("1.50")}, {"order": "@x", "sku": "ä", "qty": None}]
    data = csv_format.encode({"rows": rows}, PLAIN)

    assert rows == csv_format.decode(data, PLAIN).documents


@given(st.binary(max_size=80))
def test_any_bytes_end_in_rows_or_findings(data):
    """No bytes raise anything but a rejection with findings."""
    try:
        csv_format.decode(b"order,SKU,qty\n" + data, GROUPED)
    except DocumentRejected as error:
        findings = error.findings
    else:
        return

    assert findings


def test_what_cannot_be_written_is_refused_with_its_cell():
    """Wrong types, missing values and foreign characters are findings with row and column."""
    rows = [{"order": 1, "sku": "A", "qty": "x"}, {"order": 1, "sku": None, "qty": 1}]
    with pytest.raises(DocumentRejected) as caught:
        csv_format.encode({"rows": rows}, PLAIN)
    assert ["row 1, column qty", "row 2, column SKU"] == [f.pointer for f in caught.value.findings]

    with pytest.raises(DocumentRejected):
        csv_format.encode({"order": "ж", "sku": "A"}, CsvOptions(PLAIN.columns, encoding="latin-1"))


def test_wrong_options_are_a_configuration_error():
    """Options are checked when they are read, not when a file comes."""
    for options in (
        {},
        {"columns": []},
        {"columns": ["a"], "delimiter": "||"},
        {"columns": ["a"], "group_by": "b"},
        {"cols": []},
    ):
        with pytest.raises(ConfigurationError):
            decode(b"", MapSide("csv", options=options))
