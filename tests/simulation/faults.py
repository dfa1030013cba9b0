"""Which faults there are, how often each comes in one run, and how many of each were injected.

Every run draws its own rates (swarm testing): most runs lack most kinds, so that no kind hides another. `shrink`
drops kinds by name, later single injections by their number.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec

# kind: the highest rate. Per call for those that meet a call, per virtual minute for the others.
KINDS: dict[str, float] = {
    # the machine
    "kill": 0.6,
    "power": 0.5,
    "crash_before_commit": 0.02,
    "crash_after_commit": 0.02,
    "crash_at_write": 0.002,
    "commit_unknown": 0.02,
    "fsync_error": 0.01,
    "disk_full": 0.02,
    "bit_flip": 0.3,
    "pause": 0.5,
    "clock_step": 0.3,
    "stop": 0.2,
    "poison": 0.04,
    # between the machines
    "ack_lost": 0.3,
    "request_cut": 0.3,
    "duplicate": 0.3,
    "delay": 0.6,
    "partition": 0.4,
    "burst": 0.15,
    "bad_paper": 0.1,
    # partners
    "busy": 0.5,
    "too_many": 0.3,
    "gone": 0.1,
    "lie": 0.4,
    "garbage": 0.3,
    "slow": 0.2,
    "hang": 0.1,
    "answer_lost": 0.5,
    "early_callback": 0.5,
    "find_fails": 0.4,
    "repeated_confirmation": 0.4,
    "early_milestone": 0.5,
    # one order that a partner always refuses for now, in runs of its own: others must not wait for it
    "stubborn": 1.0,
    # operators
    "release": 0.3,
    "missing_code": 0.3,
    "replay": 0.3,
    "pause_connection": 0.3,
}


# Every so many seeds one checks isolation with nothing else in the way.
ALONE_EVERY = 10


class Plan(msgspec.Struct):
    """The rates of one run, and what shrinking took away. `without` names kinds, `skip` numbers of injections."""

    seed: int
    rates: dict[str, float]
    orders: int
    tenants: int
    minutes: float
    without: frozenset[str] = frozenset()
    skip: frozenset[int] = frozenset()


def drawn(seed: int, **changed: Any) -> Plan:
    """Draw the plan of a seed."""
    chance = random.Random(seed * 7919 + 13)
    share = chance.choice((0.15, 0.4, 0.7))
    rates = {}
    if seed % ALONE_EVERY == 7:
        return msgspec.structs.replace(Plan(seed, {"stubborn": 1.0}, 8, 2, 5.0), **changed)
    for kind, most in KINDS.items():
        on, part = chance.random() < share, chance.choice((0.1, 0.4, 1.0))
        if on and kind != "stubborn":
            rates[kind] = most * part
    plan = Plan(seed, rates, chance.randint(3, 14), chance.choice((1, 2, 2, 3)), chance.choice((2.0, 5.0, 10.0)))
    return msgspec.structs.replace(plan, **changed)


class Faults:
    """Decides at each place whether a fault comes. Off at first, and off again when the world calms down."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chances = {kind: random.Random(f"{plan.seed}/{kind}") for kind in KINDS}
        self.on = False
        self.counts: Counter[str] = Counter()
        self.number = 0

    def comes(self, kind: str, weight: float = 1.0) -> bool:
        """Tell whether this kind comes now, and count it."""
        rate = self._plan.rates.get(kind, 0.0) * weight
        if not rate or not self.on:
            return False
        if self._chances[kind].random() >= rate or kind in self._plan.without:
            return False
        self.number += 1
        if self.number in self._plan.skip:
            return False
        self.counts[kind] += 1
        return True

    def chance(self, kind: str) -> random.Random:
        """Return the randomness of a kind, for its details."""
        return self._chances[kind]
