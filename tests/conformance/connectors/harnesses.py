"""A harness for each connector: HTTP over real sockets, SFTP on a real OpenSSH server, and a local directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import asyncssh

from crossdock.connectors import registry
from crossdock.connectors.egress import Egress
from crossdock.connectors.files import FileExchange
from crossdock.durable.identity import ManualClock
from crossdock.errors import TransientError
from crossdock.sdk import Connector, ConnectorContext
from crossdock.sdk.conformance import REFUSED, Effect, Fault, an_order
from tests.conformance.connectors.http_peer import TOKEN, HttpPeer
from tests.conformance.connectors.trap_proxy import TrapProxy
from tests.support.openssh import SftpAccount
from tests.support.processes import free_port

START = datetime(2026, 10, 5, 8, 0, tzinfo=UTC)
LOOPBACK = ("127.0.0.1/32",)


class MovingClock(ManualClock):
    """A clock that moves by a given number of seconds when told."""

    def move(self, seconds: float) -> None:
        self.move_to(datetime.fromtimestamp(self.now().timestamp() + seconds, UTC))


def a_context(
    settings: dict[str, Any],
    secrets: dict[str, str],
    clock: ManualClock,
    timeout_seconds: float = 5.0,
    *,
    folder_root: str | None = "/",
) -> ConnectorContext:
    return ConnectorContext(
        "con_1", "tnt_1", settings, secrets, Egress(allow_networks=LOOPBACK), clock, timeout_seconds, folder_root
    )


class _Harness:
    """What the harnesses share: the clock and the connectors to close."""

    def __init__(self) -> None:
        self.clock = MovingClock(START)
        self._made: list[Connector] = []

    async def settle(self) -> None:
        self.clock.move(60)

    async def stop(self) -> None:
        for connector in self._made:
            await connector.close()


class HttpHarness(_Harness):
    """`http_json` against a peer with a ledger."""

    timeout_seconds = 1.0

    async def start(self) -> HttpHarness:
        self.peer = await HttpPeer().start()
        self.outside = await HttpPeer().start()
        self.peer.redirect_to = f"http://127.0.0.1:{self.outside.port}/orders"
        return self

    async def stop(self) -> None:
        await super().stop()
        await self.peer.stop()
        await self.outside.stop()

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        host = f"http://127.0.0.1:{self.peer.port if reachable else free_port()}"
        settings = {
            "url": f"{host}/orders",
            "auth": "bearer",
            "find_url": host + "/orders/{identity}",
            "health_url": f"{host}/health",
            "poll_url": host + "/feed?since={since}",
            "poll_key": "/id",
            "poll_cursor": "/id",
        }
        secrets = {"token": TOKEN if credentials == "good" else "wrong-token"}
        self._made.append(registry.create("http_json", a_context(settings, secrets, self.clock, self.timeout_seconds)))
        return self._made[-1]

    async def set_fault(self, fault: Fault) -> None:
        self.peer.fault = fault

    async def offer(self, name: str, content: bytes) -> None:
        self.peer.feed.append((name[0].upper(), content))

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        await self.offer(name, content)
        self.peer.feed_is_cut = True

        async def complete() -> None:
            self.peer.feed_is_cut = False

        return complete

    def effects(self) -> list[Effect]:
        return list(self.peer.effects.values())

    def attempts(self) -> list[Effect]:
        return self.peer.attempts

    def escaped(self) -> bool:
        return self.outside.connections > 0


class FilesHarness(_Harness):
    """The part of a file harness that works on the directory as the partner sees it."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.outside = directory / "outside"
        self.root = directory / "root"
        self.inbox, self.outbox = self.root / "inbox", self.root / "outbox"
        for path in (self.outside, self.inbox, self.outbox):
            path.mkdir(parents=True)
        (self.outside / "secret.json").write_bytes(b'{"id":"SECRET"}')
        self._planted: set[str] = set()

    async def offer(self, name: str, content: bytes) -> None:
        (self.inbox / name).write_bytes(content)

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        (self.inbox / name).write_bytes(content[: len(content) // 2])

        async def complete() -> None:
            (self.inbox / name).write_bytes(content)

        return complete

    def plant(self, fault: Fault) -> None:
        """Lay out what the partner's side of a fault needs."""
        if fault == "refuse":
            name = an_order(1, content=REFUSED).name
            (self.outbox / name).write_bytes(b"something else")
            self._planted.add(name)
        if fault == "escape":
            (self.inbox / "link.json").symlink_to(self.outside / "secret.json")
            (self.inbox / "folder.json").symlink_to(self.outside)

    def effects(self) -> list[Effect]:
        names = sorted(path.name for path in self.outbox.iterdir() if path.is_file())
        return [
            Effect(name, (self.outbox / name).read_bytes())
            for name in names
            if not name.endswith(".tmp") and name not in self._planted
        ]

    def attempts(self) -> list[Effect]:
        return self.effects()

    def escaped(self) -> bool:
        if ["secret.json"] != [path.name for path in self.outside.iterdir()]:
            return True
        return any(path.name.startswith("escaped") for path in self.root.parent.rglob("*"))


class FolderHarness(FilesHarness):
    """`folder` on a directory; lost answers, as of a network mount, are put in around its rename."""

    async def start(self) -> FolderHarness:
        self._fault: Fault = "none"
        return self

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        root = self.root if reachable else self.root / "not-mounted"
        made = registry.create(
            "folder", a_context({"root": str(root), "inbox": "inbox", "outbox": "outbox"}, {}, self.clock)
        )
        assert isinstance(made, FileExchange)
        directory: Any = made._directory
        plain = directory.rename

        async def rename(*arguments: str) -> None:
            if self._fault == "cut_before_effect":
                raise TransientError("input/output error")
            await plain(*arguments)
            if self._fault == "cut_after_effect":
                raise TransientError("input/output error")

        directory.rename = rename
        self._made.append(made)
        return made

    async def set_fault(self, fault: Fault) -> None:
        self._fault = fault
        self.plant(fault)


class SftpHarness(FilesHarness):
    """`sftp` on a real OpenSSH server, through a proxy that can cut at the right moment."""

    timeout_seconds = 3.0

    def __init__(self, account: SftpAccount) -> None:
        super().__init__(account.directory)
        self._account = account

    async def start(self) -> SftpHarness:
        self._proxy = await TrapProxy(self._account.port).start()
        return self

    async def stop(self) -> None:
        await super().stop()
        await self._proxy.stop()

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        settings = {
            "host": "127.0.0.1",
            "port": self._proxy.port if reachable else free_port(),
            "username": self._account.username,
            "host_key": self._account.host_public_key,
            "inbox": str(self.inbox),
            "outbox": str(self.outbox),
        }
        key = self._account.client_key_path.read_text()
        if credentials == "bad":
            key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        context = a_context(settings, {"private_key": key}, self.clock, self.timeout_seconds)
        self._made.append(registry.create("sftp", context))
        return self._made[-1]

    async def set_fault(self, fault: Fault) -> None:
        self.plant(fault)
        before = {path.name for path in self.outbox.iterdir()}

        def acted() -> bool:
            return any(not path.name.endswith(".tmp") and path.name not in before for path in self.outbox.iterdir())

        def about_to_act() -> bool:
            return any(path.name.endswith(".tmp") for path in self.outbox.iterdir())

        self._proxy.then = "stall" if fault == "stall_after_effect" else "cut"
        if fault in ("cut_after_effect", "stall_after_effect"):
            self._proxy.trap = acted
        elif fault == "cut_before_effect":
            self._proxy.trap = about_to_act
        else:
            self._proxy.trap = lambda: False
