"""No page scans a hot table: every query of every view is planned on SQLite and its plan is read."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from crossdock.errors import NotFound
from crossdock.processes.receiving.policy import PurchaseRules
from crossdock.store.engine import placeholder_lists
from crossdock.views import (
    aggregate_facts,
    aggregate_list,
    customer_tracking,
    finance,
    inventory_position,
    issues,
    journal,
    messages,
    order_timeline,
    orders_list,
    overview,
    search,
    supplier_scorecard,
)

HOT = {
    "inbound_messages",
    "outbound_messages",
    "events",
    "identifiers",
    "documents",
    "aggregates",
    "exceptions",
    "inventory",
    "payloads",
}

# Walked on purpose, in a covering index: the sites of one tenant. An end of an index is said to be a scan, too.
COUNTS = ("count(*), max(as_of) from inventory", "select min(position) from", "select max(position) from")


class Planner:
    """A connection that notes every query and how SQLite would run it."""

    engine = "sqlite"

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.plans: dict[str, list[str]] = {}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        plan = self._inner.query(f"explain query plan {sql}", parameters)
        self.plans[sql] = [str(row[3]) for row in plan]
        return self._inner.query(sql, parameters)

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self.query(sql, parameters)
        return rows[0] if rows else None

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> Any:
        return [
            row for text, parameters in placeholder_lists(sql, before, values) for row in self.query(text, parameters)
        ]


def faults(plans: dict[str, list[str]]) -> list[str]:
    """Return the queries whose plan walks a hot table, or searches one by tenant alone without a limit or purpose."""
    found = []
    for sql, plan in plans.items():
        for line in plan:
            words = line.split()
            table = words[1] if len(words) > 1 else ""
            aliases = {"i": "inbound_messages", "r": "releases", "a": "active_releases"}
            hot = aliases.get(table, table) in HOT and "(subquery" not in line
            if words[0] == "SCAN" and hot and not any(count in sql for count in COUNTS):
                found.append(f"{line}: {sql}")
            only_tenant = words[0] == "SEARCH" and line.rstrip().endswith("(tenant_id=?)")
            if only_tenant and hot and "limit" not in sql and "group by" not in sql:
                found.append(f"{line}: {sql}")
            if "TEMP B-TREE FOR ORDER BY" in line and "from events" in sql:
                found.append(f"{line}: {sql}")
    return found


def test_no_page_scans_a_hot_table(hub: Any) -> None:
    """Overview, order, lists, search, issues, messages, stock, tracking, finance and feed all run on indexes."""
    for number in range(3):
        hub.release(f"SO-{number}", quantity=100)
    held = {"state": "held", "awaits": "lookup:a:b", "subject": "order/SO-1"}
    message_id = hub.receive(b"{}", documents=[held, {"object": "ack", "canonical": b'{"of": ["msg_1"]}'}])
    issue_id = hub.fault(cause="a", object_id="doc_1", subject="order/SO-1")
    now, configuration = hub.now, hub.configuration
    hub.store.write_now(lambda c: c.execute("update outbound_messages set ack_state = 'accepted'"))
    (sent,) = hub.store.read_now(lambda c: c.one("select message_id from outbound_messages limit 1"))

    def visit(inner: Any) -> dict[str, list[str]]:
        c, t = Planner(inner), "northgate"
        overview.load(c, t, configuration=configuration, now=now)
        order_timeline.load(c, t, "so1", configuration=configuration, now=now)
        for filter_ in (
            orders_list.Filter(),
            orders_list.Filter(status="released"),
            orders_list.Filter(site="reno", at_risk=True),
            orders_list.Filter(partner="swift"),
        ):
            orders_list.load(c, t, filter_, configuration=configuration, now=now, cursor="k534f2d39")
        for text in ("SO-1", "SO-1xxxx", "905", message_id, sent, issue_id, "nothing-like-it"):
            search.find(c, t, text)
        issues.open_issues(c, t, now=now)
        issues.closed_issues(c, t, now=now)
        issues.load(c, t, issue_id, now=now)
        messages.load_inbound(c, t, message_id)
        messages.load_outbound(c, t, sent)
        inventory_position.load(c, t, now=now)
        inventory_position.load(c, t, now=now, site="reno")
        inventory_position.of_sku(c, t, "A", ["reno"], now=now)
        inventory_position.site_ages(c, t, now=now)
        customer_tracking.look_up(c, t, "SO-1", "89501")
        finance.load(c, t, "SO-1")
        journal.page(c, t, "0.3")
        for kind in ("purchase", "load", "claim"):
            for wanted in (
                aggregate_list.Filter(),
                aggregate_list.Filter(status="sent", party="V-1", at_risk=True, q="PO-1"),
                aggregate_list.Filter(parties=frozenset(("V-1", "V-2"))),
            ):
                aggregate_list.load(c, t, kind, wanted, now=now, cursor="k504f2d31")
            with contextlib.suppress(NotFound):
                aggregate_facts.load(c, t, kind, "PO-1")
        supplier_scorecard.load(c, t, PurchaseRules(), now=now)
        return c.plans

    plans = hub.store.read_now(visit)

    assert [] == faults(plans), chr(10).join(faults(plans))
    assert len(plans) > 40
    used = " ".join(line for plan in plans.values() for line in plan)
    for index in (
        "events_headlines",
        "aggregates_at_risk",
        "outbound_messages_open",
        "outbound_messages_answers",
        "issues_open_by_cause",
        "exceptions_by_object",
    ):
        assert index in used, index


def test_the_check_notices_a_scan(hub: Any) -> None:
    """A query that walks all messages, or all of one tenant without a limit, is caught by the same check."""

    def visit(inner: Any) -> dict[str, list[str]]:
        c = Planner(inner)
        c.query("select message_id from inbound_messages where partner = ?", ("swift",))
        c.query("select message_id from outbound_messages where tenant_id = ? and name = ?", ("northgate", "a"))
        c.query("select event_id from events where message_id = ?", ("a",))
        return c.plans

    assert 3 == len(faults(hub.store.read_now(visit)))
