"""One simulated day of one seed: the hub on its machine, tenants, senders, partners, operators, and what breaks.

safety     everything happens, faults come
liveness   faults stop; within bounded virtual time everything settles, or is dead or held and told
audit      ledgers and journals are compared (audit.py)
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import random
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import apsw
import msgspec

from crossdock.durable.identity import ManualClock
from crossdock.errors import CrossdockError
from crossdock.flow.ingest import InboundOffer
from crossdock.flow.stages import Stages
from crossdock.store.engine import Connection, StoreUnavailable
from tests.scenarios.flow.world import watch_states

from . import machine as machines
from .audit import Verdict, held_up, judge, settled
from .clockwork import START, VirtualLoop, in_life, run
from .disk import Disk
from .faults import Faults, Plan
from .machine import Machine, NoAnswer
from .pack import ITEMS, SITES, STOCK, TENANTS, files, x12_945
from .partners import Ledger
from .record import FILE, InlineStore

LIVENESS_SECONDS_MAX = 3600.0
MINUTE = 60.0
KILLER = b"kills its worker"


class Paper(msgspec.Struct):
    """Something a sender offers until it is acknowledged: always the same bytes under the same identity."""

    tenant: str
    connection: str
    key: str
    content: bytes
    kind: str
    number: str
    order: str = ""
    acknowledged: int = 0
    acknowledged_at: float = 1e12
    answers: list[tuple[str, str]] = []


class World:
    """See the module."""

    def __init__(self, plan: Plan) -> None:
        machines.install()
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.loop = VirtualLoop()
        self.life = 0
        self.faults = Faults(plan)
        self.tenants = TENANTS[: plan.tenants]
        self.papers: dict[tuple[str, str, str], Paper] = {}
        self.violations: list[str] = []
        self.damaged: set[str] = set()
        # Those, and the one whose damage may or may not have reached the disk: its write failed in doubt.
        self.touched: set[str] = set()
        self.events = 0
        self.trace: list[str] | None = None
        self._hash = hashlib.sha256()
        self._ledgers: dict[tuple[str, str], Ledger] = {}
        self._partitions: dict[str, float] = {}
        self._senders: set[asyncio.Task[Any]] = set()
        self._numbers = dict.fromkeys(self.tenants, 0)
        self._control = 1000
        self.checkpoint_pages = self.chance.choice((8, 40, 200, 8000))
        self._full_until = -1.0
        # After a failed fsync, and until the next start has settled the log, a power cut is more than is promised.
        self.log_in_doubt = False
        self.set_back = 0.0
        self._changes = 0

    # -- what parts of the world tell and ask

    def note(self, *words: Any) -> None:
        """Enter what happened into the trace: its hash is the identity of the run."""
        self.events += 1
        line = f"{self.loop.moment:.6f} {' '.join(map(str, words))}"
        self._hash.update(line.encode())
        if self.trace is not None:
            self.trace.append(line)

    def ledger(self, tenant: str, connection: str) -> Ledger:
        return self._ledgers.setdefault((tenant, connection), Ledger(tenant, connection))

    def delay(self) -> float:
        """Return how many seconds one way takes."""
        base = self.chance.uniform(0.001, 0.05)
        return base + (self.chance.uniform(0.1, 5.0) if self.faults.comes("delay", 0.3) else 0.0)

    def partitioned(self, place: str) -> bool:
        return self._partitions.get(place, -1.0) > self.loop.moment

    def outside(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that is no part of any machine."""
        return self.loop.create_task(coroutine, context=in_life(0))

    # -- the disk

    def at_write(self, file: str, number: int) -> None:
        # SQLite bears with a checkpoint that fails after the commit; the Python door to it cannot: only the log breaks.
        if self._full_until > self.loop.moment and file.endswith("-wal"):
            raise apsw.FullError("no space left")
        if not self.faults.on:
            return
        if self.faults.comes("crash_at_write"):
            self.machine.die_soon(self.faults.chance("crash_at_write").choice(("kill", "power")))
        elif file.endswith("-wal") and self.faults.comes("disk_full", 0.02):
            self._full_until = self.loop.moment + self.faults.chance("disk_full").choice((0.1, 5.0, 60.0))
            raise apsw.FullError("no space left")

    def at_sync(self, file: str) -> None:
        if self.faults.on and file.endswith("-wal") and self.faults.comes("fsync_error"):
            # What was waiting for this sync may never be durable, whatever later syncs say.
            inode = self.machine.disk.files[file]
            self.log_in_doubt = True
            inode.pending = [one for one in inode.pending if self.chance.random() < 0.5]
            raise apsw.IOError("fsync failed")

    def at_commit(self, when: str) -> None:
        if not self.faults.on:
            return
        if when == "before" and self.faults.comes("crash_before_commit"):
            self.machine.die_soon("kill")
        elif when == "after" and self.faults.comes("crash_after_commit"):
            self.machine.die_soon(self.faults.chance("crash_after_commit").choice(("kill", "power")))

    # -- senders

    def send(self, paper: Paper, after: float = 0.0) -> None:
        """Offer a paper until it is acknowledged."""
        self.papers[(paper.tenant, paper.connection, paper.key)] = paper
        self._spawn(self._offer(paper, after))
        if self.faults.comes("duplicate"):
            self._spawn(
                self._offer(paper, after + self.faults.chance("duplicate").choice((0.0, 0.01, 3.0, 90.0, 420.0)))
            )

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self.outside(coroutine)
        self._senders.add(task)
        task.add_done_callback(self._senders.discard)

    def senders_busy(self) -> bool:
        return bool(self._senders)

    async def _offer(self, paper: Paper, after: float) -> None:
        await asyncio.sleep(after)
        offer = InboundOffer(
            paper.tenant, paper.connection, paper.content, headers={"idempotency-key": paper.key}, name=paper.key
        )
        pause = 0.5
        while True:
            try:
                answer = await self._ask_once(offer)
                break
            except (NoAnswer, CrossdockError) as error:
                self.note("refused", paper.tenant, paper.connection, paper.key, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30.0)
        self.note("acknowledged", paper.tenant, paper.connection, paper.key, answer.message_id, answer.state)
        paper.acknowledged += 1
        paper.acknowledged_at = min(paper.acknowledged_at, self.loop.moment)
        paper.answers = [*paper.answers, (answer.message_id, answer.state)]

    async def _ask_once(self, offer: InboundOffer) -> Any:
        await asyncio.sleep(self.delay())
        if self.partitioned("door") or self.faults.comes("request_cut", 0.5):
            raise NoAnswer
        answer = await self.machine.call(lambda hub: hub.ingest(offer))
        if self.faults.comes("ack_lost"):
            raise NoAnswer
        await asyncio.sleep(self.delay())
        return answer

    def order(self, tenant: str, item: str | None = None, after: float = 0.0) -> None:
        self._numbers[tenant] += 1
        number = f"SO-{self._numbers[tenant]}"
        item = item or self.chance.choice(list(ITEMS))
        line = {"no": "1", "item": item, "qty": self.chance.randint(1, 9)}
        document = {"type": "order", "number": number, "name": f"CANARY-{tenant}", "lines": [line]}
        paper = Paper(tenant, "erp", number, json.dumps(document).encode(), "order", number, number)
        self.send(paper, after)
        if self.faults.comes("bad_paper"):
            self.bad_paper(tenant, after)

    def bad_paper(self, tenant: str, after: float) -> None:
        """A paper that can never be applied, or (poison) one that ends the process that looks at it."""
        self._changes += 1
        poison = self.faults.comes("poison", 10.0)
        content = KILLER if poison else self.chance.choice((b"{", b'{"type":"order"}', b"[1]", b"\xff\x00", b""))
        key = f"bad-{self._changes}"
        self.send(Paper(tenant, "erp", key, content, "poison" if poison else "bad", key), after)

    # -- what partners do after they acted

    def acted(
        self, tenant: str, site: str, kind: str, key: str, order: str, outbound: Any, *, early: bool = False
    ) -> None:
        """A site that got a ticket ships: it confirms, and the carrier reports."""
        if kind != "ticket":
            return
        chance = self.chance
        after = 0.0 if early else chance.uniform(0.5, 40.0)
        shipment, sku = f"S-{key}", next(sku for sku, name in SITES.items() if name == site)
        tracking = f"1Z-{key}"
        quantity = self._quantity(tenant, order)
        connection, content = site, b""
        if site == "kc":
            self._control += 1
            content = x12_945(shipment, key, sku, quantity, self._control)
            tracking = ""
        elif site == "reno" and chance.random() < 0.3:
            connection = "rows"
            content = (
                f"SHIPMENT,TICKET,TRACKING,LINE,SKU,QTY\n{shipment},{key},{tracking},1,{sku},{quantity}\n".encode()
            )
        else:
            content = _shipment(shipment, key, sku, quantity, tracking)
        # The same identities as at other doors: a receipt holds for one door only.
        name = order if site != "kc" else f"k-{self._control}"
        self.send(Paper(tenant, connection, name, content, "shipment", shipment, order), after)
        if self.faults.comes("repeated_confirmation"):
            again = content
            if site == "kc":
                self._control += 1
                again = x12_945(shipment, key, sku, quantity, self._control)
            self.send(Paper(tenant, connection, f"again-{name}", again, "again", shipment, order), after + 20.0)
        if chance.random() < 0.5:
            self._adjust(tenant, site, sku, key, after)
        self._report(tenant, shipment, tracking, order, after)

    def _quantity(self, tenant: str, order: str) -> int:
        return int(json.loads(self.papers[(tenant, "erp", order)].content)["lines"][0]["qty"])

    def _adjust(self, tenant: str, site: str, sku: str, key: str, after: float) -> None:
        connection = "kcstock" if site == "kc" else site
        number = f"ADJ-{key}"
        document = {
            "type": "adjustment",
            "number": number,
            "site": site.upper(),
            "lines": [{"sku": sku, "delta": self.chance.randint(1, 50)}],
        }
        content = json.dumps(document).encode()
        self.send(Paper(tenant, connection, number, content, "adjustment", number), after)
        if self.faults.comes("repeated_confirmation"):
            self.send(Paper(tenant, connection, f"again-{number}", content, "again", number), after + 5.0)

    def _report(self, tenant: str, shipment: str, tracking: str, order: str, after: float) -> None:
        """The carrier's milestones; some come before the shipment they are about is known."""
        for code, later in (("in_transit", 30.0), ("delivered", 60.0)):
            when = 0.0 if self.faults.comes("early_milestone") else after + later + self.chance.uniform(0, 20)
            at = (START + timedelta(seconds=self.loop.moment + later)).strftime("%Y-%m-%dT%H:%M:%SZ")
            document = {"code": code, "at": at, "tracking": tracking, "shipment": shipment}
            if code == "delivered":
                document["signed_by"] = "Ada Moss"
            key = f"m-{shipment}-{code}"
            paper = Paper(tenant, "ups", key, json.dumps(document).encode(), code, shipment, order)
            self.send(paper, when)

    # -- the phases

    async def main(self) -> Verdict:
        self.machine = Machine(self, Disk(template()))
        keeper = self.outside(self.machine.run())
        await self.machine.up()
        self.faults.on = True
        self._open_business()
        for _ in range(int(self.plan.minutes)):
            await self._one_minute()
        self.violations += held_up(self)
        self.faults.on = False
        self._full_until = -1.0
        self._partitions.clear()
        self.note("calm")
        await self._calm_down()
        verdict = await judge(self)
        if keeper.done() and keeper.exception() is not None:
            raise keeper.exception()  # type: ignore[misc]
        return verdict

    def _open_business(self) -> None:
        for tenant in self.tenants:
            for _ in range(self.plan.orders):
                self.order(tenant, after=self.chance.uniform(0, self.plan.minutes * MINUTE * 0.6))

    async def _one_minute(self) -> None:
        """What comes once in a while: each at a moment of its own within the minute."""
        faults, chance = self.faults, self.chance
        happening = [kind for kind in _HAPPENINGS if faults.comes(kind)]
        moments = sorted((chance.uniform(0, MINUTE), kind) for kind in happening)
        began = self.loop.moment
        for second in range(int(MINUTE)):
            while moments and began + moments[0][0] <= self.loop.moment:
                kind = moments.pop(0)[1]
                self.note("fault", kind)
                await _HAPPENINGS[kind](self)
            await asyncio.sleep(max(0.0, began + second + 1 - self.loop.moment))
            self.machine.watch()

    async def _calm_down(self) -> None:
        """Without faults everything settles within bounded virtual time."""
        ends = self.loop.moment + LIVENESS_SECONDS_MAX + self.set_back
        replayed = False
        while self.loop.moment < ends:
            await asyncio.sleep(20.0)
            self.machine.watch()
            if not self.machine.is_up or self.senders_busy():
                continue
            if not settled(self):
                continue
            if replayed:
                return
            replayed = True
            await self._operators_settle()
        self.violations.append("unsettled: not everything settled after the faults stopped")

    async def _operators_settle(self) -> None:
        """What a person does at the end of the day: missing codes are added, refused papers are sent again."""
        for tenant in self.tenants:
            await self.machine.call(functools.partial(_operate, tenant=tenant))

    def result(self) -> str:
        return self._hash.hexdigest()


