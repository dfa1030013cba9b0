# ruff: noqa: E501 - tables of cases and rows read better in one line
"""Lists, search, issues, stock, overview and journal: right counts, right order, and never another tenant's rows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from crossdock.durable.identity import to_micros
from crossdock.errors import CrossdockError, NotFound
from crossdock.store import connections, stock
from crossdock.views import inventory_position, issues, journal, orders_list, overview, partner_health, search
from crossdock.views.orders_list import Filter

EVERYTHING = Filter()


def orders(hub: Any, filter_: Filter = EVERYTHING, **named: Any) -> Any:
    return hub.read(orders_list.load, filter_, configuration=hub.configuration, now=hub.now, **named)


def test_orders_page_by_cursor(either_hub: Any) -> None:
    """Pages follow each other without gap or repetition, from the highest number down."""
    for number in range(7):
        either_hub.release(f"SO-{number}", quantity=1)

    first = orders(either_hub, limit=3)
    second = orders(either_hub, limit=3, cursor=first.next_cursor)
    third = orders(either_hub, limit=3, cursor=second.next_cursor)

    numbers = [row.number for page in (first, second, third) for row in page.rows]
    assert [f"SO-{number}" for number in range(6, -1, -1)] == numbers
    assert "" == third.next_cursor
    assert ("reno",) == first.rows[0].sites
    assert 1_500 == first.rows[0].value_cents
    with pytest.raises(CrossdockError) as refused:
        orders(either_hub, cursor="nonsense")
    assert "XD-API-002" == refused.value.code


def test_facets_count_what_the_rows_show(hub: Any, foreign: Any) -> None:
    """Each facet's number is the number of rows its filter gives, and other tenants' orders count nowhere."""
    hub.release("SO-1", quantity=1)
    hub.release("SO-2", quantity=100)
    hub.release("SO-3", quantity=500)
    foreign.release("SO-1", quantity=1)
    facets = orders(hub).facets

    assert 3 == facets.total
    for status, count in facets.status.items():
        assert count == len(orders(hub, Filter(status=status)).rows)
    for site, count in facets.site.items():
        assert count == len(orders(hub, Filter(site=site)).rows)
    for partner, count in facets.partner.items():
        assert count == len(orders(hub, Filter(partner=partner)).rows)
    assert 1 == orders(foreign).facets.total
    assert () == orders(hub, Filter(partner="tms")).rows


def test_any_writing_finds_the_order(either_hub: Any) -> None:
    """An identifier is found whatever its case, spaces, dashes and zeros; four signs of it are enough."""
    either_hub.release("SO-00042")

    for text in ("SO-00042", "so 00042", " So_00042 ", "SO-0004"):
        assert "SO-00042" in [hit.key for hit in either_hub.read(search.find, text).hits], text
    assert () == either_hub.read(search.find, "SO-").hits
    assert () == either_hub.read(search.find, "--").hits


def test_a_mistyped_number_is_answered_with_the_nearest(hub: Any, foreign: Any) -> None:
    """Where nothing fits the closest names are offered, and only the tenant's own."""
    hub.release("SO-1001")
    foreign.release("SO-1003")

    answer = hub.read(search.find, "SO-1002")

    assert () == answer.hits
    assert "SO-1001" in answer.suggestions
    assert "SO-1003" not in answer.suggestions


def test_messages_control_numbers_and_failed_papers_are_found(hub: Any, foreign: Any) -> None:
    """A message id in any case, an interchange's control number and a held paper's code lead to their pages."""
    held = {"state": "held", "awaits": "lookup:locations:RENO-X", "business_key": "SH-77"}
    message_id = hub.receive(b"{}", "swift", documents=[held])
    hub.store.write_now(
        lambda c: c.execute(
            "insert into interchanges (tenant_id, sender, receiver, control_number, usage, digest, message_id, received_at)"
            " values ('northgate', 'ZZ:SWIFT', 'ZZ:NORTHGATE', '000000905', 'P', x'00', ?, 1)",
            (message_id,),
        )
    )

    for text in (message_id, message_id.lower(), "905", "000000905", "reno-x", "SH-77"):
        assert message_id in [hit.key for hit in hub.read(search.find, text).hits], text
        assert () == foreign.read(search.find, text).hits, text


