"""Functions on lists, without lambdas: they name a field instead of taking a function."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crossdock.mapping.faults import WRONG_TYPE, Fault
from crossdock.mapping.functions.numbers import sum_of
from crossdock.mapping.functions.registry import Group
from crossdock.mapping.values import RunState, compared, equal, less, name_of

LISTS = Group("Lists")

_END = object()


def _list(run: RunState, value: Any) -> list[Any]:
    if value is None:
        return []
    if value.__class__ is not list:
        raise Fault(WRONG_TYPE, f"a list is needed, but this is {name_of(value)}", value)
    run.spend(len(value))
    return value


def _key(name: Any) -> list[str]:
    if name.__class__ is not str:
        raise Fault(WRONG_TYPE, f"the name of a field is needed, but this is {name_of(name)}", name)
    return name.split(".")


def _at(item: Any, keys: list[str]) -> Any:
    for key in keys:
        item = item.get(key) if item.__class__ is dict else None
    return item


@LISTS.function("first(list)", 'first(["a", "b"])', "a")
def first(run: RunState, values: Any) -> Any:
    """Return the first element; `None` if there is none."""
    items = _list(run, values)
    return items[0] if items else None


@LISTS.function("last(list)", 'last(["a", "b"])', "b")
def last(run: RunState, values: Any) -> Any:
    """Return the last element; `None` if there is none."""
    items = _list(run, values)
    return items[-1] if items else None


@LISTS.function("pluck(list, field)", 'pluck(lines, "sku")', "['A', 'B']", returns="list", never_none=True)
def pluck(run: RunState, values: Any, name: Any) -> list[Any]:
    """Return one field of every element; missing ones are left out. The field may be a path: `"item.sku"`."""
    keys, items = _key(name), _list(run, values)
    if len(keys) == 1:
        found = [item.get(name) for item in items if item.__class__ is dict]
    else:
        found = [_at(item, keys) for item in items]
    return [value for value in found if value is not None]


@LISTS.function("where(list, field, value)", 'where(lines, "sku", "B")', "[{'sku': 'B', 'qty': 3}]",
                returns="list", never_none=True)  # fmt: skip
def where(run: RunState, values: Any, name: Any, value: Any) -> list[Any]:
    """Keep the elements whose field equals the value (or one of a list of values)."""
    keys, wanted = _key(name), value if value.__class__ is list else [value]
    items = _list(run, values)
    run.spend(len(items) * len(wanted))
    return [item for item in items if any(equal(run, _at(item, keys), each) for each in wanted)]


@LISTS.function("sum_field(list, field)", 'sum_field(lines, "qty")', "5", returns="number", never_none=True)
def sum_field(run: RunState, values: Any, name: Any) -> Any:
    """Add up one numeric field of every element; missing ones count as nothing."""
    return sum_of(run, pluck(run, values, name))


@LISTS.function("group_by(list, field)", 'count(group_by(lines, "sku"))', "2", returns="list", never_none=True)
def group_by(run: RunState, values: Any, name: Any) -> list[Any]:
    """Return `{key, items}` for each distinct value of a field, in the order of first appearance."""
    keys = _key(name)
    groups: dict[Any, dict[str, Any]] = {}
    for item in _list(run, values):
        key = _at(item, keys)
        if key.__class__ in (list, dict):
            raise Fault(WRONG_TYPE, f"a group needs a plain value, but this is {name_of(key)}", key)
        if key.__class__ is str:
            compared(run, key)
        groups.setdefault((key.__class__ is bool, key), {"key": key, "items": []})["items"].append(item)
    return list(groups.values())


@LISTS.function("sort_by(list, field)", 'pluck(sort_by(lines, "qty"), "sku")', "['A', 'B']",
                returns="list", never_none=True)  # fmt: skip
def sort_by(run: RunState, values: Any, name: Any) -> list[Any]:
    """Sort by one field, all texts or all numbers; elements without it come last; equal ones keep their order."""
    keys = _key(name)
    items = _list(run, values)
    run.spend(len(items) * 4)
    having = [(key, item) for key, item in ((_at(item, keys), item) for item in items) if key is not None]
    for key, _ in having:
        if key.__class__ not in (str, int, Decimal):
            raise Fault(WRONG_TYPE, f"only texts and numbers can be sorted, but this is {name_of(key)}", key)
        less(run, having[0][0], key)
        if key.__class__ is str:
            run.spend(len(key) >> 5)
    having.sort(key=lambda pair: pair[0])
    return [item for _, item in having] + [item for item in items if _at(item, keys) is None]


@LISTS.function("distinct(list)", 'distinct(["a", "b", "a"])', "['a', 'b']", returns="list", never_none=True)
def distinct(run: RunState, values: Any) -> list[Any]:
    """Leave out repeated plain values."""
    seen: dict[Any, Any] = {}
    for value in _list(run, values):
        if value.__class__ in (list, dict):
            raise Fault(WRONG_TYPE, f"plain values are needed, but this is {name_of(value)}", value)
        if value.__class__ is str:
            compared(run, value)
        seen.setdefault((value.__class__ is bool, value), value)
    return list(seen.values())


@LISTS.function("flatten(list)", "flatten([[1], [2, 3]])", "[1, 2, 3]", returns="list", never_none=True)
def flatten(run: RunState, values: Any) -> list[Any]:
    """Put the elements of a list of lists into one list, one level deep."""
    flat: list[Any] = []
    for value in _list(run, values):
        if value.__class__ is list:
            run.spend(len(value))
            flat.extend(value)
        elif value is not None:
            flat.append(value)
    return flat


@LISTS.function("descend(list, field)", 'count(descend(lines, "children"))', "2", returns="list", never_none=True)
def descend(run: RunState, values: Any, name: Any) -> list[Any]:
    """Return every element and, after each, those in its nested lists of that field, at any depth."""
    if name.__class__ is not str:
        raise Fault(WRONG_TYPE, f"the name of a field is needed, but this is {name_of(name)}", name)
    found: list[Any] = []
    waiting = [iter(_list(run, values))]
    while waiting:
        item = next(waiting[-1], _END)
        if item is _END:
            waiting.pop()
            continue
        found.append(item)
        below = item.get(name) if item.__class__ is dict else None
        if below is not None:
            waiting.append(iter(_list(run, below)))
    return found


@LISTS.function("unnest(list, field)", 'count(unnest(lines, "serials"))', "0", returns="list", never_none=True)
def unnest(run: RunState, values: Any, name: Any) -> list[Any]:
    """Return `{of, item}` for each element of a nested list: `of` is the element it is nested in."""
    if name.__class__ is not str:
        raise Fault(WRONG_TYPE, f"the name of a field is needed, but this is {name_of(name)}", name)
    pairs: list[Any] = []
    for outer in _list(run, values):
        inner = outer.get(name) if outer.__class__ is dict else None
        pairs += [{"of": outer, "item": item} for item in _list(run, inner)]
    return pairs


@LISTS.function("as_list(value)", 'as_list("a")', "['a']", returns="list", never_none=True)
def as_list(run: RunState, value: Any) -> list[Any]:
    """Return a list as it is, a single value as a list of one, and a missing value as an empty list."""
    if value is None:
        return []
    return value if value.__class__ is list else [value]
