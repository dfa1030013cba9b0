"""What was learned of documents, and what a document does that none did before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.formats.shapes import Profile, signature

DOCUMENT: dict[str, Any] = {"id": 1, "name": "a", "lines": [{"sku": "x", "qty": 2}], "ship": {"to": "b", "note": None}}

leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
document = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), leaf, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), leaf | inner | st.lists(inner, max_size=3), max_size=3),
    max_leaves=8,
)


def learned(*documents: Any) -> Profile:
    profile = Profile(fields={})
    for one in documents:
        profile.merge(one)
    return profile


def words(profile: Profile, one: Any) -> list[str]:
    return [change.words for change in profile.changes(one)]


def test_every_kind_of_change_is_seen() -> None:
    """Number to text, object to list, a new field (said once for all below it), a field that is gone, a null."""
    profile = learned(DOCUMENT, DOCUMENT)

    assert [] == words(profile, {**DOCUMENT, "id": Decimal("1.5")})
    assert ["/id was number, is text"] == words(profile, {**DOCUMENT, "id": "1"})
    assert ["/ship was object, is list"] == [
        word for word in words(profile, {**DOCUMENT, "ship": []}) if "/ship " in word
    ]
    assert ["new field /more (object)"] == words(profile, {**DOCUMENT, "more": {"deep": {"er": 1}}})
    assert ["/name is gone (was text)"] == words(profile, {k: v for k, v in DOCUMENT.items() if k != "name"})
    assert ["/name was text, is null"] == words(profile, {**DOCUMENT, "name": None})
    assert ["/lines/[]/qty was number, is text"] == words(profile, {**DOCUMENT, "lines": [{"sku": "x", "qty": "2"}]})


def test_what_was_optional_is_not_missed() -> None:
    """A field that one document had not is not said to be gone."""
    profile = learned(DOCUMENT, {k: v for k, v in DOCUMENT.items() if k != "name"}, DOCUMENT)

    assert [] == words(profile, {k: v for k, v in DOCUMENT.items() if k != "name"})


def test_codes_and_empty_fields_are_counted() -> None:
    """A new value of a code list is told once, free text never; a field that empties is told by its share."""
    profile = learned({"code": "A", "text": "t", "maybe": 1}, {"code": "A", "text": "t", "maybe": None})
    told: list[str] = []
    for number in range(60):
        told += [one.words for one in profile.sample({"code": "AB"[number % 2], "text": f"free {number}", "maybe": 1})]
    assert [] == told
    for _ in range(3):
        told += [one.words for one in profile.sample({"code": "C", "text": "more", "maybe": 1})]
    assert ["/code has the new value C"] == told
    for _ in range(100):
        told += [one.words for one in profile.sample({"code": "A", "text": "more", "maybe": None})]
    assert "/maybe is empty in 100% of documents, was in 0%" in told or any("/maybe is empty" in one for one in told)


@given(one=document, other=document)
def test_one_signature_is_one_shape(one: Any, other: Any) -> None:
    """Documents of the same signature never deviate from one another: what is skipped on the hot path is no change."""
    if signature(one) == signature(other):
        assert () == learned(one).changes(other)


@given(one=document, other=document)
def test_what_was_learned_is_no_change(one: Any, other: Any) -> None:
    """After a document is taken into the profile it deviates no more, whatever was there before."""
    profile = learned(one, other)

    assert () == profile.changes(one)
    assert () == profile.changes(other)