async def _operate(hub: Any, tenant: str) -> None:
    if "SAW" not in hub.configuration(tenant).lookups["items"]:
        await hub.tenancy.apply_pack(tenant, files(tenant), "operator", "")
    dead = hub.store.read_now(
        lambda connection: connection.query(
            "select distinct i.issue_id from issues i where i.tenant_id = ? and i.state = 'open' and i.code in (?, ?)",
            (tenant, "XD-PTR-001", "XD-PTR-002"),
        )
    )
    for (issue_id,) in dead:
        await hub.replay(tenant, ReplayAsked(issue_id=issue_id))


class ReplayAsked(msgspec.Struct):
    message_ids: tuple[str, ...] = ()
    issue_id: str = ""
    under: str = "original"
    actor: str = "operator"
    reason: str = "simulation"
    dry_run: bool = False


def _shipment(number: str, ticket: str, sku: str, quantity: int, tracking: str) -> bytes:
    line = {"no": "1", "sku": sku, "qty": quantity}
    document = {"type": "shipment", "number": number, "ticket": ticket, "tracking": tracking, "lines": [line]}
    return json.dumps(document).encode()


# -- what happens to the machine and what operators do


async def _kill(world: World) -> None:
    if world.machine.is_up:
        world.machine.end("kill")


async def _power(world: World) -> None:
    if world.machine.is_up:
        world.machine.end("power")


