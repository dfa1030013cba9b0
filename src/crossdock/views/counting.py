"""Counts that cost the same however long the record grows: they stop, and say that they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..store.engine import Connection

# Figures of a day.
COUNT_MAX = 10_000
# Of each combination of an order's facets: what is few is counted to the last one.
FACET_COUNT_MAX = 1_000


def bounded_count(connection: Connection, source: str, parameters: Sequence[Any], most: int = COUNT_MAX) -> int:
    """Count the rows of `source` ("table where …"), but no further than `most`: that many means "or more"."""
    row = connection.one(f"select count(*) from (select 1 from {source} limit ?) counted", (*parameters, most))  # noqa: S608 - our own words
    return int(row[0]) if row else 0
