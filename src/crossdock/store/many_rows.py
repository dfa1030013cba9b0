"""One statement for many rows: what `executemany` runs row by row, written so that the engine is entered a few times.

SQLite gives up the interpreter's lock at every step of a statement; beside a busy event loop each return to it costs
more than the row itself. A batch of 64 rows in one statement pays that once.

    insert into t (…) values (?,?) …              → insert into t (…) values (?,?),(?,?),… …
    update t set a = ? where k = ? and <fixed>    → update t set a = v.column1 from (values …) as v
                                                     where k = v.column2 and <fixed>
Anything else runs row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

# A rest of fewer rows than the smallest of these runs row by row; so few statements are prepared.
_SIZES = (64, 32, 16, 8, 4, 2)

_INSERT = re.compile(r"(insert into .*?\svalues\s)(\((?:\?,\s*)*\?\))(.*)", re.DOTALL)
_UPDATE = re.compile(r"(update \w+ set .*?)(\swhere\s.*)", re.DOTALL)


class _Shape:
    """A statement that takes many rows at once. `key_at` is where the key of an update begins in its parameters."""

    __slots__ = ("_head", "_tail", "_values", "key_at", "width")

    def __init__(self, head: str, values: str, tail: str, key_at: int | None) -> None:
        self._head, self._values, self._tail = head, values, tail
        self.width = values.count("?")
        self.key_at = key_at
        if tail.count("?"):
            raise ValueError("a parameter behind the values would be given once for many rows")

    def statement(self, rows: int) -> str:
        return self._head + ",".join([self._values] * rows) + self._tail


@lru_cache(maxsize=512)
def _shape_of(sql: str) -> _Shape | None:
    found = _INSERT.fullmatch(sql)
    if found is not None:
        return _Shape(found[1], found[2], found[3], None)
    found = _UPDATE.fullmatch(sql)
    if found is None or " from " in sql or "returning" in sql:
        return None
    setting, where = found[1], found[2]
    for number in range(1, sql.count("?") + 1):
        if "?" in setting:
            setting = setting.replace("?", f"v.column{number}", 1)
        else:
            where = where.replace("?", f"v.column{number}", 1)
    width = sql.count("?")
    values = "(" + ",".join("?" * width) + ")"
    return _Shape(f"{setting} from (values ", values, f") as v{where}", found[1].count("?"))


@lru_cache(maxsize=1024)
def _statement(sql: str, rows: int) -> str:
    shape = _shape_of(sql)
    assert shape is not None
    return shape.statement(rows)


def in_parts(sql: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Sequence[Any], Sequence[Sequence[Any]]]]:
    """Yield what to run for a batch, in order: a statement with its parameters, or one with the rows it is run for.

    The result of running them is that of running `sql` for every row in order.
    """
    if not rows:
        return
    shape = _shape_of(sql) if len(rows) >= _SIZES[-1] else None
    if shape is None or (shape.key_at is not None and _names_one_twice(rows, shape.key_at)):
        yield sql, (), rows
        return
    start, count = 0, len(rows)
    for size in _SIZES:
        while count - start >= size:
            yield _statement(sql, size), tuple(chain.from_iterable(rows[start : start + size])), ()
            start += size
    if start < count:
        yield sql, (), rows[start:]


def _names_one_twice(rows: Sequence[Sequence[Any]], key_at: int) -> bool:
    """Tell whether two rows of an update have one key: joined, only one of them would count."""
    return len({tuple(row[key_at:]) for row in rows}) < len(rows)
