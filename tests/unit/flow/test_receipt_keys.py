"""Receipt keys and envelope texts: total, printable, and never one for two."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.flow.ingest import RECEIPT_KEY_LENGTH_MAX, InboundOffer, clean, field_of, receipt_key_of
from crossdock.governance.pack import ConnectionSpec
from crossdock.store.payloads import digest_of

SPEC = ConnectionSpec("erp", "erp", "http_json", receipt_key=("header:idempotency-key", "field:a.b"))


def key_of(text: str) -> str:
    return receipt_key_of(InboundOffer("acme", "erp", b"", receipt_key=text), SPEC, digest_of(b""))


@given(st.text(st.characters(), min_size=1, max_size=600), st.text(st.characters(), min_size=1, max_size=600))
def test_two_identities_are_two_keys_that_any_database_takes(one: str, other: str) -> None:
    """However long or odd: different texts give different keys, printable and of bounded length."""
    first, second = key_of(one), key_of(other)

    assert (one == other) == (first == second)
    assert first.isprintable() and len(first) <= RECEIPT_KEY_LENGTH_MAX


@given(st.binary(max_size=300))
def test_a_field_of_anything_is_text(content: bytes) -> None:
    """Whatever bytes come, looking for a field ends with a text."""
    assert isinstance(field_of(content, "a.b"), str)


@pytest.mark.parametrize(("value", "text"), [(7, "7"), ("x", "x"), (None, ""), ({}, ""), ([1], ""), (True, "")])
def test_only_plain_values_are_identities(value: object, text: str) -> None:
    """Numbers and texts name a message; structures and truth values do not."""
    assert text == field_of(json.dumps({"a": {"b": value}}).encode(), "a.b")


@given(st.text(st.characters(), max_size=400))
def test_clean_text_is_printable_and_short(text: str) -> None:
    """Names are for logs and columns: no control characters, no endless text."""
    assert clean(text).isprintable() and len(clean(text)) <= 255


def test_name_and_headers_of_a_batch_identify_none_of_its_documents() -> None:
    """Documents of one body are told apart by their fields or bytes; a single document keeps the key of its header."""
    spec = ConnectionSpec("erp", "erp", "http_json", receipt_key=("header:x-delivery-id", "name", "field:a"))
    contents = [b'{"a": 1}', b'{"a": 2}', b"{}"]

    def keys(of_batch: bool) -> list[str]:
        offers = [
            InboundOffer("acme", "erp", one, name="n.json", headers={"x-delivery-id": "D1"}, of_batch=of_batch)
            for one in contents
        ]
        return [receipt_key_of(offer, spec, digest_of(offer.content)) for offer in offers]

    assert ["field:1", "field:2", "digest:" + digest_of(b"{}").hex()] == keys(of_batch=True)
    assert ["header:D1"] * 3 == keys(of_batch=False)
