"""Rules tried on the past: the fold follows the stock of the time and compares two rule sets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.canonical.events import Event
from crossdock.processes.backtest import ADJUSTED, ORDER, SNAPSHOT, Backtest, Report
from crossdock.processes.policy import Site
from crossdock.processes.policy_compiler import CompiledPolicy
from tests.unit.processes.orders import NOW, SITES, a_policy, released


def event(kind: str, data: dict[str, Any], minute: int) -> Event:
    at = NOW + timedelta(minutes=minute)
    return Event(f"evt_{minute}", "tnt", kind, "x", data, at, at)


def stock(site: str, minute: int = 0, **skus: int) -> Event:
    lines = [{"sku": sku, "quantity": str(quantity)} for sku, quantity in skus.items()]
    return event(
        SNAPSHOT, {"site": site, "as_of": (NOW + timedelta(minutes=minute)).isoformat(), "lines": lines}, minute
    )


def order(number: str, minute: int, *lines: tuple[str, int], **fields: Any) -> Event:
    return event(ORDER, released(*lines, number=number, **fields)[1], minute)


def dear(site: str, rank: int) -> tuple[Site, ...]:
    """The sites with one of them at another cost."""
    return tuple(msgspec.structs.replace(one, cost_rank=rank) if one.site == site else one for one in SITES)


def run(after: CompiledPolicy, *events: Event, before: CompiledPolicy | None = None) -> Report:
    fold = Backtest(before or a_policy(), after)
    for one in events:
        fold.add(one)
    return fold.report()


def test_the_same_rules_move_nothing():
    """A rule set compared with itself: every order as it was."""
    report = run(a_policy(), stock("reno", A=10), order("SO-1", 1, ("A", 4)), order("SO-2", 2, ("A", 9)))

    assert (2, 0) == (report.orders, report.moved)
    assert report.before == report.after


def test_another_cost_moves_orders_and_says_why():
    """Reno becomes the dearest: what both have goes to Swift, with the reason of the rule."""
    events = (stock("reno", A=10), stock("swift", A=10), order("SO-1", 1, ("A", 4)))

    report = run(a_policy(sites=dear("reno", 99)), *events)

    (move,) = report.moves
    assert (("reno",), ("swift",)) == (move.before, move.after)
    assert any("cost rank 2, the lowest" in reason for reason in move.reasons)


def test_stock_is_bound_by_each_rule_set_s_own_decisions():
    """Ten are there: the second order of six splits. With the other rules the first went elsewhere, so it does not."""
    events = (stock("reno", A=10), stock("swift", A=6), order("SO-1", 1, ("A", 6)), order("SO-2", 2, ("A", 6)))
    sites = tuple(msgspec.structs.replace(one, cost_per_order=Decimal(one.cost_rank)) for one in SITES)

    report = run(a_policy(sites=dear("swift", 0)), *events, before=a_policy(sites=sites))

    assert {"reno": 1, "swift": 1} == report.before.by_site == report.after.by_site
    assert Decimal(3) == report.before.cost


def test_a_new_report_frees_what_was_bound():
    """After a snapshot the site's own word counts again; an adjustment adds to it."""
    adjusted = event(
        ADJUSTED, {"number": "A-1", "site": "reno", "lines": [{"sku": "A", "delta": "2", "to_status": "available"}]}, 4
    )
    report = run(
        a_policy(),
        stock("reno", A=10),
        order("SO-1", 1, ("A", 10)),
        order("SO-2", 2, ("A", 1)),
        stock("reno", 3, A=3),
        adjusted,
        order("SO-3", 5, ("A", 5)),
    )

    assert (3, 1, {"reno": 2}) == (report.before.orders, report.before.short, report.before.by_site)


def test_a_missed_promise_counts():
    """Promised for today and three days on the way."""
    report = run(a_policy(), stock("reno", A=10), order("SO-1", 1, ("A", 1), promised_on=NOW.date().isoformat()))

    assert 1 == report.before.missed
