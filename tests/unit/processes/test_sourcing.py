"""Sourcing: each rule, its reasons, and how quantities are placed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.canonical.orders import Order, OrderLine
from crossdock.errors import DocumentRejected
from crossdock.mapping import compile_expression
from crossdock.processes.allocation import Need, Shelf, place
from crossdock.processes.outcome import StockPosition
from crossdock.processes.policy import (
    Calendar,
    OrderPolicy,
    OrderRules,
    ServiceLevel,
    ServiceLevelsFile,
    Site,
    SitesFile,
    SourcingFile,
    SourcingRule,
    Substitute,
)
from crossdock.processes.policy_compiler import CompiledPolicy, compile_policy
from crossdock.processes.sourcing import Facts, SourcingDecision, source
from tests.unit.processes.orders import NOW, SITES, Story, a_policy, released, shipped, stock_of

PAGE = Path(__file__).parents[3] / "docs/reference/sourcing-rules.md"


def decided(policy: CompiledPolicy, *lines: tuple[str, int], **facts: Any) -> SourcingDecision:
    order = Order("SO-1", tuple(OrderLine(str(n), sku, Decimal(q)) for n, (sku, q) in enumerate(lines, 1)))
    needs = tuple(Need(line.line_no, line.sku, line.quantity) for line in order.lines)
    given_facts = {"region": "west", "service_level": "ground", "now": NOW, **facts}
    return source(needs, policy, Facts(order, **given_facts))


def with_rules(*rules: SourcingRule, sites: tuple[Site, ...] = SITES, **more: Any) -> CompiledPolicy:
    return a_policy(sites=sites, sourcing=rules, **more)


def chosen(decision: SourcingDecision) -> dict[str, list[tuple[str, int]]]:
    return {one.site: [(line.sku, int(line.quantity)) for line in one.lines] for one in decision.allocations}


def said(decision: SourcingDecision, rule: str) -> dict[str, tuple[str, str]]:
    return {entry.site: (entry.verdict, entry.reason) for entry in decision.trace if entry.rule == rule}


def test_without_rules_the_first_site_ships():
    """No rules: everything is in stock everywhere and the order of the file decides."""
    assert {"reno": [("A", 5)]} == chosen(decided(with_rules(), ("A", 5)))


def test_a_site_ships_to_its_regions_only():
    """A site that does not serve the region is out; one without regions serves all."""
    sites = (Site("east", "p", "UTC", regions=("east",)), Site("any", "p", "UTC"))

    decision = decided(with_rules(SourcingRule("region", "region"), sites=sites), ("A", 5))

    assert {"any": [("A", 5)]} == chosen(decision)
    assert ("rejected", "region west is not among east") == said(decision, "region")["east"]
    assert ("passed", "serves every region") == said(decision, "region")["any"]


def test_a_filter_that_is_not_strict_puts_last_what_fails():
    """With strict false a site of another region still ships when nobody else can."""
    sites = (Site("east", "p", "UTC", regions=("east",)), Site("west", "p", "UTC", regions=("west",)))
    policy = with_rules(SourcingRule("region", "region", strict=False), SourcingRule("stock", "stock"), sites=sites)

    assert ["west"] == list(chosen(decided(policy, ("A", 5), stock=stock_of(east={"A": 9}, west={"A": 9}))))
    assert ["east"] == list(chosen(decided(policy, ("A", 5), stock=stock_of(east={"A": 9}))))


def test_a_site_must_offer_the_service_level():
    """A site that does not offer what the customer bought is out."""
    sites = (Site("slow", "p", "UTC", services=("ground",)), Site("fast", "p", "UTC", services=("next_day",)))
    policy = with_rules(SourcingRule("service", "service_level"), sites=sites)

    decision = decided(policy, ("A", 5), service_level="next_day")

    assert ("rejected", "offers ground, not next_day") == said(decision, "service")["slow"]
    assert ["fast"] == list(chosen(decision))


def test_a_partner_that_is_down_is_out_and_a_degraded_one_last():
    """Health moves orders away by itself."""
    policy = with_rules(SourcingRule("up", "partner_health"))

    decision = decided(policy, ("A", 5), health={"reno": "down", "swift": "degraded"})

    assert ["harbor"] == list(chosen(decision))
    assert ("rejected", "partner northgate is down") == said(decision, "up")["reno"]
    assert ("last", "partner swift is degraded") == said(decision, "up")["swift"]


def test_a_cut_off_that_passed_says_when_and_where():
    """The reason names the cut-off, the local time and the zone."""
    decision = decided(
        with_rules(SourcingRule("in time", "cutoff_calendar")), ("A", 5), now=datetime(2026, 3, 2, 22, 4, tzinfo=UTC)
    )

    assert "cut-off 16:00 passed at 16:04 (America/Chicago), ships 2026-03-03" == said(decision, "in time")["swift"][1]
    assert "before cut-off 16:00 (America/Los_Angeles), ships 2026-03-02" == said(decision, "in time")["reno"][1]


def test_a_site_too_late_for_the_promise_comes_last_or_is_out():
    """A missed promise puts a site last; strict puts it out."""
    late = datetime(2026, 3, 2, 22, 4, tzinfo=UTC)  # after the cut-off of swift and harbor
    facts = {"now": late, "promised_on": "2026-03-05"}
    sites = SITES[1:] + SITES[:1]

    lenient = decided(with_rules(SourcingRule("in time", "cutoff_calendar"), sites=sites), ("A", 5), **facts)
    strict = decided(
        with_rules(SourcingRule("in time", "cutoff_calendar", strict=True), sites=sites), ("A", 5), **facts
    )

    assert ["reno"] == list(chosen(lenient)) == list(chosen(strict))
    assert "last" == said(lenient, "in time")["swift"][0]
    assert "arrives 2026-03-06 > promised 2026-03-05" in said(strict, "in time")["swift"][1]


def test_an_earlier_ship_day_may_come_first():
    """With prefer_earlier the site that still ships today wins over a cheaper one that does not."""
    rules = (SourcingRule("early", "cutoff_calendar", prefer_earlier=True), SourcingRule("cost", "cost"))
    late = datetime(2026, 3, 2, 22, 4, tzinfo=UTC)

    assert ["reno"] == list(chosen(decided(with_rules(*rules, sites=SITES[::-1]), ("A", 5), now=late)))


def test_a_full_site_takes_no_more_orders():
    """Capacity counts the requests of the day."""
    sites = (Site("small", "p", "UTC", capacity_per_day=200), Site("big", "p", "UTC"))
    policy = with_rules(SourcingRule("capacity", "capacity"), sites=sites)

    decision = decided(policy, ("A", 5), load={"small": 200})

    assert ("rejected", "200 orders today ≥ capacity 200") == said(decision, "capacity")["small"]
    assert ["small"] == list(chosen(decided(policy, ("A", 5), load={"small": 199})))


def test_stock_reasons_compare_what_is_there_with_what_is_needed():
    """Enough, too little, too old, unknown: each says so."""
    rule = SourcingRule("stock", "stock", stale_minutes=60)
    stock = {
        ("reno", "A"): StockPosition(Decimal(12), NOW),
        ("swift", "A"): StockPosition(Decimal(99), NOW - timedelta(minutes=61)),
    }

    decision = decided(with_rules(rule), ("A", 10), stock=stock)

    assert {
        "reno": ("passed", "stock 12 ≥ 10"),
        "swift": ("rejected", "stock is 61 min old, more than 60"),
        "harbor": ("rejected", "no stock known"),
    } == said(decision, "stock")


def test_a_buffer_stays_on_the_shelf():
    """Units of the buffer are not promised."""
    policy = with_rules(SourcingRule("stock", "stock", buffer=Decimal(3)), sites=SITES[:1])

    decision = decided(policy, ("A", 10), stock=stock_of(reno={"A": 12}))

    assert {"reno": [("A", 9)]} == chosen(decision)
    assert ("passed", "stock 12 (buffer 3) < 10") == said(decision, "stock")["reno"]


def test_preferences_count_in_the_order_of_the_rules():
    """An earlier preference decides, a later one breaks ties."""
    prefer = SourcingRule("own first", "prefer_site", sites=("harbor",))
    cost = SourcingRule("cost", "cost")

    assert ["harbor"] == list(chosen(decided(with_rules(prefer, cost), ("A", 5))))
    assert ["reno"] == list(chosen(decided(with_rules(cost, prefer), ("A", 5))))


def test_a_condition_switches_a_rule_on_and_off():
    """`when` looks at the order, its region, service level and value."""
    rule = SourcingRule("vip", "prefer_site", when="order.channel == 'vip'", sites=("harbor",))
    seen: list[dict[str, Any]] = []

    def compile_condition(text: str, place: str) -> Any:
        return lambda variables: bool(seen.append(dict(variables))) or variables["order"].get("channel") == "vip"

    policy = compile_policy(
        OrderPolicy(sites=SITES, calendars=(Calendar("us"),), sourcing=(rule,)), compile_condition=compile_condition
    )

    decision = decided(policy, ("A", 5))

    assert ["reno"] == list(chosen(decision))
    assert ("skipped", "does not apply: order.channel == 'vip'") == said(decision, "vip")[""]
    assert {"order", "region", "service_level", "value"} == set(seen[0])
    assert Decimal(5) == seen[0]["order"]["lines"][0]["quantity"]


def test_a_condition_that_fails_is_no_silent_yes():
    """A rule that cannot be evaluated is skipped and says so; a hold then holds the order."""

    def failing(variables: Any) -> bool:
        raise DocumentRejected("order.priority is no number")

    def policy(kind: Any) -> CompiledPolicy:
        rule = SourcingRule("odd", kind, when="order.priority > 1", sites=("harbor",) if kind == "prefer_site" else ())
        return compile_policy(
            OrderPolicy(sites=SITES, calendars=(Calendar("us"),), sourcing=(rule,)),
            compile_condition=lambda text, place: failing,
        )

    assert "skipped" == said(decided(policy("prefer_site"), ("A", 5)), "odd")[""][0]
    assert "its condition failed" in decided(policy("hold"), ("A", 5)).held


def test_a_site_that_is_excluded_or_switched_off_says_so():
    """Sites out of the question stand in the trace with the reason."""
    sites = (*SITES[:2], Site("old", "p", "UTC", active=False))

    decision = decided(with_rules(sites=sites), ("A", 5), excluded={"reno": "refused this order before"})

    assert {
        "reno": ("rejected", "refused this order before"),
        "old": ("rejected", "the site is switched off"),
    } == said(decision, "sites")
    assert ["swift"] == list(chosen(decision))


SPLIT_STOCK = stock_of(reno={"A": 40, "B": 5}, swift={"A": 70}, harbor={"A": 5, "B": 5})


@pytest.mark.parametrize(
    "split, sites_max, expected, unplaced",
    [
        ("quantities", 3, {"reno": [("A", 40), ("B", 5)], "swift": [("A", 60)]}, {}),
        ("lines", 3, {"reno": [("B", 5)], "swift": [("A", 70)]}, {"A": 30}),
        ("never", 3, {"swift": [("A", 70)]}, {"A": 30, "B": 5}),
        ("quantities", 1, {"swift": [("A", 70)]}, {"A": 30, "B": 5}),
    ],
)
def test_a_split_follows_the_policy(split, sites_max, expected, unplaced):
    """Quantities, whole lines, or one site only; what is left over is said."""
    rules = (SourcingRule("stock", "stock"), SourcingRule("split", "split_policy", split=split, sites_max=sites_max))

    decision = decided(with_rules(*rules), ("A", 100), ("B", 5), stock=SPLIT_STOCK)

    assert expected == chosen(decision)
    assert unplaced == {line.sku: int(line.quantity) for line in decision.unplaced}


def test_one_site_that_has_everything_is_better_than_a_split():
    """A split needs a reason: a later site that has all of it takes all of it."""
    rules = (SourcingRule("stock", "stock"), SourcingRule("split", "split_policy"))

    decision = decided(with_rules(*rules), ("A", 50), stock=SPLIT_STOCK)

    assert {"swift": [("A", 50)]} == chosen(decision)


def test_when_few_sites_may_take_part_the_fullest_are_tried():
    """With two sites at most, the two best ranked with crumbs do not win over the one with the goods."""
    rules = (SourcingRule("stock", "stock"), SourcingRule("split", "split_policy", sites_max=2))

    decision = decided(with_rules(*rules), ("A", 100), stock=stock_of(reno={"A": 1}, swift={"A": 2}, harbor={"A": 98}))

    assert {"harbor": [("A", 98)], "swift": [("A", 2)]} == chosen(decision)


def test_two_lines_of_one_item_share_its_stock():
    """Stock is not promised twice within an order."""
    decision = decided(with_rules(SourcingRule("stock", "stock")), ("A", 6), ("A", 6), stock=stock_of(reno={"A": 10}))

    assert {"reno": [("A", 6), ("A", 4)]} == chosen(decision)
    assert [2] == [int(line.quantity) for line in decision.unplaced]


quantities = st.integers(1, 20).map(Decimal)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), quantities), min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from(["s1", "s2", "s3"]), st.dictionaries(st.sampled_from("ABC"), quantities), max_size=3
    ),
    st.sampled_from(["never", "lines", "quantities"]),
    st.integers(1, 3),
)
def test_placing_never_takes_more_than_is_asked_or_there(wanted, shelves, split, sites_max):
    """Whatever the policy: no line gets more than it needs, no shelf gives more than it has, few enough sites."""
    needs = tuple(Need(str(n), sku, quantity) for n, (sku, quantity) in enumerate(wanted))

    taken = place(needs, Shelf(sorted(shelves), shelves), split, 1 if split == "never" else sites_max)

    assert len(taken) <= (1 if split == "never" else sites_max)
    for need in needs:
        given_to_it = [one.quantity for lines in taken.values() for one in lines if one.line_no == need.line_no]
        assert sum(given_to_it) <= need.quantity
    for site, lines in taken.items():
        for sku in "ABC":
            assert sum(one.quantity for one in lines if one.sku == sku) <= shelves[site].get(sku, 0)


def test_the_same_facts_give_the_same_decision():
    """Deterministic, also when the policy has answered others in between."""
    policy = a_policy()
    first = decided(policy, ("A", 100), stock=SPLIT_STOCK)
    decided(policy, ("B", 1), stock=SPLIT_STOCK, now=NOW + timedelta(hours=9))

    assert first == decided(policy, ("A", 100), stock=SPLIT_STOCK)


def test_the_page_s_examples_are_read():
    """Every YAML block of the reference page fits the structs and compiles together."""
    text = PAGE.read_text()
    blocks = {}
    for name, body in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL):
        blocks[name] = yaml.safe_load(body)
    sites = msgspec.convert(blocks["sites.yaml"], SitesFile)
    levels = msgspec.convert(blocks["service_levels.yaml"], ServiceLevelsFile)
    calendar = msgspec.convert(blocks["calendars/us-working.yaml"], Calendar)
    sourcing = msgspec.convert(blocks["rules/sourcing.yaml"], SourcingFile)
    orders = msgspec.convert(blocks["rules/orders.yaml"], OrderRules)

    policy = compile_policy(
        OrderPolicy(sites.sites, (calendar,), levels.service_levels, sourcing.rules, sites.regions, orders),
        compile_condition=lambda text, place: lambda variables: False,
    )

    assert "west" == policy.region("US", "NV")
    assert date(2026, 11, 28) in calendar.open_on
    assert ServiceLevel("next_day", "Next day", 0, 0, 1, "FXO") == policy.service("next_day")


def test_a_substitute_goes_when_nobody_has_the_item():
    """6 of A are there, 4 are not: B goes instead, in a request of its own, and the trace says why."""
    policy = a_policy_with_substitutes(Substitute("A", "C"), Substitute("A", "B"))
    story = Story(policy, stock=stock_of(reno={"A": 6, "B": 100}))

    story.tell(released(("A", 10)))

    first, second = story.sent("fulfillment_request")
    assert [("A", 6), ("B", 4)] == [(one.lines[0].sku, int(one.lines[0].quantity)) for one in (first, second)]
    assert {"1"} == {line.line_no for one in (first, second) for line in one.lines}
    assert "instead of A" in second.lines[0].description
    story.tell(shipped("S-1", ("A", 6), of="SO-1-1"), shipped("S-2", ("B", 4), of="SO-1-2"))
    assert "shipped" == story.order.status


def test_a_substitute_the_customer_does_not_want_stays():
    """The condition is of the same language as every rule's."""
    policy = a_policy_with_substitutes(Substitute("A", "B", when='order.channel == "wholesale"'))
    story = Story(policy, stock=stock_of(reno={"A": 6, "B": 100}))

    story.tell(released(("A", 10), channel="shop"))

    assert 4 == story.bucket("backordered")


def a_policy_with_substitutes(*substitutes: Substitute):
    made = msgspec.structs.replace(a_policy().source, substitutes=substitutes)
    return compile_policy(made, compile_condition=lambda text, place: compile_expression(text, file=place).evaluate)
