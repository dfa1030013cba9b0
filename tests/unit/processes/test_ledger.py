"""The ledger of a line, move by move."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossdock.processes.ledger import LedgerViolation, LineLedger, check, is_quantity, rounded_down

TEN = Decimal(10)


def test_goods_go_from_open_to_returned():
    """Each move empties one bucket into the next."""
    line = LineLedger.of("1", TEN).release(Decimal(8)).pick(Decimal(5)).ship(Decimal(6), picked=Decimal(5))
    line = line.deliver(Decimal(4)).take_return(Decimal(1)).give_to_finance(Decimal(6))

    assert LineLedger(
        "1", TEN, open=Decimal(2), released=Decimal(2), shipped=Decimal(6), delivered=Decimal(4),
        returned=Decimal(1), invoiced=Decimal(6),
    ) == line  # fmt: skip


@pytest.mark.parametrize(
    "move",
    [
        lambda line: line.release(Decimal(11)),
        lambda line: line.release(Decimal(0)),
        lambda line: line.release(Decimal("NaN")),
        lambda line: line.pick(Decimal(1)),
        lambda line: line.ship(Decimal(1)),
        lambda line: line.give_back(Decimal(1)),
        lambda line: line.reopen(Decimal(1)),
        lambda line: line.cancel(Decimal(11)),
        lambda line: line.cancel(Decimal(1), source="backordered"),
        lambda line: line.deliver(Decimal(1)),
        lambda line: line.take_return(Decimal(1)),
        lambda line: line.give_to_finance(Decimal(1)),
    ],
)
def test_a_move_that_breaks_the_balance_is_refused(move):
    """The error carries the code of the exception it becomes and names line and bucket."""
    with pytest.raises(LedgerViolation, match="line 1") as refused:
        move(LineLedger.of("1", TEN))

    assert "XD-ORD-005" == refused.value.code


def test_a_ledger_that_does_not_add_up_is_noticed():
    """A state that was damaged outside is found by `check`."""
    with pytest.raises(LedgerViolation):
        check(LineLedger("1", TEN, open=Decimal(9)))


def test_quantities_stay_where_sums_are_exact():
    """At most a thousand million and six decimals; stock with more is cut, never rounded up."""
    assert is_quantity(Decimal("0.000001")) and is_quantity(Decimal("1E+9"))
    assert not any(is_quantity(Decimal(text)) for text in ("0.0000001", "1E+10", "-1", "NaN", "Infinity"))
    assert Decimal("3.333333") == rounded_down(Decimal(10) / Decimal(3))
    assert Decimal(10) ** 9 == rounded_down(Decimal("1E+30"))
