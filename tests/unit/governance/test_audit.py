# ruff: noqa: E501 - tables of cases and rows read better in one line
"""The audit trail: a chain per tenant in which every tampering shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossdock.governance import audit
from crossdock.store.engine import Connection, Store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def _five(connection: Connection, tenant_id: str) -> None:
    for number in range(5):
        audit.append(
            connection, tenant_id, actor="ann", action="order.cancel", object=f"order/SO-{number}",
            at=NOW + timedelta(seconds=number), reason="asked by phone", detail={"before": "open", "after": "cancelled"},
        )  # fmt: skip


def test_an_untouched_chain_verifies(either_store: Store) -> None:
    """Each tenant has its own chain, and an untouched one verifies to its head."""
    either_store.write_now(lambda c: _five(c, "northgate"))
    either_store.write_now(lambda c: _five(c, "southgate"))

    verdict = either_store.read_now(lambda c: audit.verify(c, "northgate"))

    assert (True, 5) == (verdict.ok, verdict.checked)
    assert either_store.read_now(lambda c: audit.head(c, "northgate")) == verdict.head
    assert verdict.head.hash != either_store.read_now(lambda c: audit.head(c, "southgate")).hash
    newest = either_store.read_now(lambda c: audit.entries(c, "northgate", limit=2))
    assert ["order/SO-4", "order/SO-3"] == [entry.object for entry in newest]
    older = either_store.read_now(lambda c: audit.entries(c, "northgate", before=newest[-1].audit_id))
    assert ["order/SO-2", "order/SO-1", "order/SO-0"] == [entry.object for entry in older]


TAMPERINGS = {
    "edit": ("update audit set reason = 'nobody asked' where tenant_id = 'northgate' and audit_id = 'aud_000000000003'", 3),
    "edit detail": ("update audit set detail = x'7b7d' where tenant_id = 'northgate' and audit_id = 'aud_000000000002'", 2),
    "edit time": ("update audit set at = at + 1 where tenant_id = 'northgate' and audit_id = 'aud_000000000004'", 4),
    "delete": ("delete from audit where tenant_id = 'northgate' and audit_id = 'aud_000000000002'", 3),
    "delete the first": ("delete from audit where tenant_id = 'northgate' and audit_id = 'aud_000000000001'", 2),
    "move to another tenant": (
        "update audit set tenant_id = 'southgate' where tenant_id = 'northgate' and audit_id = 'aud_000000000003'", 4),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TAMPERINGS))
def test_tampering_is_named(store: Store, name: str) -> None:
    """An edit or a removal breaks the chain at the first row that does not fit."""
    sql, first_bad = TAMPERINGS[name]
    store.write_now(lambda c: _five(c, "northgate"))

    store.write_now(lambda c: c.execute(sql))

    verdict = store.read_now(lambda c: audit.verify(c, "northgate"))
    assert (False, f"aud_{first_bad:012d}") == (verdict.ok, verdict.first_bad)
    assert verdict.reason


def test_a_swap_is_named(store: Store) -> None:
    """Two entries that change places break the chain."""
    store.write_now(lambda c: _five(c, "northgate"))
    rename = "update audit set audit_id = ? where tenant_id = 'northgate' and audit_id = ?"

    def swap(connection: Connection) -> None:
        connection.execute(rename, ("aside", "aud_000000000002"))
        connection.execute(rename, ("aud_000000000002", "aud_000000000003"))
        connection.execute(rename, ("aud_000000000003", "aside"))

    store.write_now(swap)

    verdict = store.read_now(lambda c: audit.verify(c, "northgate"))
    assert (False, "aud_000000000002") == (verdict.ok, verdict.first_bad)


def test_a_cut_shows_against_a_head_kept_elsewhere(store: Store) -> None:
    """A chain without its last entries still fits in itself, but not the head that was kept in a second place."""
    store.write_now(lambda c: _five(c, "northgate"))
    kept = store.read_now(lambda c: audit.head(c, "northgate"))

    store.write_now(
        lambda c: c.execute("delete from audit where tenant_id = 'northgate' and audit_id > 'aud_000000000003'")
    )

    assert store.read_now(lambda c: audit.verify(c, "northgate")).ok
    verdict = store.read_now(lambda c: audit.verify(c, "northgate", expected=kept))
    assert (False, "aud_000000000004") == (verdict.ok, verdict.first_bad)


def test_a_rewritten_chain_shows_against_a_head_kept_elsewhere(store: Store) -> None:
    """A chain written anew from the first entry fits in itself, but not the head that was kept in a second place."""
    store.write_now(lambda c: _five(c, "northgate"))
    kept = store.read_now(lambda c: audit.head(c, "northgate"))

    def rewrite(connection: Connection) -> None:
        connection.execute("delete from audit where tenant_id = 'northgate'")
        for _ in range(5):
            audit.append(connection, "northgate", actor="eve", action="order.cancel", object="order/SO-1", at=NOW)

    store.write_now(rewrite)

    assert store.read_now(lambda c: audit.verify(c, "northgate")).ok
    assert not store.read_now(lambda c: audit.verify(c, "northgate", expected=kept)).ok


def test_an_act_that_rolls_back_leaves_no_entry(store: Store) -> None:
    """The entry stands or falls with the act it tells of."""

    def fails(connection: Connection) -> None:
        _five(connection, "northgate")
        raise ValueError("the act failed")

    with pytest.raises(ValueError):
        store.write_now(fails)

    assert 0 == store.read_now(lambda c: audit.head(c, "northgate")).count
