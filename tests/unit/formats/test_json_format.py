"""JSON: what is refused, where, and that nothing good is."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import DocumentRejected
from crossdock.formats import JsonOptions, json_format
from crossdock.formats.json_scan import diagnose


@pytest.mark.parametrize(
    "data, code, pointer, offset",
    [
        (b'{"a":{"b":[1,{"c":1,"c":2}]}}', "XD-DOC-003", "/a/b/1/c", 20),
        (b'{"\\u0061":1,"a":2}', "XD-DOC-003", "/a", 12),
        (b'{"a" : 1, "b": "x:y", "a" :2}', "XD-DOC-003", "/a", 22),
        (b'{"a":"c:d:e","a":1}', "XD-DOC-003", "/a", 13),
        (b'{"a":1,"a":"c:d:e"}', "XD-DOC-003", "/a", 7),
        (b'{"x":"\\u003a\\u003a","a":1,"a":2}', "XD-DOC-003", "/a", 26),
        (b'{"a":NaN}', "XD-DOC-014", "/a", 5),
        (b'{"a":-Infinity}', "XD-DOC-014", "/a", 5),
        (b'{"a":1e999}', "XD-DOC-014", "/a", 5),
        (b'{"a":1e-999}', "XD-DOC-014", "/a", 5),
        (b'{"a":' + b"9" * 5000 + b"}", "XD-DOC-014", "/a", 5),
        (b'{"a":[1,2', "XD-DOC-002", "/a/1", 9),
        (b'{"a":"x', "XD-DOC-002", "/a", 7),
        (b'{"a":1,}', "XD-DOC-002", "/a", 7),
        (b"{a:1}", "XD-DOC-002", "/", 1),
        (b'{"a":01}', "XD-DOC-002", "/a", 5),
        (b'{"a":1} x', "XD-DOC-002", "", 8),
        (b"", "XD-DOC-002", "", 0),
        (b'{"a":"x\xff"}', "XD-DOC-004", "/a", 7),
        (b'{"a":"\\ud800"}', "XD-DOC-005", "/a", 6),
        (b'{"a":"\\u0000"}', "XD-DOC-005", "/a", 6),
        (b'{"a":"\x00"}', "XD-DOC-005", "/a", 6),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "XD-DOC-006", "/a" * 64, 320),
        (b"[" * 100_000, "XD-DOC-006", "/0" * 64, 64),
        ("{}".encode("utf-16"), "XD-DOC-004", "", 0),
        (b'"text"', "XD-DOC-002", "", 0),
        (b"[]", "XD-DOC-015", "", 0),
    ],
)
def test_bad_json_is_refused_with_its_place(data, code, pointer, offset):
    """Each fault has a code, a JSON pointer and a byte offset."""
    with pytest.raises(DocumentRejected) as caught:
        json_format.decode(data)

    finding = caught.value.findings[0]
    assert (code, pointer, offset) == (finding.code, finding.pointer, finding.offset)


@pytest.mark.parametrize(
    "data, document",
    [
        (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{ "a:b" : "c:d", "t":"10:00:00" }', {"a:b": "c:d", "t": "10:00:00"}),
        (b'{"\\u003a":1}', {":": 1}),
        (b'{"a":{"k":1},"b":{"k":1}}', {"a": {"k": 1}, "b": {"k": 1}}),
        (b'{"a":1.50}', {"a": Decimal("1.50")}),
        (b'{"a":0.1,"b":0e999}', {"a": Decimal("0.1"), "b": 0}),
        (b'{"a":18446744073709551616}', {"a": 18446744073709551616}),
        (b'{"a":"=1+1"}', {"a": "=1+1"}),
        (b'{"a":' * 64 + b"1" + b"}" * 64, None),
    ],
)
def test_good_json_is_read_exactly(data, document):
    """What only looks like a fault is none, and decimals keep their digits."""
    decoded = json_format.decode(data)

    assert () == decoded.findings
    assert document is None or document == decoded.document


def test_a_byte_order_mark_is_skipped_with_a_warning():
    """A UTF-8 mark does no harm, but is told."""
    decoded = json_format.decode(b'\xef\xbb\xbf{"a":1}')

    assert {"a": 1} == decoded.document
    assert [("XD-DOC-004", "warning")] == [(f.code, f.severity) for f in decoded.findings]


def test_an_array_is_many_documents_and_judges_each():
    """Each object of an array is a document; an element that is none is a finding, and the others go on."""
    decoded = json_format.decode(b'{"batch":{"orders":[{"n":1},5,{"n":2}]}}', JsonOptions(root="batch.orders"))

    assert [{"n": 1}, {"n": 2}] == decoded.documents
    assert ["/batch/orders/1"] == [f.pointer for f in decoded.findings]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
trees = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.sampled_from([":", '":', " :", "\\", '"']), texts
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(texts, st.just(":")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(texts, trees, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_no_good_document_is_refused(document, ascii_only, indent):
    """Whatever a strict writer writes is read back, and the slow scanner finds no fault in it."""
    data = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()

    assert document == json_format.load(data)
    assert diagnose(data) is None
    assert document == json_format.load(json_format.encode(document))


@given(st.dictionaries(texts, trees, min_size=1, max_size=4), st.data(), st.booleans())
def test_a_repeated_key_is_always_noticed(document, data, spaced):
    """Writing any one key a second time is refused, whatever colons and quotes stand around it."""
    key = data.draw(st.sampled_from(sorted(document)))
    colon = " : " if spaced else ":"
    body = json.dumps(document)[:-1] + ", " + json.dumps(key) + colon + json.dumps(data.draw(trees)) + "}"

    with pytest.raises(DocumentRejected) as caught:
        json_format.load(body.encode())

    assert "XD-DOC-003" == caught.value.findings[0].code


@given(st.binary(max_size=40))
def test_any_bytes_end_in_a_document_or_a_finding(data):
    """No bytes raise anything but a rejection with findings."""
    try:
        json_format.decode(data)
    except DocumentRejected as error:
        findings = error.findings
    else:
        return

    assert findings


def test_what_cannot_be_json_is_not_written():
    """A value JSON has no form for is a rejection, not a crash."""
    with pytest.raises(DocumentRejected):
        json_format.encode({"a": object()})