def test_a_thousand_failures_of_one_cause_are_one_row(hub: Any, foreign: Any) -> None:
    """An issue counts its papers, orders, customers and money once each, and names the first deadline."""
    hub.release("SO-1", quantity=1, customer="Ann")
    hub.release("SO-2", quantity=1, customer="Ann")
    for number in range(12):
        issue_id = hub.fault(
            cause="map-014|RENO-X", object_id=f"doc_{number}", subject=f"order/SO-{1 + number % 2}",
            suggestion={"action": "set_lookup_row", "table": "locations", "key": "RENO-X", "value": "RENO"},
        )  # fmt: skip
    hub.later(90)
    hub.fault(cause="other", object_id="doc_x")

    page = hub.read(issues.open_issues, now=hub.now)

    assert (2, 0) == (page.open_count, page.acknowledged_count)
    row = page.rows[0]
    assert issue_id == row.issue_id
    impact = row.impact
    assert (12, 2, 1, 3_000) == (impact.members, impact.orders, impact.customers, impact.value_cents)
    assert impact.first_due_at is not None
    assert (0, 12, 0) == row.trend[-3:]
    detail = hub.read(issues.load, issue_id, now=hub.now)
    assert 12 == len(detail.members)
    assert ("set_lookup_row", "RENO-X", 12) == (detail.fix.action, detail.fix.parameters["key"], detail.fix.replays)
    assert "RENO-X = RENO" in detail.fix.steps[0]
    assert detail.why
    assert () == foreign.read(issues.open_issues, now=hub.now).rows
    with pytest.raises(NotFound):
        foreign.read(issues.load, issue_id, now=hub.now)


def test_a_closed_issue_keeps_its_history(hub: Any) -> None:
    """A closed issue leaves the open list and shows in the closed one with what it counted."""
    issue_id = hub.fault(cause="a", object_id="doc_1", subject="order/SO-1")
    closed = (
        "update exceptions set state = 'resolved', resolved_at = 1, resolution = 'fixed' where tenant_id = 'northgate'"
    )
    hub.store.write_now(lambda c: c.execute(closed))
    hub.store.write_now(lambda c: c.execute("update issues set state = 'closed', closed_at = 1, closed_by = 'itself'"))

    assert () == hub.read(issues.open_issues, now=hub.now).rows
    (row,) = hub.read(issues.closed_issues, now=hub.now)
    assert (issue_id, 1, "itself") == (row.issue_id, row.impact.members, row.closed_by)
    assert ["resolved"] == [member.state for member in hub.read(issues.load, issue_id, now=hub.now).members]


def test_stock_says_how_old_it_is(hub: Any, foreign: Any) -> None:
    """A position shows what can be promised and its age; an old or missing report is stale, never good."""
    now, at = to_micros(hub.now), to_micros(hub.now - timedelta(hours=30))
    rows = [
        ("northgate", "reno", "A", Decimal(40), Decimal(15), now, now),
        ("northgate", "reno", "B", Decimal(1), Decimal(0), at, now),
        ("northgate", "swift", "A", Decimal("2.5"), Decimal(0), None, now),
        ("southgate", "reno", "A", Decimal(7), Decimal(0), now, now),
    ]
    hub.store.write_now(lambda c: stock.save(c, rows))
    hub.later(5)

    first = hub.read(inventory_position.load, now=hub.now, limit=2)
    second = hub.read(inventory_position.load, now=hub.now, after=(first.next_site, first.next_sku))

    found = [(p.site, p.sku, p.available, p.stale) for p in (*first.rows, *second.rows)]
    assert [
        ("reno", "A", Decimal(25), False), ("reno", "B", Decimal(1), True), ("swift", "A", Decimal("2.5"), True),
    ] == found  # fmt: skip
    assert 300 == first.rows[0].age_seconds
    assert "" == second.next_site
    assert [2, 1] == [age.skus for age in hub.read(inventory_position.site_ages, now=hub.now)]
    assert ["swift"] == [p.site for p in hub.read(inventory_position.load, now=hub.now, site="swift").rows]
    assert 1 == len(foreign.read(inventory_position.load, now=hub.now).rows)


def test_the_overview_counts_the_day(either_hub: Any) -> None:
    """The day's figures count from local midnight; yesterday's orders are not in them."""
    hub = either_hub
    hub.release("SO-1", quantity=1)
    hub.later(60 * 24)
    hub.release("SO-2", quantity=1)
    hub.release("SO-3", quantity=100)
    hub.receive(b"{}", "erp")

    told = hub.read(overview.load, configuration=hub.configuration, now=hub.now)

    assert (2, 3, 0, 0) == (told.today.orders_in, told.today.released, told.today.shipped, told.today.delivered)
    assert (1, 5) == (told.today.messages_in, told.today.messages_out), told.today
    assert "00:00" == f"{told.today.since:%H:%M}"


