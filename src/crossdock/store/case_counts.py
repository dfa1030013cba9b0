"""How many cases were opened on a day: the noise budget of a tenant."""

from __future__ import annotations

from collections.abc import Mapping

from .engine import Connection


def opened(connection: Connection, tenant_id: str, on_day: str) -> int:
    """Return how many cases a tenant opened on a day of its own zone."""
    row = connection.one("select opened from case_counts where tenant_id = ? and on_day = ?", (tenant_id, on_day))
    return int(row[0]) if row else 0


def count(connection: Connection, more: Mapping[tuple[str, str], int]) -> None:
    """Add to the counts: (tenant_id, day) → how many more. Several workers may count at once."""
    connection.executemany(
        "insert into case_counts (tenant_id, on_day, opened) values (?,?,?) on conflict (tenant_id, on_day) do update"
        " set opened = case_counts.opened + excluded.opened",
        [(*place, number) for place, number in sorted(more.items())],
    )
