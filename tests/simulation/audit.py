"""Compare the ledgers of the partners and the journals of the senders with each other: that is the truth.

The hub's own tables are asked in three places only: whether it still works on something (`settled`), what it tells a
person of as dead, held or set aside (that excuses an absent effect where a fault explains it), and conservation.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from crossdock.store.engine import Connection
from tests.scenarios.flow.world import illegal_arrows

from .pack import SITES, STOCK
from .partners import Act, Ledger

if TYPE_CHECKING:
    from .world import World

# The words of an order's status in the order in which they can be true.
_RANKS = {"created": 1, "released": 2, "sourced": 2, "shipped": 3, "in_transit": 4, "delivered": 5}
OTHERS_WAIT_SECONDS_MAX = 100.0
FINAL = ("processed", "failed", "ignored", "duplicate")


class Verdict(msgspec.Struct):
    """What one run came to. A violation begins with its kind: lost, doubled, disorder, leak, unsettled, …"""

    seed: int
    violations: list[str]
    events: int
    acknowledged: int
    effects: int
    faults: dict[str, int]
    starts: int
    detected: int = 0
    hash: str = ""
    trace: list[str] = []

    def count(self, kind: str) -> int:
        return sum(1 for one in self.violations if one.startswith(kind))


def _ask(world: World, sql: str, *parameters: Any) -> list[Any]:
    store = world.machine.store
    assert store is not None
    return store.read_now(lambda connection: connection.query(sql, parameters))


def settled(world: World) -> bool:
    """Tell whether the hub holds nothing that it still works on."""
    (open_sends,) = _ask(
        world, "select count(*) from outbound_messages where state in ('pending', 'sending', 'unknown')"
    )[0]
    (waiting,) = _ask(world, "select count(*) from inbound_messages where state = 'received'")[0]
    hub = world.machine.hub
    return not open_sends and not waiting and hub is not None and hub.pipeline.idle()


async def judge(world: World) -> Verdict:
    """Return everything that is not as promised."""
    found = list(world.violations)
    found += _doubled(world)
    found += _disordered(world)
    found += _changed(world)
    found += _leaked(world)
    if world.machine.store is not None:
        told = _Told(world)
        found += _lost(world, told)
        found += _unkept(world)
        found += _detection(world, told)
        if world.plan.seed % 4 == 0 and not found:
            found += await _replayed(world)
    ledgers = world._ledgers.values()
    return Verdict(
        world.plan.seed,
        found,
        world.events,
        sum(paper.acknowledged for paper in world.papers.values()),
        sum(len(ledger.acts) for ledger in ledgers),
        dict(world.faults.counts),
        world.machine.starts,
        len(world.damaged),
    )


class _Told:
    """What the hub tells a person: papers and sends that it gave up or set aside, with the code it gives."""

    def __init__(self, world: World) -> None:
        self.dead = {
            (row[0], row[1], row[2]): (row[3], row[4], row[5])
            for row in _ask(
                world,
                "select tenant_id, connection_id, request_key, error_class, message_id, error_code"
                " from outbound_messages"
                " where state = 'dead'",
            )
        }
        self.states = {
            (row[0], row[1]): (row[2], row[3])
            for row in _ask(world, "select tenant_id, message_id, state, error_code from inbound_messages")
        }


# -- effects


def _lost(world: World, told: _Told) -> list[str]:
    """What was acknowledged and has no effect, though nothing explains and tells why."""
    found = []
    for paper in world.papers.values():
        if not paper.acknowledged:
            found.append(f"unsettled: {paper.tenant} {paper.connection} {paper.key} was never acknowledged")
            continue
        states = {told.states.get((paper.tenant, answer[0]), ("absent", "")) for answer in paper.answers}
        if ("absent", "") in states:
            found.append(f"lost: {paper.tenant} {paper.key} was acknowledged and is not in the record")
            continue
        if any(answer[1] == "conflict" for answer in paper.answers):
            found.append(f"doubled: {paper.tenant} {paper.key} was told to be in conflict with itself")
        if {answer[0] for answer in paper.answers} != {paper.answers[0][0]}:
            found.append(f"doubled: {paper.tenant} {paper.key} was taken in as two messages")
        if any(answer[0] in world.touched for answer in paper.answers):
            continue
        if paper.kind in ("poison", "bad"):
            continue
        found += [f"lost: {paper.tenant} {paper.key} has no {what}" for what in _absent(world, told, paper)]
    return found


def _absent(world: World, told: _Told, paper: Any) -> list[str]:
    erp = world.ledger(paper.tenant, "erp")
    if paper.kind == "order":
        ticket = f"{paper.number}-1"
        if not any(ticket in world.ledger(paper.tenant, site).by_key for site in SITES.values()):
            return [] if _excused(world, told, paper.tenant, ticket) else ["ticket"]
        return []
    acknowledgment = f"997/{paper.key[2:]}"
    answered = acknowledgment in world.ledger(paper.tenant, "kc").by_key
    if paper.connection == "kc" and paper.kind == "shipment" and not answered and not world.touched:
        return ["997"]
    if paper.kind == "shipment":
        missing = []
        if paper.number not in erp.by_key and not _excused(world, told, paper.tenant, paper.number):
            missing.append("shipment confirmation")
        invoice = f"invoice/{paper.order}"
        if invoice not in erp.by_key and not _excused(world, told, paper.tenant, invoice):
            missing.append("invoice")
        return missing
    if paper.kind == "delivered":
        status = f"{paper.order}/delivered"
        return [] if status in erp.by_key or _excused(world, told, paper.tenant, status) else ["delivered status"]
    return []


def _excused(world: World, told: _Told, tenant: str, key: str) -> bool:
    """Tell whether a fault explains that an effect is absent, and the hub says so to a person."""
    for (owner, connection, request), (error_class, message_id, _) in told.dead.items():
        if owner != tenant:
            continue
        if message_id in world.touched:
            return True
        # Nobody can know whether dock has it; the hub stops and asks a person.
        if connection == "dock" and error_class == "unknown" and key.split("-1")[0] in request:
            return True
    return False


def _doubled(world: World) -> list[str]:
    return [
        f"doubled: {ledger.tenant}/{ledger.name} acted {len(acts)} times on {key}:"
        f" {sorted({act.identity for act in acts})}"
        for ledger in world._ledgers.values()
        for key, acts in ledger.by_key.items()
        if len(acts) > 1 and not key.startswith("997/")
    ] + [
        f"doubled: {ledger.tenant}/{ledger.name} saw {key} under {len(identities)} identities"
        for ledger in world._ledgers.values()
        for key, identities in ledger.identities.items()
        if len(identities) > 1 and not key.startswith("997/")
    ]


def _changed(world: World) -> list[str]:
    return [f"changed: {one}" for ledger in world._ledgers.values() for one in ledger.changed]


def _disordered(world: World) -> list[str]:
    """Effects of one order come in sequence: by the hub's own numbers, and by what the words mean."""
    found = []
    for ledger in world._ledgers.values():
        made: dict[str, Act] = {}
        ranked: dict[str, Act] = {}
        for act in ledger.acts:
            if not act.order or act.key in ledger.refused:
                continue
            before = made.get(act.order)
            if before is not None and before.message_id > act.message_id:
                found.append(f"disorder: {ledger.tenant}/{ledger.name} {act.key} came after {before.key}")
            made[act.order] = act
            if (rank := _RANKS.get(act.key.partition("/")[2], 0)) == 0:
                continue
            before = ranked.get(act.order)
            if before is not None and _RANKS[before.key.partition("/")[2]] > rank:
                found.append(f"disorder: {ledger.tenant} {act.key} came after {before.key}")
            ranked[act.order] = act
    return found


