"""The partners: connectors in memory, each with a ledger of its own. Truth is what stands in here.

`erp`, `reno` act once for one identity and answer a repetition as they answered first. `kc` acts every time and can be
asked. `dock` acts every time and cannot be asked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from crossdock.errors import TransientError
from crossdock.sdk import CheckResult, FindResult, Outbound, Pulled, PushResult

if TYPE_CHECKING:
    from .world import World

IDEMPOTENT = ("erp", "reno")
ASKABLE = ("kc",)
_W05 = re.compile(rb"W05\*N\*([^*~]+)")
_OQ = re.compile(rb"N9\*OQ\*([^*~]+)")
_AK1 = re.compile(rb"AK1\*SW\*(\d+)")


class Act(msgspec.Struct):
    """One time a partner acted: on which effect, under which identity, at which virtual second."""

    key: str
    order: str
    identity: str
    message_id: str
    at: float
    content: bytes


class Ledger:
    """What one partner of one tenant did and saw."""

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant, self.name = tenant, name
        self.acts: list[Act] = []
        self.by_key: dict[str, list[Act]] = defaultdict(list)
        self.contents: dict[str, bytes] = {}
        self.identities: dict[str, set[str]] = defaultdict(set)
        self.changed: list[str] = []
        self.taken: set[str] = set()
        self.unsure: set[str] = set()
        self.refused: set[str] = set()
        self.pushes = 0
        self.stubborn = ""

    def see(self, outbound: Outbound, key: str) -> None:
        """Note an attempt, whatever becomes of it: identity and content belong together for ever."""
        self.pushes += 1
        before = self.contents.setdefault(outbound.identity, outbound.content)
        if before != outbound.content:
            self.changed.append(f"{self.tenant}/{self.name} {outbound.identity}: other content")
        self.identities[key].add(outbound.identity)

    def act(self, outbound: Outbound, key: str, order: str, at: float) -> bool:
        """Act, or not when this partner did already and promises once; tell whether it acted for the first time."""
        known = outbound.identity in self.taken
        if known and self.name in IDEMPOTENT:
            return False
        self.taken.add(outbound.identity)
        act = Act(key, order, outbound.identity, outbound.message_id, at, outbound.content)
        self.acts.append(act)
        self.by_key[key].append(act)
        return not known


def effect_of(content: bytes) -> tuple[str, str, str]:
    """Return (type, business key, order) of what was pushed."""
    if content.startswith(b"ISA"):
        if found := _W05.search(content):
            order = _OQ.search(content)
            return "ticket", found[1].decode(), order[1].decode() if order else ""
        number = _AK1.search(content)
        return "997", f"997/{number[1].decode() if number else '?'}", ""
    document = json.loads(content)
    return document["type"], str(document["key"]), str(document.get("order", ""))


class SimulatedConnector:
    """The hub's side of one connection, in one life of the hub."""

    def __init__(self, world: World, tenant: str, connection: str, life: int) -> None:
        self._world, self._tenant, self._connection, self._life = world, tenant, connection, life
        self._ledger = world.ledger(tenant, connection)

    async def check(self) -> CheckResult:
        return CheckResult(True, "simulated")

    async def pull(self) -> AsyncIterator[Pulled]:
        for pulled in ():
            yield pulled

    async def close(self) -> None:
        return None

    async def _travel(self) -> None:
        """Cross the network. Whoever's machine ended meanwhile never arrives anywhere."""
        world = self._world
        await asyncio.sleep(world.delay())
        if world.life != self._life:
            await asyncio.get_running_loop().create_future()

    async def push(self, outbound: Outbound) -> PushResult:
        world, ledger, faults = self._world, self._ledger, self._world.faults
        await self._travel()
        kind, key, order = effect_of(outbound.content)
        if world.partitioned(self._connection):
            raise TransientError("no route", code="XD-PTR-001")
        ledger.see(outbound, key)
        world.note("push", self._tenant, self._connection, key, outbound.identity, outbound.attempt)
        if self._stubborn(order or key) and faults.comes("stubborn"):
            return PushResult(
                "failed", error_class="partner", code="XD-PTR-001", http_status=503, detail="not this one"
            )
        if faults.comes("busy"):
            return PushResult("failed", error_class="partner", code="XD-PTR-001", http_status=503)
        if faults.comes("too_many"):
            seconds = faults.chance("too_many").choice((1.0, 30.0, 120.0))
            return PushResult(
                "failed", error_class="partner", code="XD-PTR-001", http_status=429, retry_after_seconds=seconds
            )
        if outbound.identity not in ledger.taken and faults.comes("gone"):
            ledger.refused.add(key)
            return PushResult("failed", permanent=True, error_class="partner", code="XD-PTR-002", http_status=410)
        if faults.comes("slow"):
            await asyncio.sleep(faults.chance("slow").uniform(0.5, 9.0))
        first = ledger.act(outbound, key, order, world.loop.moment)
        world.note("act", self._tenant, self._connection, key, first)
        early = faults.comes("early_callback")
        if first:
            world.acted(self._tenant, self._connection, kind, key, order, outbound, early=early)
        if early:
            await asyncio.sleep(2.0)
        return await self._answer(outbound, key)

    def _stubborn(self, order: str) -> bool:
        """Tell whether this is the one order that this partner does not take for now: the first it saw."""
        if "stubborn" not in self._world.plan.rates or not order:
            return False
        self._ledger.stubborn = self._ledger.stubborn or order
        return self._ledger.stubborn == order

    async def _answer(self, outbound: Outbound, key: str) -> PushResult:
        faults, ledger = self._world.faults, self._ledger
        if faults.comes("answer_lost"):
            ledger.unsure.add(key)
            return PushResult("unknown", error_class="unknown", code="XD-PTR-003", detail="the connection broke")
        if faults.comes("garbage"):
            ledger.unsure.add(key)
            return PushResult("unknown", error_class="unknown", code="XD-PTR-003", response=b"\x00<html>\xff" * 9)
        if faults.comes("hang"):
            ledger.unsure.add(key)
            await asyncio.sleep(60.0)
        if ledger.name in IDEMPOTENT and faults.comes("lie"):
            return PushResult("failed", error_class="partner", code="XD-PTR-001", http_status=500, detail="lied")
        await self._travel()
        return PushResult("done", reference=f"ref-{key}")

    async def find(self, outbound: Outbound) -> FindResult:
        world, ledger = self._world, self._ledger
        await self._travel()
        if world.faults.comes("find_fails") or world.partitioned(self._connection):
            raise TransientError("cannot be asked now", code="XD-PTR-001")
        world.note("find", self._tenant, self._connection, outbound.identity)
        if self._connection not in ASKABLE:
            return FindResult("cannot_tell", detail="no way to ask")
        return FindResult("found" if outbound.identity in ledger.taken else "absent")
