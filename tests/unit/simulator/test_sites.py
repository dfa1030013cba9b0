"""Sites speak their formats: CSV in folders, X12 over SFTP, JSON with webhooks. What came twice is shipped twice."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest

from crossdock.simulator import x12_swift
from crossdock.simulator.carrier import Carrier
from crossdock.simulator.erp import Erp
from crossdock.simulator.threepl_harbor import ThreePlHarbor
from crossdock.simulator.threepl_swift import USER, ThreePlSwift
from crossdock.simulator.wire import Door, bearer
from crossdock.simulator.wms_reno import WmsReno
from crossdock.simulator.world import clock_time

TICKET = (
    "ticket,order,line,sku,description,qty,uom,service,ship_by,ship_name,street,street2,city,state,zip,country\r\n"
    "SO-1-1,SO-1,10,NG-1001,Beans,3,EA,STD,,Blue Fern Cafe,12 Harbor Road,,Reno,NV,89501,US\r\n"
    "SO-1-1,SO-1,20,NG-1105,Cups,1,EA,STD,,Blue Fern Cafe,12 Harbor Road,,Reno,NV,89501,US\r\n"
)
CANCEL = "ticket,order,reason\r\nSO-1-1,SO-1,changed their mind\r\n"


def a_940(writer: x12_swift.Writer, now) -> str:
    body = [
        ["W05", "N", "SO-1-1"],
        ["N1", "ST", "Blue Fern Cafe"],
        ["N9", "OQ", "SO-1"],
        ["W66", "PP", "M", "", "", "STD"],
        ["LX", "1"],
        ["W01", "3", "EA", "", "VN", "NG-1001"],
        ["N9", "LI", "10"],
    ]
    return writer.interchange("OW", "940", body, now)[1]


@pytest.fixture
def reno(timeline, tmp_path):
    site = WmsReno(1, timeline, Carrier(1, timeline), tmp_path / "reno")
    site.open(timeline.clock.now(), timeline.clock.now())
    return site


def rows_of(folder: Path, pattern: str, delimiter: str) -> list[dict[str, str]]:
    (path,) = folder.glob(pattern)
    return list(csv.DictReader(io.StringIO(path.read_text()), delimiter=delimiter))


async def test_reno_ships_what_a_ticket_asks_for(timeline, reno):
    """A pick ticket leaves as one shipment in one confirmation file, with a label and a carton."""
    (reno.inbox / "fulfillment_request-1.csv").write_text(TICKET)
    await reno.read_tickets()
    timeline.clock.move_to(timeline.clock.now() + timedelta(hours=2))

    await reno.ship()

    rows = rows_of(reno.outbox, "SHIP_*.csv", ";")
    assert ["3", "1"] == [row["Qty Shipped"] for row in rows]
    assert 1 == len({row["Tracking"] for row in rows})
    assert "11/23/2026 08:00" == rows[0]["Shipped At"]
    assert {"file": 1, "request": 1, "shipment": 1} == reno.ledger.counts()
    assert [] == list(reno.inbox.iterdir())


async def test_reno_leaves_its_last_file_twice_with_the_same_bytes(timeline, reno):
    """The duplicate is the same name and the same bytes."""
    (reno.inbox / "a.csv").write_text(TICKET)
    await reno.read_tickets()
    timeline.clock.move_to(timeline.clock.now() + timedelta(hours=2))
    await reno.ship()
    (path,) = reno.outbox.glob("SHIP_*.csv")
    first = path.read_bytes()
    path.unlink()

    assert await reno.repeat_last_confirmation()
    assert first == path.read_bytes()


async def test_reno_answers_a_cancel_by_what_is_on_its_floor(timeline, reno):
    """A ticket that has not left is taken off the floor, and the answer says so."""
    (reno.inbox / "a.csv").write_text(TICKET)
    await reno.read_tickets()
    (reno.inbox / "b.csv").write_text(CANCEL)

    await reno.read_tickets()

    assert ["CANCELLED"] == [row["Answer"] for row in rows_of(reno.outbox, "ANSWER_*.csv", ";")]


async def test_reno_does_what_it_is_told_twice(reno):
    """The same ticket in a second file is a second request in the books, so a double effect cannot hide."""
    for name in ("a.csv", "b.csv"):
        (reno.inbox / name).write_text(TICKET)

    await reno.read_tickets()

    assert 2 == reno.ledger.counts()["request"]


async def test_swift_acknowledges_and_ships_over_its_mailbox(timeline, tmp_path):
    """A 940 put over SFTP is answered with a 997 and, when it ships, with a 945 that names warehouse and label."""
    swift = ThreePlSwift(1, timeline, Carrier(1, timeline), tmp_path / "swift", "pass")
    await swift.start()
    try:
        key = asyncssh.import_public_key(swift.host_key)
        hub = x12_swift.Writer("NORTHGATE", "SWIFT3PL")
        async with (
            asyncssh.connect(
                "127.0.0.1", swift.port, username=USER, password="pass", known_hosts=([key], [], []), client_keys=None
            ) as connection,
            connection.start_sftp_client() as files,
        ):
            async with files.open("/inbound/1.edi", "w") as file:
                await file.write(a_940(hub, timeline.clock.now()))
            await swift.read_mailbox()
            timeline.clock.move_to(timeline.clock.now() + timedelta(hours=2))
            swift.ship_from("RENO-X", {"SO-1"})
            await swift.ship()
            names = sorted(str(name) for name in await files.listdir("/outbound") if not str(name).startswith("."))
            async with files.open(f"/outbound/{names[0]}", "r") as file:
                ((advice,),) = (group.sets for group in x12_swift.read(str(await file.read())).groups)
    finally:
        await swift.stop()

    assert ["945", "997"] == [name[:3] for name in names]
    assert ["SO-1-1"] == [segment[2] for segment in advice.all("W06")]
    assert ["RENO-X"] == [segment[4] for segment in advice.all("N1")]
    assert {"advice": 1, "file": 2, "request": 1, "shipment": 1} == swift.ledger.counts()


async def test_swift_lets_nobody_in_without_the_password(timeline, tmp_path):
    """A wrong password is refused."""
    swift = ThreePlSwift(1, timeline, Carrier(1, timeline), tmp_path / "swift", "pass")
    await swift.start()
    try:
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                "127.0.0.1", swift.port, username=USER, password="no", known_hosts=None, client_keys=None
            )
    finally:
        await swift.stop()


async def test_harbor_has_bad_hours_and_books_a_key_once(timeline, session, door):
    """429 with Retry-After, then 503, then it works; the same key is taken once and shipped by webhook."""
    harbor = ThreePlHarbor(1, timeline, Carrier(1, timeline), "good")
    harbor.door = Door(session, timeline, harbor.ledger, door.url, bearer("key"))
    await harbor.service.start()
    harbor.throttle(clock_time("08:02"))
    harbor.go_down(clock_time("08:20"))
    body = json.dumps(
        {
            "externalId": "W-1-1",
            "orderRef": "W-1",
            "service": "STD",
            "shipTo": {"name": "Ada"},
            "lines": [{"lineRef": "1", "sku": "NG-1301", "quantity": 2}],
        }
    )

    async def ask() -> tuple[int, str]:
        headers = {"Authorization": "Bearer good", "Idempotency-Key": "k1"}
        async with session.post(f"{harbor.service.url}/v2/fulfillment-orders", data=body, headers=headers) as answer:
            return answer.status, answer.headers.get("Retry-After", "")

    try:
        answers = [await ask()]
        for minute in ("08:02", "08:20", "08:21"):
            timeline.clock.move_to(clock_time(minute))
            answers.append(await ask())
        timeline.clock.move_to(clock_time("10:00"))
        await harbor.ship()
    finally:
        await harbor.service.stop()

    assert [(429, "60"), (503, ""), (201, ""), (200, "")] == answers
    assert 1 == harbor.ledger.counts()["request"]
    assert "shipment.shipped" == json.loads(door.told[-1][1])["type"]


async def test_the_erp_books_a_key_once_and_a_shipment_as_often_as_it_is_told(timeline, session):
    """The same key is answered again; the same shipment under another key is booked twice, for the report to see."""
    erp = Erp(timeline, "good")
    await erp.service.start()
    body = json.dumps({"shipmentNo": "R1", "orderNo": "SO-1", "lines": [{"item": "A", "qtyShipped": "3"}]})

    async def post(key: str) -> int:
        headers = {"Authorization": "Bearer good", "Idempotency-Key": key}
        async with session.post(f"{erp.service.url}/api/shipments", data=body, headers=headers) as response:
            return response.status

    try:
        answers = [await post("k1"), await post("k1"), await post("k2")]
    finally:
        await erp.service.stop()

    assert [201, 200, 201] == answers
    assert {"posting": 2} == erp.ledger.counts()
    assert 1 == erp.ledger.told_again["posting"]
