"""What governance and the views need of the record: a connection that runs SQL. The engines live in `store/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]


class Connection(Protocol):
    """One database transaction, or a read-only look at the record. SQL uses `?` on both engines.

    `many` takes SQL with one `{}` where the values of an IN list go, the parameters that stand before it, and the values.
    """

    engine: str

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]: ...

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None: ...

    def many(self, sql: str, before: Sequence[Any], values: Sequence[Any]) -> list[Row]: ...
