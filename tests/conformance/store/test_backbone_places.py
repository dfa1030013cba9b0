"""Where a backbone stands, who moves it, and what the journal says: the same on both engines."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from crossdock.durable.identity import to_micros
from crossdock.durable.stream_proof import Place
from crossdock.store import backbone, journal
from crossdock.store.engine import Store
from tests.conformance.store import rows

PLACE = Place((7, 12), 12, "evt_12", "2026-11-28T00:00:00Z", 1, 2, 3)


def test_a_place_is_kept_and_moved_under_its_epoch(store: Store) -> None:
    """Whoever was replaced moves nothing."""
    assert Place() == store.read_now(lambda c: backbone.load_place(c, "EVENTS"))
    first = store.write_now(lambda c: backbone.claim(c, "EVENTS", "a", 100, 200))
    assert first is not None
    assert store.write_now(lambda c: backbone.move(c, "EVENTS", first, PLACE, 100))
    assert store.write_now(lambda c: backbone.claim(c, "EVENTS", "b", 150, 250)) is None

    second = store.write_now(lambda c: backbone.claim(c, "EVENTS", "b", 201, 300))

    assert second == first + 1
    assert not store.write_now(lambda c: backbone.move(c, "EVENTS", first, Place(), 210))
    assert PLACE == store.read_now(lambda c: backbone.load_place(c, "EVENTS"))


def test_the_holder_keeps_its_epoch_and_lets_go(store: Store) -> None:
    """Claiming again only prolongs; after a release the next one need not wait."""
    first = store.write_now(lambda c: backbone.claim(c, "EVENTS", "a", 100, 200))
    assert first == store.write_now(lambda c: backbone.claim(c, "EVENTS", "a", 150, 900))
    store.write_now(lambda c: backbone.release(c, "EVENTS", "a"))

    assert store.write_now(lambda c: backbone.claim(c, "EVENTS", "b", 151, 300)) is not None


def test_the_journal_is_asked_by_time_and_by_event(store: Store) -> None:
    """The window starts before the first event recorded late enough; an event is known by id and cursor only."""
    events = []
    for number in range(40):
        event = rows.event(f"evt_{number:02}")
        events.append(msgspec.structs.replace(event, recorded_at=rows.AT + timedelta(minutes=number)))
        store.write_now(lambda c: journal.append(c, events[-1:]))
    pairs = store.read_now(lambda c: journal.follow(c, "", journal.Cursor()))
    cursors = {event.id: cursor for event, cursor in pairs}

    def after(minutes: float) -> list[str]:
        since = to_micros(rows.AT + timedelta(minutes=minutes))
        start = store.read_now(lambda c: backbone.before(c, since))
        return [event.id for event, _ in store.read_now(lambda c: journal.follow(c, "", start))]

    assert [event.id for event in events] == after(-1) == after(0)
    assert [event.id for event in events[25:]] == after(24.5) == after(25)
    assert [] == after(99)
    assert cursors["evt_07"] == store.read_now(lambda c: backbone.cursor_of(c, "evt_07", cursors["evt_07"]))
    assert store.read_now(lambda c: backbone.cursor_of(c, "evt_08", cursors["evt_07"])) is None
    assert store.read_now(lambda c: backbone.cursor_of(c, "evt_99", journal.Cursor(0, 999))) is None
    assert to_micros(events[6].recorded_at) == store.read_now(lambda c: backbone.recorded_before(c, cursors["evt_07"]))
    assert store.read_now(lambda c: backbone.recorded_before(c, cursors["evt_00"])) is None


def test_the_lag_is_counted_from_the_place(store: Store) -> None:
    """How many events wait, and since when; none at the end."""
    events = [rows.event(f"evt_{number}") for number in range(5)]
    store.write_now(lambda c: journal.append(c, events))
    pairs = store.read_now(lambda c: journal.follow(c, "", journal.Cursor()))

    assert (3, to_micros(rows.AT)) == store.read_now(lambda c: backbone.lag(c, pairs[1][1]))
    assert (0, 0) == store.read_now(lambda c: backbone.lag(c, pairs[4][1]))


def test_an_empty_journal_has_a_beginning(store: Store) -> None:
    """A new installation has nothing to publish and nothing that lags."""
    assert journal.Cursor() == store.read_now(lambda c: backbone.before(c, 0))
    assert (0, 0) == store.read_now(lambda c: backbone.lag(c, journal.Cursor()))
