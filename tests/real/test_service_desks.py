"""An order at risk and its ticket, end to end with real desks: one opens, recovery closes it, a crash adds none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from crossdock.connectors import service_desk
from crossdock.sdk import FindResult
from tests.conformance.connectors.http_fault_proxy import HttpFaultProxy
from tests.real.desk_world import EXAMPLE, TENANT, DeskWorld, running, until
from tests.support import helpdesk as desk_of_django
from tests.support import request_tracker as tracker
from tests.support.helpdesk import HelpdeskServer, helpdesk
from tests.support.peers import prepared
from tests.support.request_tracker import request_tracker

__all__ = ["helpdesk", "request_tracker"]

pytestmark = pytest.mark.slow

DESKS = [
    pytest.param("helpdesk", id="django-helpdesk"),
    pytest.param("request_tracker", id="request-tracker", marks=pytest.mark.nightly),
]


class Desk:
    """A real desk of one kind, and how the hub reaches it."""

    def __init__(self, name: str, server: Any) -> None:
        django = name == "helpdesk"
        self.server = server
        self.password = desk_of_django.PASSWORD if django else tracker.PASSWORD
        file = "pack/connections/desk.yaml" if django else "desk-with-request-tracker.yaml"
        self.connection = (EXAMPLE / file).read_text("utf-8")
        self._create = "/api/tickets/" if django else "/REST/2.0/ticket"
        self._closed = (4,) if django else ("resolved",)

    def proxy(self) -> HttpFaultProxy:
        def creates(method: str, path: str, body: bytes) -> bool:
            return method == "POST" and path == self._create

        return HttpFaultProxy(self.server.url, creates)

    def tickets(self, number: str) -> list[dict[str, Any]]:
        return list(self.server.tickets(f"[{number}/"))

    def is_closed(self, ticket: dict[str, Any]) -> bool:
        return ticket["status"] in self._closed


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param, request.getfixturevalue(request.param))


@pytest.fixture
def number(request: pytest.FixtureRequest) -> str:
    """An order number that no other test uses: the desk is shared."""
    return f"M-{abs(hash(request.node.nodeid)) % 10**8}"


async def at_risk(world: DeskWorld, number: str) -> None:
    """Let an order come so near to its ship-by that it is at risk."""
    await world.release(number)
    await world.pass_time(215)


async def test_order_at_risk_opens_one_ticket_and_recovery_closes_it(desk: Desk, number: str, tmp_path: Path) -> None:
    """The desk hears once of an order that may leave late, again when it is late, and that it is settled."""
    async with running(tmp_path, desk.connection, desk.password, desk.proxy()) as world:
        await at_risk(world, number)
        (opened,) = desk.tickets(number)
        assert not desk.is_closed(opened)
        # Past its ship-by the detail changes: the ticket is updated, no second one is opened.
        await world.pass_time(60)
        assert 1 == len(desk.tickets(number))
        # The desk's own number has come back by the poll.
        assert [str(opened["id"])] == [case.ref for case in world.order(number).cases]

        await world.ship(number)

        (closed,) = desk.tickets(number)
        assert desk.is_closed(closed)
        assert opened["title"] == closed["title"]
        assert ["sent"] * 3 == world.sends()


async def crash_in_the_answer(world: DeskWorld, desk: Desk, number: str) -> None:
    """Kill the hub when the desk has made the ticket and the hub has not heard of it; then start it again."""
    world.proxy.fault = "stall_after_effect"
    await world.release(number)
    await world.pass_time(215, settle=False)
    await until(lambda: desk.tickets(number))
    assert ["sending"] == world.sends()
    await world.kill()
    world.proxy.fault = "none"
    await world.start()
    await world.hub.settle()
    await world.pass_time(30)


async def test_crash_between_ticket_and_booking_makes_no_second_ticket(desk: Desk, number: str, tmp_path: Path) -> None:
    """After a restart the desk is asked before anything is told: the ticket that is there is the ticket."""
    async with running(tmp_path, desk.connection, desk.password, desk.proxy()) as world:
        await crash_in_the_answer(world, desk, number)

        assert 1 == len(desk.tickets(number))
        assert "sent" == world.sends()[0]


async def test_crash_without_the_question_would_make_a_second_ticket(
    desk: Desk, number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above is able to fail: a connector that does not look for its ticket opens another."""

    async def cannot_tell(*_: Any) -> FindResult:
        return FindResult("cannot_tell")

    async def blind(desk: Any, case: Any, identity: str) -> Any:
        return service_desk.PushResult("done", reference=(await desk.open(case, identity)).id)

    for module in ("django_helpdesk", "request_tracker"):
        monkeypatch.setattr(f"crossdock.connectors.{module}.connector.find_case", cannot_tell)
    monkeypatch.setattr(service_desk, "_carry_out", blind)
    async with running(tmp_path, desk.connection, desk.password, desk.proxy()) as world:
        await crash_in_the_answer(world, desk, number)

        assert len(desk.tickets(number)) > 1


async def test_ticket_an_agent_closed_stays_closed(desk: Desk, number: str, tmp_path: Path) -> None:
    """What the desk decides comes back: an agent's word ends the case, and the hub opens no other for the same risk."""
    async with running(tmp_path, desk.connection, desk.password, desk.proxy()) as world:
        await at_risk(world, number)
        (ticket,) = desk.tickets(number)
        await asyncio.to_thread(desk.server.close_by_hand, ticket)
        await world.pass_time(90)

        assert ["closed_by_desk"] == [case.state for case in world.order(number).cases]
        (same,) = desk.tickets(number)
        assert desk.is_closed(same)


async def test_webhook_tells_of_the_ticket_before_any_poll(number: str, tmp_path: Path) -> None:
    """django-helpdesk's own webhooks come in by the hub's door and are read by the example's map."""
    place = prepared("helpdesk", "django-helpdesk")
    settings = Desk("helpdesk", None)
    never = settings.connection.replace("poll_seconds: 300", "poll_seconds: 1000000")
    proxy = HttpFaultProxy("", lambda *_: False)
    async with running(tmp_path, never, settings.password, proxy, doors=True) as world:
        server = HelpdeskServer(place, tmp_path / "desk", webhook=f"{world.hub.url}/v1/ingest/{TENANT}/desk")
        await asyncio.to_thread(server.start)
        try:
            proxy.upstream = server.url
            await at_risk(world, number)
            await until(lambda: server.tickets(f"[{number}/"))
            await world.hub.settle()
            (ticket,) = server.tickets(f"[{number}/")
            assert [str(ticket["id"])] == [case.ref for case in world.order(number).cases]

            await asyncio.to_thread(server.close_by_hand, ticket)
            await world.hub.settle()

            assert ["closed_by_desk"] == [case.state for case in world.order(number).cases]
        finally:
            await asyncio.to_thread(server.stop)