def held_up(world: World) -> list[str]:
    """Where one order is refused for now and nothing else is wrong, no other order waits for it."""
    if "stubborn" not in world.plan.rates:
        return []
    found = []
    for paper in world.papers.values():
        if paper.kind != "order" or paper.acknowledged_at > world.loop.moment - OTHERS_WAIT_SECONDS_MAX:
            continue
        sites = [world.ledger(paper.tenant, site) for site in SITES.values()]
        if any(f"{paper.number}-1" in one.by_key or one.stubborn == paper.number for one in sites):
            continue
        found.append(f"held up: {paper.tenant} {paper.number} waits behind another order")
    return found


# -- isolation


def _leaked(world: World) -> list[str]:
    found = []
    for ledger in world._ledgers.values():
        for act in ledger.acts:
            found += [
                f"leak: {ledger.tenant}/{ledger.name} got {other}'s {act.key}"
                for other in world.tenants
                if other != ledger.tenant and f"CANARY-{other}".encode() in act.content
            ]
    store = world.machine.store
    if store is not None:
        found += store.read_now(functools.partial(_leaked_rows, tenants=world.tenants))
    return found


_TABLES = ("documents", "events", "aggregates", "outbound_messages", "identifiers", "issues", "payloads")


def _leaked_rows(connection: Connection, tenants: tuple[str, ...]) -> list[str]:
    """Look for one tenant's canary in another's rows, byte by byte."""
    found = []
    for table in _TABLES:
        for row in connection.query(f"select * from {table}"):
            if not any(one in tenants for one in row):
                continue
            owner = next(one for one in row if one in tenants)
            text = repr(row)
            if "CANARY-" in text:
                found += [
                    f"leak: {table} of {owner}" for other in tenants if other != owner and f"CANARY-{other}" in text
                ]
    return found


# -- the record's own promises


def _unkept(world: World) -> list[str]:
    """Legal states, conservation and stock."""
    seen = _ask(world, "select noun, went, came from seen_arrows")
    found = [f"illegal: {one}" for one in illegal_arrows(seen)]
    rows = _ask(world, "select tenant_id, message_id, state from inbound_messages where state not in (?,?,?,?)", *FINAL)
    found += [f"unsettled: message {row[1]} of {row[0]} is {row[2]}" for row in rows]
    rows = _ask(
        world,
        "select r.tenant_id, r.message_id from receipts r left join inbound_messages m on m.tenant_id = r.tenant_id"
        " and m.message_id = r.message_id where m.message_id is null",
    )
    found += [f"lost: receipt of {row[1]} without its message" for row in rows]
    found += _conserved(world)
    return found + _stock(world)


