"""Functions that insist: required values, refusals, code tables."""

from __future__ import annotations

from typing import Any

from crossdock.canonical.quantities import UNITS
from crossdock.mapping.faults import NOT_READABLE_AS, REFUSED_BY_MAP, VALUE_MISSING, Awaiting, Fault
from crossdock.mapping.functions.registry import Group
from crossdock.mapping.functions.text import text_of
from crossdock.mapping.values import RunState

CHECKS = Group("Lookups and checks")
_HOLD = object()


@CHECKS.function("lookup(table, code, default=hold)", 'lookup("locations", "RENO")', "dc-reno", literal=(0,))
def lookup(run: RunState, table: Any, code: Any, default: Any = _HOLD) -> Any:
    """Translate a code by a table; without a default, an unknown code holds the document until the row appears."""
    if code is None or code == "":
        if default is _HOLD:
            raise Fault(VALUE_MISSING, f'the code to look up in "{table}" is missing')
        return default
    key = code if code.__class__ is str else text_of(run, code)
    rows = run.lookups.get(table)
    value = None if rows is None else rows.get(key)
    if run.seen is not None:
        run.seen.append((table, key, value))
    if value is not None:
        return value
    if default is _HOLD:
        raise Awaiting(table, key)
    return default


@CHECKS.function("required(value)", 'required("S-1")', "S-1", never_none=True)
def required(run: RunState, value: Any) -> Any:
    """Return the value; a missing one or an empty text rejects the document."""
    if value is None or value == "":
        raise Fault(VALUE_MISSING, "a required value is missing")
    return value


@CHECKS.function("error(message)", '"ok" if True else error("no")', "ok", never_none=True)
def error(run: RunState, message: Any) -> Any:
    """Reject the document with a message of the map's own."""
    raise Fault(REFUSED_BY_MAP, text_of(run, message)[:500])


@CHECKS.function("uom(code, default=refuse)", 'uom("CA")', "CS", returns="text")
def uom(run: RunState, code: Any, default: Any = _HOLD) -> Any:
    """Translate a unit of measure (X12 355 and common words) to UN/ECE Rec 20; an unknown one is never guessed."""
    if code is None or code == "":
        return None if default is _HOLD else default
    key = text_of(run, code).strip().upper()
    unit = UNITS.get(key)
    if unit is None and key in _REC20:
        unit = key
    if unit is None:
        if default is _HOLD:
            raise Fault(NOT_READABLE_AS, "unknown unit of measure: give uom() a default or use a lookup", code)
        return default
    return unit


# Rec 20 codes of the trade that X12 spells alike or not at all.
_REC20 = frozenset(
    [
        "DZN",
        "PR",
        "SET",
        "GRM",
        "TNE",
        "ONZ",
        "MTR",
        "CMT",
        "MMT",
        "INH",
        "FOT",
        "MTK",
        "MTQ",
        "FTQ",
        "INQ",
        "LTR",
        "MLT",
        "GLL",
    ]
)
