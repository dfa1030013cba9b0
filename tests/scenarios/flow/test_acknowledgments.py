"""What a partner's 997 says of what we sent: accepted, rejected, unmatched, late; and when none comes."""

from __future__ import annotations

import pytest

from tests.scenarios.flow.world import World, order, x12_997


@pytest.fixture
async def sent(world: World) -> World:
    """A 940 that went to Kansas City under control number 1."""
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert ["000000001"] == world.partner("kc").identities()
    return world


def ack_states(world: World) -> list[str]:
    return world.column(
        "select ack_state from outbound_messages where connection_id = 'kc' and document_type <> 'acknowledgment'"
    )


async def test_an_acceptance_is_booked_on_what_it_names(sent: World) -> None:
    """997 A: the message is acknowledged and its clock stops; a 997 is never answered by one."""
    assert ["awaited"] == ack_states(sent)
    await sent.hand_in("kc", x12_997(1))

    assert (["accepted"], []) == (ack_states(sent), sent.issues())
    await sent.later(hours=3)
    assert [] == sent.issues()
    assert 1 == len(sent.partner("kc").pushed)


async def test_a_rejection_opens_an_issue_and_stays(sent: World) -> None:
    """997 R: somebody must look; a later acceptance does not hide the rejection."""
    await sent.hand_in("kc", x12_997(1, "R"))
    assert (["rejected"], ["XD-EDI-091"]) == (ack_states(sent), sent.issues())

    await sent.hand_in("kc", x12_997(1, control_number=501))

    assert (["rejected"], ["XD-EDI-091"]) == (ack_states(sent), sent.issues())


@pytest.mark.parametrize(
    "wrong", [{"group": 2}, {"group": 1, "functional_id": "SH"}, {"group": 11}], ids=["number", "kind", "prefix"]
)
async def test_an_acknowledgment_of_something_never_sent_is_reported(sent: World, wrong: dict) -> None:
    """Matching is by exact keys: another number or functional group changes nothing."""
    await sent.hand_in("kc", x12_997(**wrong))

    assert (["awaited"], ["XD-EDI-090"]) == (ack_states(sent), sent.issues())


async def test_no_acknowledgment_is_reported_by_the_clock_and_nothing_is_sent_again(sent: World) -> None:
    """After the agreed hour without a 997 an issue opens; the document is not repeated by itself."""
    await sent.later(minutes=59)
    assert [] == sent.issues()
    await sent.later(minutes=2)

    assert (["overdue"], ["XD-EDI-092"]) == (ack_states(sent), sent.issues())
    assert 1 == len(sent.partner("kc").pushed)


async def test_a_late_acknowledgment_closes_the_issue(sent: World) -> None:
    """A 997 that comes after all settles the message and its issue."""
    await sent.later(minutes=61)
    await sent.hand_in("kc", x12_997(1))

    assert (["accepted"], []) == (ack_states(sent), sent.issues())


async def test_the_same_acknowledgment_again_changes_nothing(sent: World) -> None:
    """A repeated 997, under the same or a new number, is no second event."""
    await sent.hand_in("kc", x12_997(1))
    await sent.hand_in("kc", x12_997(1), receipt_key="again")
    await sent.hand_in("kc", x12_997(1, control_number=501))

    assert (["accepted"], []) == (ack_states(sent), sent.issues())


async def test_another_tenants_acknowledgment_matches_nothing_of_ours(sent: World) -> None:
    """Control numbers belong to a tenant, even between the same two addresses."""
    await sent.apply("globex")
    await sent.hand_in("kc", x12_997(1), tenant="globex")

    assert ["awaited"] == ack_states(sent)
    assert ["XD-EDI-090"] == sent.issues(tenant="globex")
