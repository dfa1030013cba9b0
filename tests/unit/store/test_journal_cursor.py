"""Cursors are text that clients keep: they come back as they were, and nonsense starts at the beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.store.engine import placeholder_lists
from crossdock.store.journal import Cursor


@given(st.integers(0, 2**63), st.integers(0, 2**62))
def test_a_cursor_comes_back_as_it_was(transaction: int, position: int) -> None:
    """`parse` undoes `str`."""
    cursor = Cursor(transaction, position)

    assert cursor == Cursor.parse(str(cursor))


@pytest.mark.parametrize("text", ["", "7", "a.b", "-1.2", "1.", ".1", "1.2.3", "１.２x"])
def test_nonsense_is_the_start(text: str) -> None:
    """What a client made up itself shows everything from the start, and never an error."""
    assert Cursor() == Cursor.parse(text)


@given(st.lists(st.integers(), min_size=1, max_size=1_200))
def test_a_list_of_any_length_is_asked_for_whole(values: list[int]) -> None:
    """Padding and parts change no answer: the values asked for are exactly those given."""
    asked: set[int] = set()
    for sql, parameters in placeholder_lists("select ? in ({})", ["acme"], values):
        assert sql.count("?") == len(parameters)
        asked |= set(parameters[1:])

    assert set(values) == asked
