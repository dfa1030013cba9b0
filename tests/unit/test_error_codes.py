"""The catalogue of error codes and the error contract made from it."""

from __future__ import annotations

import re

import pytest

from crossdock.error_codes import CATALOG, as_problem, close_to, entry_of, lookup
from crossdock.errors import CrossdockError, DocumentRejected, Finding, TransientError


@pytest.mark.parametrize("code", CATALOG)
def test_every_code_says_what_why_and_how_to_fix(code: str) -> None:
    """Each entry is complete, in sentences, under a code of the agreed shape."""
    entry = CATALOG[code]

    assert re.fullmatch(r"XD-(DOC|MAP|ING|PTR|ORD|CFG|SEC|API|SYS|EDI|SUP|FRT|RET|STK|REC)-\d{3}", entry.code)
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.what.endswith(".")
    assert entry.why.endswith(".")
    assert entry.fix
    assert [] == [step for step in entry.fix if step.endswith(".") or step[0].islower()]
    assert entry.http_status == 200 or 400 <= entry.http_status < 600


def test_titles_are_not_shared() -> None:
    """Two codes never carry the same title, or people could not tell them apart."""
    titles = [entry.title for entry in CATALOG.values()]

    assert sorted(set(titles)) == sorted(titles)


def test_each_error_class_has_a_catalogued_default() -> None:
    """The class of an error is enough: its default code is in the catalogue."""
    classes: list[type[CrossdockError]] = [CrossdockError, *CrossdockError.__subclasses__()]

    assert [] == [kind.__name__ for kind in classes if lookup(kind.code) is None]


def test_lookup_forgives_case_and_blanks() -> None:
    """A code copied from a mail is found."""
    assert CATALOG["XD-MAP-014"] is lookup(" xd-map-014 ")


def test_unknown_code_is_an_internal_fault_and_has_neighbours() -> None:
    """A code nobody catalogued is treated as our own defect; a typo offers the codes meant."""
    assert "XD-SYS-001" == entry_of("XD-NIX-999").code
    assert "XD-MAP-014" == close_to("XD-MAP-14")[0]


def test_problem_takes_the_hint_of_the_place() -> None:
    """What the raising place knows stands instead of the general steps, which stand where it knows nothing."""
    error = TransientError("Harbor answered 503", code="XD-PTR-001", hint="Call Harbor", retry_after_seconds=60)

    problem = as_problem(error)

    assert ["Call Harbor"] == problem["hint"]
    assert list(CATALOG["XD-PTR-001"].fix) == as_problem(TransientError("Harbor answered 503"))["hint"]
    assert (503, 60, True) == (problem["status"], problem["retry_after"], problem["retryable"])


def test_problem_carries_findings_with_their_place() -> None:
    """Every finding reaches the caller with code and pointer."""
    finding = Finding(code="XD-DOC-003", message="key sku is there twice", pointer="/lines/0/sku", offset=42)

    problem = as_problem(DocumentRejected("No", pointer="/lines", findings=(finding,)))

    assert "/lines" == problem["pointer"]
    assert [
        {"code": "XD-DOC-003", "message": "key sku is there twice", "pointer": "/lines/0/sku", "offset": 42}
    ] == problem["findings"]
