"""The story: the status of a shipment reaches the ERP and the service desk hours late, and nobody notices.

Here somebody is told before it is late: a warning, the breach with the orders concerned, the mail to whoever answers
for it. Each guard is taken away once, and then the story happens.
"""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.bootstrap.contracts import Contracts
from crossdock.bootstrap.notices import Notices
from tests.scenarios.flow.world import World, order, pack_files, shipment

CONTRACT = """
contract: reno-confirms
after: {connection: reno, request: fulfillment_request}
expect: {event: crossdock.shipment.departed.v1, same: fulfillment_number}
within: 4h
warn_before: 30m
escalate: [{owner: floor}]
"""
NOTICES = """
recipients:
  floor: {channel: mail, address: floor@acme.example}
rules:
  - {rule: late, on: crossdock.contract.escalated.v1, to: owner, urgent: true, title: "Late: {orders}", body: "{due}"}
"""
MAIL = """
connection: mail
partner: reno
connector: http_json
settings: {url: "https://mail.example/", idempotent: true}
"""
MAP = "map: notice\nfrom: {object: notification}\nto: {format: json}\nset: {to: recipient, title: title}\n"


async def the_day(world: World) -> None:
    """Two orders are asked of Reno; one is confirmed, the other's confirmation hangs for hours."""
    files = pack_files()
    files["contracts/reno.yaml"], files["notifications.yaml"] = CONTRACT, NOTICES
    files["connections/mail.yaml"], files["maps/notice.yaml"] = MAIL, MAP
    files["routes.yaml"] += "  - {document: notification, connection: mail, map: notice}\n"
    await world.apply(files=files)
    await world.later(minutes=1)
    for number in ("SO-1", "SO-2"):
        await world.hand_in("erp", order(number))
    await world.hand_in("reno", shipment("S-1", "SO-1"))
    for _ in range(5):
        await world.later(hours=1)


def mails(world: World) -> list[dict[str, Any]]:
    return world.partner("mail").documents()


async def test_somebody_is_told_before_it_is_hours_late(world: World) -> None:
    """The ERP has what was confirmed at once; of the other one the floor hears when it is due, by name."""
    await the_day(world)

    assert 1 == len(world.partner("erp").of_type("shipment_confirmation"))
    assert ["XD-PTR-062"] == world.issues()
    assert [{"to": "floor@acme.example", "title": "Late: SO-2"}] == mails(world)

    await world.hand_in("reno", shipment("S-2", "SO-2"))
    await world.later(minutes=1)
    assert (2, []) == (len(world.partner("erp").of_type("shipment_confirmation")), world.issues())


@pytest.mark.parametrize("guard", [Contracts, Notices])
async def test_without_a_guard_nobody_is_told(world: World, monkeypatch: pytest.MonkeyPatch, guard: Any) -> None:
    """Control: without the watch over contracts, or without the rules of notices, the floor hears nothing."""

    async def nothing(self: Any) -> None:
        return None

    monkeypatch.setattr(guard, "tick", nothing)
    monkeypatch.setattr(guard, "next_due_at", lambda self: None)
    await the_day(world)

    assert [] == mails(world)
