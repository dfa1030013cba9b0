"""Papers that wait: held for a code, parked for an order; both go on by themselves."""

from __future__ import annotations

import json

import pytest

from crossdock.flow import recovery
from crossdock.flow.ingest import InboundOffer
from crossdock.views import issues
from tests.scenarios.flow.world import World, order, shipment


async def test_twelve_orders_with_one_unknown_code_are_one_issue_that_closes_itself(world: World) -> None:
    """A missing row of a lookup holds its documents under one issue; adding the row releases all and closes it."""
    answers = [await world.hand_in("erp", order(f"SO-{n}", ("SAW", 1))) for n in range(12)]

    assert [["held"]] * 12 == [world.document_states(answer.message_id) for answer in answers]
    assert ["XD-MAP-014"] == world.issues()
    issue_id = world.issue_id("XD-MAP-014")
    assert [12] == world.column("select count(*) from exceptions where issue_id = ? and state = 'open'", (issue_id,))

    report = await world.hub.fix_issue("acme", issue_id, "items", "SAW", "H-100", "anna")
    await world.hub.settle()

    assert 12 == report.messages
    assert [["applied"]] * 12 == [world.document_states(answer.message_id) for answer in answers]
    assert ([], ["XD-MAP-014"]) == (world.issues(), world.issues("resolved"))
    assert 12 == len(world.partner("reno").of_type("fulfillment_request"))
    assert [[]] * 0 == world.query("select 1 from exceptions where state = 'open'")


async def test_a_document_without_the_unknown_code_is_not_held_up(world: World) -> None:
    """Only the document that needs the missing row waits."""
    await world.hand_in("erp", order("SO-1", ("SAW", 1)))
    await world.hand_in("erp", order("SO-2"))

    assert ["SO-2"] == world.column("select key from aggregates")


async def test_a_held_document_that_lacks_a_second_code_waits_on(world: World) -> None:
    """Released for one code and stopped by the next: still held, under the issue of what it lacks now."""
    answer = await world.hand_in("erp", order("SO-1", ("SAW", 1), ("PLANE", 1)))
    await world.hub.fix_issue("acme", world.issue_id("XD-MAP-014"), "items", "SAW", "H-100", "anna")
    await world.hub.settle()

    assert ["held"] == world.document_states(answer.message_id)
    assert ["'PLANE' is not in lookup table 'items'"] == world.column("select title from issues where state = 'open'")
    await world.hub.fix_issue("acme", world.issue_id("XD-MAP-014"), "items", "PLANE", "H-100", "anna")
    await world.hub.settle()
    assert (["applied"], []) == (world.document_states(answer.message_id), world.issues())


async def test_a_held_document_is_released_at_the_next_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that was applied just before the process died still sets free what waited for it."""
    answer = await world.hand_in("erp", order("SO-1", ("SAW", 1)))
    with monkeypatch.context() as died:
        died.setattr(recovery, "released", lambda *_: [])
        await world.hub.fix_issue("acme", world.issue_id("XD-MAP-014"), "items", "SAW", "H-100", "anna")
        await world.hub.settle()
        assert ["held"] == world.document_states(answer.message_id)
    hub = await world.restart()
    await hub.settle()

    assert (["applied"], []) == (world.document_states(answer.message_id), world.issues())


async def test_a_shipment_before_its_order_waits_for_it(world: World) -> None:
    """Papers in the wrong order are parked, and applied in the right one when the order comes."""
    early = await world.hand_in("reno", shipment("S1", "SO-1"))

    assert ["parked"] == world.document_states(early.message_id)
    assert [] == world.issues()
    await world.hand_in("erp", order("SO-1"))
    assert ["applied"] == world.document_states(early.message_id)
    assert [("shipped",)] == world.query("select status from aggregates where key = 'SO-1'")
    assert 1 == len(world.partner("erp").of_type("shipment_confirmation"))


async def test_a_shipment_and_its_order_in_one_cycle_find_each_other(world: World) -> None:
    """What is parked and what sets it free may come in one batch, in the wrong order."""
    offers = [
        InboundOffer("acme", "reno", json.dumps(shipment("S1", "SO-1")).encode()),
        InboundOffer("acme", "erp", json.dumps(order("SO-1")).encode()),
    ]
    answers = await world.hub.ingest_many(offers)
    await world.hub.settle()

    assert [["applied"], ["applied"]] == [world.document_states(answer.message_id) for answer in answers]
    assert [("shipped",)] == world.query("select status from aggregates where key = 'SO-1'")
    assert [] == world.query("select 1 from timers where subject like 'document/%'")


async def test_a_parked_paper_is_reported_after_a_while_and_taken_back_when_it_goes_on(world: World) -> None:
    """Half an hour without the order opens an issue; the order's coming closes it."""
    await world.hand_in("reno", shipment("S1", "SO-1"))
    await world.later(minutes=29)
    assert [] == world.issues()
    await world.later(minutes=2)
    assert ["XD-ORD-020"] == world.issues()

    await world.hand_in("erp", order("SO-1"))

    assert [] == world.issues()


async def test_papers_of_an_order_that_is_kept_out_stand_behind_the_issue_that_keeps_it_out(world: World) -> None:
    """The order itself is held for a code: the issue of what waits for it names that one and comes right behind it; a
    paper of an order nobody has seen is explained by nothing.
    """

    def seen() -> list[tuple[str, int, list[tuple[str, int]], bool]]:
        page = world.hub.store.read_now(
            lambda connection: issues.open_issues(connection, "acme", now=world.clock.now())
        )
        code = {row.issue_id: row.code for row in page.rows}
        return [
            (row.code, row.impact.orders, [(code[one.issue_id], one.waiting) for one in row.because_of], row.explained)
            for row in page.rows
        ]

    await world.hand_in("erp", order("SO-1", ("SAW", 1)))
    await world.hand_in("reno", shipment("S1", "SO-1"))
    await world.later(minutes=31)
    explained = seen()
    await world.hand_in("reno", shipment("S2", "SO-2"))
    await world.later(minutes=31)
    found = seen()
    issue = world.hub.store.read_now(
        lambda connection: issues.load(connection, "acme", world.issue_id("XD-ORD-020"), now=world.clock.now())
    ).issue
    await world.hub.fix_issue("acme", world.issue_id("XD-MAP-014"), "items", "SAW", "H-100", "anna")
    await world.hub.settle()

    assert [("XD-MAP-014", 0, [], False), ("XD-ORD-020", 1, [("XD-MAP-014", 1)], True)] == explained
    assert ("XD-ORD-020", 2, [("XD-MAP-014", 1)], False) in found
    assert [1] == [one.waiting for one in issue.because_of]
    assert ("XD-ORD-020", 1, [], False) in seen()


async def test_a_paper_parked_before_a_restart_is_still_set_free(world: World) -> None:
    """What waits is in the record, not in memory."""
    early = await world.hand_in("reno", shipment("S1", "SO-1"))
    await world.restart()
    await world.hand_in("erp", order("SO-1"))

    assert ["applied"] == world.document_states(early.message_id)


async def test_the_same_order_of_another_tenant_sets_nothing_free(world: World) -> None:
    """An order number belongs to its tenant."""
    await world.apply("globex")
    early = await world.hand_in("reno", shipment("S1", "SO-1"))
    await world.hand_in("erp", order("SO-1"), tenant="globex")

    assert ["parked"] == world.document_states(early.message_id)
