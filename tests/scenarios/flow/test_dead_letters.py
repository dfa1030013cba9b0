"""Dead letters: listed, amended as a new version, requeued, discarded; the original stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossdock import edi
from crossdock.errors import Conflict, CrossdockError, DocumentRejected, NotFound
from crossdock.flow.amend import Change
from crossdock.flow.edits import Edit
from crossdock.governance import audit
from crossdock.store.dead_letters import Wanted
from tests.scenarios.flow.world import LOST_ANSWER, REFUSED, World, order, shipment, x12_945, x12_997


async def dead(world: World, tenant: str = "acme", **wanted: Any) -> list[str]:
    return await world.hub.repair.dead_ids(tenant, Wanted(**wanted))


async def amend(world: World, *ids: str, dry_run: bool = False, part: Any = "raw", **change: Any) -> Any:
    edits = tuple(Edit(pointer, value) for pointer, value in change.pop("edits", {}).items())
    found = await world.hub.repair.amend(
        "acme", ids, Change(part, edits=edits, **change), actor="anna", reason="typing error", dry_run=dry_run
    )
    await world.hub.settle()
    return found


def frozen(world: World, message_id: str) -> list[Any]:
    """What must never change of a message: its bytes, and what its documents are made of."""
    return [
        world.query("select digest, content from payloads where message_id = ?", (message_id,)),
        world.query(
            "select receipt_key, received_at, release_id from inbound_messages where message_id = ?", (message_id,)
        ),
        world.query(
            "select document_id, position, map, canonical, findings, replay_of from documents where message_id = ?",
            (message_id,),
        ),
    ]


async def test_a_rejected_document_is_amended_as_a_new_message(world: World) -> None:
    """The corrected bytes are a message of their own that names the old one; the order ships; the issue closes."""
    answer = await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    before = frozen(world, answer.message_id)
    (dead_id,) = await dead(world)
    (told,) = await amend(world, dead_id, edits={"/lines/0/qty": 4})

    assert before == frozen(world, answer.message_id)
    assert [("/lines/0/qty", "many", 4)] == [(d.pointer, d.before, d.after) for d in told.amended.differences]
    assert ["superseded"] == world.document_states(answer.message_id)
    assert ["applied"] == world.document_states(told.new_id)
    assert [4] == [one["lines"][0]["qty"] for one in world.partner("reno").documents()]
    assert ([], []) == (world.issues(), await dead(world))
    assert [(dead_id, told.new_id, "anna", "typing error")] == world.query(
        "select original_id, new_id, author, reason from amendments"
    )
    entries = await world.hub.store.read(lambda connection: audit.entries(connection, "acme"))
    assert ("deadletter.amend", "anna", "typing error") == (entries[0].action, entries[0].actor, entries[0].reason)


async def test_a_dry_run_of_an_amendment_changes_no_row(world: World) -> None:
    """It shows the differences and what partners would be told; the effects are those that then happen."""
    await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    (dead_id,) = await dead(world)
    before = world.dump()
    (told,) = await amend(world, dead_id, dry_run=True, edits={"/lines/0/qty": 4})

    assert before == world.dump()
    assert ("would", "") == (told.outcome, told.new_id)
    assert "fulfillment_request:SO-1-1" in [effect.key for effect in told.amended.effects]


@pytest.mark.parametrize(
    "edits", [{"/lines/0/qty": "plenty"}, {"/lines/0/qty": "many"}, {"/lines/7/qty": 4}, {"/lines/0/qty": 0}]
)
async def test_a_version_that_would_be_refused_as_well_is_not_made(world: World, edits: dict[str, Any]) -> None:
    """Still wrong, unchanged, or an edit of nothing: refused with a code, and not one row differs."""
    await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    (dead_id,) = await dead(world)
    before = world.dump()
    with pytest.raises(DocumentRejected) as caught:
        await amend(world, dead_id, edits=edits)

    assert ("XD-DOC-022", before) == (caught.value.code, world.dump())


async def test_twice_amended_is_once(world: World) -> None:
    """The second click finds no dead letter any more; the partner is told once."""
    await world.hand_in("erp", order("SO-1", ("HAMMER", "many")))
    (dead_id,) = await dead(world)
    await amend(world, dead_id, edits={"/lines/0/qty": 4})
    with pytest.raises(Conflict):
        await amend(world, dead_id, edits={"/lines/0/qty": 4})

    assert 1 == len(world.partner("reno").of_type("fulfillment_request"))


async def test_an_unreadable_message_is_amended_whole(world: World) -> None:
    """Bytes nobody could read: the whole content is handed in; the old message is superseded."""
    answer = await world.hand_in("erp", b'{"type": "order", "number": ')
    (dead_id,) = await dead(world)
    (told,) = await amend(world, dead_id, content=json.dumps(order("SO-1")).encode())

    assert ("superseded", "processed") == (world.message_state(answer.message_id), world.message_state(told.new_id))
    assert 1 == len(world.partner("reno").of_type("fulfillment_request"))
    assert [] == world.issues()


async def test_one_set_of_an_interchange_is_amended_alone(world: World) -> None:
    """Of two sets one is faulty: only that one runs again; the interchange is neither judged nor acknowledged twice."""
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number, ("DRILL", 5)))
    sets = (("S-1", "SO-1-1"), ("S-2", "SO-2-1"))
    answer = await world.hand_in("kc", x12_945(*sets, bad=(1,)))
    assert ["applied", "rejected"] == world.document_states(answer.message_id)
    acknowledgments = len(world.partner("kc").of_type("acknowledgment"))
    (dead_id,) = await dead(world, kind="document")
    (told,) = await amend(world, dead_id, content=x12_945(*sets))

    assert ["applied", "superseded"] == world.document_states(answer.message_id)
    assert ["applied"] == world.document_states(told.new_id)
    assert acknowledgments == len(world.partner("kc").of_type("acknowledgment"))
    assert ["segment"] == sorted({d.pointer.split()[0] for d in told.amended.differences})
    assert [] == await dead(world)


async def test_the_canonical_document_is_amended_behind_its_map(world: World) -> None:
    """A new document of the same message names the old one, and goes through the processes like every other."""
    answer = await world.hand_in("erp", order("SO-1", ("HAMMER", 0)))
    (dead_id,) = await dead(world)
    good = await world.hand_in("erp", order("SO-2"))
    (canonical,) = world.column("select canonical from documents where message_id = ?", (good.message_id,))
    document = {**json.loads(bytes(canonical)), "number": "SO-1"}
    (told,) = await amend(world, dead_id, part="canonical", content=json.dumps(document).encode())

    assert ["applied", "superseded"] == sorted(world.document_states(answer.message_id))
    assert [dead_id] == world.column("select replay_of from documents where document_id = ?", (told.new_id,))
    assert ["SO-1-1"] == [one["ticket"] for one in world.partner("reno").documents() if one["ticket"] == "SO-1-1"]
    assert [] == world.issues()


async def test_a_canonical_document_must_be_what_its_type_says(world: World) -> None:
    """The positive control of the check: an order without lines that make sense is refused with the place."""
    await world.hand_in("erp", order("SO-1", ("HAMMER", 0)))
    (dead_id,) = await dead(world)
    with pytest.raises(DocumentRejected) as caught:
        await amend(world, dead_id, part="canonical", content=b'{"number": 7}')

    assert ["XD-MAP-020"] == [finding.code for finding in caught.value.findings]


@pytest.mark.parametrize("part", ["raw", "canonical"])
async def test_a_refused_send_is_amended_under_an_identity_of_its_own(world: World, part: str) -> None:
    """The old one stays as it went, discarded; the new one goes out once, with the correction."""
    partner = world.partner("reno")
    partner.answer(REFUSED)
    await world.hand_in("erp", order("SO-1"))
    (dead_id,) = await dead(world, kind="outbound")
    pointer = "/lines/0/qty" if part == "raw" else "/lines/0/quantity"
    (told,) = await amend(world, dead_id, part=part, edits={pointer: 3})

    assert [("fulfillment_request", "discarded"), ("fulfillment_request", "sent")] == world.outbound("reno")
    first, second = partner.pushed
    assert (5, 3) == (json.loads(first.content)["lines"][0]["qty"], json.loads(second.content)["lines"][0]["qty"])
    assert first.identity != second.identity
    assert ([], []) == (world.issues(), await dead(world))
    assert (
        told.new_id
        == world.column("select message_id from outbound_messages where connection_id = 'reno' and state = 'sent'")[0]
    )


async def test_the_amended_version_of_an_interchange_has_a_number_of_its_own(world: World) -> None:
    """A partner that drops what comes twice under one control number takes the amended version: number, file name and
    envelope are new, nothing else, and an acknowledgment under the new number finds it.
    """
    partner = world.partner("kc")
    partner.answer(REFUSED)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    (dead_id,) = await dead(world, kind="outbound")
    content = partner.pushed[0].content
    (told,) = await amend(world, dead_id, content=content.replace(b"Blue Fern Cafe", b"Blue Fern Bar"))
    first, second = partner.pushed
    old, new = first.identity, second.identity
    (interchange,) = edi.read_all(second.content).interchanges
    await world.hand_in("kc", x12_997(int(new)))

    assert int(old) < int(new)
    assert (new, [], str(int(new))) == (
        interchange.control_number,
        interchange.all_findings(),
        interchange.groups[0].control_number,
    )
    by_hand = content.replace(b"Blue Fern Cafe", b"Blue Fern Bar").replace(old.encode(), new.encode())
    assert [one.elements for one in edi.read_all(by_hand).interchanges[0].sets[0].segments] == [
        one.elements for one in interchange.sets[0].segments
    ]
    assert old not in second.name
    assert ["accepted"] == world.column("select ack_state from outbound_messages where message_id = ?", (told.new_id,))


@pytest.mark.parametrize("dry_run", [True, False])
async def test_two_interchanges_are_no_version_of_one(world: World, dry_run: bool) -> None:
    """Which of them would answer to the number? Refused with a code, in a dry run too."""
    partner = world.partner("kc")
    partner.answer(REFUSED)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    (dead_id,) = await dead(world, kind="outbound")
    content = partner.pushed[0].content

    with pytest.raises(DocumentRejected) as caught:
        await amend(world, dead_id, content=content + content.replace(b"Cafe", b"Bar "), dry_run=dry_run)
    assert "XD-DOC-022" == caught.value.code


async def test_a_send_that_may_have_taken_effect_is_not_amended(world: World) -> None:
    """Another version might be a second effect: it is requeued, which asks first."""
    from crossdock.sdk import FindResult
    from tests.scenarios.flow.test_sends import drive

    partner = world.partner("kc")
    partner.answer(LOST_ANSWER)
    partner.find_answers.extend([FindResult("cannot_tell")] * 2)
    await world.hand_in("erp", order("SO-1", ("DRILL", 1)))
    await drive(world, 60)
    (dead_id,) = await dead(world, kind="outbound")
    with pytest.raises(Conflict):
        await amend(world, dead_id, content=partner.pushed[0].content + b" ")

    await world.hub.repair.requeue("acme", [dead_id], actor="anna")
    await world.hub.settle()
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    assert {1} == {len(acts) for acts in partner.effects.values()}


async def test_discard_keeps_everything_and_says_why(world: World) -> None:
    """In and out, in bulk: states, journal and audit tell it; issues close; nothing is sent."""
    world.partner("reno").answer(REFUSED)
    await world.hand_in("erp", order("SO-1"))
    rejected = await world.hand_in("erp", order("SO-2", ("HAMMER", "many")))
    broken = await world.hand_in("erp", b"{")
    ids = await dead(world)
    assert 3 == len(ids)
    found = await world.hub.repair.discard("acme", ids, actor="anna", reason="test orders")

    assert ["done"] * 3 == [one.outcome for one in found]
    assert ["discarded"] == world.document_states(rejected.message_id)
    assert "discarded" == world.message_state(broken.message_id)
    assert [("fulfillment_request", "discarded")] == world.outbound("reno")
    assert ([], []) == (world.issues(), await dead(world))
    told = world.column("select data from events where type = 'crossdock.document.discarded.v1'")
    assert ["test orders"] * 3 == [json.loads(bytes(one))["reason"] for one in told]


async def test_without_a_reason_nothing_is_discarded(world: World) -> None:
    """An empty reason, or one of blanks, is none."""
    await world.hand_in("erp", b"{")
    ids = await dead(world)
    before = world.dump()
    for reason in ("", "  "):
        with pytest.raises(CrossdockError) as caught:
            await world.hub.repair.discard("acme", ids, actor="anna", reason=reason)
        assert "XD-API-011" == caught.value.code

    assert before == world.dump()


async def test_bulk_goes_on_past_what_is_refused(world: World) -> None:
    """One edit for many: those it corrects go through, the other stays a dead letter and says why."""
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number, ("HAMMER", "many")))
    broken = await world.hand_in("erp", b"{")
    found = await amend(world, *await dead(world), edits={"/lines/0/qty": 2})

    assert ["done", "done", "refused"] == sorted(one.outcome for one in found)
    assert ["XD-DOC-022"] == [one.code for one in found if one.outcome == "refused"]
    assert ["rejected"] == world.document_states(broken.message_id)
    assert 2 == len(world.partner("reno").of_type("fulfillment_request"))


async def test_filters_find_what_they_say(world: World) -> None:
    """By kind, connection, code, class and issue; pages by id."""
    world.partner("reno").answer(REFUSED)
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("erp", order("SO-2", ("HAMMER", "many")))
    await world.hand_in("erp", b"{")
    assert 1 == len(await dead(world, kind="outbound"))
    assert 2 == len(await dead(world, connection_id="erp"))
    assert 1 == len(await dead(world, code="XD-PTR-002"))
    assert 1 == len(await dead(world, issue_id=world.issue_id("XD-PTR-002")))
    assert 1 == len(await dead(world, error_class="data"))
    newest, *older = await dead(world)
    assert older == await dead(world, before=newest.partition("_")[2])


async def test_a_foreign_dead_letter_looks_absent(world: World) -> None:
    """Another tenant neither finds nor changes it."""
    await world.apply("globex")
    await world.hand_in("erp", b"{")
    (dead_id,) = await dead(world)
    assert [] == await dead(world, "globex")
    for act in (
        world.hub.repair.discard("globex", [dead_id], actor="eve", reason="x"),
        world.hub.repair.requeue("globex", [dead_id], actor="eve"),
        world.hub.repair.amend("globex", [dead_id], Change(content=b"{}"), actor="eve", reason="x"),
    ):
        with pytest.raises(NotFound):
            await act

    assert [dead_id] == await dead(world)


async def test_an_amended_shipment_books_once(world: World) -> None:
    """The site confirms by an amended paper, then sends the right one itself: shipped once."""
    await world.hand_in("erp", order("SO-1"))
    await world.hand_in("reno", {**shipment("S-1", "SO-1"), "lines": [{"no": "1", "sku": "H-100", "qty": -5}]})
    (dead_id,) = await dead(world)
    await amend(world, dead_id, edits={"/lines/0/qty": 5})
    await world.hand_in("reno", shipment("S-1", "SO-1"))

    assert 1 == len(world.column("select 1 from events where type = 'crossdock.shipment.recorded.v1'"))
