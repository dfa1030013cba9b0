"""Every finding of a format says what to do about it."""

from __future__ import annotations

import pytest

from crossdock.errors import DocumentRejected
from crossdock.formats.documents import Decoded
from crossdock.formats.json_format import JsonOptions, decode

BAD = (
    b'{"a": "x\\u0000y"}',
    b'{"a": "x\x00y"}',
    b'{"a": 1',
    b'{"a": 1, "a": 2}',
    b'{"a": NaN}',
    b'{"a": "\\ud800"}',
    b"[" * 1000,
    b"",
    b"\xff",
)


@pytest.mark.parametrize("content", BAD)
def test_a_finding_has_a_hint(content: bytes) -> None:
    """What is refused, and what is only noted, carries a remedy of at least a few words."""
    try:
        findings = decode(content, JsonOptions()).findings
    except DocumentRejected as error:
        findings = error.findings

    assert findings
    assert all(finding.hint and len(finding.hint.split()) > 2 for finding in findings)


def test_a_document_without_findings_stays_as_it_is() -> None:
    """Nothing is added where nothing was found."""
    assert () == Decoded([{}]).findings
