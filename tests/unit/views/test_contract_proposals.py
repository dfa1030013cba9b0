"""What history teaches: contracts with their evidence, in the words of a pack; nothing from noise."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgspec

from crossdock.mapping.yaml_source import load
from crossdock.processes.contracts import Contract
from crossdock.views.contract_proposals import Came, Send, propose

MINUTE = 60_000_000
START = int(datetime(2026, 10, 1, 14, tzinfo=UTC).timestamp() * 1e6)
DEPARTED = "crossdock.shipment.departed.v1"
PARTNERS = {"swift": "swift", "reno": "reno", "cargo": "cargo"}


def history(count: int, *, answered: float = 1.0, seed: int = 1) -> tuple[list[Send], list[Came]]:
    """Requests with a confirmation after 10 to 180 minutes each."""
    draw = random.Random(seed)
    sends, came = [], []
    for number in range(count):
        at = START + number * 7 * MINUTE
        sends.append(Send("swift", "fulfillment_request", f"order/{number}", f"{number}-1", at))
        if draw.random() < answered:
            delay = draw.randint(10, 180) * MINUTE
            came.append(Came("swift", "shipment", DEPARTED, f"order/{number}", at + delay))
    return sends, came


def contracts_of(text: str) -> Contract:
    """Read a proposal as a pack reads it."""
    root, findings = load(text)
    assert [] == findings
    assert root is not None
    return msgspec.convert(root.plain(), Contract)


def test_945_follows_940() -> None:
    """The time in which 99 of 100 came becomes the contract, with the count of the evidence."""
    sends, came = history(1_204)
    (found,) = propose(sends, came, partners=PARTNERS, zones={})

    assert "shipment.departed follows fulfillment_request within 2 h 5" in found.evidence or "3 h" in found.evidence
    assert "in 99% of 1,204" in found.evidence
    contract = contracts_of(found.yaml)
    delays = sorted(arrival.at - send.at for send, arrival in zip(sends, came, strict=True))
    share = sum(1 for delay in delays if delay <= int(contract.within[:-1]) * MINUTE) / len(delays)
    assert 0.99 <= share <= 1


def test_what_is_often_not_answered_is_no_contract() -> None:
    """Control: a fifth without an answer, or only a few cases, teach nothing; what the pack has is not said again."""
    assert () == propose(*history(1_000, answered=0.8), partners=PARTNERS, zones={})
    assert () == propose(*history(29), partners=PARTNERS, zones={})
    known = {("swift", "fulfillment_request", DEPARTED)}
    assert () == propose(*history(1_000), partners=PARTNERS, zones={}, known=known)


def test_a_daily_report_and_a_feed_are_seen() -> None:
    """Stock every morning before six in its own zone; milestones every few minutes."""
    day = 24 * 60 * MINUTE
    # 12:40 UTC is 05:40 in Los Angeles in October.
    stock = [Came("reno", "inventory_snapshot", "x", "", START - 80 * MINUTE + n * day) for n in range(10)]
    pings = [Came("cargo", "milestone", "y", "", START + n * 9 * MINUTE) for n in range(60)]
    found = {
        one.contract: one
        for one in propose([], [*stock, *pings], partners=PARTNERS, zones={"reno": "America/Los_Angeles"})
    }

    daily = contracts_of(found["reno-daily-inventory-snapshot"].yaml)
    assert ("05:45", "reno") == (daily.every_day_by, daily.expect.connection)
    feed = contracts_of(found["cargo-feed"].yaml)
    assert ("9m", "parcels_move") == (feed.every, feed.while_)
