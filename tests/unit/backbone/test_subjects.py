"""No text of a tenant becomes a subject, a wildcard or another tenant's token."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.backbone.subjects import filter_of, stream_of, subject_of, text_of, token
from crossdock.errors import DocumentRejected


@given(st.text())
def test_a_token_is_one_token_and_leads_back(text: str) -> None:
    """Whatever the text: no separator, no wildcard, no blank, and nothing is lost."""
    encoded = token(text)

    assert re.fullmatch(r"[A-Za-z0-9_=-]+", encoded)
    assert text == text_of(encoded)


@pytest.mark.parametrize("text", ["a.b", "*", ">", "a b", "a\r\nPUB x 0", "", "é", "=", "=2E"])
def test_tenants_stay_in_their_token(text: str) -> None:
    """A subject has one token for the tenant, whatever it is called."""
    subject = subject_of("crossdock", text, "crossdock.order.created.v1")

    assert ["crossdock", "events", token(text), "order", "created", "v1"] == subject.split(".")
    assert filter_of("crossdock", text).count(".") == 3


@pytest.mark.parametrize("encoded", ["a.b", "=2e", "=41", "=C3", "", "a b", "é"])
def test_what_is_no_token_is_refused(encoded: str) -> None:
    """Only what `token` writes is read: one text, one token."""
    with pytest.raises(DocumentRejected):
        text_of(encoded)


def test_names_follow_the_prefix() -> None:
    """Two installations on one NATS never meet."""
    assert "TEST-2_EVENTS" == stream_of("test-2")
    assert "test-2.events.acme.order.created.v1" == subject_of("test-2", "acme", "crossdock.order.created.v1")
    assert "test-2.events.acme.order.created.v1" == filter_of("test-2", "acme", "crossdock.order.created.v1")
