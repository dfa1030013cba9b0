"""One statement for many rows on PostgreSQL: the columns of a batch travel as binary arrays.

    insert into t (a, b) values (?,?) …         → insert into t (a, b) select * from unnest(…::text[], …::bigint[]) …
    update t set a = ? where k = ? and <fixed>  → update t set a = v.p1 from unnest(…) as v(p1, p2) where k = v.p2 …
    select … where k in ({})                    → select … where k = any(…)

A list given as `%s` goes out as text and costs nine times as much as `%b`: a test guards it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

ColumnTypes = Callable[[str], Mapping[str, str]]

_INSERT = re.compile(r"insert into (\w+) \(([^)]*)\)\s+values\s+\((?:\?,\s*)*\?\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"update (\w+) set (.*?)(\swhere\s.*)", re.DOTALL)
_COMPARED = re.compile(r"(\w+)\s*(?:=|<>|<=|>=|<|>)\s*\?")
_CONFLICT = re.compile(r"on conflict \(([^)]*)\)\s+do update", re.DOTALL)
_ROWS_MIN = 2


class _Shape(msgspec.Struct, frozen=True):
    """A statement that can take arrays: its table, the column behind each parameter, and its two ends.

    `key_at` holds the parameters that tell rows apart; two rows of one key must run one after the other.
    """

    table: str
    columns: tuple[str, ...]
    head: str
    tail: str
    key_at: tuple[int, ...]


@lru_cache(maxsize=512)
def _shape_of(sql: str) -> _Shape | None:
    found = _INSERT.fullmatch(sql)
    if found is not None and "?" not in found[3] and "returning" not in found[3]:
        columns = tuple(name.strip() for name in found[2].split(","))
        conflict = _CONFLICT.search(found[3])
        key = tuple(columns.index(name.strip()) for name in conflict[1].split(",")) if conflict else ()
        head = f"insert into {found[1]} ({found[2]}) select * from unnest("
        return _Shape(found[1], columns, head, f"){found[3]}", key)
    found = _UPDATE.fullmatch(sql)
    compared = tuple(_COMPARED.findall(sql))
    if found is None or len(compared) != sql.count("?") or " from " in sql or "returning" in sql:
        return None
    setting, where = found[2], found[3]
    for number in range(1, len(compared) + 1):
        if "?" in setting:
            setting = setting.replace("?", f"v.p{number}", 1)
        else:
            where = where.replace("?", f"v.p{number}", 1)
    names = ", ".join(f"p{number}" for number in range(1, len(compared) + 1))
    first_key = found[2].count("?")
    return _Shape(
        found[1],
        compared,
        f"update {found[1]} set {setting} from unnest(",
        f") as v({names}){where}",
        tuple(range(first_key, len(compared))),
    )


def in_arrays(sql: str, rows: Sequence[Sequence[Any]], types_of: ColumnTypes) -> tuple[str, list[list[Any]]] | None:
    """Return the statement (in the driver's own form) and its arrays, or None when the rows must run one by one."""
    shape = _shape_of(sql) if len(rows) >= _ROWS_MIN else None
    if shape is None or (shape.key_at and _names_one_twice(rows, shape.key_at)):
        return None
    types = types_of(shape.table)
    if not all(column in types for column in shape.columns):
        return None
    return _statement(sql, tuple(types[column] for column in shape.columns)), [
        list(column) for column in zip(*rows, strict=True)
    ]


@lru_cache(maxsize=512)
def _statement(sql: str, types: tuple[str, ...]) -> str:
    shape = _shape_of(sql)
    assert shape is not None
    arrays = ", ".join(f"%b::{kind}[]" for kind in types)
    return shape.head.replace("%", "%%") + arrays + shape.tail.replace("%", "%%")


def _names_one_twice(rows: Sequence[Sequence[Any]], key_at: tuple[int, ...]) -> bool:
    """Tell whether two rows have one key: in one statement only one of them would count, or the server refuses."""
    return len({tuple([row[at] for at in key_at]) for row in rows}) < len(rows)


@lru_cache(maxsize=512)
def any_of(sql: str, kind: str) -> str:
    """Return a query with an IN list (`in ({})`) in the driver's form: one array of a Python `kind` stands for it."""
    array = {"str": "text", "bytes": "bytea"}.get(kind, "bigint")
    before, _, after = sql.partition("in ({})")
    text = before.replace("%", "%%").replace("?", "%s") + f"= any(%b::{array}[])"
    return text + after.replace("%", "%%").replace("?", "%s")
