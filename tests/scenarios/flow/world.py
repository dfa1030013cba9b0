"""A whole hub with scripted partners and a clock that stands still, for the scenarios of the flow.

Holds the partners' side (what they were sent, what they answer) and short questions to the record.
Never decides what is right: the scenarios do.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.bootstrap import Hub
from crossdock.config import load_settings
from crossdock.connectors import registry
from crossdock.durable.identity import ManualClock
from crossdock.durable.states import DOCUMENT_ARROWS, MESSAGE_ARROWS, OUTBOUND_ARROWS, may_go
from crossdock.flow.ingest import InboundOffer, IngestAnswer
from crossdock.sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from crossdock.store import stock
from crossdock.store.engine import Connection

PACK = Path(__file__).parent / "pack"
START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
TABLES = (
    *("tenants", "releases", "active_releases", "audit", "payloads", "receipts", "inbound_messages", "documents"),
    *("interchanges", "events", "aggregates", "identifiers", "outbound_messages", "attempts", "control_numbers"),
    *("sent_sets", "timers", "issues", "exceptions", "inventory", "stock_reports", "connection_states"),
    *("amendments", "jobs", "job_items"),
)

# Compiled releases are kept by their id, for the whole process: no two worlds may make the same ids.
_SEEDS = itertools.count(1)

Answer = PushResult | Exception | Callable[[Outbound], PushResult]
DONE = PushResult("done")
BUSY = PushResult("failed", error_class="partner", code="XD-PTR-001", detail="503")
REFUSED = PushResult("failed", permanent=True, error_class="partner", code="XD-PTR-002", detail="422 unknown ship-to")
LOST_ANSWER = PushResult("unknown", error_class="unknown", code="XD-PTR-003", detail="the connection broke")


def busy_for(seconds: float) -> PushResult:
    """A 429 with Retry-After."""
    return msgspec.structs.replace(BUSY, retry_after_seconds=seconds, detail="429")


class ScriptedPartner:
    """A partner that keeps its own ledger: every push it saw, and the effects it took by their identity."""

    def __init__(self) -> None:
        self.pushed: list[Outbound] = []
        self.times: list[datetime] = []
        self.effects: dict[str, list[bytes]] = {}
        self.script: deque[Answer] = deque()
        self.always: Answer | None = None
        self.asked: list[str] = []
        self.find_answers: deque[FindResult] = deque()
        self.takes_effect = True
        self.gate: asyncio.Event | None = None
        self.clock: Any = None

    def answer(self, *answers: Answer) -> None:
        """Give these answers to the next pushes; after them everything is done."""
        self.script.extend(answers)

    async def check(self) -> CheckResult:
        return CheckResult(True, "scripted")

    async def pull(self) -> AsyncIterator[Pulled]:
        for pulled in ():
            yield pulled

    async def push(self, outbound: Outbound) -> PushResult:
        self.pushed.append(outbound)
        self.times.append(self.clock.now())
        if self.gate is not None:
            await self.gate.wait()
        answer = self.script.popleft() if self.script else self.always or DONE
        if callable(answer):
            answer = answer(outbound)
        if isinstance(answer, Exception):
            raise answer
        if answer.outcome == "done" or (answer.outcome == "unknown" and self.takes_effect):
            self.effects.setdefault(outbound.identity, []).append(outbound.content)
        return answer

    async def find(self, outbound: Outbound) -> FindResult:
        self.asked.append(outbound.identity)
        if self.find_answers:
            return self.find_answers.popleft()
        return FindResult("found" if outbound.identity in self.effects else "absent")

    async def close(self) -> None:
        return None

    # -- what the scenarios ask

    def documents(self) -> list[Any]:
        """Return the JSON documents pushed, in order."""
        return [json.loads(one.content) for one in self.pushed]

    def identities(self) -> list[str]:
        return [one.identity for one in self.pushed]

    def of_type(self, document_type: str) -> list[Outbound]:
        return [one for one in self.pushed if one.document_type == document_type]


def pack_files(tenant: str = "acme", **changed: str) -> dict[str, str]:
    """Return the files of the test pack for a tenant; `changed` replaces some (`__` stands for `/`, without .yaml)."""
    files = {path.relative_to(PACK).as_posix(): path.read_text() for path in PACK.rglob("*.yaml")}
    files["pack.yaml"] = files["pack.yaml"].replace("tenant: acme", f"tenant: {tenant}")
    for name, text in changed.items():
        files[name.replace("__", "/") + ".yaml"] = text
    return files


def with_line(files: dict[str, str], file: str, old: str, new: str) -> dict[str, str]:
    """Return the files with one replacement that must be possible."""
    assert old in files[file]
    return {**files, file: files[file].replace(old, new)}


class World:
    """One hub, its clock and its partners."""

    def __init__(self, url: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        self.directory = directory
        self.clock = ManualClock(START)
        self.partners: dict[tuple[str, str], ScriptedPartner] = {}
        self.settings = load_settings(
            environment={},
            overrides={
                "store.url": url,
                "security.root_key_file": str(directory / "root.key"),
                "store.reader_count": "2",
            },
        )
        self._hub: Hub | None = None
        monkeypatch.setattr(registry, "create", self._create)

    def _create(self, kind: str, context: ConnectorContext) -> ScriptedPartner:
        partner = self.partner(context.connection_id, context.tenant_id)
        partner.clock = self.clock
        return partner

    def partner(self, connection_id: str, tenant: str = "acme") -> ScriptedPartner:
        return self.partners.setdefault((tenant, connection_id), ScriptedPartner())

    @property
    def hub(self) -> Hub:
        assert self._hub is not None
        return self._hub

    # -- life

    async def start(self) -> Hub:
        """Start a hub on the record, with the ids of a new process."""
        self._hub = await Hub.start(self.settings, clock=self.clock, ids_seed=next(_SEEDS))
        return self._hub

    async def kill(self) -> None:
        """End the hub as a killed process ends: nothing in memory is finished, nothing more is written."""
        hub, self._hub = self.hub, None
        if hub.pipeline._book_timer is not None:
            hub.pipeline._book_timer.cancel()
        tasks = [*hub.sender._tasks, *hub._chores, *([hub.pipeline._task] if hub.pipeline._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(hub.store.close)

    async def restart(self) -> Hub:
        await self.kill()
        return await self.start()

    async def stop(self) -> None:
        if self._hub is not None:
            for partner in self.partners.values():
                if partner.gate is not None:
                    partner.gate.set()
            hub, self._hub = self._hub, None
            await hub.stop()

    # -- doing

    async def apply(self, tenant: str = "acme", files: Mapping[str, str] | None = None) -> None:
        await self.hub.apply_pack(tenant, files or pack_files(tenant), "tester")

    async def stock(self, tenant: str = "acme", **sites: dict[str, int]) -> None:
        rows = [
            (tenant, site, sku, Decimal(n), Decimal(0), None, 1)
            for site, skus in sites.items()
            for sku, n in skus.items()
        ]
        await self.hub.store.write(lambda connection: stock.save(connection, rows))

    async def hand_in(
        self, connection_id: str, content: Any, *, tenant: str = "acme", settle: bool = True, **offer: Any
    ) -> IngestAnswer:
        """Hand in one message; anything but bytes is written as JSON."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        answer = await self.hub.ingest(InboundOffer(tenant, connection_id, raw, **offer))
        if settle:
            await self.hub.settle()
        return answer

    async def later(self, **delay: float) -> None:
        """Move the clock and run what has become due."""
        self.clock.move_to(self.clock.now() + timedelta(**delay))
        await self.hub.advance()

    # -- asking

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return self.hub.store.read_now(lambda connection: connection.query(sql, parameters))

    def column(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return [row[0] for row in self.query(sql, parameters)]

    def document_states(self, message_id: str, tenant: str = "acme") -> list[str]:
        return self.column(
            "select state from documents where tenant_id = ? and message_id = ? order by position, document_id",
            (tenant, message_id),
        )

    def message_state(self, message_id: str, tenant: str = "acme") -> str:
        (state,) = self.column(
            "select state from inbound_messages where tenant_id = ? and message_id = ?", (tenant, message_id)
        )
        return str(state)

    def issues(self, state: str = "open", tenant: str = "acme") -> list[str]:
        """Return the codes of the issues in a state."""
        return self.column(
            "select code from issues where tenant_id = ? and state = ? order by issue_id", (tenant, state)
        )

    def issue_id(self, code: str, tenant: str = "acme") -> str:
        (found,) = self.column(
            "select issue_id from issues where tenant_id = ? and code = ? and state = 'open'", (tenant, code)
        )
        return str(found)

    def outbound(self, connection_id: str, tenant: str = "acme") -> list[tuple[str, str]]:
        """Return (document type, state) of everything made for a connection, in the order it was made."""
        return self.query(
            "select document_type, state from outbound_messages where tenant_id = ? and connection_id = ?"
            " order by message_id",
            (tenant, connection_id),
        )

    def dump(self) -> dict[str, list[Any]]:
        """Return every row of the record."""

        def read(connection: Connection) -> dict[str, list[Any]]:
            return {table: sorted(map(repr, connection.query(f"select * from {table}"))) for table in TABLES}

        return self.hub.store.read_now(read)


# -- papers


def order(number: str, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
    """An order of the ERP: lines are (item, quantity)."""
    body = [
        {"no": str(place), "item": item, "qty": quantity}
        for place, (item, quantity) in enumerate(lines or (("HAMMER", 5),), 1)
    ]
    return {"type": "order", "number": number, "name": "Blue Fern Cafe", "zip": "89501", "lines": body, **more}


def shipment(number: str, order_number: str, *, quantity: int = 5, **more: Any) -> dict[str, Any]:
    """A ship confirmation of Reno for the first fulfillment of an order."""
    lines = [{"no": "1", "sku": "H-100", "qty": quantity}]
    return {
        "number": number,
        "ticket": f"{order_number}-1",
        "order": order_number,
        "tracking": f"1Z{number}",
        "lines": lines,
        **more,
    }


_ISA = "ISA*00*          *00*          *ZZ*{sender:<15}*ZZ*ACME           *261123*{time}*U*00401*{number:09d}*0*P*>~"


def x12_945(
    *shipments: tuple[str, str],
    control_number: int = 1,
    bad: Sequence[int] = (),
    quantity: int = 5,
    sender: str = "KC3PL",
) -> bytes:
    """An interchange of 945s, (shipment, fulfillment) each; the sets at the places in `bad` miscount their segments."""
    sets = []
    for place, (number, fulfillment) in enumerate(shipments):
        body = [
            f"ST*945*{place + 1:04d}",
            f"W06*F*{fulfillment}*20261123*{number}",
            "N1*WH*Kansas City*92*KC",
            "G62*11*20261123",
            "W27*M*UPSN",
            "LX*1",
            f"W12*CC*{quantity}*{quantity}**EA**VN*D-200",
            "N9*LI*1",
            f"W03*{quantity}*10*LB",
        ]
        sets.append("~".join([*body, f"SE*{len(body) + 1 + (7 if place in bad else 0)}*{place + 1:04d}"]))
    head = _ISA.format(sender=sender, time="0900", number=control_number)
    group = f"GS*SW*{sender}*ACME*20261123*0900*{control_number}*X*004010~"
    return (head + group + "~".join(sets) + f"~GE*{len(sets)}*{control_number}~IEA*1*{control_number:09d}~").encode()


def x12_997(
    group: int, code: str = "A", *, control_number: int = 500, functional_id: str = "OW", set_code: str = "940"
) -> bytes:
    """A partner's acknowledgment of one group of ours with one set."""
    head = _ISA.format(sender="KC3PL", time="0930", number=control_number)
    detail = "" if code == "A" else "AK3*W66*5**8~AK4*1**7*XX~"
    group_code = "A" if code == "A" else "R"
    counts = "1*1*1" if code == "A" else "1*1*0"
    set_answer = f"AK2*{set_code}*0001~{detail}AK5*{code}{'' if code == 'A' else '*5'}~"
    body = f"ST*997*0001~AK1*{functional_id}*{group}~{set_answer}AK9*{group_code}*{counts}~"
    segments = body.count("~") + 1
    return (
        f"{head}GS*FA*KC3PL*ACME*20261123*0930*{control_number}*X*004010~{body}SE*{segments}*0001~"
        f"GE*1*{control_number}~IEA*1*{control_number:09d}~"
    ).encode()


# -- legal states

_WATCHED = {"inbound_messages": MESSAGE_ARROWS, "documents": DOCUMENT_ARROWS, "outbound_messages": OUTBOUND_ARROWS}


def watch_states(connection: Connection) -> None:
    """Have the database itself write down every change of a state."""
    connection.execute("create table if not exists seen_arrows (noun text, went text, came text)")
    for table in _WATCHED:
        if connection.engine == "sqlite":
            connection.execute(
                f"create trigger if not exists {table}_seen after update of state on {table}"
                f" when old.state <> new.state begin"
                f" insert into seen_arrows values ('{table}', old.state, new.state); end"
            )
        else:
            connection.execute(
                f"create or replace function {table}_seen() returns trigger language plpgsql"
                f" as $$ begin insert into seen_arrows values ('{table}', old.state, new.state); return new; end $$"
            )
            connection.execute(
                f"create or replace trigger {table}_seen after update of state on {table} for each row"
                f" when (old.state <> new.state) execute function {table}_seen()"
            )


def illegal_arrows(seen: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield every change of a state that no arrow allows."""
    for noun, went, came in seen:
        if not may_go(_WATCHED[noun], went, came):
            yield f"{noun}: {went} -> {came}"
