"""What a broker's stream proves about the journal, and what has to be done when it proves less than it did.

The record is the truth and the stream a copy of a stretch of it, in the record's order. A publisher keeps a `Place`:
up to which event the copy is proven. `judge` compares the place with what the stream shows now and says from where to
go on. It is pure: the publisher in `backbone/` looks, asks, and acts.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# A cursor of the journal, as (transaction, position).
At = tuple[int, int]


class Place(msgspec.Struct, frozen=True):
    """Up to where a stream is proven to hold the journal.

    `cursor` stands behind the last proven event, `event_id`, which the stream holds under `sequence`.
    An empty `event_id` means that publishing begins behind `sequence` again. `stream` names the life of the stream:
    one that was deleted and made again is another. From `head` on, this life holds the whole retention.
    `gaps` counts the messages that were taken out of its middle and made good since.
    `generation` grows with every repetition into a living stream, which may remember the ids of what it lost.
    """

    cursor: At = (0, 0)
    sequence: int = 0
    event_id: str = ""
    stream: str = ""
    head: int = 0
    gaps: int = 0
    generation: int = 0


class Seen(msgspec.Struct, frozen=True):
    """What the stream shows: its life, its bounds, and whether the record knows its last message.

    `tail_event_id` is the id the last message carries, empty where there is none. `tail` is the cursor of that event,
    None where the record does not know it. `head_missing` says that the record holds an event which belongs before
    the stream's first message, and that neither age nor size allowed the stream to drop. `tail_generation` is the
    generation of the place under which the last message was published.
    """

    stream: str
    first: int
    last: int
    messages: int
    gaps: int = 0
    tail: At | None = None
    tail_event_id: str = ""
    tail_generation: int = 0
    head_missing: bool = False


class Judgement(msgspec.Struct, frozen=True):
    """From where the publisher goes on, and why.

    `follow`: the stream holds what was proven. `adopt`: it holds more, a crash hid the proof. `rewind`: its end is
    gone and is published again. `refill`: something else of it is gone, or all: the whole retention is published again.
    """

    action: Literal["follow", "adopt", "rewind", "refill"]
    place: Place
    why: str = ""


def judge(place: Place, seen: Seen, window: At) -> Judgement:
    """Return from where to go on. `window` is the cursor before the oldest event that consumers may ask for."""
    if seen.stream != place.stream:
        return _of_another_life(place, seen, window)
    if seen.messages == 0 and place.cursor > window:
        return _refill(place, seen, window, "the stream was emptied")
    if seen.gaps > place.gaps:
        return _refill(place, seen, window, f"{seen.gaps - place.gaps} messages were taken out of the stream")
    if seen.head_missing:
        return _refill(place, seen, window, "the beginning of the stream was taken away")
    if seen.last < place.sequence:
        return _rewound(place, seen, window)
    if seen.last == place.sequence:
        if place.event_id and seen.messages and seen.tail_event_id != place.event_id:
            return _refill(place, seen, window, "the stream ends with another event than was proven")
        return Judgement("follow", msgspec.structs.replace(place, gaps=seen.gaps))
    if seen.tail is not None and seen.tail > place.cursor and seen.tail_generation == place.generation:
        adopted = msgspec.structs.replace(
            place, cursor=seen.tail, sequence=seen.last, event_id=seen.tail_event_id, gaps=seen.gaps
        )
        return Judgement("adopt", adopted, f"{seen.last - place.sequence} messages were stored and not yet proven")
    # The record was restored, or a publisher that had been replaced came late: neither proves anything.
    ahead = _again(place, seen, place.cursor)
    return Judgement("rewind", ahead, "the stream ends with messages that do not follow from the record")


def _of_another_life(place: Place, seen: Seen, window: At) -> Judgement:
    if seen.messages and seen.tail is not None and not place.stream and not seen.head_missing and not seen.gaps:
        # A stream this record has filled before, and the place is lost: it says itself where it stands.
        adopted = Place(
            cursor=seen.tail,
            sequence=seen.last,
            event_id=seen.tail_event_id,
            stream=seen.stream,
            head=seen.first,
            generation=place.generation + 1,
        )
        return Judgement("adopt", adopted, "the stream was filled before")
    why = "the stream was made again" if place.stream else "the stream is new"
    return _refill(place, seen, window, why)


def _rewound(place: Place, seen: Seen, window: At) -> Judgement:
    lost = place.sequence - seen.last
    if seen.tail is None:
        return _refill(place, seen, window, f"the last {lost} messages and what was before them are gone")
    return Judgement("rewind", _again(place, seen, seen.tail), f"the last {lost} messages of the stream are gone")


def _refill(place: Place, seen: Seen, window: At, why: str) -> Judgement:
    again = _again(place, seen, window)
    # A stream that has never held anything remembers no id.
    generation = again.generation if seen.last else 0
    refilled = msgspec.structs.replace(again, stream=seen.stream, head=seen.last + 1, generation=generation)
    return Judgement("refill", refilled, why)


def _again(place: Place, seen: Seen, cursor: At) -> Place:
    """Return a place from which to publish again, under ids that the stream cannot take for repetitions."""
    return msgspec.structs.replace(
        place, cursor=cursor, sequence=seen.last, event_id="", gaps=seen.gaps, generation=place.generation + 1
    )
