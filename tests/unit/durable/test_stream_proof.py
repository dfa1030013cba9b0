"""From where a publisher goes on, for everything a stream can have become behind its back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.stream_proof import Place, Seen, judge

WINDOW = (0, 10)
PLACE = Place(cursor=(0, 50), sequence=40, event_id="evt_50", stream="life 1", head=1)
SEEN = Seen(stream="life 1", first=1, last=40, messages=40, tail=(0, 50), tail_event_id="evt_50")


def seen(**changed: Any) -> Seen:
    return msgspec.structs.replace(SEEN, **changed)


@pytest.mark.parametrize(
    ("shown", "action", "cursor", "sequence"),
    [
        (SEEN, "follow", (0, 50), 40),
        (seen(last=43, tail=(0, 53), tail_event_id="evt_53"), "adopt", (0, 53), 43),
        (seen(last=30, messages=30, tail=(0, 38), tail_event_id="evt_38"), "rewind", (0, 38), 30),
        (seen(last=30, messages=30, tail=None, tail_event_id="other"), "refill", WINDOW, 30),
        (seen(messages=0, first=41, tail=None, tail_event_id=""), "refill", WINDOW, 40),
        (seen(gaps=1), "refill", WINDOW, 40),
        (seen(first=20, head_missing=True), "refill", WINDOW, 40),
        (seen(tail_event_id="evt_49", tail=(0, 49)), "refill", WINDOW, 40),
        (seen(stream="life 2", first=0, last=0, messages=0, tail=None, tail_event_id=""), "refill", WINDOW, 0),
        (seen(stream="life 2", last=7, messages=7), "refill", WINDOW, 7),
        (seen(last=43, tail=None, tail_event_id="evt_of_a_lost_record"), "rewind", (0, 50), 43),
        (seen(last=43, tail=(0, 53), tail_event_id="evt_53", tail_generation=3), "rewind", (0, 50), 43),
    ],
    ids=[
        *("in step", "crashed before the proof was written", "rolled back", "rolled back to something else"),
        *("emptied", "one taken out", "beginning taken away", "another end", "made again", "made again by others"),
        *("the record was restored", "a late publisher"),
    ],
)
def test_where_to_go_on(shown: Seen, action: str, cursor: tuple[int, int], sequence: int) -> None:
    """Each state of the stream has one answer: where the record is read from, and behind what it is published."""
    judged = judge(PLACE, shown, WINDOW)

    assert (action, cursor, sequence) == (judged.action, judged.place.cursor, judged.place.sequence)
    assert bool(judged.why) == (action != "follow")


def test_a_lost_place_is_read_from_the_stream() -> None:
    """A stream this record has filled says itself how far it goes."""
    judged = judge(Place(), SEEN, WINDOW)

    assert ("adopt", (0, 50), 40) == (judged.action, judged.place.cursor, judged.place.sequence)


def test_a_stream_that_expired_is_not_filled_again() -> None:
    """Empty by age: nothing of it could be asked for, so nothing is published."""
    judged = judge(PLACE, seen(messages=0, first=41, tail=None, tail_event_id=""), (0, 50))

    assert "follow" == judged.action


def test_ids_change_where_the_stream_may_remember_them() -> None:
    """Into a stream that lives on, events go under new ids; into one that never held anything, under their own."""
    into_the_living = judge(PLACE, seen(messages=0, first=41, tail=None, tail_event_id=""), WINDOW).place
    into_the_new = judge(
        into_the_living, seen(stream="life 2", first=0, last=0, messages=0, tail=None, tail_event_id=""), WINDOW
    ).place

    assert (1, 0) == (into_the_living.generation, into_the_new.generation)


@given(
    place=st.builds(
        Place,
        cursor=st.tuples(st.just(0), st.integers(0, 60)),
        sequence=st.integers(0, 60),
        event_id=st.sampled_from(["", "evt_1", "evt_2"]),
        stream=st.sampled_from(["", "a", "b"]),
        head=st.integers(0, 3),
        gaps=st.integers(0, 2),
    ),
    shown=st.builds(
        Seen,
        stream=st.sampled_from(["a", "b"]),
        first=st.integers(0, 5),
        last=st.integers(0, 60),
        messages=st.integers(0, 60),
        gaps=st.integers(0, 2),
        tail=st.none() | st.tuples(st.just(0), st.integers(0, 60)),
        tail_event_id=st.sampled_from(["", "evt_1", "evt_2"]),
        tail_generation=st.integers(0, 1),
        head_missing=st.booleans(),
    ),
    window=st.tuples(st.just(0), st.integers(0, 60)),
)
def test_a_judgement_stands(place: Place, shown: Seen, window: tuple[int, int]) -> None:
    """Judged again with nothing changed, the answer is to follow: a repair never repeats itself for ever.

    And the publisher always goes on behind the stream's last message, or it would be refused for ever.
    """
    first = judge(place, shown, window).place
    calm = msgspec.structs.replace(shown, head_missing=False)
    second = judge(first, calm, window)

    assert shown.last == first.sequence
    assert "follow" == second.action
