"""Identifiers: found loosely, matched strictly, checked by their digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.canonical.identifiers import check_digit_is_right, gtin14, match_key, search_key, ulid

GS1 = ["4006381333931", "00614141999996", "0614141000012", "006141411234567890"]


@given(st.text(max_size=60))
def test_keys_are_stable(text: str) -> None:
    """A key of a key is the key, and what matches is also found."""
    assert search_key(search_key(text)) == search_key(text)
    assert match_key(match_key(text)) == match_key(text)
    assert search_key(match_key(text)) == search_key(text)


@pytest.mark.parametrize(("one", "other"), [("A-1", "A1"), ("007", "7"), ("订单-1", "别的-1"), ("a_1", "a.1")])
def test_what_looks_alike_is_found_together_but_is_not_the_same(one: str, other: str) -> None:
    """People search loosely; applying a paper to an order is strict."""
    assert search_key(one) == search_key(other)
    assert match_key(one) != match_key(other)


@given(st.sampled_from(GS1), st.data())
def test_one_wrong_digit_is_always_noticed(code: str, data: st.DataObject) -> None:
    """The GS1 check digit finds every single changed digit."""
    good = code[:-1] + next(str(digit) for digit in range(10) if check_digit_is_right(code[:-1] + str(digit)))
    place = data.draw(st.integers(0, len(good) - 1))
    digit = data.draw(st.sampled_from([one for one in "0123456789" if one != good[place]]))

    assert check_digit_is_right(good)
    assert not check_digit_is_right(good[:place] + digit + good[place + 1 :])


@pytest.mark.parametrize("text", ["", "1", "ABC", "１２３４５６７８", "1234567a"])
def test_what_is_no_code_is_no_failure(text: str) -> None:
    """Text that is no GS1 code is answered with no, and comes back unchanged."""
    assert not check_digit_is_right(text)
    assert text.strip() == gtin14(text)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1), st.integers(0, 2**48 - 1))
def test_ulids_sort_by_time(early: int, chance: int, late: int) -> None:
    """Text order is time order."""
    assert (early < late) == (ulid(early, chance) < ulid(late, chance))
