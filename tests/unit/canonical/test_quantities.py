"""Money and units are exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.canonical.quantities import Money, unit_from

amounts = st.decimals("-1e9", "1e9", places=2, allow_nan=False)


@given(amounts, amounts)
def test_sums_of_money_are_exact(one: Decimal, other: Decimal) -> None:
    """No cent appears or vanishes."""
    assert Money(one + other, "USD") == Money(one, "USD") + Money(other, "USD")


def test_currencies_do_not_mix() -> None:
    """Adding dollars to euros is refused."""
    with pytest.raises(ValueError, match="EUR"):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")


@pytest.mark.parametrize(("factor", "cents"), [("0.5", "0.12"), ("1.5", "0.38"), ("0", "0.00")])
def test_rounding_goes_to_the_even_cent(factor: str, cents: str) -> None:
    """Half a cent goes to the even side, so that sums do not drift."""
    assert Money(Decimal(cents), "USD") == Money(Decimal("0.25"), "USD").times(Decimal(factor))


@pytest.mark.parametrize(("code", "unit"), [("ea", "EA"), ("Pcs", "EA"), ("CA", "CS"), ("XYZ", "XYZ")])
def test_units_of_partners_become_ours(code: str, unit: str) -> None:
    """Known codes are translated; unknown ones survive."""
    assert unit == unit_from(code)
