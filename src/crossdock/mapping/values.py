"""What the operators of the mapping language do to values, and what each may cost.

Both the generated code and the interpreter call these functions, so the two cannot differ in meaning.
Values are text, int, Decimal, bool, None, list and dict; nothing here touches an attribute of a value.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crossdock.mapping.faults import BUDGET, DIVISION_BY_ZERO, VALUE_MISSING, WRONG_TYPE, Fault, shown

STEPS_MAX = 1_500_000
TEXT_LENGTH_MAX = 65_536
WHOLE_DIGITS_MAX = 38
NUMBER_MAX = 10**WHOLE_DIGITS_MAX
EXPONENT_MAX = 400

SHORT = 64  # texts up to this length are free of charge
QUALIFIERS = ("type", "qualifier", "role", "code", "key")
EMPTY: dict[str, Any] = {}
CONTAINERS: frozenset[type] = frozenset((list, dict))
# Own context: the result must not depend on what a library did to the thread's.
EXACT = decimal.Context(
    prec=34, rounding=decimal.ROUND_HALF_UP, Emin=-999, Emax=999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)  # fmt: skip


class RunState:
    """What one run may still spend, the tables it may read, and what it looked up (if anyone asks)."""

    __slots__ = ("left", "lookups", "seen")

    def __init__(self, lookups: Mapping[str, Mapping[str, str]], steps: int = STEPS_MAX) -> None:
        self.left = steps
        self.lookups = lookups
        self.seen: list[tuple[str, str, str | None]] | None = None

    def spend(self, steps: int) -> None:
        """Take steps from the budget, or end the run."""
        self.left -= steps
        if self.left < 0:
            raise over_budget()


def over_budget() -> Fault:
    """Return the fault of a run that needs more steps than it has."""
    return Fault(BUDGET, f"the map needs more than {STEPS_MAX:,} steps for this document")


def weigh(run: RunState, value: Any) -> None:
    """Charge for a list or mapping that is about to be copied into the result."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = item.__class__
        if kind is dict:
            run.spend(len(item) + 1)
            waiting.extend(item.values())
        elif kind is list:
            run.spend(len(item) + 1)
            waiting.extend(item)
        elif kind is str and len(item) > 64:
            run.spend(len(item) >> 4)


def field(value: Any, key: str) -> Any:
    """Return the key of a mapping; `None` if there is no such key or no mapping."""
    return value.get(key) if value.__class__ is dict else None


def select(run: RunState, value: Any, key: Any) -> Any:
    """Return an element: by key of a mapping, by position or by qualifier of a list; `None` if there is none."""
    kind = key.__class__
    if value.__class__ is not list:
        return value.get(key) if value.__class__ is dict and kind is str else None
    if kind is int:
        return value[key] if -len(value) <= key < len(value) else None
    if kind is not str:
        return None
    run.spend(len(value))
    for item in value:
        if item.__class__ is dict:
            for qualifier in QUALIFIERS:
                if qualifier in item:
                    if item[qualifier] == key:
                        return item
                    break
    return None


def as_number(value: Any) -> int | Decimal:
    """Return a number that is one already; text is not."""
    kind = value.__class__
    if kind is int or kind is Decimal:
        return value  # type: ignore[no-any-return]
    if kind is float:
        number: Decimal = bounded(Decimal(repr(value)))
        return number
    if value is None:
        raise Fault(VALUE_MISSING, "a number is needed, but the value is missing")
    if kind is str:
        raise Fault(WRONG_TYPE, "a number is needed, but this is text: read it with number()", value)
    raise Fault(WRONG_TYPE, f"a number is needed, but this is {name_of(value)}", value)


def bounded(number: Any) -> Any:
    """Refuse numbers with more digits before the point than any quantity or amount has."""
    if number.__class__ is Decimal:
        if not number.is_finite():
            raise Fault(WRONG_TYPE, "not a finite number", str(number))
        if number and not -EXPONENT_MAX < number.adjusted() < WHOLE_DIGITS_MAX:
            raise Fault(BUDGET, f"a number may have {WHOLE_DIGITS_MAX} digits before the point")
    elif not -NUMBER_MAX < number < NUMBER_MAX:
        raise Fault(BUDGET, f"a number may have {WHOLE_DIGITS_MAX} digits before the point")
    return number


def name_of(value: Any) -> str:
    """Return the word the language uses for a value's type."""
    names = {
        str: "text",
        int: "a number",
        Decimal: "a number",
        bool: "true or false",
        list: "a list",
        dict: "a mapping",
    }
    return names.get(value.__class__, "missing" if value is None else "a foreign value")


def _calculated(operation: Any, left: Any, right: Any) -> Any:
    try:
        return bounded(operation(as_number(left), as_number(right)))
    except decimal.DivisionByZero:
        raise Fault(DIVISION_BY_ZERO, "division by zero", str(left)) from None
    except decimal.InvalidOperation:  # 0 / 0
        raise Fault(DIVISION_BY_ZERO, "division by zero", str(left)) from None
    except decimal.Overflow:
        raise Fault(BUDGET, f"a number may have {WHOLE_DIGITS_MAX} digits before the point") from None


def add(run: RunState, left: Any, right: Any) -> Any:
    """Add two numbers, or join two texts."""
    if left.__class__ is str and right.__class__ is str:
        text = left + right
        return text if len(text) <= SHORT else produced(run, text)
    if left.__class__ is int and right.__class__ is int:
        return bounded(left + right)
    return _calculated(EXACT.add, left, right)


def subtract(run: RunState, left: Any, right: Any) -> Any:
    """Subtract numbers."""
    if left.__class__ is int and right.__class__ is int:
        return bounded(left - right)
    return _calculated(EXACT.subtract, left, right)


