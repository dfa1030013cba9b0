"""Bad input: a typed answer with code, place, reason and hint; the bytes kept; everything else goes on."""

from __future__ import annotations

import json

import pytest

from crossdock.error_codes import lookup
from crossdock.web.hub_port import ReplayRequest
from tests.scenarios.flow.world import World, order, pack_files, with_line, x12_945

GOOD_ROW = b"S1,SO-1-1,1,H-100,5\n"
HEAD = b"SHIPMENT,TICKET,LINE,SKU,QTY\n"

BAD = {
    "truncated JSON": ("erp", json.dumps(order("SO-9")).encode()[:-20], ""),
    "NUL": ("erp", b'{"type": "order", "number": "SO-\x009"}', ""),
    "escaped NUL": ("erp", json.dumps(order("SO-9", name="a\x00b")).encode(), ""),
    "duplicate keys": ("erp", b'{"type": "order", "number": "SO-9", "number": "SO-8", "lines": []}', ""),
    "invalid UTF-8": ("erp", b'{"type": "order", "number": "\xff\xfe"}', ""),
    "lone surrogate": ("erp", b'{"type": "order", "number": "\\ud800"}', ""),
    "NaN": ("erp", b'{"type": "order", "number": "SO-9", "lines": [{"no": "1", "item": "HAMMER", "qty": NaN}]}', ""),
    "depth bomb": ("erp", b"[" * 100_000 + b"]" * 100_000, ""),
    "huge integer": ("erp", b'{"type": "order", "number": "SO-9", "lines": [{"qty": ' + b"9" * 5_000 + b"}]}", ""),
    "empty": ("erp", b"", ""),
    "not JSON": ("erp", b"<html>gateway timeout</html>", ""),
    "wrong columns": ("reno-files", b"SHIPMENT,TICKET,LINE,ITEM,QTY\n" + GOOD_ROW, "w.csv"),
    "CSV in UTF-16": ("reno-files", (HEAD + GOOD_ROW).decode().encode("utf-16"), "w.csv"),
    "ISA too short": ("kc", b"ISA*00*          *00*      ", ""),
    "ISA without its padding": ("kc", b"ISA*00**00**ZZ*KC3PL*ZZ*ACME*261123*0900*U*00401*000000001*0*P*>~", ""),
    "not X12": ("kc", b"UNKNOWN", ""),
}


@pytest.mark.parametrize("name", list(BAD))
async def test_bad_input_is_answered_with_code_place_reason_and_hint(world: World, name: str) -> None:
    """Accepted at the door, refused with a typed finding; the bytes are kept as sent; the next message goes on."""
    connection_id, content, file_name = BAD[name]
    answer = await world.hand_in(connection_id, content, name=file_name)
    await world.hand_in("erp", order("SO-1"))

    assert "received" == answer.state
    assert world.message_state(answer.message_id) in ("failed", "processed")
    states = world.document_states(answer.message_id)
    assert "applied" not in states and "parked" not in states
    ((code, detail, title),) = world.query(
        "select e.code, e.detail, i.title from exceptions e join issues i on i.issue_id = e.issue_id"
        " where e.state = 'open'"
    )
    entry = lookup(code)
    assert entry is not None
    assert code not in ("XD-SYS-001", "XD-SYS-050")
    assert detail and title and entry.fix
    kept = world.column("select content from payloads where message_id = ?", (answer.message_id,))
    assert content == _plain(bytes(kept[0]), len(content))
    assert 1 == len(world.partner("reno").pushed)


def _plain(stored: bytes, size: int) -> bytes:
    import zstandard

    is_packed = stored[:4] == b"\x28\xb5\x2f\xfd"
    return zstandard.ZstdDecompressor().decompress(stored, max_output_size=size) if is_packed else stored


async def test_an_unknown_item_code_names_the_code_and_offers_the_row(world: World) -> None:
    """Held, not refused; the issue names table and key, and the suggestion is the row to add."""
    await world.hand_in("erp", order("SO-1", ("SAW", 1)))

    ((title, suggestion),) = world.query("select title, suggestion from issues where state = 'open'")
    assert "'SAW' is not in lookup table 'items'" == title
    assert {"action": "set_lookup_row", "table": "items", "key": "SAW"}.items() <= json.loads(suggestion).items()


async def test_the_other_rows_of_a_file_go_on(world: World) -> None:
    """A row with NUL, one with a wrong number of columns and one with a bad number stop only themselves."""
    for n in range(1, 4):
        await world.hand_in("erp", order(f"SO-{n}"))
    rows = [b"S1,SO-1-1,1,H-100,5\n", b"S2,SO-2-1,1\n", b"S3,SO-3-1,1,H-100,x\n"]
    answer = await world.hand_in("reno-files", HEAD + b"".join(rows), name="w.csv")

    states = world.document_states(answer.message_id)
    assert 1 == states.count("applied") and 2 == states.count("rejected")
    places = world.column(
        "select pointer from documents where message_id = ? and state = 'rejected'", (answer.message_id,)
    )
    assert all("row" in place for place in places)


