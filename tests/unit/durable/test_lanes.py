"""Slots are shared evenly, taken over when their owner is dead, and the same lane is always the same slot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.lanes import (
    PUSH_MARGIN_SECONDS,
    SLOTS,
    Ownership,
    connection_lane,
    fair_share,
    slot_of,
    to_give,
    to_take,
)


def settled(owners: dict[int, int], live: list[int]) -> dict[int, int]:
    """Let every worker beat until nobody moves; each sees what the last one did."""
    for _ in range(10):
        before = dict(owners)
        for me in live:
            # The dead were found: nobody owns what was theirs.
            owners.update({slot: -1 for slot, owner in owners.items() if owner not in live and owner > 0})
            for slot in to_take(owners, me, live):
                owners[slot] = me
            for slot in to_give(owners, me, live):
                owners[slot] = 0
        if owners == before:
            return owners
    raise AssertionError("slots go round for ever")


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=12, unique=True), st.data())
def test_whatever_happened_before_every_slot_ends_with_a_live_worker_and_nobody_has_more_than_its_share(
    live: list[int], data: st.DataObject
) -> None:
    """Joins, deaths, strangers: a few beats later the slots are shared."""
    owner = st.sampled_from([0, *live, 99_999])
    owners = settled({slot: data.draw(owner) for slot in range(SLOTS)}, live)

    counts = {me: list(owners.values()).count(me) for me in live}
    assert SLOTS == sum(counts.values())
    assert max(counts.values()) <= fair_share(len(live))


def test_a_worker_keeps_what_it_has_while_nothing_changes() -> None:
    """No slot moves for nothing: what is in memory stays there."""
    owners = settled(dict.fromkeys(range(SLOTS), 0), [1, 2, 3])

    assert owners == settled(dict(owners), [1, 2, 3])


def test_an_order_and_its_messages_are_of_one_slot() -> None:
    """A connection whose lane is the order's number is worked where the order's effects are sent from."""
    assert slot_of("acme", "order/SO-1") == slot_of("acme", "SO-1")
    assert len({slot_of("acme", f"order/SO-{n}") for n in range(2_000)}) == SLOTS
    assert slot_of("acme", connection_lane("erp")) == slot_of("acme", "connection/erp")


def test_nothing_is_begun_when_the_lease_is_nearly_over() -> None:
    """The margin is what a push may take before somebody else may ask for it."""
    now = [100.0]
    owned = Ownership(lambda: now[0])
    owned.number, owned.slots, owned.lease_until = 7, frozenset(range(SLOTS)), 108.0
    assert owned.may_start("acme", "order/SO-1")
    now[0] = 108.0 - PUSH_MARGIN_SECONDS
    assert not owned.may_start("acme", "order/SO-1")
    assert owned.owns("acme", "order/SO-1")


def test_what_is_being_given_up_is_owned_but_not_begun() -> None:
    """Between the wish and the hand-over nothing new is started, and nothing is handed to anybody."""
    owned = Ownership(lambda: 0.0)
    owned.number, owned.slots, owned.lease_until = 7, frozenset(range(SLOTS)), 8.0
    slot = slot_of("acme", "order/SO-1")
    owned.leaving = frozenset([slot])

    assert (slot, 0) == owned.place("acme", "order/SO-1")
    assert not owned.may_start("acme", "order/SO-1")


def test_whoever_lost_the_lease_hands_everything_over() -> None:
    """After the loss nothing is this process's."""
    owned = Ownership(lambda: 0.0)
    owned.number, owned.slots, owned.lease_until = 7, frozenset(range(SLOTS)), 8.0
    owned.lose()

    assert (slot_of("acme", "x"), 1) == owned.place("acme", "x")
    assert not owned.may_start("acme", "x")
