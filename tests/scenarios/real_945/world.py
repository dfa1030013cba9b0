"""A hub with its doors open, the ERP simulator behind it, and a partner's folder: everything over real wires.

The configuration is the example pack `examples/foreign-945`, with the sample's own addresses put in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.durable.identity import ManualClock
from crossdock.processes.order_state import OrderState
from crossdock.simulator.clock import Timeline
from crossdock.simulator.erp import Erp
from crossdock.simulator.ledger import Entry
from crossdock.simulator.wire import Door, bearer, ingest_url
from crossdock.store import aggregates, payloads
from crossdock.web.server import open_doors
from tests.scenarios.real_945.advices import Advice

PACK = Path(__file__).parents[3] / "examples/foreign-945/pack"
TENANT = "maple-row"
ERP_TOKEN = "token-of-the-erp"
START = datetime(2026, 3, 16, 14, 0, tzinfo=UTC)


class Answer(NamedTuple):
    """A 997 as the partner reads it: AK5 and AK9 with their errors, and (segment, element, error) of AK3 and AK4."""

    set_code: str
    of_set: frozenset[str]
    group_code: str
    of_group: frozenset[str]
    elements: frozenset[tuple[str, str, str]]


def pack_files() -> dict[str, str]:
    """Return the files of the example pack."""
    return {path.relative_to(PACK).as_posix(): path.read_text("utf-8") for path in sorted(PACK.rglob("*.yaml"))}


def with_text(files: dict[str, str], file: str, *pairs: tuple[str, str]) -> dict[str, str]:
    """Return the files with texts replaced in one of them, each of which must be there."""
    text = files[file]
    for old, new in pairs:
        assert old in text, (file, old)
        text = text.replace(old, new)
    return {**files, file: text}


def agreed_with(advice: Advice, files: dict[str, str]) -> dict[str, str]:
    """Return the example pack as an analyst would fill it in for the sender of an advice."""
    files = with_text(
        files,
        "connections/ferndale.yaml",
        ('us: "ZZ:MAPLEROW"', f'us: "{advice.us}"'),
        ('them: "ZZ:FERNDALE"', f'them: "{advice.them}"'),
        ('version: "004010"', f'version: "{advice.version}"'),
        ("usage: P", f"usage: {advice.usage}"),
    )
    return files | {
        "lookups/items.yaml": _table("items", advice.items),
        "lookups/places.yaml": _table("places", dict.fromkeys(advice.places, "FERNDALE")),
    }


def _table(name: str, rows: dict[str, str]) -> str:
    encoded = "".join(f'  "{key}": {value}\n' for key, value in rows.items())
    return f"table: {name}\nrows:\n{encoded}" if rows else f"table: {name}\nrows: {{}}\n"


class World:
    """The tenant of the example, its ERP and its warehouse's folder."""

    def __init__(self, hub: Hub, clock: ManualClock, erp: Erp, folder: Path) -> None:
        self.hub = hub
        self.clock = clock
        self.erp = erp
        self.inbox, self.outbox = folder / "to-maple", folder / "to-ferndale"

    # -- doing

    async def release(self, number: str, lines: Sequence[tuple[str, str, Decimal, str]]) -> None:
        """Have the ERP release an order through the hub's door: lines are (number, SKU, quantity, unit)."""
        rows = [{"line": no, "item": sku, "qty": str(quantity), "uom": uom} for no, sku, quantity, uom in lines]
        address = {"name": "Oak Street Kitchens", "city": "Omaha", "state": "NE", "zip": "68102"}
        order = {"orderNo": number, "customerName": "Oak Street Kitchens", "shipTo": address, "lines": rows}
        document = {"documentType": "SalesOrderRelease", "order": {**order, "releasedAt": self.clock.now().isoformat()}}
        assert self.erp.door is not None
        await self.erp.door.tell(document, f"erp-{number}")
        await self.hub.settle()

    async def drop(self, name: str, raw: bytes) -> None:
        """Leave a file in the folder as the warehouse does, and let the hub's next poll come."""
        partial = self.inbox / f"{name}.tmp"
        partial.write_bytes(raw)
        partial.rename(self.inbox / name)
        self.clock.move_to(self.clock.now() + timedelta(seconds=60))
        await self.hub.advance()

    # -- asking

    def postings(self) -> list[Entry]:
        """Return what the ERP wrote down as shipped."""
        return list(self.erp.ledger.of("posting"))

    def order(self, number: str) -> OrderState:
        """Return an order as the process knows it."""
        rows = self.hub.store.read_now(lambda connection: aggregates.load(connection, TENANT, "order", [number]))
        return msgspec.json.decode(rows[number][3], type=OrderState)

    def rows(self, sql: str) -> list[Any]:
        """Return rows of the tenant; `?` is its id."""
        return self.hub.store.read_now(lambda connection: connection.query(sql, (TENANT,)))

    def received(self, column: str = "state") -> list[str]:
        """Return the states (or another column) of the files that came from the warehouse, in order."""
        where = "tenant_id = ? and connection_id = 'ferndale' order by message_id"
        return [row[0] for row in self.rows(f"select {column} from inbound_messages where {where}")]

    def papers(self) -> list[str]:
        """Return the states of the 945s read, in order."""
        sql = "select state from documents where tenant_id = ? and type = 'x12:945' order by document_id"
        return [row[0] for row in self.rows(sql)]

    def issues(self) -> list[str]:
        """Return the codes of the open issues."""
        return [row[0] for row in self.rows("select code from issues where tenant_id = ? and state = 'open'")]

    def issue_id(self, code: str) -> str:
        rows = self.rows("select issue_id, code from issues where tenant_id = ? and state = 'open'")
        (found,) = [row[0] for row in rows if row[1] == code]
        return str(found)

    def kept_bytes(self) -> bytes:
        """Return the bytes kept of the first file from the warehouse."""
        message_id = self.received("message_id")[0]
        return self.hub.store.read_now(lambda connection: payloads.load(connection, TENANT, [message_id]))[message_id]

    def written(self, functional_id: str) -> dict[str, str]:
        """Return the interchanges the warehouse finds for it, of one functional group: file name → text."""
        files = {path.name: path.read_text("utf-8") for path in sorted(self.outbox.glob("*.edi"))}
        return {name: text for name, text in files.items() if f"~GS*{functional_id}*" in text.replace("\n", "")}

    def answers(self) -> list[Answer]:
        """Return the 997s in the folder, read without the codec."""
        return [read_answer(text) for text in self.written("FA").values()]


