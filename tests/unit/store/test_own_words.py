"""Our own words are found by an index, of the connections asked for, and are forgotten when they are old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossdock.durable.retention import DAY_MICROS
from crossdock.store import drifts, own_words
from crossdock.store.engine import Store, open_store
from tests.unit.views.test_query_plans import Planner

NOW = 200 * DAY_MICROS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'record.db'}", readers=1)
    yield store
    store.close()


def word(key: str, days_ago: int, connection_id: str = "alpha") -> own_words.OwnChange:
    return ("acme", connection_id, "order", key, b"d", NOW - days_ago * DAY_MICROS)


def test_a_word_counts_for_ninety_days_and_old_ones_go_bit_by_bit(store: Store, monkeypatch: Any) -> None:
    """Old words are no words; each new one takes a bounded number of them with it, and none of another tenant."""
    monkeypatch.setattr(own_words, "AGED_MAX", 3)
    old = [word(f"OLD-{n}", 95) for n in range(5)]
    other = ("bolt", *old[0][1:])
    store.write_now(lambda connection: own_words.remember(connection, [*old, other]))
    store.write_now(lambda connection: own_words.remember(connection, [word("A", 89)]))
    keys = ["A", "OLD-4"]
    told = store.read_now(lambda connection: own_words.told(connection, "acme", ["alpha"], keys, NOW))
    assert [("alpha", "order", "A")] == list(told)

    left = "select tenant_id, count(*) from own_changes group by tenant_id order by tenant_id"
    counts = []
    for days_ago in (1, 0):
        store.write_now(lambda connection, ago=days_ago: own_words.remember(connection, [word("A", ago)]))
        counts.append([tuple(row) for row in store.read_now(lambda connection: connection.query(left))])

    assert [[("acme", 1 + 2), ("bolt", 1)], [("acme", 1), ("bolt", 1)]] == counts


def test_only_the_connections_asked_for_are_looked_at(store: Store) -> None:
    """What was told of a key to beta is nothing to a paper of alpha."""
    words = [word("A", 1), word("A", 1, "beta")]
    store.write_now(lambda connection: own_words.remember(connection, words))
    told = store.read_now(lambda connection: own_words.told(connection, "acme", ["alpha"], ["A"], NOW))

    assert [("alpha", "order", "A")] == list(told)


def test_no_question_of_the_cycle_walks_all_words_of_a_tenant(store: Store) -> None:
    """Words, their age, partners' names and drifts that wait: each has an index of its own."""

    def ask(inner: Any) -> dict[str, list[str]]:
        connection: Any = Planner(inner)
        own_words.told(connection, "acme", ["alpha"], ["A", "B"], NOW)
        own_words.references(connection, "acme", ["A", "B"])
        own_words._forget_aged(connection, "acme", NOW)
        drifts.waiting(connection, "acme", 10)
        return connection.plans

    plans = [" ".join(plan) for plan in store.read_now(ask).values()]
    wanted = (
        "own_changes_by_key (tenant_id=? AND connection_id=? AND key=?",
        "cross_references_by_value (tenant_id=? AND value=?",
        "own_changes_by_age (tenant_id=? AND told_at<?",
        "stock_drifts_waiting (tenant_id=?",
    )

    assert list(wanted) == [next((one for one in wanted if one in plan), plan) for plan in plans]
