"""The message inspector: what came, what was made of it, what went out; damage is told, never shown as good."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from crossdock import edi
from crossdock.errors import NotFound
from crossdock.governance.configuration import compile_pack
from crossdock.views import messages
from crossdock.web import message_list
from tests.unit.views.conftest import PACK

RAW = json.dumps({"no": "SO-1", "state": "nv", "items": [{"sku": "A", "qty": "2"}], "pad": "x" * 4000}).encode()


def test_an_inbound_message_shows_bytes_and_documents(either_hub: Any) -> None:
    """Bytes come back as they came, compressed or not, with the documents made of them and what they caused."""
    message_id = either_hub.receive(RAW, documents=[{"subject": "order/SO-1", "canonical": b'{"number": "SO-1"}'}])
    order = {"number": "SO-1", "lines": [{"line_no": "1", "sku": "A", "quantity": "1"}]}
    either_hub.tell("SO-1", "crossdock.order.released.v1", order, "erp", message_id=message_id)

    view = either_hub.read(messages.load_inbound, message_id)

    assert (RAW, None) == (view.raw.content, view.raw.damage)
    assert [{"number": "SO-1"}] == [document.canonical for document in view.documents]
    caused = [(one.relation, one.direction, one.what) for one in view.related]
    assert ("caused", "out", "fulfillment_request") in caused


def test_an_outbound_message_shows_attempts_and_its_cause(hub: Any) -> None:
    """An outbound message has its canonical document, each attempt with the partner's answer, and leads back."""
    message_id = hub.receive(RAW, documents=[{"subject": "order/SO-1"}])
    order = {"number": "SO-1", "lines": [{"line_no": "1", "sku": "A", "quantity": "1"}]}
    hub.tell("SO-1", "crossdock.order.released.v1", order, "erp", message_id=message_id)
    caused = next(
        one for one in hub.read(messages.load_inbound, message_id).related if one.what == "fulfillment_request"
    )

    view = hub.read(messages.load_outbound, caused.message_id)

    assert ("sent", "SO-1-1") == (view.state, view.canonical["number"])
    assert [("done", 202, '{"ok": true}')] == [(a.outcome, a.http_status, a.response) for a in view.attempts]
    assert [("caused_by", message_id)] == [(one.relation, one.message_id) for one in view.related]
    assert json.loads(view.raw.content)["number"] == "SO-1-1"


@pytest.mark.parametrize("content", [b'{"no": "SO-1"}', RAW], ids=["plain", "compressed"])
def test_a_changed_byte_is_damage(hub: Any, content: bytes) -> None:
    """One changed byte at rest, in plain or compressed bytes, is reported with a code and no bytes are shown."""
    message_id = hub.receive(content)
    (stored,) = hub.store.read_now(lambda c: c.one("select content from payloads"))
    changed = bytes([*stored[:-3], stored[-3] ^ 1, *stored[-2:]])
    hub.store.write_now(lambda c: c.execute("update payloads set content = ?", (changed,)))

    raw = hub.read(messages.load_inbound, message_id).raw

    assert raw.damage is not None
    assert raw.damage.code.startswith("XD-SYS-")
    assert b"" == raw.content


def test_missing_bytes_are_damage(hub: Any) -> None:
    """Bytes that are gone are reported as damage too."""
    message_id = hub.receive(b"{}")
    hub.store.write_now(lambda c: c.execute("delete from payloads"))

    assert hub.read(messages.load_inbound, message_id).raw.damage is not None


def test_every_target_field_leads_to_its_source(hub: Any) -> None:
    """The three panes are linked: target field, map line and source pointer, under the release of the map."""
    message_id = hub.receive(RAW, documents=[{"map": "erp-order"}])
    view = hub.read(messages.load_inbound, message_id)

    panes = messages.linked(view, view.documents[0], hub.configuration)

    assert "" == panes.error
    links = {link.target: link for link in panes.links}
    assert ("SO-1", ("/no",)) == (links["/number"].value, links["/number"].sources)
    assert ("NV", ("/state",)) == (links["/region"].value, links["/region"].sources)
    assert ("/items/0/qty",) == links["/lines/0/quantity"].sources
    assert links["/number"].line == 5
    assert "rel_1" == panes.release_id


def test_links_say_why_there_are_none(hub: Any) -> None:
    """A map that the release does not have, and bytes that are damaged, give a reason in place of links."""
    message_id = hub.receive(RAW, documents=[{"map": "gone"}])
    view = hub.read(messages.load_inbound, message_id)

    panes = messages.linked(view, view.documents[0], hub.configuration)

    assert () == panes.links
    assert "gone" in panes.error


