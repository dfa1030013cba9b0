"""Walk a checked map step by step: slower than the generated function, but it knows where it is.

It is run when the generated function has failed, to find every fault with its place, and for `explain`.
What it computes is the same; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crossdock.mapping import values
from crossdock.mapping.faults import BUDGET, VALUE_MISSING, Awaiting, Fault
from crossdock.mapping.functions import Function
from crossdock.mapping.generate import cost_of
from crossdock.mapping.structure import Constant, Each, Elements, Object, Shape, Value, least_fields
from crossdock.mapping.syntax import (
    Binary,
    Call,
    Choice,
    Compare,
    Const,
    Expression,
    Field,
    ListOf,
    Logic,
    Negative,
    Node,
    Not,
    Select,
    Var,
)


class FieldTrace(msgspec.Struct, frozen=True):
    """How one target field came by its value.

    `sources` are JSON pointers into the input document; those into the context begin with its name (`message:/name`).
    `lookups` are (table, key, value).
    """

    target_pointer: str
    value: Any
    expression: str
    line: int
    sources: list[str]
    lookups: list[tuple[str, str, str | None]]


class Trouble(msgspec.Struct, frozen=True):
    """A fault and the place where it happened."""

    fault: Fault | Awaiting
    target: str
    expression: str
    line: int
    sources: list[str]


class _Poisoned(Exception):
    """A local name has no value because its own expression failed; that failure is reported already."""


class Scope:
    """The names in scope: their values, and where in the input they came from."""

    def __init__(self, variables: dict[str, Any], origins: dict[str, str | None]) -> None:
        self.variables = variables
        self.origins = origins

    def with_name(self, name: str, value: Any, origin: str | None) -> Scope:
        """Return a scope with one more name."""
        return Scope({**self.variables, name: value}, {**self.origins, name: origin})


_POISON = object()
_ABSENT = object()


class Interpreter:
    """Evaluates shapes and expressions, keeps traces and collects troubles."""

    def __init__(self, functions: Mapping[str, Function], run: values.RunState) -> None:
        self.functions = functions
        self.run = run
        self.run.seen = []
        self.troubles: list[Trouble] = []
        self.traces: list[FieldTrace] = []
        self.found: list[str] = []
        self.absent: list[str] = []

    # ---- targets

    def whole(self, body: Object, scope: Scope) -> dict[str, Any]:
        """Return the target of a whole map; a used-up budget is one more trouble."""
        try:
            return self.object(body, scope, "")
        except Fault as fault:
            if not any(trouble.fault is fault for trouble in self.troubles):
                self.troubles.append(Trouble(fault, "", "", body.line, []))
            return {}

    def build(self, shape: Shape, scope: Scope, pointer: str) -> Any:
        """Return the value of a target, `None` if it has none; faults are collected, the rest goes on."""
        if shape.when is not None and not self.attempt(shape.when, scope, pointer, otherwise=False):
            return _ABSENT
        traced = len(self.traces)
        built = self._built(shape, scope, pointer)
        if built is None and not isinstance(shape, Value):
            del self.traces[traced:]  # a branch that is left out has no fields to explain
        if built is None and shape.required:
            fault = Fault(VALUE_MISSING, "a required field has no value")
            expression = shape.expression if isinstance(shape, Value) else None
            if not self._failed_at(pointer):
                text = expression.text if expression else ""
                self.troubles.append(
                    Trouble(fault, pointer, text, expression.line if expression else shape.line, self._sources())
                )
        if built is None and shape.omit:
            return _ABSENT
        return built

    def _failed_at(self, pointer: str) -> bool:
        return any(trouble.target == pointer or trouble.target.startswith(pointer + "/") for trouble in self.troubles)

    def _built(self, shape: Shape, scope: Scope, pointer: str) -> Any:
        match shape:
            case Constant(value=value):
                return self._constant(shape, value, scope, pointer)
            case Value(expression=expression):
                value = self.attempt(expression, scope, pointer)
                if value is None and shape.default is not None:
                    value = self.attempt(shape.default, scope, pointer)
                self._weighed(value)
                return value
            case Object():
                built = self.object(shape, scope, pointer)
                return built if len(built) > least_fields(shape) else None
            case Elements(items=items):
                elements: list[Any] = []
                for item in items:
                    value = self.build(item, scope, f"{pointer}/{len(elements)}")
                    if value is not _ABSENT:
                        elements.append(value)
                return elements or None
            case _:
                assert isinstance(shape, Each)
                return self._each(shape, scope, pointer)

    def _constant(self, shape: Shape, value: Any, scope: Scope, pointer: str) -> Any:
        if value is None and shape.default is not None:
            return self.attempt(shape.default, scope, pointer)
        self.traces.append(FieldTrace(pointer, value, "", shape.line, [], []))
        return _copied(value)

    def _weighed(self, value: Any) -> None:
        if value.__class__ in values.CONTAINERS:
            values.weigh(self.run, value)

    def object(self, shape: Object, scope: Scope, pointer: str) -> dict[str, Any]:
        """Return an object with the fields that have a value."""
        scope = self._lets(shape.lets, scope)
        built: dict[str, Any] = {}
        for name, inner in shape.fields:
            value = self.build(inner, scope, f"{pointer}/{escaped(name)}")
            if value is not _ABSENT:
                built[name] = value
        return built

    def _lets(self, lets: tuple[tuple[str, Expression], ...], scope: Scope) -> Scope:
        for name, expression in lets:
            before = len(self.troubles)
            value = self.attempt(expression, scope, f"let.{name}", trace=False)
            failed = len(self.troubles) > before
            origin = (
                self.found[0] if len(self.found) == 1 and isinstance(expression.node, (Var, Field, Select)) else None
            )
            scope = scope.with_name(name, _POISON if failed else value, origin)
            if origin is None:
                scope.origins["let:" + name] = "\n".join(self._sources())
        return scope

    def _each(self, shape: Each, scope: Scope, pointer: str) -> Any:
        items = self.attempt(shape.source, scope, pointer, trace=False)
        sources = list(self.found)
        if items is None and shape.default is not None:
            items = self.attempt(shape.default, scope, pointer, trace=False)
            sources = []
        if items is None:
            return None
        try:
            values.listed(self.run, items, cost_of(shape))
        except Fault as fault:
            if fault.code == BUDGET:
                raise
            self.troubles.append(Trouble(fault, pointer, shape.source.text, shape.source.line, sources))
            return None
        direct = sources[0] if len(sources) == 1 and isinstance(shape.source.node, (Var, Field, Select)) else None
        result: list[Any] = []
        passed = 0
        for position, item in enumerate(items):
            origin = f"{direct}/{position}" if direct is not None else None
            inner = scope.with_name(shape.variable, item, origin)
            if origin is None:
                inner.origins["let:" + shape.variable] = "\n".join(sources)
            element = f"{pointer}/{len(result)}"
            if shape.where is not None and not self.attempt(shape.where, inner, element, otherwise=False, trace=False):
                continue
            passed += 1
            if shape.counter is not None:
                inner = inner.with_name(shape.counter, passed, None)
            built = self.build(shape.body, self._lets(shape.lets, inner), element)
            if built is not _ABSENT:
                result.append(built)
        return None if not result and shape.required else result

    # ---- expressions

    def attempt(
        self, expression: Expression, scope: Scope, pointer: str, *, otherwise: Any = None, trace: bool = True
    ) -> Any:
        """Evaluate an expression; a fault is written down and `otherwise` stands in. A used-up budget ends the run."""
        self.found, self.absent = [], []
        assert self.run.seen is not None
        looked_up = len(self.run.seen)
        try:
            value = self.value(expression.node, scope)
        except _Poisoned:
            return otherwise
        except RecursionError:
            fault = Fault(BUDGET, "the document is nested too deeply")
            self.troubles.append(Trouble(fault, pointer, expression.text, expression.line, self._sources()))
            return otherwise
        except (Fault, Awaiting) as fault:
            self.troubles.append(Trouble(fault, pointer, expression.text, expression.line, self._sources()))
            if isinstance(fault, Fault) and fault.code == BUDGET and self.run.left < 0:
                raise
            return otherwise
        if trace:
            lookups = self.run.seen[looked_up:]
            self.traces.append(FieldTrace(pointer, value, expression.text, expression.line, self._sources(), lookups))
        return value

    def _sources(self) -> list[str]:
        return list(dict.fromkeys(self.found or self.absent))

    def value(self, node: Node, scope: Scope) -> Any:
        """Return the value of a node."""
        match node:
            case Const(value):
                return value
            case Var() | Field() | Select():
                value, pointer = self._path(node, scope)
                if pointer is not None:
                    (self.absent if value is None else self.found).append(pointer)
                return value
            case Binary(op, left, right):
                return values.BINARY[op](self.run, self.value(left, scope), self.value(right, scope))
            case Negative(operand):
                return values.negate(self.run, self.value(operand, scope))
            case Not(operand):
                return not self.value(operand, scope)
            case Logic(op, operands):
                return self._logic(op, operands, scope)
            case Compare():
                return self._compare(node, scope)
            case Choice(condition, then, otherwise):
                return self.value(then if self.value(condition, scope) else otherwise, scope)
            case Call(name, arguments):
                code: Callable[..., Any] = self.functions[name].code
                return code(self.run, *[self.value(argument, scope) for argument in arguments])
            case ListOf(items):
                return [self.value(item, scope) for item in items]

    def _logic(self, op: str, operands: tuple[Node, ...], scope: Scope) -> Any:
        value: Any = None
        for operand in operands:
            value = self.value(operand, scope)
            if bool(value) == (op == "or"):
                return value
        return value

    def _compare(self, node: Compare, scope: Scope) -> bool:
        left = self.value(node.first, scope)
        for op, right_node in node.rest:
            right = self.value(right_node, scope)
            if op in ("is", "is not"):
                holds = (left is None) == (op == "is")
            else:
                holds = values.COMPARISON[op](self.run, left, right)
            if not holds:
                return False
            left = right
        return True

    def _path(self, node: Node, scope: Scope) -> tuple[Any, str | None]:
        """Return the value of a path and its JSON pointer; the pointer is `None` below a computed value."""
        match node:
            case Var(name):
                value = scope.variables[name]
                if value is _POISON:
                    raise _Poisoned
                origin = scope.origins.get(name)
                if origin is None:
                    self.found.extend(
                        source for source in (scope.origins.get("let:" + name) or "").split("\n") if source
                    )
                return value, origin
            case Field(base, key):
                inner, pointer = self._path(base, scope)
                return values.field(inner, key), None if pointer is None else f"{pointer}/{escaped(key)}"
            case Select(base, key_node):
                inner, pointer = self._path(base, scope)
                key = self.value(key_node, scope)
                value = values.select(self.run, inner, key)
                return value, None if pointer is None else f"{pointer}/{_position(inner, key, value)}"
            case _:
                return self.value(node, scope), None


def _position(container: Any, key: Any, value: Any) -> str:
    """Return the pointer token of a selected element: its position in a list, even if it was chosen by qualifier."""
    if container.__class__ is list and key.__class__ is str and value is not None:
        return str(next(position for position, item in enumerate(container) if item is value))
    if container.__class__ is list and key.__class__ is int and key < 0:
        return str(len(container) + key)
    return escaped(str(key)[:100])


def escaped(token: str) -> str:
    """Return a key as a token of a JSON pointer."""
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def is_absent(value: Any) -> bool:
    """Tell whether `build` left the target out."""
    return value is _ABSENT
