"""People are told once, in plain words, when they are awake, and never by two systems."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.flow import notices as flow_notices
from crossdock.store import notices as store
from tests.scenarios.flow.world import World, order, pack_files

RULES = """
recipients:
  customer: {channel: mail, quiet: "21:00-08:00"}
  floor: {channel: desk, address: floor@acme.example, digest: "17:00"}
  manager: {channel: mail, address: manager@acme.example}
zones: {US: America/Los_Angeles}
rules:
  - rule: backorder
    on: crossdock.order.backordered.v1
    to: customer
    issue: stock
    topic: order-news
    title: "{count} of {of} items of your order {order} come later"
    body: "{items} will follow. You need not do anything."
  - rule: created
    on: crossdock.order.created.v1
    to: floor
    title: "Order {order}"
    body: ""
"""
MAIL = """
connection: mail
partner: post
connector: http_json
settings: {url: "https://mail.example/spool", idempotent: true}
"""
MAP = """
map: notice
from: {object: notification}
to: {format: json}
set: {to: recipient, title: title, body: body, topic: topic, events: events}
"""


async def with_rules(world: World, rules: str = RULES) -> None:
    """Apply the pack with notification rules and a way for each channel; let the rules begin."""
    await world.apply(files=files_with(rules))
    await world.later(minutes=1)


def files_with(rules: str) -> dict[str, str]:
    files = pack_files()
    files["notifications.yaml"] = rules
    split = "{rule: may-split, kind: split_policy, split: quantities}"
    files["rules/sourcing.yaml"] = f"rules:\n  - {{rule: has-it, kind: stock}}\n  - {split}\n"
    files["partners/post.yaml"] = "partner: post\nname: Post\n"
    for name in ("mail", "desk"):
        files[f"connections/{name}.yaml"] = MAIL.replace("connection: mail", f"connection: {name}")
        route = f"  - {{document: notification, connection: {name}, map: notice, when: 'channel == \"{name}\"'}}\n"
        files["routes.yaml"] += route
    files["maps/notice.yaml"] = MAP
    files["maps/erp-order.yaml"] = files["maps/erp-order.yaml"].replace("set:\n", "set:\n  email: email\n", 1)
    return files


async def an_order(world: World, number: str = "SO-1", **more: Any) -> None:
    """Three lines; of one there is no stock."""
    await world.stock(RENO={"H-100": 1000, "SAW-9": 0})
    lines = order(number, ("HAMMER", 1), ("HAMMER", 2), ("DRILL", 2_000))
    await world.hand_in("erp", {**lines, "email": "ada@example.com", **more})


def mails(world: World, channel: str = "mail") -> list[dict[str, Any]]:
    return world.partner(channel).documents()


def states(world: World) -> list[tuple[str, str, str]]:
    return world.query("select rule, state, reason from notices order by rule, notice_id")


async def test_a_customer_is_told_once_of_a_backorder(world: World) -> None:
    """Three o'clock in the afternoon for her: one message in plain words, however often it is backordered again."""
    await with_rules(world)
    await world.later(hours=5)
    await an_order(world)
    await world.later(minutes=1)
    await world.later(hours=1)
    await world.later(hours=1)

    (mail,) = mails(world)
    assert "ada@example.com" == mail["to"]
    assert "1 of 3 items of your order SO-1 come later" == mail["title"]
    assert mail["body"].endswith("will follow. You need not do anything.")


async def test_nobody_is_woken_and_the_message_is_not_lost(world: World) -> None:
    """At six in Los Angeles it waits until eight (16:00 UTC); a restart in between forgets nothing."""
    await with_rules(world)
    await an_order(world)
    await world.later(minutes=2)
    assert [] == mails(world)
    await world.restart()
    await world.later(hours=1, minutes=56)
    assert [] == mails(world)
    await world.later(minutes=2)

    assert 1 == len(mails(world))


