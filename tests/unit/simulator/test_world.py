"""The world is a function of its seed."""

from __future__ import annotations

from collections import Counter

import pytest

from crossdock.simulator.world import ORDERS_OF_THE_DAY, SPLIT_SKU, clock_time, goods, plan_day


def test_the_same_seed_gives_the_same_orders():
    """Two plans of one seed are equal, plans of two seeds are not."""
    assert plan_day(7, 60) == plan_day(7, 60)
    assert plan_day(7, 60) != plan_day(8, 60)


def test_the_day_has_its_orders_and_its_opening():
    """1,284 orders, of which 310 come at 08:00."""
    orders = plan_day(1)

    assert ORDERS_OF_THE_DAY == len(orders)
    assert 310 == sum(1 for order in orders if order.at == clock_time("08:00"))
    assert len(orders) == len({order.number for order in orders})


@pytest.mark.parametrize("size", [60, ORDERS_OF_THE_DAY])
def test_the_orders_that_rows_need_are_always_there(size):
    """However small the day, the orders for its rows are in it."""
    tags = Counter(order.tag for order in plan_day(3, size))

    wanted = {"split": 1, "at_risk": 1, "unknown_site": 11, "outage": 8, "surge": 24, "no_advice": 4, "backorder": 1}
    assert wanted == {k: v for k, v in tags.items() if k}


def test_stock_is_short_for_one_article_only():
    """All but the split article are ample at every site, so that sourcing depends on no race."""
    ordered: Counter[str] = Counter()
    for order in plan_day(1):
        ordered.update({line.sku: line.quantity for line in order.lines})

    for sku, good in goods().items():
        if sku == SPLIT_SKU:
            # The hundred of the split order, and two more that wait for stock.
            assert (102, 100) == (ordered[sku], sum(good.stock.values()))
        else:
            assert ordered[sku] < min(good.stock.values())


def test_a_day_that_is_too_small_is_refused():
    """Fewer orders than the rows need is an error that says how many."""
    with pytest.raises(ValueError, match="60"):
        plan_day(1, 10)
