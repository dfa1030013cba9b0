"""Replay: first say what it would do, then do it, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.scenarios.flow.world import BUSY, REFUSED, World, order, pack_files, shipment, with_line


class Request(msgspec.Struct):
    """What the API hands to the hub."""

    message_ids: tuple[str, ...] = ()
    issue_id: str = ""
    under: str = "current"
    dry_run: bool = False
    actor: str = "anna"
    reason: str = "test"


async def replay(world: World, tenant: str = "acme", **request: Any) -> Any:
    report = await world.hub.replay(tenant, Request(**request))
    await world.hub.settle()
    return report


async def test_a_dry_run_shows_differences_and_effects_and_changes_no_row(world: World) -> None:
    """Under a corrected map: which fields would change, which effect exists already, and not one row is written."""
    answer = await world.hand_in("erp", order("SO-1"))
    files = with_line(pack_files(), "maps/erp-order.yaml", "name: name", "name: upper(name)")
    await world.apply(files=files)
    before = world.dump()
    report = await replay(world, message_ids=(answer.message_id,), dry_run=True)

    assert before == world.dump()
    (document,) = report.documents
    assert [("/ship_to/name", "Blue Fern Cafe", "BLUE FERN CAFE")] == [
        (one.pointer, one.before, one.after) for one in document.differences
    ]
    assert ("applied", "applied", True, 1) == (document.before, document.after, report.dry_run, report.messages)


async def test_under_the_original_release_nothing_differs(world: World) -> None:
    """The release a message came under is kept, and gives the same result for ever."""
    answer = await world.hand_in("erp", order("SO-1"))
    await world.apply(files=with_line(pack_files(), "maps/erp-order.yaml", "name: name", "name: upper(name)"))
    report = await replay(world, message_ids=(answer.message_id,), under="original", dry_run=True)

    assert () == report.documents[0].differences


async def test_the_effects_of_a_first_run_are_shown_as_new(world: World) -> None:
    """A document that was rejected and would go through now: its effects do not exist yet."""
    answer = await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    assert ["rejected"] == world.document_states(answer.message_id)
    files = with_line(pack_files(), "maps/erp-order.yaml", "required(number(line.qty))", "3")
    await world.apply(files=files)
    before = world.dump()
    report = await replay(world, message_ids=(answer.message_id,), dry_run=True)

    assert before == world.dump()
    assert [("fulfillment_request", "fulfillment_request:SO-1-1", ("reno",), False)] == [
        (one.kind, one.key, one.connections, one.exists) for one in report.effects if one.kind == "fulfillment_request"
    ]
    assert 1 == report.would_apply


async def test_a_replay_twice_is_one_effect(world: World) -> None:
    """What was applied is not applied again; the partners hear nothing new; the original document is untouched."""
    answer = await world.hand_in("erp", order("SO-1"))
    (original,) = world.query("select * from documents where message_id = ?", (answer.message_id,))
    ledger = {place: dict(partner.effects) for place, partner in world.partners.items()}
    aggregates = world.query("select * from aggregates")
    for _ in range(2):
        await replay(world, message_ids=(answer.message_id,))

    assert ledger == {place: dict(partner.effects) for place, partner in world.partners.items()}
    assert [row[4] for row in aggregates] == world.column("select version from aggregates")
    documents = world.query("select * from documents where message_id = ? order by document_id", (answer.message_id,))
    assert original in documents
    links = world.column(
        "select replay_of from documents where message_id = ? and replay_of <> '' order by document_id",
        (answer.message_id,),
    )
    assert {original[1]} == set(links)


async def test_a_corrected_map_repairs_all_members_of_an_issue_at_once(world: World) -> None:
    """Five orders were rejected for one reason; after the correction a replay of the issue applies and closes it."""
    answers = [await world.hand_in("erp", order(f"SO-{n}", ("HAMMER", "many"))) for n in range(5)]
    (code,) = world.issues()
    await world.apply(files=with_line(pack_files(), "maps/erp-order.yaml", "required(number(line.qty))", "3"))
    issue_id = world.issue_id(code)
    dry = await replay(world, issue_id=issue_id, dry_run=True)
    assert (5, 5) == (dry.messages, dry.would_apply)
    assert [code] == world.issues()

    await replay(world, issue_id=issue_id)

    assert [["applied"]] * 5 == [world.document_states(answer.message_id) for answer in answers]
    assert [] == world.issues()
    assert 5 == len(world.partner("reno").effects)


async def test_a_replay_that_fails_again_stays_one_member_of_its_issue(world: World) -> None:
    """Nothing was corrected: the document stays rejected, the issue open, and its count the same."""
    answer = await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    (code,) = world.issues()
    issue_id = world.issue_id(code)
    await replay(world, message_ids=(answer.message_id,))

    assert issue_id == world.issue_id(code)
    assert [1] == world.column("select count(*) from exceptions where state = 'open'")


@pytest.mark.parametrize("connection_id", ["reno", "kc"])
async def test_dead_letters_are_taken_up_again_under_their_identity(world: World, connection_id: str) -> None:
    """A refusal that was settled with the partner: the same bytes and identity go out again, the issue closes."""
    partner = world.partner(connection_id)
    partner.answer(REFUSED)
    await world.hand_in("erp", order("SO-1", ("HAMMER" if connection_id == "reno" else "DRILL", 1)))
    dry = await replay(world, issue_id=world.issue_id("XD-PTR-002"), dry_run=True)
    assert 1 == len(dry.sends)
    await replay(world, issue_id=world.issue_id("XD-PTR-002"))

    first, second = partner.pushed
    assert (first.identity, first.content) == (second.identity, second.content)
    assert ([("fulfillment_request", "sent")], []) == (world.outbound(connection_id), world.issues())


async def test_a_dead_letter_that_could_not_be_rendered_goes_out_when_the_code_is_there(world: World) -> None:
    """The unit of a SKU was missing: nothing left; adding the row renders and sends it, and closes the issue."""
    files = pack_files()
    files["lookups/units.yaml"] = "table: units\nrows: {D-200: EA}\n"
    await world.apply(files=files)
    await world.hand_in("erp", order("SO-1"))
    assert ([("fulfillment_request", "dead")], []) == (world.outbound("reno"), world.partner("reno").pushed)
    assert ["XD-MAP-014"] == world.issues()

    await world.hub.fix_issue("acme", world.issue_id("XD-MAP-014"), "units", "H-100", "EA", "anna")
    await world.hub.settle()

    assert ([("fulfillment_request", "sent")], []) == (world.outbound("reno"), world.issues())
    assert ["EA"] == [one["lines"][0]["unit"] for one in world.partner("reno").documents()]


async def test_a_dead_letter_that_still_cannot_be_rendered_stays_one(world: World) -> None:
    """Taken up too early: it is dead again, once, under an open issue."""
    files = pack_files()
    files["lookups/units.yaml"] = "table: units\nrows: {D-200: EA}\n"
    await world.apply(files=files)
    await world.hand_in("erp", order("SO-1"))
    await replay(world, issue_id=world.issue_id("XD-MAP-014"))

    assert [("fulfillment_request", "dead")] == world.outbound("reno")
    assert ["XD-MAP-014"] == world.issues()


async def test_a_dead_letter_of_unknown_outcome_is_asked_for_when_it_is_taken_up(world: World) -> None:
    """It may have taken effect: taking it up again asks first, and never doubles it."""
    from crossdock.sdk import FindResult
    from tests.scenarios.flow.test_sends import drive
    from tests.scenarios.flow.world import LOST_ANSWER

    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    partner.find_answers.extend([FindResult("cannot_tell")] * 2)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 60)
    assert [("fulfillment_request", "dead")] == world.outbound("kc")

    (message_id,) = world.column("select message_id from outbound_messages where connection_id = 'kc'")
    await replay(world, message_ids=(message_id,))

    assert {"000000001": 1} == {identity: len(acts) for identity, acts in partner.effects.items()}
    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_a_foreign_message_replays_like_an_absent_one(world: World) -> None:
    """Another tenant's ids are nothing here: same answer, no effect."""
    await world.apply("globex")
    answer = await world.hand_in("erp", order("SO-1"))
    world.partner("reno").always = BUSY
    foreign = await replay(world, "globex", message_ids=(answer.message_id,))
    absent = await replay(world, "globex", message_ids=("msg_00000000000000000000000000",))

    assert foreign == absent
    assert 0 == foreign.messages


async def test_a_replayed_shipment_is_not_posted_twice(world: World) -> None:
    """The ERP hears of a shipment once, whatever is replayed."""
    await world.hand_in("erp", order("SO-1"))
    answer = await world.hand_in("reno", shipment("S1", "SO-1"))
    await replay(world, message_ids=(answer.message_id,))

    assert 1 == len(world.partner("erp").of_type("shipment_confirmation"))
    assert ["0"] == world.column("select reserved from inventory where site = 'RENO'")
    assert ["995"] == world.column("select on_hand from inventory where site = 'RENO'")