def _conserved(world: World) -> list[str]:
    """What the record calls sent is what the partners acted on, by tenant, place, count and name."""
    found = []
    sent: dict[tuple[str, str], Counter[str]] = {}
    states: dict[tuple[str, str, str], str] = {}
    for tenant, place, identity, state in _ask(
        world, "select tenant_id, connection_id, identity, state from outbound_messages"
    ):
        states[(tenant, place, identity)] = state
        if state == "sent":
            sent.setdefault((tenant, place), Counter())[identity] += 1
    for (tenant, place), names in sent.items():
        taken = world.ledger(tenant, place).taken
        found += [
            f"lost: {tenant}/{place} {one} is called sent and was never taken" for one in names if one not in taken
        ]
    for ledger in world._ledgers.values():
        for identity in ledger.taken:
            state = states.get((ledger.tenant, ledger.name, identity), "absent")
            if state == "absent":
                found.append(f"doubled: {ledger.tenant}/{ledger.name} took {identity}, which is not in the record")
            elif state == "discarded":
                found.append(f"lost: {identity} was taken and is discarded")
    return found


def _stock(world: World) -> list[str]:
    """Stock is what it was, plus every adjustment once, less what left once."""
    expected: dict[tuple[str, str], Decimal] = {}
    for paper in world.papers.values():
        if paper.kind == "adjustment" and paper.acknowledged:
            document = json.loads(paper.content)
            place = (paper.tenant, document["site"])
            expected[place] = expected.get(place, Decimal(0)) + document["lines"][0]["delta"]
        elif paper.kind == "shipment" and paper.acknowledged:
            site = {"rows": "RENO"}.get(paper.connection, paper.connection.upper())
            place = (paper.tenant, site)
            expected[place] = expected.get(place, Decimal(0)) - world._quantity(paper.tenant, paper.order)
    if world.touched:
        return []
    rows = _ask(world, "select tenant_id, site, on_hand from inventory")
    known = {(row[0], row[1]): Decimal(str(row[2])) for row in rows}
    return [
        f"stock: {tenant} {site} has {known.get((tenant, site))}, not {STOCK + change}"
        for (tenant, site), change in expected.items()
        if known.get((tenant, site)) != STOCK + change
    ]


def _detection(world: World, told: _Told) -> list[str]:
    """What was damaged is told of, and never went out."""
    found = []
    for message_id in world.damaged:
        dead = [code for _, number, code in told.dead.values() if number == message_id]
        state = next((state for (_, number), state in told.states.items() if number == message_id), ("", ""))
        if "XD-SYS-020" not in dead and state[1] != "XD-SYS-020":
            found.append(f"undetected: the damage of {message_id} was never told ({dead or state})")
    for paper in world.papers.values():
        if paper.kind == "poison" and paper.acknowledged:
            state = told.states.get((paper.tenant, paper.answers[0][0]), ("", ""))
            if state[0] != "failed":
                found.append(f"poison: {paper.key} ended {state[0]}")
    return found


# -- replay


async def _replayed(world: World) -> list[str]:
    """Run everything again, twice: partners see nothing, and the record says the same after both."""
    before = {place: len(ledger.acts) for place, ledger in world._ledgers.items()}
    hashes = []
    for _ in range(2):
        for tenant in world.tenants:
            message_ids = [
                row[0]
                for row in _ask(
                    world,
                    "select message_id from inbound_messages where tenant_id = ? and state = 'processed'",
                    tenant,
                )
            ]
            await world.machine.call(functools.partial(_replay_all, tenant=tenant, message_ids=tuple(message_ids)))
        for _ in range(200):
            await _pause(5.0)
            if settled(world):
                break
        hashes.append(_state(world))
    found = [] if hashes[0] == hashes[1] else ["replay: the second replay changed what the first left"]
    for place, ledger in world._ledgers.items():
        if len(ledger.acts) != before.get(place, 0):
            new = [act.key for act in ledger.acts[before.get(place, 0) :] if not act.key.startswith("997/")]
            found += [f"doubled: replay made {place} act on {new}"] if new else []
    return found + _doubled(world)


async def _pause(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


async def _replay_all(hub: Any, tenant: str, message_ids: tuple[str, ...]) -> None:
    from .world import ReplayAsked

    await hub.replay(tenant, ReplayAsked(message_ids=message_ids))


def _state(world: World) -> list[Any]:
    aggregates = _ask(world, "select tenant_id, kind, key, status, state from aggregates order by 1, 2, 3")
    inventory = _ask(world, "select tenant_id, site, sku, on_hand, reserved from inventory order by 1, 2, 3")
    return [aggregates, inventory]


__all__ = ["Ledger", "Verdict", "judge", "settled"]