def multiply(run: RunState, left: Any, right: Any) -> Any:
    """Multiply numbers; text is never repeated."""
    if left.__class__ is int and right.__class__ is int:
        return bounded(left * right)
    return _calculated(EXACT.multiply, left, right)


def divide(run: RunState, left: Any, right: Any) -> Any:
    """Divide; the result is a decimal of at most 34 digits."""
    return _calculated(EXACT.divide, left, right)


def floor_divide(run: RunState, left: Any, right: Any) -> Any:
    """Divide and round down to a whole number."""
    return _calculated(_floor_quotient, left, right)


def remainder(run: RunState, left: Any, right: Any) -> Any:
    """Return what floor division leaves; it has the sign of the divisor."""
    return _calculated(lambda a, b: EXACT.subtract(a, EXACT.multiply(b, _floor_quotient(a, b))), left, right)


def _floor_quotient(left: Any, right: Any) -> Any:
    if left.__class__ is int and right.__class__ is int and right:
        return left // right
    quotient = EXACT.divide(left, right)
    return quotient.to_integral_value(decimal.ROUND_FLOOR)


def negate(run: RunState, value: Any) -> Any:
    """Change the sign of a number."""
    number = as_number(value)
    return EXACT.minus(number) if number.__class__ is Decimal else -number


def joined(run: RunState, parts: Any) -> str:
    """Join texts within the length and output budgets."""
    text = "".join(parts)
    return produced(run, text)


def produced(run: RunState, text: str) -> str:
    """Charge for a text that was made here."""
    length = len(text)
    if length > SHORT:
        if length > TEXT_LENGTH_MAX:
            raise Fault(BUDGET, f"a text may have {TEXT_LENGTH_MAX:,} characters, this one has {length:,}")
        run.spend(length >> 4)
    return text


def compared(run: RunState, text: str) -> None:
    """Charge for reading through a long text."""
    if len(text) > SHORT:
        run.spend(1 + (len(text) >> 8))


def _pair(run: RunState, left: Any, right: Any) -> tuple[Any, Any]:
    if left.__class__ is str and right.__class__ is str:
        compared(run, left)
        return left, right
    if left.__class__ is str or right.__class__ is str:
        other = right if left.__class__ is str else left
        if other is None:
            raise Fault(
                VALUE_MISSING, "one side of the comparison is missing", shown(left if other is right else right)
            )
        message = f"text cannot be compared with {name_of(other)}: read it with number()"
        raise Fault(WRONG_TYPE, message, left if left.__class__ is str else right)
    return as_number(left), as_number(right)


def less(run: RunState, left: Any, right: Any) -> bool:
    """Compare two numbers or two texts."""
    if left.__class__ is int and right.__class__ is int:
        return bool(left < right)
    a, b = _pair(run, left, right)
    return bool(a < b)


def less_or_equal(run: RunState, left: Any, right: Any) -> bool:
    """Compare two numbers or two texts."""
    if left.__class__ is int and right.__class__ is int:
        return bool(left <= right)
    a, b = _pair(run, left, right)
    return bool(a <= b)


def greater(run: RunState, left: Any, right: Any) -> bool:
    """Compare two numbers or two texts."""
    if left.__class__ is int and right.__class__ is int:
        return bool(left > right)
    a, b = _pair(run, left, right)
    return bool(a > b)


def greater_or_equal(run: RunState, left: Any, right: Any) -> bool:
    """Compare two numbers or two texts."""
    if left.__class__ is int and right.__class__ is int:
        return bool(left >= right)
    a, b = _pair(run, left, right)
    return bool(a >= b)


def equal(run: RunState, left: Any, right: Any) -> bool:
    """Compare any two values; a number never equals a text, and true is not 1."""
    kind, other = left.__class__, right.__class__
    if kind is not other:
        if kind is bool or other is bool:
            return False
    elif kind is str:
        compared(run, left)
    elif kind in CONTAINERS:
        weigh(run, left)
    return bool(left == right)


def unequal(run: RunState, left: Any, right: Any) -> bool:
    """Return the opposite of `equal`."""
    return not equal(run, left, right)


def contained(run: RunState, item: Any, container: Any) -> bool:
    """Tell whether a list has an element, a mapping a key or a text a part; nothing is in a missing value."""
    kind = container.__class__
    if kind is list:
        run.spend(len(container))
        return any(equal(run, item, other) for other in container)
    if kind is dict:
        return item.__class__ is str and item in container
    if kind is str:
        if len(container) > 64:
            run.spend(len(container) >> 4)
        return item.__class__ is str and item in container
    if container is None:
        return False
    raise Fault(WRONG_TYPE, f"`in` needs a list, a mapping or a text, but this is {name_of(container)}", container)


def not_contained(run: RunState, item: Any, container: Any) -> bool:
    """Return the opposite of `contained`."""
    return not contained(run, item, container)


def listed(run: RunState, value: Any, cost: int) -> list[Any]:
    """Return the list a loop runs over, having charged for all of its rounds."""
    if value.__class__ is not list:
        raise Fault(WRONG_TYPE, f"`each` needs a list, but this is {name_of(value)}: as_list() makes one", value)
    run.spend(len(value) * cost)
    items: list[Any] = value
    return items


BINARY = {"+": add, "-": subtract, "*": multiply, "/": divide, "//": floor_divide, "%": remainder}
COMPARISON = {
    "==": equal, "!=": unequal, "<": less, "<=": less_or_equal, ">": greater, ">=": greater_or_equal,
    "in": contained, "not in": not_contained,
}  # fmt: skip