def test_latency_is_measured_from_arrival_to_sent(hub: Any) -> None:
    """Release latency runs from the order's arrival to the request's sending; what is not sent does not count."""
    message_id = hub.receive(b"{}", "erp")
    hub.later(1)
    hub.tell("SO-1", "crossdock.order.released.v1", order_of(hub, "SO-1"), "erp", message_id=message_id)
    since = hub.now - timedelta(hours=1)

    spans = hub.read(overview.newest_spans, since)
    release = overview.latency(one.seconds for one in spans if one.document_type == "fulfillment_request")
    erp = overview.latency(one.seconds for one in spans if one.partner == "erp")

    assert (62.0, 62.0, 1) == (release.p50_seconds, release.p95_seconds, release.count)
    assert (None, 0) == (erp.p50_seconds, erp.count)


def order_of(hub: Any, number: str) -> dict[str, Any]:
    return {"number": number, "lines": [{"line_no": "1", "sku": "A", "quantity": "1"}]}


def test_late_orders_and_next_steps(hub: Any) -> None:
    """Orders at risk come with their minutes, late ones apart; "do next" names the worst first, five at most."""
    hub.release("SO-1", quantity=1)
    hub.release("SO-2", quantity=1)
    set_due = "update aggregates set at_risk = 1, due_at = ? where tenant_id = 'northgate' and key = ?"
    due = to_micros(hub.now)
    hub.store.write_now(lambda c: c.execute(set_due, (due - 600_000_000, "SO-1")))
    hub.store.write_now(lambda c: c.execute(set_due, (due + 1_800_000_000, "SO-2")))
    hub.fault(cause="a", object_id="doc_1", subject="order/SO-2", title="Swift changed a code")

    told = hub.read(overview.load, configuration=hub.configuration, now=hub.now)

    assert [("SO-1", -10)] == [(row.number, row.minutes_left) for row in told.late]
    assert [("SO-2", 30)] == [(row.number, row.minutes_left) for row in told.at_risk]
    assert ["issue", "order", "order"] == [step.kind for step in told.do_next]
    assert "10 min late" == told.do_next[1].why


def test_partner_health_has_five_ways(hub: Any) -> None:
    """Good, late, down, silent and unknown each come with a reason; what was never seen is unknown, not good."""
    hub.receive(b"{}", "reno")
    hub.receive(b"{}", "erp")
    hub.hold_back = {"reno"}
    hub.release("SO-1", quantity=1)
    now = to_micros(hub.now)
    hub.store.write_now(
        lambda c: c.execute(
            "insert into connection_states (tenant_id, connection_id, circuit, last_error) values ('northgate', 'swift', 'open', '503')"
        )
    )
    hub.later(20)
    early = {row.partner: row for row in strip(hub)}
    hub.later(100)
    hub.receive(b"[]", "erp")
    late = {row.partner: row for row in strip(hub)}

    assert ("down", "good", "late", "unknown") == tuple(early[name].health for name in ("swift", "erp", "reno", "tms"))
    assert "503" in early["swift"].reason
    assert "silent" == late["reno"].health
    assert "120 min" in late["reno"].reason or "2 h" in late["reno"].reason
    assert all(row.reason for row in late.values())
    assert "down" == strip(hub)[0].health
    assert now > 0
    assert connections is not None


def strip(hub: Any) -> Any:
    return hub.read(partner_health.load, configuration=hub.configuration, now=hub.now)


def test_the_feed_has_no_gap_and_no_repetition(either_hub: Any) -> None:
    """Page after page gives every event of the tenant once, filters move on, and a bad cursor is refused."""
    for number in range(4):
        either_hub.release(f"SO-{number}", quantity=1)
    seen, cursor = [], ""
    while True:
        page = either_hub.read(journal.page, cursor, limit=5)
        seen += [event.id for event in page.events]
        cursor = page.cursor
        if not page.more:
            break

    total = either_hub.store.read_now(lambda c: c.one("select count(*) from events"))
    assert (total[0], total[0]) == (len(seen), len(set(seen)))
    only = either_hub.read(journal.page, "", limit=500, types=("crossdock.order.created.v1",))
    assert 4 == len(only.events)
    assert str(only.cursor) == cursor
    end = either_hub.read(journal.page, "end")
    assert () == end.events
    with pytest.raises(CrossdockError):
        either_hub.read(journal.page, "12x")