def read_answer(text: str) -> Answer:
    """Read a 997 with nothing but `split`."""
    segment, elements = "", set()
    found: dict[str, list[str]] = {}
    for one in text.split("~"):
        parts = one.strip().split("*")
        found[parts[0]] = parts[1:]
        if parts[0] == "AK3":
            segment = parts[1]
        elif parts[0] == "AK4":
            elements.add((segment, parts[1], parts[3]))
    ak5, ak9 = found["AK5"], found["AK9"]
    return Answer(ak5[0], frozenset(ak5[1:]), ak9[0], frozenset(ak9[4:]), frozenset(elements))


@asynccontextmanager
async def running(folder: Path, files: dict[str, str]) -> AsyncIterator[World]:
    """Run a hub of the pack on SQLite, its web door open on loopback, the ERP listening, the folder there."""
    clock = ManualClock(START)
    settings = load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{folder.absolute()}/hub.db",
            "web.port": 0,
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            "security.folder_root": str(folder / "shared"),
        },
    )
    erp = Erp(Timeline(clock), ERP_TOKEN)
    hub = await Hub.start(settings, clock=clock, ids_seed=1)
    shared = folder / "shared"
    for name in ("to-maple", "to-ferndale"):
        (shared / name).mkdir(parents=True)
    async with aiohttp.ClientSession() as session:
        try:
            await erp.service.start()
            await open_doors(hub)
            files = with_text(files, "connections/erp.yaml", ("https://erp.maple-row.example", erp.service.url))
            files = with_text(files, "connections/ferndale.yaml", ("/srv/maple-row/ferndale", str(shared)))
            await hub.set_secret(TENANT, "erp-token", ERP_TOKEN)
            await hub.apply_pack(TENANT, files, "analyst")
            key = await hub.create_key(TENANT, "partner", "erp")
            erp.door = Door(session, Timeline(clock), erp.ledger, ingest_url(hub.url, TENANT, "erp"), bearer(key))
            yield World(hub, clock, erp, shared)
        finally:
            await hub.stop()
            await erp.service.stop()
