"""Each document of a message is judged by itself: one bad row of many, one bad set of twelve."""

from __future__ import annotations

from crossdock import edi
from tests.scenarios.flow.world import World, order, x12_945


async def orders(world: World, count: int, item: str = "DRILL") -> None:
    for n in range(1, count + 1):
        await world.hand_in("erp", order(f"SO-{n}", (item, 5)))


async def test_one_bad_row_stops_only_itself(world: World) -> None:
    """The rows that can be read are applied; the other is rejected with its row, its column and what was expected."""
    await orders(world, 3, "HAMMER")
    content = b"SHIPMENT,TICKET,LINE,SKU,QTY\nS1,SO-1-1,1,H-100,5\nS2,SO-2-1,1,H-100,five\nS3,SO-3-1,1,H-100,5\n"
    answer = await world.hand_in("reno-files", content, name="wave.csv")

    assert ["applied", "applied", "rejected"] == sorted(world.document_states(answer.message_id))
    assert [("XD-DOC-018", "row 3, column QTY")] == world.query(
        "select code, pointer from exceptions where state = 'open'"
    )
    assert ["SO-1", "SO-3"] == world.column("select key from aggregates where status = 'shipped' order by key")
    kept = world.column("select content from payloads where message_id = ?", (answer.message_id,))
    assert [content] == [bytes(one) for one in kept]


async def test_one_bad_set_of_twelve_is_refused_and_the_997_says_so(world: World) -> None:
    """Eleven sets are applied, one is rejected; the acknowledgment lists all twelve, the bad one with R."""
    await orders(world, 12)
    interchange = x12_945(*[(f"S{n}", f"SO-{n}-1") for n in range(1, 13)], bad=[4])
    answer = await world.hand_in("kc", interchange)

    states = world.document_states(answer.message_id)
    assert ["rejected" if n == 4 else "applied" for n in range(12)] == states
    (sent,) = world.partner("kc").of_type("acknowledgment")
    (parsed,) = edi.read_all(sent.content).interchanges
    acknowledgment = edi.read_acknowledgment(parsed.sets[0])
    assert ["R" if n == 4 else "A" for n in range(12)] == [one.code for one in acknowledgment.sets]
    assert "P" == acknowledgment.code
    assert 11 == len(world.column("select key from aggregates where status = 'shipped'"))
    assert 1 == len(world.issues())


async def test_the_same_interchange_again_is_answered_with_the_stored_997_and_not_run(world: World) -> None:
    """Same key, same bytes: the partner lost our 997, so it gets the very same one again, and nothing else happens."""
    await orders(world, 1)
    interchange = x12_945(("S1", "SO-1-1"))
    await world.hand_in("kc", interchange, receipt_key="file-1")
    events = world.column("select count(*) from events")
    again = await world.hand_in("kc", interchange, receipt_key="file-2")

    first, second = world.partner("kc").of_type("acknowledgment")
    assert (first.content, first.identity) == (second.content, second.identity)
    assert "duplicate" == world.message_state(again.message_id)
    assert events == world.column("select count(*) from events")
    assert 1 == len(world.partner("erp").of_type("shipment_confirmation"))
    assert [] == world.issues()


async def test_the_very_same_message_again_is_answered_with_the_stored_997_too(world: World) -> None:
    """A partner that sends the same bytes because our 997 got lost hears it again, although the receipt is known."""
    await orders(world, 1)
    interchange = x12_945(("S1", "SO-1-1"))
    first = await world.hand_in("kc", interchange)
    again = await world.hand_in("kc", interchange)

    assert (first.message_id, "duplicate") == (again.message_id, again.state)
    one, two = world.partner("kc").of_type("acknowledgment")
    assert (one.content, one.identity) == (two.content, two.identity)


async def test_the_same_number_with_other_bytes_is_kept_aside(world: World) -> None:
    """Same key, other bytes: nothing of it is applied, no 997 says it was, an issue names both."""
    await orders(world, 2)
    await world.hand_in("kc", x12_945(("S1", "SO-1-1")))
    other = x12_945(("S2", "SO-2-1"))
    answer = await world.hand_in("kc", other)

    assert ["rejected"] == world.document_states(answer.message_id)
    assert ["XD-ING-011"] == world.issues()
    assert 1 == len(world.partner("kc").of_type("acknowledgment"))
    assert [("SO-1",)] == world.query("select key from aggregates where status = 'shipped'")


async def test_an_interchange_twice_in_one_file_is_run_once(world: World) -> None:
    """A file that holds the same interchange twice is one shipment and one acknowledgment."""
    await orders(world, 1)
    interchange = x12_945(("S1", "SO-1-1"))
    answer = await world.hand_in("kc", interchange + b"\r\n" + interchange)

    assert ["applied", "superseded"] == world.document_states(answer.message_id)
    assert 1 == len(world.partner("erp").of_type("shipment_confirmation"))
    assert 1 == len(world.partner("kc").of_type("acknowledgment"))
    assert [] == world.issues()


async def test_two_numbers_in_one_file_are_both_answered(world: World) -> None:
    """Two interchanges in one file are two acknowledgments with two control numbers."""
    await orders(world, 2)
    content = x12_945(("S1", "SO-1-1"), control_number=1) + x12_945(("S2", "SO-2-1"), control_number=2)
    await world.hand_in("kc", content)

    one, two = world.partner("kc").of_type("acknowledgment")
    assert one.identity != two.identity


async def test_an_interchange_of_somebody_else_is_never_applied(world: World) -> None:
    """Sender and receiver are bound to the connection; another sender's envelope is kept, refused, not answered."""
    await orders(world, 1)
    answer = await world.hand_in("kc", x12_945(("S1", "SO-1-1"), sender="STRANGER"))

    assert ["rejected"] == world.document_states(answer.message_id)
    assert ["XD-ING-002"] == world.issues()
    assert [] == world.partner("kc").of_type("acknowledgment")


async def test_a_stranger_cannot_use_up_a_number(world: World) -> None:
    """An interchange refused for its envelope leaves the numbers of the true sender free."""
    await orders(world, 1)
    await world.hand_in("kc", x12_945(("S1", "SO-1-1"), sender="STRANGER"))
    answer = await world.hand_in("kc", x12_945(("S1", "SO-1-1")))

    assert ["applied"] == world.document_states(answer.message_id)
