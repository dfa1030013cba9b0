"""A hub of the example `examples/service-desk` with a real desk behind a proxy, and a clock that stands still."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.durable.identity import ManualClock
from crossdock.flow.ingest import InboundOffer
from crossdock.processes.order_state import OrderState
from crossdock.store import aggregates
from crossdock.web.server import open_doors
from tests.conformance.connectors.http_fault_proxy import HttpFaultProxy

EXAMPLE = Path(__file__).parents[2] / "examples/service-desk"
TENANT = "moss"
START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
_SEEDS = itertools.count(1)


class DeskWorld:
    """One hub, its dock's folder, and the desk as the wire shows it."""

    def __init__(self, folder: Path, connection: str, password: str, proxy: HttpFaultProxy) -> None:
        self.folder = folder
        self.clock = ManualClock(START)
        self.proxy = proxy
        self._connection = connection
        self._password = password
        self._hub: Hub | None = None
        self.settings = load_settings(
            environment={},
            overrides={
                "store.url": f"sqlite:///{folder.absolute()}/hub.db",
                "web.port": 0,
                "security.root_key_file": str(folder / "root.key"),
                "security.allow_private_networks": ("127.0.0.0/8",),
                "security.folder_root": str(folder),
                "log.level": "error",
            },
        )

    @property
    def hub(self) -> Hub:
        assert self._hub is not None
        return self._hub

    # -- life

    async def start(self) -> None:
        """Start a hub on the record, with the ids of a new process."""
        self._hub = await Hub.start(self.settings, clock=self.clock, ids_seed=next(_SEEDS))

    async def kill(self) -> None:
        """End the hub as a killed process ends: nothing in memory is finished, nothing more is written."""
        hub, self._hub = self.hub, None
        tasks = [*hub.sender._tasks, *hub._chores, *([hub.pipeline._task] if hub.pipeline._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(hub.store.close)

    async def stop(self) -> None:
        if self._hub is not None:
            await self._hub.stop()

    async def configure(self) -> None:
        """Apply the example's pack with the desk's and the dock's addresses."""
        pack = EXAMPLE / "pack"
        files = {path.relative_to(pack).as_posix(): path.read_text("utf-8") for path in sorted(pack.rglob("*.yaml"))}
        for name in ("from_dock", "to_dock"):
            (self.folder / "dock" / name).mkdir(parents=True)
        files["connections/desk.yaml"] = self._connection.replace("https://desk.moss.example", self.proxy.url)
        dock = files["connections/dock.yaml"]
        files["connections/dock.yaml"] = dock.replace("/srv/moss/dock", str(self.folder / "dock"))
        await self.hub.set_secret(TENANT, "desk-password", self._password)
        await self.hub.apply_pack(TENANT, files, "tester")
        await self.hub.settle()

    # -- doing

    async def release(self, number: str) -> None:
        """Release an order that has to leave within four hours."""
        document = {
            "number": number,
            "ordered_at": self.clock.now().isoformat(),
            "name": "Ada Moss",
            "city": "Omaha",
            "state": "NE",
            "zip": "68102",
            "lines": [{"line": 1, "item": "BENCH", "quantity": 2}],
        }
        offer = InboundOffer(TENANT, "office", json.dumps(document).encode(), "application/json", f"{number}.json", {})
        await self.hub.ingest_many([offer])
        await self.hub.settle()

    async def pass_time(self, minutes: float, *, settle: bool = True) -> None:
        """Let time pass in steps, as timers and polls become due."""
        until = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < until:
            self.clock.move_to(min(until, self.clock.now() + timedelta(minutes=5)))
            if settle:
                await self.hub.advance()
            else:
                await self.hub.tick()

    async def ship(self, number: str) -> None:
        """Let the dock ship what it was asked for."""
        document = {
            "shipment": f"D-{number}",
            "ref": f"{number}-1",
            "at": self.clock.now().isoformat(),
            "lines": [{"line": "1", "item": "BENCH", "quantity": "2"}],
        }
        inbox = self.folder / "dock/from_dock"
        (inbox / ".ship.part").write_text(json.dumps(document))
        (inbox / ".ship.part").rename(inbox / f"SHIP_{number}.json")
        await self.pass_time(5)

    # -- asking

    def order(self, number: str) -> OrderState:
        rows = self.hub.store.read_now(lambda connection: aggregates.load(connection, TENANT, "order", [number]))
        return msgspec.json.decode(rows[number][3], type=OrderState)

    def sends(self) -> list[tuple[str, str]]:
        """Return (state, last error) of every case that was to be sent."""
        sql = "select state from outbound_messages where tenant_id = ? and connection_id = 'desk' order by message_id"
        return [row[0] for row in self.hub.store.read_now(lambda connection: connection.query(sql, (TENANT,)))]


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for something that happens in another process."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    folder: Path, connection: str, password: str, proxy: HttpFaultProxy, *, doors: bool = False
) -> AsyncIterator[DeskWorld]:
    """Run the example's hub before a desk."""
    world = DeskWorld(folder, connection, password, proxy)
    await proxy.start()
    try:
        await world.start()
        if doors:
            await open_doors(world.hub)
        await world.configure()
        yield world
    finally:
        await world.stop()
        await proxy.stop()
