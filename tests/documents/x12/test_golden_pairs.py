"""Golden pairs: an interchange of our own writing and the document it holds, both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from crossdock import edi

HERE = Path(__file__).parent
PAIRS = sorted(HERE.glob("*/*.edi"))
REFERENCE = HERE.parents[2] / "docs/reference/edi.md"


def document_of(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return document


def only_set(data: bytes) -> edi.TransactionSet:
    (interchange,) = edi.read_all(data).interchanges
    (one,) = interchange.sets
    return one


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_reading_gives_the_document(path: Path) -> None:
    """The set of the interchange becomes exactly the document beside it."""
    assert document_of(path) == edi.set_to_document(only_set(path.read_bytes()))


# A notice without HL04 is read; the writer always says whether a level has children.
WRITTEN = [path for path in PAIRS if (path.parent.name, path.stem) != ("856", "flat")]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_writing_gives_the_interchange(path: Path) -> None:
    """The document becomes, byte for byte, the interchange beside it."""
    data = path.read_bytes()
    interchange = edi.read_all(data).interchanges[0]
    group = interchange.groups[0]
    rendered = edi.document_to_set(document_of(path))
    envelope = edi.Envelope(
        sender_qualifier=interchange.sender_qualifier, sender=interchange.sender,
        receiver_qualifier=interchange.receiver_qualifier, receiver=interchange.receiver,
        control_number=int(interchange.control_number), date=group.date, time=group.time,
        ack_requested=interchange.ack_requested, newline="\n",
    )  # fmt: skip
    to_write = edi.GroupEnvelope(group.functional_id, int(group.control_number), [rendered.segments])

    assert data == edi.write_interchange(envelope, [to_write])


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_clean_pairs_have_no_findings(path: Path) -> None:
    """Only the pair written to show an unplaced segment has findings; they are the same read and rendered."""
    expected = ["segment-unexpected"] if path.stem == "line_without_lx" else []

    read = [one.code for one in only_set(path.read_bytes()).findings]
    rendered = [one.code for one in edi.document_to_set(document_of(path)).findings]

    assert expected == read
    assert expected == rendered


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_positions_lead_back_to_the_bytes(path: Path) -> None:
    """Every position of a document names the bytes its value came from."""
    data = path.read_bytes()
    found = edi.set_with_positions(only_set(data))

    for pointer, position in found.positions.items():
        value = resolve(found.document, pointer)
        if isinstance(value, str):
            assert value.encode() == data[position.offset : position.offset + len(value.encode())], pointer
    assert leaf_count(found.document) <= len(found.positions)


def resolve(document: Any, pointer: str) -> Any:
    for part in [one for one in pointer.split("/")[1:] if one]:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def leaf_count(document: Any, name: str = "") -> int:
    if name == "unplaced":
        return 1
    if isinstance(document, dict):
        return sum(leaf_count(value, key) for key, value in document.items())
    return sum(map(leaf_count, document)) if isinstance(document, list) else 1


def test_the_reference_page_shows_the_golden_pairs() -> None:
    """Each example of the reference page is one of the pairs, so the page cannot drift from the code."""
    text = REFERENCE.read_text()
    sets = re.findall(r"```edi\n(.*?)```", text, re.DOTALL)
    documents = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]

    assert ["940", "945", "997"] == [one["set"] for one in documents]
    for source, document in zip(sets, documents, strict=True):
        assert document == edi.set_to_document(only_set(source.encode()))
        assert document in [document_of(path) for path in PAIRS]
