"""What a map is once its YAML has been read: plain, checked data.

A target is a tree of shapes; each leaf holds a checked expression. Nothing here evaluates anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.mapping.syntax import Const, Expression

CONTEXT_NAMES = ("doc", "root", "message", "partner", "tenant", "envelope")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What all targets have. `path` is dotted, without list positions (`lines.sku`)."""

    path: str
    line: int
    when: Expression | None = None
    required: bool = False
    default: Expression | None = None
    omit: bool = True


class Value(Shape, frozen=True, kw_only=True):
    """A target computed by an expression."""

    expression: Expression


class Constant(Shape, frozen=True, kw_only=True):
    """A target that is always the same."""

    value: Any


class Object(Shape, frozen=True, kw_only=True):
    """A nested mapping, with local names of its own."""

    fields: tuple[tuple[str, Shape], ...]
    lets: tuple[tuple[str, Expression], ...] = ()


class Elements(Shape, frozen=True, kw_only=True):
    """A list of fixed elements."""

    items: tuple[Shape, ...]


class Each(Shape, frozen=True, kw_only=True):
    """A loop: one element for each element of the source."""

    source: Expression
    variable: str
    counter: str | None
    where: Expression | None
    lets: tuple[tuple[str, Expression], ...]
    body: Shape


class MapSide(msgspec.Struct, frozen=True):
    """One side of a map: a canonical object, or a format with its options."""

    format: str | None = None
    object: str | None = None
    event: str | None = None
    options: dict[str, Any] = {}
    line: int = 1


class TestCase(msgspec.Struct, frozen=True):
    """A test of a map, kept in the map's own file."""

    __test__ = False

    name: str
    line: int
    given: Any = None
    given_raw: str | None = None
    context: dict[str, Any] = {}
    expect: Any = None
    expect_error: str | None = None
    expect_held: str | None = None


class MapDefinition(msgspec.Struct, frozen=True):
    """A whole map."""

    name: str
    file: str
    source: MapSide
    target: MapSide
    body: Object
    description: str = ""
    select: Expression | None = None
    conditions: tuple[Expression, ...] = ()
    lookups: tuple[str, ...] = ()
    tests: tuple[TestCase, ...] = ()


def below(shape: Shape) -> list[Shape]:
    """Return the shapes directly below a shape."""
    match shape:
        case Object(fields=fields):
            return [inner for _, inner in fields]
        case Elements(items=items):
            return list(items)
        case Each(body=body):
            return [body]
        case _:
            return []


def shapes(shape: Shape) -> list[Shape]:
    """Return a shape and all shapes below it."""
    found = [shape]
    for inner in below(shape):
        found.extend(shapes(inner))
    return found


def expressions(shape: Shape) -> list[Expression]:
    """Return the expressions that belong to a shape itself."""
    own = [shape.when, shape.default]
    match shape:
        case Value(expression=expression):
            own.append(expression)
        case Object(lets=lets):
            own.extend(expression for _, expression in lets)
        case Each(source=source, where=where, lets=lets):
            own.extend([source, where, *(expression for _, expression in lets)])
        case _:
            pass
    return [expression for expression in own if expression is not None]


def always_present(shape: Shape) -> bool:
    """Tell whether a field says nothing about the document: a constant that is written whatever comes in."""
    if shape.when is not None:
        return False
    if isinstance(shape, Constant):
        return shape.value is not None
    return (
        isinstance(shape, Value)
        and isinstance(shape.expression.node, Const)
        and shape.expression.node.value is not None
    )


def least_fields(shape: Object) -> int:
    """Return how many fields an object must have to be written: more than its constants, unless it has nothing else."""
    constants = sum(always_present(inner) for _, inner in shape.fields)
    return constants if constants < len(shape.fields) else 0
