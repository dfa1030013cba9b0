"""One statement for any number of rows on PostgreSQL: the columns of a batch travel as binary arrays.

    insert into t (…) values (?,?) …  →  insert into t (…) select v.p1, v.p2 from unnest(%b, %b) as v(p1,p2) …
    update t set a = ? where k = ? …  →  update t set a = v.p1 from unnest(…) as v(…) where k = v.p2 …
    delete from t where k = ?         →  delete from t using unnest(…) as v(…) where k = v.p1

What type each parameter has is asked of the server, once for each statement.
A list given to psycopg as `%s` would go out as text and be read an element at a time, nine times slower; psycopg's own
binary lists are packed an element at a time in Python. These are packed a column at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import pack
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_INSERT = re.compile(r"(insert into \w+ \(([^)]*)\)\s*)values\s*\(([^()]*)\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"(update \w+ set .*?)(\swhere\s.*)", re.DOTALL)
_DELETE = re.compile(r"(delete from \w+)(\swhere\s.*)", re.DOTALL)
_MERGED = re.compile(r"\s*on\s+conflict\s*\(([^)]*)\)\s*do\s+update\b.*", re.DOTALL)

TEXT = 25
_BOOL, _BYTEA, _INT8, _INT4, _FLOAT8 = 16, 17, 20, 23, 701


class Shape(NamedTuple):
    """A statement that takes arrays. `key` are the parameters by which a row is found: two rows of one statement must
    not share them, or only one of them would count. Empty: rows cannot meet.
    """

    head: str
    tail: str
    width: int
    key: tuple[int, ...]

    def statement(self) -> str:
        """Return the statement with psycopg's placeholders, one array for each parameter."""
        arrays = ",".join(["%b"] * self.width)
        names = ",".join(f"p{number}" for number in range(1, self.width + 1))
        return f"{self.head} unnest({arrays}) as v({names}){self.tail}"


def numbered(sql: str) -> str:
    """Return a statement with `$1` for its first `?`, and so on."""
    parts = sql.split("?")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


@lru_cache(maxsize=512)
def shape_of(sql: str) -> Shape | None:
    """Return how a statement takes many rows at once; None when it is none of the plain forms."""
    if "returning" in sql or "%" in sql:
        return None
    found = _INSERT.fullmatch(sql)
    if found is not None:
        return _insert(found)
    found = _UPDATE.fullmatch(sql)
    if found is not None:
        setting, where = found[1], found[2]
        first = setting.count("?")
        width = first + where.count("?")
        if " from " in setting or first == width:
            return None
        tail = _named(where, first)
        return Shape(_named(setting, 0) + " from", tail, width, tuple(range(first, width)))
    found = _DELETE.fullmatch(sql)
    if found is not None and "?" in found[2]:
        return Shape(found[1] + " using", _named(found[2], 0), found[2].count("?"), ())
    return None


def _insert(found: re.Match[str]) -> Shape | None:
    columns = [column.strip() for column in found[2].split(",")]
    values = [value.strip() for value in found[3].split(",")]
    if len(columns) != len(values) or "?" in found[4] or "?" not in values:
        return None
    place: dict[str, int] = {}
    for column, value in zip(columns, values, strict=True):
        if value == "?":
            place[column] = len(place)
    key: tuple[int, ...] = ()
    merged = _MERGED.fullmatch(found[4])
    if merged is not None:
        names = [name.strip() for name in merged[1].split(",")]
        # A fixed part of the key is the same in every row.
        key = tuple(place[name] for name in names if name in place)
    selected = _named(", ".join(values), 0)
    return Shape(f"{found[1]}select {selected} from", found[4], len(place), key)


def _named(text: str, before: int) -> str:
    parts = text.split("?")
    return "".join(f"{part}v.p{before + number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


def groups(rows: Sequence[Sequence[Any]], key: tuple[int, ...]) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield the rows in order, parted so that no two of a part share their key."""
    if not key:
        yield rows
        return
    seen: set[tuple[Any, ...]] = set()
    start = 0
    for number, row in enumerate(rows):
        mine = tuple([row[place] for place in key])
        if mine in seen:
            yield rows[start:number]
            start = number
            seen = set()
        seen.add(mine)
    yield rows[start:]


# -- arrays


class Array(bytes):
    """A one-dimensional array in PostgreSQL's binary format; each subclass is one type of elements."""

    __slots__ = ()


class TextArray(Array):
    """text[]"""


class BytesArray(Array):
    """bytea[]"""


class BigArray(Array):
    """bigint[]"""


class IntArray(Array):
    """integer[]"""


class FloatArray(Array):
    """double precision[]"""


class BoolArray(Array):
    """boolean[]"""


def _dumper(array_oid: int) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: bytes) -> bytes:
            return bytes(obj)

    return ArrayDumper


_DUMPERS: dict[type[Array], type[Dumper]] = {
    TextArray: _dumper(1009),
    BytesArray: _dumper(1001),
    BigArray: _dumper(1016),
    IntArray: _dumper(1007),
    FloatArray: _dumper(1022),
    BoolArray: _dumper(1000),
}

_FIXED: dict[int, tuple[type[Array], str, int]] = {
    _INT8: (BigArray, "q", 8),
    _INT4: (IntArray, "i", 4),
    _FLOAT8: (FloatArray, "d", 8),
    _BOOL: (BoolArray, "?", 1),
}
_NULL = b"\xff\xff\xff\xff"


def teach(connection: psycopg.Connection[Any]) -> None:
    """Let a connection send the arrays of this module."""
    for kind, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(kind, dumper)


def packable(oids: Sequence[int]) -> bool:
    """Tell whether columns of these types can be packed."""
    return all(oid in _FIXED or oid in (TEXT, _BYTEA) for oid in oids)


def packed(oid: int, values: Sequence[Any]) -> Array:
    """Return a column as an array.

    Raises TypeError, AttributeError or struct.error when a value is not of the type.
    """
    header = pack("!iiIii", 1, 1 if None in values else 0, oid, len(values), 1)
    if oid == TEXT:
        return TextArray(header + _texts(values))
    if oid == _BYTEA:
        return BytesArray(header + b"".join([_sized(value) for value in values]))
    kind, letter, size = _FIXED[oid]
    first = values[0]
    if values.count(first) == len(values):
        element = _NULL if first is None else pack(f"!i{letter}", size, first)
        return kind(header + element * len(values))
    if None in values:
        form = f"!i{letter}"
        return kind(header + b"".join([_NULL if value is None else pack(form, size, value) for value in values]))
    flat: list[Any] = [size] * (2 * len(values))
    flat[1::2] = values
    return kind(header + pack("!" + f"i{letter}" * len(values), *flat))


def _texts(values: Sequence[str | None]) -> bytes:
    first = values[0]
    if values.count(first) == len(values):
        return _sized(None if first is None else first.encode()) * len(values)
    return b"".join([_sized(None if value is None else value.encode()) for value in values])


def _sized(value: bytes | None) -> bytes:
    return _NULL if value is None else len(value).to_bytes(4, "big") + value
