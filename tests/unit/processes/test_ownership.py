"""Whose word counts: owned fields keep their owner's word, and every other word is a conflict, never silently lost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.canonical.inventory import InventorySnapshot, StockLine
from crossdock.canonical.orders import Order, OrderLine
from crossdock.processes.ownership import OwnershipRule, judge, substance

LINES = (OrderLine("1", "A", Decimal(1)),)
RULES = [(OwnershipRule("order", fields={"email": ("crm",), "service_level": ("erp", "tms")}), None)]


def an_order(**fields: Any) -> Order:
    return Order("SO-1", LINES, **fields)


def test_an_owned_field_keeps_its_owners_word() -> None:
    """The shop's e-mail is kept as a conflict and the CRM's stands; what nobody owns is applied."""
    known = an_order(email="ada@example.com")

    judged = judge(RULES, "order", an_order(email="other@example.com", note="hello"), "shop", known)

    assert ("ada@example.com", "hello") == (judged.value.email, judged.value.note)
    assert ["shop says email = other@example.com; crm owns it, ada@example.com stands"] == [
        one.words for one in judged.conflicts
    ]


def test_an_owner_is_believed_and_silence_is_no_word() -> None:
    """An owner changes its field; another who leaves it out takes nothing away and contradicts nobody."""
    known = an_order(email="ada@example.com")

    assert "new@example.com" == judge(RULES, "order", an_order(email="new@example.com"), "crm", known).value.email
    silent = judge(RULES, "order", an_order(), "shop", known)
    assert ("ada@example.com", ()) == (silent.value.email, silent.conflicts)


def test_an_object_of_somebody_else_is_not_applied_at_all() -> None:
    """Owned as a whole: nothing of another's paper counts."""
    rules = [(OwnershipRule("order", owners=("erp",)), None)]

    assert None is judge(rules, "order", an_order(), "shop", None).value
    assert judge(rules, "order", an_order(), "erp", None).value is not None


@given(
    said=st.sampled_from(["", "a", "b"]), stands=st.sampled_from(["", "a", "b"]), partner=st.sampled_from(["crm", "x"])
)
def test_a_field_is_either_applied_or_in_conflict(said: str, stands: str, partner: str) -> None:
    """Whatever is said: an owned field never takes a foreign word, and a foreign word that differs is a conflict."""
    judged = judge(RULES, "order", an_order(email=said), partner, an_order(email=stands))

    if partner == "crm":
        assert (said, ()) == (judged.value.email, judged.conflicts)
    else:
        assert stands == judged.value.email
        assert bool(judged.conflicts) == (said not in ("", stands))


def test_two_tellings_of_one_fact_have_one_substance() -> None:
    """When it was said is no part of what was said; a quantity is."""

    def report(quantity: int, at: datetime) -> InventorySnapshot:
        return InventorySnapshot("RENO", at, (StockLine("A", Decimal(quantity)),))

    morning, noon = datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert substance(report(5, morning)) == substance(report(5, noon)) != substance(report(6, noon))
