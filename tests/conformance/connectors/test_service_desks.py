"""The connectors of service desks keep their promises against the real desks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

from crossdock.connectors import registry
from crossdock.sdk import Connector, Outbound, Pulled
from crossdock.sdk.conformance import REFUSED, Effect, PromiseBroken, run
from tests.conformance.connectors.harnesses import a_context
from tests.conformance.connectors.real_peers import RealHarness, Translated
from tests.conformance.connectors.test_promises import NeverAcknowledges, TakesUnknownForDone, done_promises
from tests.support import helpdesk as desk_of_django
from tests.support import request_tracker as tracker
from tests.support.helpdesk import HelpdeskServer, helpdesk
from tests.support.processes import free_port
from tests.support.request_tracker import RequestTrackerServer, request_tracker

__all__ = ["helpdesk", "request_tracker"]

pytestmark = pytest.mark.slow
Make = Callable[[], Awaitable[Any]]


class DeskHarness(RealHarness):
    """The suite's orders are cases to open; its documents to pull are tickets that bear a reference."""

    kind: str
    server: Any

    def settings(self, url: str) -> dict[str, Any]:
        raise NotImplementedError

    def password(self) -> str:
        raise NotImplementedError

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        url = self.proxy.url if reachable else f"http://127.0.0.1:{free_port()}"
        secrets = {"password": self.password() if credentials == "good" else "not-the-password"}
        context = a_context(self.settings(url), secrets, self.clock, self.timeout_seconds)
        self._made.append(registry.create(self.kind, context))
        return Translated(self._made[-1], self)

    async def outgoing(self, outbound: Outbound) -> bytes:
        order = json.loads(outbound.content)["order"]
        reference = f"{self.tag}/{order}"
        self.sent[reference] = outbound.content
        # What the desk can never take: a reference that would end its own brackets.
        name = "]" if outbound.content == REFUSED else reference
        return json.dumps(
            {"action": "open", "reference": name, "subject": order, "detail": f"of {order}", "priority": "high"}
        ).encode()

    def incoming(self, pulled: Pulled) -> bytes | None:
        return self.offered.get(json.loads(pulled.content)["reference"])

    async def offer(self, name: str, content: bytes) -> None:
        reference = f"{self.tag}|{name}"
        self.offered[reference] = content
        self.server.write_ticket(f"[{reference}] offered")

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        raise NotImplementedError

    def effects(self) -> list[Effect]:
        return [Effect(*self._effect(ticket)) for ticket in self.server.tickets(f"[{self.tag}/")]

    def _effect(self, ticket: dict[str, Any]) -> tuple[str, bytes]:
        reference = self.title(ticket).partition("] ")[0][1:]
        return self.identity(ticket), self.sent.get(reference, b"a ticket nobody asked for")

    def title(self, ticket: dict[str, Any]) -> str:
        return str(ticket["title"])

    def identity(self, ticket: dict[str, Any]) -> str:
        return str(ticket["description"]).rpartition("message ")[2]

    def attempts(self) -> list[Effect]:
        return [Effect(self.identity(self.body(json.loads(body))), b"") for _, _, body in self.proxy.effects]

    def body(self, sent: dict[str, Any]) -> dict[str, Any]:
        return sent


class DjangoHarness(DeskHarness):
    kind = "django_helpdesk"

    def __init__(self, server: HelpdeskServer) -> None:
        super().__init__(server.url)
        self.server = server

    def is_effect(self, method: str, path: str, body: bytes) -> bool:
        return method == "POST" and path == "/api/tickets/"

    def settings(self, url: str) -> dict[str, Any]:
        return {"url": url, "username": desk_of_django.USERNAME, "look_back": 200}

    def password(self) -> str:
        return desk_of_django.PASSWORD


class TrackerHarness(DeskHarness):
    kind = "request_tracker"

    def __init__(self, server: RequestTrackerServer) -> None:
        super().__init__(server.url)
        self.server = server

    def is_effect(self, method: str, path: str, body: bytes) -> bool:
        return method == "POST" and path == "/REST/2.0/ticket"

    def settings(self, url: str) -> dict[str, Any]:
        return {"url": url, "username": tracker.USERNAME}

    def password(self) -> str:
        return tracker.PASSWORD

    def body(self, sent: dict[str, Any]) -> dict[str, Any]:
        return {"description": sent["Content"]}


@pytest.fixture
async def make_django(helpdesk: HelpdeskServer) -> AsyncIterator[Make]:
    made: list[DjangoHarness] = []

    async def make() -> Any:
        made.append(await DjangoHarness(helpdesk).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.mark.parametrize("promise", done_promises("django_helpdesk"))
async def test_django_helpdesk_keeps(promise: str, make_django: Make) -> None:
    """The connector of django-helpdesk keeps the promise against the real desk."""
    await run(promise, make_django)


@pytest.fixture
async def make_tracker(request_tracker: RequestTrackerServer) -> AsyncIterator[Make]:
    made: list[TrackerHarness] = []

    async def make() -> Any:
        made.append(await TrackerHarness(request_tracker).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.mark.nightly
@pytest.mark.parametrize("promise", done_promises("request_tracker"))
async def test_request_tracker_keeps(promise: str, make_tracker: Make) -> None:
    """The connector of Request Tracker keeps the promise against the real desk."""
    await run(promise, make_tracker)


@pytest.mark.parametrize("flaw, promise", [(TakesUnknownForDone, "unknown_outcome"), (NeverAcknowledges, "pull_twice")])
async def test_bad_connector_is_caught_at_a_desk(
    flaw: Any, promise: str, make_django: Callable[[], Awaitable[Any]]
) -> None:
    """The suite is able to fail against the real server too."""

    async def make_bad() -> Any:
        harness = await make_django()
        good = harness.connector

        async def connector(**options: Any) -> Any:
            return flaw(await good(**options))

        harness.connector = connector
        return harness

    with pytest.raises(PromiseBroken):
        await run(promise, make_bad)
