"""Whatever the writer writes, the reader reads back equal: for every set, with documents made from its schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import edi
from crossdock.edi.schema import Loop
from crossdock.edi.sets import FUNCTIONAL_IDS, schema_for
from tests.unit.edi.set_documents import DocumentMaker

ENVELOPE = edi.Envelope(
    sender_qualifier="ZZ", sender="NORTHGATE", receiver_qualifier="ZZ", receiver="HILLSIDE",
    control_number=41, date="20261123", time="1200", delimiters=edi.Delimiters("*", "~", ">"),
)  # fmt: skip
RELEASES = ("004010", "005010")


def document_of(code: str, release: str, seed: int, size: int) -> dict[str, Any]:
    schema = schema_for(code, release)
    assert schema is not None
    return {"set": code, "control_number": "0001", **DocumentMaker(schema, seed, size).document()}


def written_and_read(document: dict[str, Any], release: str) -> tuple[dict[str, Any], list[str], str]:
    """Write a document into bytes and read them: the document again, its errors, the set's acceptance."""
    code = document["set"]
    rendered = edi.document_to_set(document, release=release)
    assert rendered.sendable, [(one.message, one.pointer, one.value) for one in rendered.findings][:5]
    group = edi.GroupEnvelope(FUNCTIONAL_IDS[code], 7, [rendered.segments], version=release)
    data = edi.write_interchange(ENVELOPE, [group])
    result = edi.read_all(data)
    (one,) = result.interchanges[0].sets
    errors = [finding.code for finding in result.all_findings() if finding.severity != "info"]
    return edi.set_to_document(one), errors, one.acceptance


@pytest.mark.parametrize("code", edi.known_sets())
@given(seed=st.integers(0, 2**32), size=st.integers(0, 6), release=st.sampled_from(RELEASES))
def test_what_is_written_is_read_back(code: str, seed: int, size: int, release: str) -> None:
    """A document goes into bytes and comes out as itself, without a defect, accepted."""
    document = document_of(code, release, seed, size)

    assert (document, [], "A") == written_and_read(document, release)


def test_the_oracle_catches_a_reader_that_forgets_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader without one element of one segment is caught within a few documents."""
    from crossdock.edi import documents

    put = documents._Builder._put

    def forgetful(self: Any, record: dict[str, Any], rule: Any, at: int, value: str) -> str:
        name = put(self, record, rule, at, value)
        if (rule.tag, at) == ("PO1", 4):
            record.pop(name)
        return name

    monkeypatch.setattr(documents._Builder, "_put", forgetful)

    assert any(
        document != written_and_read(document, "004010")[0]
        for document in (document_of("850", "004010", seed, 5) for seed in range(30))
    )


def test_the_oracle_catches_levels_under_the_wrong_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that hangs every level under the one before it is caught."""
    from crossdock.edi import hierarchy

    def chained(self: Any, number: str, parent: str, kind: str) -> tuple[int | None, str]:
        self.parents.append(len(self.parents) - 1 if self.parents else None)
        return self.parents[-1], ""

    monkeypatch.setattr(hierarchy.Levels, "place", chained)

    assert any(
        document != written_and_read(document, "004010")[0]
        for document in (document_of("856", "004010", seed, 4) for seed in range(30))
    )


@pytest.mark.parametrize("code", edi.known_sets())
def test_no_two_fields_of_a_record_share_a_name(code: str) -> None:
    """Fields of an opening segment, of merged segments and of children never collide, in any loop."""
    schema = schema_for(code)
    assert schema is not None

    def names(loop: Loop) -> list[str]:
        found = []
        for index, child in enumerate(loop.children):
            if isinstance(child, Loop) or (index and child.name != "&"):
                found.append(child.name)
                continue
            for element in schema.segments[child.tag].elements:
                found += [one.name for one in element.components] if element.name == "&" else [element.name]
        return [name for name in found if name]

    def loops(loop: Loop) -> list[Loop]:
        return [loop, *(deeper for child in loop.children if isinstance(child, Loop) for deeper in loops(child))]

    for loop in loops(schema.root):
        assert sorted(set(names(loop))) == sorted(names(loop)), loop.tag
