"""What a partner's 997 says of what we sent: accepted, rejected, unmatched, late; and when none comes."""

from __future__ import annotations

import asyncio

import pytest

from crossdock.store import outbound
from tests.scenarios.flow.world import World, order, pack_files, x12_945, x12_997

OTHER_DOOR = """connection: other
partner: reno
connector: http_json
settings: {url: "https://other.example/as2"}
x12: {us: "ZZ:ACME", them: "ZZ:OTHER", ack_overdue_minutes: 60}
inbound:
  - {format: x12, set: "945", map: kc-945}
"""


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


def _edited(document: bytes, old: str, new: str) -> bytes:
    assert old.encode() in document
    return document.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [("AK9*A*1*1*1", "AK9*R*1*1*0"), ("AK5*A", "AK5*M"), ("AK9*A*1*1*1", "AK9*W*1*1*0")],
    ids=["group-refused", "set-refused-for-its-signature", "group-refused-for-its-assurance"],
)
async def test_a_refusal_is_booked_wherever_the_997_says_it(sent: World, old: str, new: str) -> None:
    """A group that is refused takes its sets with it, even one it names as accepted."""
    await sent.hand_in("kc", _edited(x12_997(1), old, new))

    assert (["rejected"], ["XD-EDI-091"]) == (ack_states(sent), sent.issues())


async def test_a_group_accepted_in_part_without_naming_sets_is_no_acceptance(sent: World) -> None:
    """Some set was refused and nobody says which: somebody must look."""
    document = _edited(x12_997(1), "AK2*940*0001~AK5*A~AK9*A*1*1*1~SE*6", "AK9*P*1*1*0~SE*4")
    await sent.hand_in("kc", document)

    assert (["rejected"], ["XD-EDI-091"]) == (ack_states(sent), sent.issues())


async def test_an_acceptance_is_taken_back_by_a_later_rejection(sent: World) -> None:
    """A partner that accepts and then rejects has rejected."""
    await sent.hand_in("kc", x12_997(1))
    await sent.hand_in("kc", x12_997(1, "R", control_number=501))

    assert (["rejected"], ["XD-EDI-091"]) == (ack_states(sent), sent.issues())


async def test_a_group_of_several_sets_is_answered_set_by_set(sent: World) -> None:
    """Where one group of ours had two sets, the 997 rejects one and accepts the other; a bare AK9 speaks of both."""
    await sent.hand_in("erp", order("SO-2", ("DRILL", 5)))
    second = sent.column("select message_id from outbound_messages where identity = '000000002'")[0]
    rows = [("acme", "ZZ:ACME", "ZZ:KC3PL", "OW", "1", "2", second)]
    await sent.hub.store.write(lambda connection: outbound.remember_sets(connection, rows))

    both = _edited(x12_997(1, "R"), "AK5*R*5~AK9*R*1*1*0~SE*8", "AK5*R*5~AK2*940*0002~AK5*A~AK9*P*2*2*1~SE*10")
    await sent.hand_in("kc", both)

    assert (["accepted", "rejected"], ["XD-EDI-091"]) == (sorted(ack_states(sent)), sent.issues())


async def test_a_foreign_interchange_does_not_use_up_a_control_number(world: World) -> None:
    """What comes through the door of another partner in Kansas City's name is rejected, and Kansas City's own is
    taken.
    """
    await world.apply(files=pack_files(connections__other=OTHER_DOOR))
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    forged = await world.hand_in("other", x12_945(("S-9", "SO-9-1"), control_number=7))
    again = await world.hand_in("other", x12_945(("S-8", "SO-8-1"), control_number=7))
    real = await world.hand_in("kc", x12_945(("S-1", "SO-1-1"), control_number=7))

    assert [["rejected"], ["rejected"], ["applied"]] == [
        world.document_states(one.message_id) for one in (forged, again, real)
    ]
    assert ["XD-ING-002"] == world.issues()
    assert [(real.message_id,)] == world.query("select message_id from interchanges")


async def test_a_damaged_acknowledgment_is_not_sent_again_and_harms_nobody(world: World) -> None:
    """A duplicate whose stored 997 is damaged opens an issue; what came in with it is taken as ever."""
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    document = x12_945(("S-1", "SO-1-1"), control_number=7)
    await world.hand_in("kc", document)
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update payloads set content = ? where message_id in"
            " (select message_id from outbound_messages where document_type = 'acknowledgment')",
            (b"x",),
        )
    )
    sent_before = len(world.partner("kc").pushed)
    answers = await asyncio.gather(
        world.hand_in("kc", document, settle=False),
        *(world.hand_in("erp", order(f"SO-{number}"), settle=False) for number in (7, 8)),
    )
    await world.hub.settle()

    assert ["duplicate", "received", "received"] == [one.state for one in answers]
    assert (["XD-SYS-020"], sent_before) == (world.issues(), len(world.partner("kc").pushed))
