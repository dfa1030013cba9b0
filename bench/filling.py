"""Fill a record with copies of a finished order, through SQL: what takes hours by the door takes minutes here.

One order is run through the hub for real. Every row it left, in every table, becomes one statement that writes the row
for a whole range of further numbers: its own nine-digit number is replaced by theirs wherever it stands, and every id
gets a time of its own, earlier than any real one, in the order of the numbers. Keys, indexes, sizes and the number of
rows are then those of that many finished orders; what differs is that all of them carry the instants of the one, and
that compressed payloads and digests are the same bytes in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossdock.store.engine import Connection, Row

TEMPLATE = "000000001"
CHUNK = 1_000
TABLES = (
    *("payloads", "receipts", "inbound_messages", "documents", "events", "aggregates", "identifiers"),
    *("outbound_messages", "attempts", "timers", "exceptions"),
)
# What the engine numbers by itself.
_OWN = {"events": ("position", "txid")}
_PARTS = re.compile(r"(000000001|(?<=_)[0-9A-HJKMNP-TV-Z]{10}(?=[0-9A-HJKMNP-TV-Z]{16}))")
_NUMBER, _TIME = "s.number9", "s.time10"


def rows_of(connection: Connection) -> dict[str, set[Row]]:
    """Return every row of the tables an order leaves rows in."""
    return {table: set(_plain(connection, table)) for table in TABLES}


def _plain(connection: Connection, table: str) -> Iterable[Row]:
    columns = ", ".join(columns_of(connection, table))
    return (
        tuple(bytes(value) if isinstance(value, bytes | memoryview) else value for value in row)
        for row in connection.query(f"select {columns} from {table}")
    )


def columns_of(connection: Connection, table: str) -> list[str]:
    """Return the columns of a table, without those the engine numbers."""
    if connection.engine == "sqlite":
        found = [str(row[1]) for row in connection.query(f"pragma table_info({table})")]
    else:
        rows = connection.query(
            "select column_name from information_schema.columns where table_name = ? order by ordinal_position",
            (table,),
        )
        found = [str(row[0]) for row in rows]
    return [column for column in found if column not in _OWN.get(table, ())]


class Copier:
    """Writes copies of the rows one order left."""

    def __init__(self, connection: Connection, before: Mapping[str, set[Row]], after: Mapping[str, set[Row]]) -> None:
        self._engine = connection.engine
        self.rows = {table: len(after[table] - before[table]) for table in TABLES}
        self._statements: list[tuple[str, list[Any]]] = []
        for table in TABLES:
            columns = columns_of(connection, table)
            # In the order of their keys, so that a range of copies is written where its neighbors are.
            for row in sorted(after[table] - before[table], key=lambda row: tuple(str(value) for value in row)):
                self._statements.append(self._statement(table, columns, row))

    def copy(self, connection: Connection, first: int, count: int) -> None:
        """Write the copies `first` to `first + count`; call it in one transaction for each CHUNK."""
        for sql, parameters in self._statements:
            connection.execute(sql, [*parameters, first, first + count - 1])

    def _statement(self, table: str, columns: Sequence[str], row: Row) -> tuple[str, list[Any]]:
        parameters: list[Any] = []
        values = [self._value(value, parameters) for value in row]
        if self._engine == "sqlite":
            series = (
                "with recursive n(i) as (select ? union all select i + 1 from n where i < ?),"
                " s as (select printf('%09d', i) as number9, printf('00%08d', i) as time10 from n)"
            )
            # The range stands first in the text: numbered parameters keep the order of the list.
            sql = f"{series} insert into {table} ({', '.join(columns)}) select {', '.join(values)} from s"
            return _numbered(sql, len(parameters)), parameters
        sql = (
            f"insert into {table} ({', '.join(columns)}) select {', '.join(values)} from"
            " (select lpad(i::text, 9, '0') as number9, '00' || lpad(i::text, 8, '0') as time10"
            " from generate_series(cast(? as bigint), cast(? as bigint)) as i) as s"
        )
        return sql, parameters

    def _value(self, value: Any, parameters: list[Any]) -> str:
        """Return the expression that writes a value for the numbers of the range."""
        text = value.decode() if isinstance(value, bytes) and _readable(value) else value
        if isinstance(text, str) and _PARTS.search(text):
            # The pattern is one group: what it found stands at the odd places.
            pieces = enumerate(_PARTS.split(text))
            joined = " || ".join(self._part(piece, at % 2 == 1, parameters) for at, piece in pieces if piece)
            if isinstance(value, str):
                return joined
            return f"cast({joined} as blob)" if self._engine == "sqlite" else f"convert_to({joined}, 'UTF8')"
        parameters.append(value)
        if self._engine == "sqlite":
            return "?"
        kinds = {bytes: "bytea", str: "text", int: "bigint", float: "double precision"}
        return f"cast(? as {kinds[type(value)]})" if type(value) in kinds else "?"

    def _part(self, piece: str, found: bool, parameters: list[Any]) -> str:
        if found:
            return _NUMBER if piece == TEMPLATE else _TIME
        parameters.append(piece)
        return "?" if self._engine == "sqlite" else "cast(? as text)"


def _numbered(sql: str, count: int) -> str:
    """Number the placeholders: the two of the range, which stand first in the text, come last in the list."""
    order = iter([count + 1, count + 2, *range(1, count + 1)])
    return re.sub(r"\?", lambda _: f"?{next(order)}", sql)


def _readable(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