async def _stop(world: World) -> None:
    await world.machine.stop()


async def _pause(world: World) -> None:
    world.loop.pause(world.faults.chance("pause").choice((3.0, 20.0, 90.0)))


async def _step_clock(world: World) -> None:
    step = world.faults.chance("clock_step").choice((-7200, -30, 30, 3600, 86_400))
    # Retries are due by the wall clock: setting it back delays them by as much, which the bound allows for.
    world.set_back += max(0, -step)
    world.machine.clock.off += timedelta(seconds=step)


async def _partition(world: World) -> None:
    chance = world.faults.chance("partition")
    place = chance.choice(("door", "erp", "reno", "kc", "dock"))
    world._partitions[place] = world.loop.moment + chance.choice((5.0, 30.0, 120.0))


async def _burst(world: World) -> None:
    tenant = world.faults.chance("burst").choice(world.tenants)
    for _ in range(20):
        world.order(tenant, after=world.chance.uniform(0, 1.0))


async def _flip(world: World) -> None:
    """One bit of a stored payload that is still needed changes at rest. One in a run: that is the budget."""
    if world.machine.store is None or world.touched:
        return
    try:
        damaged = world.machine.store.write_now(lambda connection: _flip_one(connection, world))
    except StoreUnavailable:
        return
    if damaged:
        world.damaged.add(damaged)
        world.note("flipped", damaged)
        world.machine.end("kill")