async def test_a_digest_is_one_message(world: World) -> None:
    """Three orders in a day are one message at five (23:00 UTC)."""
    await with_rules(world)
    for number in ("SO-1", "SO-2", "SO-3"):
        await world.hand_in("erp", order(number))
    await world.later(minutes=1)
    assert [] == mails(world, "desk")
    await world.later(hours=9)

    (mail,) = mails(world, "desk")
    assert (3, "3 messages") == (mail["events"], mail["title"])
    assert ["merged", "merged", "sent"] == sorted(state for _, state, _ in states(world))


async def test_the_journal_names_no_address(world: World) -> None:
    """What was told and what was not stands there by the notice's id."""
    await with_rules(world)
    await world.hub.store.write(
        lambda connection: store.unsubscribe(connection, "acme", "ADA@example.com", "order-news", "answered STOP", 1)
    )
    await an_order(world)
    await world.later(hours=10)
    told = [bytes(one) for one in world.column("select data from events where type like 'crossdock.notice.%'")]

    assert told and all(b"ntc_" in one for one in told)
    assert not [one for one in told if b"example.com" in one.lower()]


async def test_who_unsubscribed_is_not_told_and_stays_so(world: World) -> None:
    """The word is kept over a change of the rules; what waited is not sent either."""
    await with_rules(world)
    await an_order(world)
    await world.later(minutes=1)
    await world.hub.store.write(
        lambda connection: store.unsubscribe(connection, "acme", "ADA@example.com", "order-news", "answered STOP", 1)
    )
    await world.later(hours=3)
    await with_rules(world, RULES.replace("rule: backorder", "rule: backorder-again").replace("stock\n", "other\n"))
    await an_order(world, "SO-2")
    await world.later(hours=1)

    assert [] == mails(world)
    assert {"unsubscribed"} == {reason for rule, _, reason in states(world) if rule.startswith("backorder")}


async def test_what_no_route_takes_waits_and_is_told_when_there_is_one(world: World) -> None:
    """Without a way for its channel a notice is not sent; a route is added, and it goes out once, a while later."""
    await with_rules(world)
    files = files_with(RULES)
    without = [line for line in files["routes.yaml"].splitlines(True) if '"mail"' not in line]
    await world.apply(files={**files, "routes.yaml": "".join(without)})
    await world.later(hours=5)
    await an_order(world)
    await world.later(minutes=1)
    assert ("backorder", "waiting", "no route takes channel mail") in states(world)
    assert "XD-CFG-020" in world.issues()
    assert 0 == len(world.query("select * from events where type = 'crossdock.notice.sent.v1'"))

    await world.apply(files=files)
    await world.later(minutes=20)
    await world.later(minutes=20)

    assert (1, ("backorder", "sent", "")) == (len(mails(world)), states(world)[0])
    assert "XD-CFG-020" not in world.issues()


async def test_what_another_system_tells_is_not_told_twice(world: World) -> None:
    """The shop mails its own customers of backorders: the hub stays silent, and says why."""
    owner = "owners:\n  - {on: crossdock.order.backordered.v1, system: shop, when: 'starts_with(order, \"W-\")'}\n"
    await with_rules(world, RULES + owner)
    await world.later(hours=5)
    await an_order(world, "W-1")
    await an_order(world, "SO-2")
    await world.later(minutes=1)

    assert ["SO-2"] == [mail["title"].split()[7] for mail in mails(world)]
    assert ("backorder", "suppressed", "shop tells of it") in states(world)


async def test_without_the_key_the_same_thing_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: with a key of each event instead of each matter, the customer hears of the same backorder twice."""
    monkeypatch.setattr(flow_notices, "once_key", lambda rule, recipient, subject, event_id, matter: event_id)
    await with_rules(world)
    await world.later(hours=5)
    await an_order(world)
    await world.later(minutes=1)
    await world.hub.store.write(
        lambda connection: connection.execute(
            "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
            " select tenant_id, 'evt_again', type, subject, data, occurred_at, recorded_at from events"
            " where type = 'crossdock.order.backordered.v1'"
        )
    )
    await world.later(minutes=1)

    assert 2 == len(mails(world))


async def test_rules_begin_with_what_comes_next(world: World) -> None:
    """Nobody is told of what happened before the rules were there."""
    await world.later(hours=5)
    await an_order(world)
    await with_rules(world)
    await world.later(hours=2)

    assert [] == mails(world)
