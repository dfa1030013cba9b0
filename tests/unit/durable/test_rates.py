"""Budgets of cost: exact, and never more than the limit, whoever spends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.rates import Budget, RateLimit

START = 1_000_000.0


def most_in_a_window(spent: list[tuple[float, float]], seconds: float) -> float:
    """Return the most cost that fell into any half-open window of so many seconds."""
    best = 0.0
    for began, _ in spent:
        best = max(best, sum(cost for at, cost in spent if began <= at < began + seconds))
    return best


def play(limit: RateLimit, seed: int, workers: int, share: object) -> list[tuple[float, float]]:
    """Let several workers spend as fast as they are let; return what was spent when."""
    chance, now = random.Random(seed), START
    budgets = [Budget() for _ in range(workers)] if share is None else [share] * workers  # type: ignore[list-item]
    spent = []
    while now < START + 20:
        budget, cost = chance.choice(budgets), chance.choice((0.5, 1.0, 2.0))
        if budget.wait(limit, cost, now) == 0:
            budget.spend(limit, cost, now)
            spent.append((now, cost))
        now += chance.random() * 0.05
    return spent


@pytest.mark.parametrize("seed", range(20))
def test_no_window_holds_more_than_rate_and_burst(seed: int) -> None:
    """Five a second and a burst of eight: in any five seconds at most 33, with three workers on one budget."""
    limit = RateLimit(5.0, burst=8.0)

    assert most_in_a_window(play(limit, seed, 3, Budget()), 5.0) <= 5 * 5 + 8 + 1e-6


def test_a_budget_that_is_not_shared_is_caught() -> None:
    """The control: three workers with a budget each spend three times the limit."""
    limit = RateLimit(5.0, burst=8.0)

    assert most_in_a_window(play(limit, 1, 3, None), 5.0) > 5 * 5 + 8


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 20)), max_size=60))
def test_batches_grant_no_more_than_single_costs(asked: list[tuple[float, float]]) -> None:
    """However workers draw, what is granted stays within rate and burst."""
    limit, budget, now, granted = RateLimit(2.0, burst=6.0), Budget(), START, 0.0
    for pause, wanted in asked:
        now += pause
        granted += budget.grant(limit, wanted, now)

    assert granted <= 6 + 2 * (now - START) + 1e-6


def test_a_pause_holds_and_a_shorter_one_takes_nothing_back() -> None:
    """Retry-After wins over any budget, and the longest of several."""
    budget = Budget()
    budget.pause(START + 60)
    budget.pause(START + 10)

    assert 60 == budget.wait(RateLimit(), 1, START)
    assert 0 == budget.grant(RateLimit(100.0), 5, START + 59)
    assert 5 == budget.grant(RateLimit(100.0), 5, START + 60)


def test_after_a_start_there_is_no_burst() -> None:
    """Nobody knows what the process before has spent: the first cost waits for its own second."""
    budget, limit = Budget(), RateLimit(2.0, burst=10.0)
    budget.exhaust(limit, START)

    assert 0.5 == pytest.approx(budget.wait(limit, 1, START))


def test_a_cost_that_is_larger_than_the_burst_can_be_spent() -> None:
    """A document that costs more than the burst would otherwise wait for ever."""
    limit = RateLimit(1.0, burst=2.0, costs={"inventory_report": 10})

    assert 0 == Budget().wait(limit, limit.cost_of("inventory_report"), START)