def _flip_one(connection: Connection, world: World) -> str:
    rows = connection.query(
        "select p.tenant_id, p.message_id, p.content from payloads p join outbound_messages o"
        " on o.tenant_id = p.tenant_id and o.message_id = p.message_id"
        " where o.state in ('pending', 'unknown', 'sending') union all"
        " select p.tenant_id, p.message_id, p.content from payloads p join inbound_messages i"
        " on i.tenant_id = p.tenant_id and i.message_id = p.message_id where i.state = 'received'"
    )
    rows = [row for row in rows if row[2]]
    if not rows:
        return ""
    tenant, message_id, content = world.chance.choice(sorted(rows))
    changed = bytearray(content)
    world.touched.add(str(message_id))
    changed[world.chance.randrange(len(changed))] ^= 1 << world.chance.randrange(8)
    connection.execute(
        "update payloads set content = ? where tenant_id = ? and message_id = ?", (bytes(changed), tenant, message_id)
    )
    return str(message_id)


async def _called(world: World, work: Any) -> None:
    try:
        await world.machine.call(work)
    except (NoAnswer, CrossdockError) as error:
        world.note("operator refused", type(error).__name__)


async def _release(world: World) -> None:
    tenant = world.faults.chance("release").choice(world.tenants)
    world._changes += 1
    note = f" {world._changes % 3}"
    await _called(world, lambda hub: hub.apply_pack(tenant, files(tenant, note=note), "operator"))


