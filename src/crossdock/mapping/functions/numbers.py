"""Functions on numbers: exact decimals, never binary floating point."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from typing import Any

from crossdock.mapping.faults import BUDGET, NOT_READABLE_AS, WRONG_TYPE, Fault
from crossdock.mapping.functions.registry import Group
from crossdock.mapping.functions.text import whole
from crossdock.mapping.values import EXACT, RunState, add, as_number, bounded, less, name_of

NUMBERS = Group("Numbers")

# X12 type R may begin or end with the point ("-.5", "5."); exponents and thousands marks are not guessed at.
_PLAIN = re.compile(r"[+-]?(?:\d{1,100}\.?\d{0,100}|\.\d{1,100})", re.ASCII)


@NUMBERS.function('number(value, decimal_mark=".")', 'number("12.50")', "12.50", returns="number")
def number(run: RunState, value: Any, decimal_mark: Any = ".") -> Any:
    """Read a number from text; missing and blank text give `None`; the decimal mark may be a comma."""
    kind = value.__class__
    if kind is Decimal or kind is int:
        return bounded(value)
    if value is None:
        return None
    if kind is not str:
        if kind is float:
            return as_number(value)
        raise Fault(WRONG_TYPE, f"a number is needed, but this is {name_of(value)}", value)
    content = value.strip()
    if not content:
        return None
    if decimal_mark != ".":
        if decimal_mark != ",":
            raise Fault(WRONG_TYPE, 'the decimal mark is "." or ","', decimal_mark)
        content = content.replace(".", "").replace(",", ".")
    if not _PLAIN.fullmatch(content):
        raise Fault(NOT_READABLE_AS, "this is not a number", value)
    return bounded(Decimal(content))


@NUMBERS.function("integer(value)", 'integer("7.0")', "7", returns="integer")
def integer(run: RunState, value: Any) -> int | None:
    """Read a whole number; a fraction other than zero is an error, never cut off."""
    read = number(run, value)
    if read is None or read.__class__ is int:
        return read
    if read != read.to_integral_value():
        raise Fault(NOT_READABLE_AS, "this is not a whole number: use round(), floor() or ceil()", value)
    return int(read)


@NUMBERS.function("round(number, digits=0)", "round(2.345, 2)", "2.35", returns="number")
def round_(run: RunState, value: Any, digits: Any = 0) -> Any:
    """Round half up (away from zero), to a number of digits after the point."""
    if value is None:
        return None
    places = whole(digits, "digits")
    if not 0 <= places <= 20:
        raise Fault(BUDGET, "digits must be from 0 to 20", places)
    read = bounded(as_number(value))
    if read.__class__ is int:
        return read
    context = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)
    return read.quantize(Decimal(1).scaleb(-places), context=context)


@NUMBERS.function("floor(number)", "floor(2.7)", "2", returns="integer")
def floor(run: RunState, value: Any) -> int | None:
    """Round down to a whole number."""
    return None if value is None else int(Decimal(bounded(as_number(value))).to_integral_value(decimal.ROUND_FLOOR))


@NUMBERS.function("ceil(number)", "ceil(2.1)", "3", returns="integer")
def ceil(run: RunState, value: Any) -> int | None:
    """Round up to a whole number."""
    return None if value is None else int(Decimal(bounded(as_number(value))).to_integral_value(decimal.ROUND_CEILING))


@NUMBERS.function("abs(number)", "abs(-3)", "3", returns="number")
def abs_(run: RunState, value: Any) -> Any:
    """Drop the sign."""
    if value is None:
        return None
    read = as_number(value)
    return EXACT.abs(read) if read.__class__ is Decimal else abs(read)


def _values(run: RunState, values: tuple[Any, ...]) -> list[Any]:
    if len(values) == 1:
        if values[0] is None:
            return []
        if values[0].__class__ is not list:
            raise Fault(WRONG_TYPE, f"a list is needed, but this is {name_of(values[0])}", values[0])
        run.spend(len(values[0]))
        return [value for value in values[0] if value is not None]
    return [value for value in values if value is not None]


@NUMBERS.function("min(value, …)", "min(3, 5)", "3")
def min_(run: RunState, *values: Any) -> Any:
    """Return the least of the arguments, or of one list; missing ones do not count."""
    least: Any = None
    for value in _values(run, values):
        if least is None or less(run, value, least):
            least = value
    return least


@NUMBERS.function("max(value, …)", 'max("2026-03-01", "2026-02-01")', "2026-03-01")
def max_(run: RunState, *values: Any) -> Any:
    """Return the greatest of the arguments, or of one list; missing ones do not count."""
    greatest: Any = None
    for value in _values(run, values):
        if greatest is None or less(run, greatest, value):
            greatest = value
    return greatest


@NUMBERS.function("sum_of(list)", "sum_of([1, 2.5])", "3.5", returns="number", never_none=True)
def sum_of(run: RunState, values: Any) -> Any:
    """Add up a list of numbers; missing ones count as nothing, no list gives 0."""
    total: Any = 0
    for value in _values(run, (values,)):
        if value.__class__ is int and total.__class__ is int:
            total += value
        else:
            total = add(run, total, as_number(value))
    return bounded(total)


@NUMBERS.function("count(list)", "count([1, 2, 3])", "3", returns="integer", never_none=True)
def count(run: RunState, values: Any) -> int:
    """Count the elements of a list or the fields of a mapping; a missing one has none."""
    if values is None:
        return 0
    if values.__class__ not in (list, dict):
        raise Fault(WRONG_TYPE, f"a list is needed, but this is {name_of(values)}", values)
    return len(values)