async def test_the_other_sets_of_an_interchange_go_on(world: World) -> None:
    """A set whose count is wrong is refused with its place; the set behind it is applied."""
    for n in range(1, 3):
        await world.hand_in("erp", order(f"SO-{n}", ("DRILL", 5)))
    answer = await world.hand_in("kc", x12_945(("S1", "SO-1-1"), ("S2", "SO-2-1"), bad=[0]))

    assert ["rejected", "applied"] == world.document_states(answer.message_id)
    ((pointer,),) = world.query("select pointer from exceptions where state = 'open'")
    assert "ST 0001" in pointer


async def test_the_same_fault_in_many_messages_is_one_issue(world: World) -> None:
    """A hundred truncated messages are one line on the list of issues."""
    for n in range(20):
        await world.hand_in("erp", b'{"type": "order", "number": ' + str(n).encode(), settle=False)
    await world.hub.settle()

    assert 1 == len(world.issues())
    assert [20] == world.column("select count(*) from exceptions where state = 'open'")


UNREAD = {
    "an unknown shape": ("erp", b'{"hello": 1}', "XD-DOC-020", "failed"),
    "an envelope of somebody else": ("kc", x12_945(("S1", "SO-1-1"), sender="OTHER"), "XD-ING-002", "processed"),
    "a set with a wrong count": ("kc", x12_945(("S1", "SO-1-1"), bad=[0]), "XD-EDI-010", "processed"),
    "quantity -7": ("erp", json.dumps(order("SO-9", ("HAMMER", -7))).encode(), "XD-DOC-021", "processed"),
    "quantity 0": ("erp", json.dumps(order("SO-9", ("HAMMER", 0))).encode(), "XD-DOC-021", "processed"),
}


@pytest.mark.parametrize("name", list(UNREAD))
async def test_what_never_reached_a_map_still_says_what_where_and_how_to_fix_it(world: World, name: str) -> None:
    """Its document is rejected with a finding of code, words, place and hint; the message names the first trouble."""
    connection_id, content, code, state = UNREAD[name]
    answer = await world.hand_in(connection_id, content)

    assert ["rejected"] == world.document_states(answer.message_id)
    ((found,),) = world.query("select findings from documents where message_id = ?", (answer.message_id,))
    findings = json.loads(found)
    assert all(one["code"] and one["message"] and one["hint"] for one in findings)
    ((error_code, error, count),) = world.query(
        "select error_code, error, document_count from inbound_messages where message_id = ?", (answer.message_id,)
    )
    assert (code, True, 1) == (error_code, bool(error), count)
    assert state == world.message_state(answer.message_id)
    assert [code] == world.issues()
    assert [] == world.column("select key from aggregates")


async def test_a_quantity_below_one_is_named_with_its_line(world: World) -> None:
    """The second line orders -7: the finding points at its quantity and shows the value; no order comes to be."""
    answer = await world.hand_in("erp", order("SO-9", ("HAMMER", 5), ("HAMMER", -7)))

    ((found,),) = world.query("select findings from documents where message_id = ?", (answer.message_id,))
    (finding,) = json.loads(found)
    assert ("/lines/1/quantity", "-7", "> 0") == (finding["pointer"], finding["value"], finding["expected"])


async def test_a_message_nobody_could_read_becomes_all_its_documents_once_a_rule_does(world: World) -> None:
    """A file without a rule is one refused document; replayed under a rule for it, each shipment is applied."""
    for n in range(1, 4):
        await world.hand_in("erp", order(f"SO-{n}"))
    rule = "{format: csv, map: reno-rows"
    narrow = with_line(pack_files(), "connections/reno-files.yaml", rule, rule + ', name_glob: "*.csv"')
    await world.apply(files=narrow)
    rows = b"".join(b"S%d,SO-%d-1,1,H-100,5\n" % (n, n) for n in range(1, 4))
    answer = await world.hand_in("reno-files", HEAD + rows, name="w.odd")
    assert ["rejected"] == world.document_states(answer.message_id)
    await world.apply()

    await world.hub.replay("acme", ReplayRequest(message_ids=(answer.message_id,), actor="tester"))
    await world.hub.settle()

    assert ["applied"] * 3 == world.document_states(answer.message_id)
    assert [] == world.issues()
    row = world.query(
        "select state, error_code, document_count from inbound_messages where message_id = ?", (answer.message_id,)
    )
    assert [("processed", "", 3)] == [tuple(one) for one in row]


async def test_a_clash_of_two_contents_is_said_on_the_message(world: World) -> None:
    """Two contents under one identity: the second message carries code and reason itself."""
    await world.hand_in("erp", order("SO-1"), receipt_key="one")
    answer = await world.hand_in("erp", order("SO-2"), receipt_key="one")

    ((state, code, error),) = world.query(
        "select state, error_code, error from inbound_messages where message_id = ?", (answer.message_id,)
    )
    assert ("failed", "XD-ING-005") == (state, code)
    assert "with other bytes" in error