async def _missing_code(world: World) -> None:
    """Orders come with an item that the active release does not know; they are held until it does."""
    tenant = world.faults.chance("missing_code").choice(world.tenants)
    await _called(world, lambda hub: hub.apply_pack(tenant, files(tenant, items=("HAMMER", "DRILL")), "operator"))
    world.order(tenant, "SAW", after=1.0)


async def _replay(world: World) -> None:
    """An operator runs some messages again, twice."""
    tenant = world.faults.chance("replay").choice(world.tenants)
    known = [answer[0] for paper in world.papers.values() for answer in paper.answers if paper.tenant == tenant]
    if known:
        asked = ReplayAsked(message_ids=tuple(sorted(set(world.chance.sample(known, min(4, len(known)))))))
        for _ in range(2):
            await _called(world, lambda hub: hub.replay(tenant, asked))


async def _pause_connection(world: World) -> None:
    chance = world.faults.chance("pause_connection")
    tenant, place = chance.choice(world.tenants), chance.choice(("erp", "reno", "kc"))
    seconds = chance.choice((5.0, 40.0))

    async def hold(hub: Any, *, paused: bool) -> None:
        hub.sender.pause(tenant, place, paused)

    async def for_a_while() -> None:
        await _called(world, functools.partial(hold, paused=True))
        await asyncio.sleep(seconds)
        await _called(world, functools.partial(hold, paused=False))

    world.outside(for_a_while())


_HAPPENINGS = {
    "kill": _kill,
    "power": _power,
    "stop": _stop,
    "pause": _pause,
    "clock_step": _step_clock,
    "partition": _partition,
    "burst": _burst,
    "bit_flip": _flip,
    "release": _release,
    "missing_code": _missing_code,
    "replay": _replay,
    "pause_connection": _pause_connection,
}


def _die_of_poison(work: Any) -> Any:
    """Have a killer end the process that looks at it, as an endless allocation or a crashing codec would."""

    def looked_at(self: Stages, connection: Connection, stored: list[Any], *more: Any) -> Any:
        world = machines._building[0] if machines._building else None
        if world is not None and any(one.content == KILLER for one in stored):
            world.note("poisoned")
            world.machine.die_soon("kill")
        return work(self, connection, stored, *more)

    return looked_at


Stages.work = _die_of_poison(Stages.work)  # type: ignore[method-assign]


@functools.cache
def template() -> dict[str, bytes]:
    """Return a disk with a migrated record in which every tenant has its pack and its stock. Made once a process."""
    machines.install()
    loop = VirtualLoop()
    disk = Disk()

    class Bare:
        life = 1

        def __init__(self) -> None:
            self.ledger = Ledger

    async def make() -> None:
        store = InlineStore(disk)
        machines._building = (Bare(), store)  # type: ignore[assignment]
        hub = await machines.Hub.start(machines.settings(), clock=ManualClock(START), ids_seed=1)
        for tenant in TENANTS:
            await hub.apply_pack(tenant, files(tenant), "template")
            for site in SITES.values():
                sku = next(sku for sku, name in SITES.items() if name == site)
                line = {"sku": sku, "qty": STOCK}
                report = {"type": "stock", "site": site.upper(), "as_of": "2026-01-01T00:00:00Z", "lines": [line]}
                door = "kcstock" if site == "kc" else site
                await hub.ingest(InboundOffer(tenant, door, json.dumps(report).encode()))
        await hub.settle()
        await store.write(watch_states)
        await hub.stop()

    run(loop, make())
    return {name: data for name, data in disk.image().items() if name == FILE}


def simulate(plan: Plan, *, trace: bool = False) -> Verdict:
    """Run one seed from beginning to end."""
    template()
    world = World(plan)
    if trace:
        world.trace = []
    try:
        verdict: Verdict = run(world.loop, world.main())
    finally:
        world.machine.disk.on_write = world.machine.disk.on_sync = None
        if world.machine.store is not None:
            world.machine.store.close()
    verdict.hash = world.result()
    verdict.trace = world.trace or []
    return verdict