def test_duplicates_lead_to_the_first(hub: Any) -> None:
    """A duplicate is linked with the message it repeats."""
    first = hub.receive(b"{}")
    second = hub.receive(b"{}", state="duplicate")
    mark = "update inbound_messages set duplicate_of = ? where message_id = ?"
    hub.store.write_now(lambda c: c.execute(mark, (first, second)))

    related = hub.read(messages.load_inbound, second).related

    assert [("duplicate_of", first)] == [(one.relation, one.message_id) for one in related]


def test_an_acknowledgment_is_linked_both_ways(hub: Any) -> None:
    """The 997 names the message it answers, and that message names the 997."""
    hub.release("SO-1", quantity=1)
    (sent,) = hub.store.read_now(
        lambda c: c.one("select message_id from outbound_messages where document_type = 'fulfillment_request'")
    )
    hub.later(5)
    canonical = msgspec.json.encode({"of": [sent]})
    answer = hub.receive(b"ISA", "reno", documents=[{"object": "ack", "type": "x12:997", "canonical": canonical}])
    hub.store.write_now(
        lambda c: c.execute("update outbound_messages set ack_state = 'accepted' where message_id = ?", (sent,))
    )

    forth = hub.read(messages.load_outbound, sent).related
    back = hub.read(messages.load_inbound, answer).related

    assert ("acknowledgment", answer) in [(one.relation, one.message_id) for one in forth]
    assert [("acknowledges", sent)] == [(one.relation, one.message_id) for one in back]


def test_foreign_messages_do_not_exist(hub: Any, foreign: Any) -> None:
    """Another tenant's message is answered exactly as one that never was."""
    mine = hub.receive(b"{}")
    hub.release("SO-1", quantity=1)
    (sent,) = hub.store.read_now(lambda c: c.one("select message_id from outbound_messages limit 1"))

    for load, message_id in ((messages.load_inbound, mine), (messages.load_outbound, sent)):
        with pytest.raises(NotFound) as theirs:
            foreign.read(load, message_id)
        with pytest.raises(NotFound) as absent:
            foreign.read(load, "msg_none")
        assert str(theirs.value).replace(message_id, "") == str(absent.value).replace("msg_none", "")


ISA = (
    "ISA*00*          *00*          *ZZ*SWIFT          *ZZ*NORTHGATE      *261123*1600*U*00401*000000905*0*P*>~"
    "GS*SW*SWIFT*NORTHGATE*20261123*1600*905*X*004010~"
    "ST*945*0001~W06*F*SO-1-1*20261123*SH-77~W27*M*SWFT~LX*1~W12*CC**2**EA**VN*A~SE*6*0001~"
    "GE*1*905~IEA*1*000000905~"
)

MAP_945 = """\
map: swift-945
from: {format: x12, set: "945"}
to: {object: shipment, event: crossdock.shipment.departed.v1}
set:
  number: required(w06.depositor_order)
  carrier: envelope.sender
"""


def test_x12_values_lead_to_their_bytes(hub: Any) -> None:
    """Of an X12 document each source value also has its byte in the interchange, and the envelope can be read."""
    fields = edi.set_to_document(edi.read_all(ISA.encode()).interchanges[0].sets[0])["w06"]
    field = next(name for name, value in fields.items() if value == "SO-1-1")
    text = MAP_945.replace("depositor_order", field)
    configuration = compile_pack({**PACK, "maps/swift-945.yaml": text}, release_id="rel_2")
    place = ISA.index("ST*945")
    message_id = hub.receive(ISA.encode(), "swift", documents=[{"map": "swift-945", "byte_offset": place}])
    view = hub.read(messages.load_inbound, message_id)

    panes = messages.linked(view, view.documents[0], configuration)

    links = {link.target: link for link in panes.links}
    assert "" == panes.error
    assert "SWIFT" == links["/carrier"].value
    (offset,) = links["/number"].offsets
    assert ISA[offset:].startswith("SO-1-1*")


def test_a_message_counts_what_did_not_go_through_and_links_its_issue(hub: Any) -> None:
    """One of two documents is rejected: the inspector and the list say so, and the issue is one click away."""
    documents = [{"state": "applied"}, {"state": "rejected"}]
    message_id = hub.receive(b"{}", documents=documents)
    view = hub.read(messages.load_inbound, message_id)
    issue_id = hub.fault(cause="c", object_id=view.documents[1].document_id)

    view = hub.read(messages.load_inbound, message_id)
    (row,) = hub.read(message_list.inbound).rows

    assert (1, 0) == (view.documents_rejected, view.documents_held)
    assert [issue_id] == [issue.issue_id for issue in view.issues]
    assert (1, 0) == (row.documents_rejected, row.documents_held)
