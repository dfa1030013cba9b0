"""Judge a map before it ever runs: against both schemas and the lookup tables that exist.

Only what is certain is reported: a path below an open mapping, or a type that depends on the data, is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crossdock.errors import Finding
from crossdock.mapping.faults import (
    NO_TESTS,
    TARGET_NOT_SET,
    TYPE_MISMATCH,
    UNKNOWN_LOOKUP,
    UNKNOWN_SOURCE,
    UNKNOWN_TARGET,
)
from crossdock.mapping.functions import FUNCTIONS, Function, closest
from crossdock.mapping.reader import read
from crossdock.mapping.schema import SchemaView, view
from crossdock.mapping.structure import (
    CONTEXT_NAMES,
    Constant,
    Each,
    Elements,
    MapDefinition,
    Object,
    Shape,
    Value,
    always_present,
    expressions,
    shapes,
)
from crossdock.mapping.syntax import (
    Binary,
    Call,
    Compare,
    Const,
    Expression,
    Field,
    ListOf,
    Node,
    Not,
    Select,
    Var,
    children,
    walk,
)

_JSON_TYPE = {
    "text": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "list": "array",
    "mapping": "object",
}
_WORD = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
         "array": "a list", "object": "a mapping", "null": "nothing"}  # fmt: skip


def lint(
    text: str, *, file: str, source_schema: dict[str, Any] | None = None, target_schema: dict[str, Any] | None = None,
    lookups: Iterable[str] | None = None, functions: Mapping[str, Function] = FUNCTIONS,
) -> list[Finding]:  # fmt: skip
    """Return all findings of a map, by line. Schemas are JSON Schemas, `lookups` the tables that exist."""
    definition, findings = read(text, file=file, functions=functions)
    if definition is None:
        return sorted(findings, key=lambda finding: finding.line or 0)
    linter = _Linter(definition, functions, view(source_schema), findings)
    linter.tables(lookups)
    if not definition.tests:
        message = "the map has no tests: nobody can see that it does what it should"
        findings.append(
            Finding(NO_TESTS, message, severity="warning", line=1, hint="add `tests` with a name, given and expect")
        )
    linter.lets_and_conditions()
    linter.object(definition.body, view(target_schema), linter.scope)
    linter.unsure_targets()
    return sorted(findings, key=lambda finding: finding.line or 0)


class _Linter:
    def __init__(
        self, definition: MapDefinition, functions: Mapping[str, Function], source: SchemaView, findings: list[Finding]
    ) -> None:
        self.definition = definition
        self.functions = functions
        self.findings = findings
        self.seen: set[tuple[int, str]] = set()
        self.unsure: list[Shape] = []
        self.scope: dict[str, SchemaView] = dict.fromkeys(CONTEXT_NAMES, view(None))
        if definition.select is not None:
            self.scope["root"] = source
            self.check(definition.select, {**self.scope, "doc": source}, "select")
            source = self.kind(definition.select.node, {**self.scope, "doc": source}).items
        self.scope["doc"] = source

    def note(
        self, code: str, message: str, line: int, pointer: str, hint: str | None = None, severity: Any = "error"
    ) -> None:
        self.findings.append(Finding(code, message, severity=severity, pointer=pointer, hint=hint, line=line))

    def tables(self, known: Iterable[str] | None) -> None:
        """Report tables that do not exist, and declared ones that are never read."""
        names = None if known is None else set(known)
        inside = [one for shape in shapes(self.definition.body) for one in expressions(shape)]
        used = {
            str(node.arguments[0].value)
            for expression in [*inside, *self.definition.conditions]
            for node in walk(expression.node)
            if isinstance(node, Call) and node.function == "lookup" and isinstance(node.arguments[0], Const)
        }
        for table in self.definition.lookups:
            if names is not None and table not in names:
                near = closest(table, names)
                hint = f"did you mean {near}?" if near else f"create the table {table}"
                self.note(UNKNOWN_LOOKUP, f'there is no lookup table "{table}"', 1, "lookups", hint)
            if table not in used:
                self.note(
                    UNKNOWN_LOOKUP,
                    f'the lookup table "{table}" is declared but not read',
                    1,
                    "lookups",
                    severity="warning",
                )

    def lets_and_conditions(self) -> None:
        scope = self.lets(self.definition.body.lets, self.scope, "let")
        for condition in self.definition.conditions:
            self.check(condition, scope, "when")

    def lets(
        self, lets: tuple[tuple[str, Expression], ...], scope: dict[str, SchemaView], pointer: str
    ) -> dict[str, SchemaView]:
        for name, expression in lets:
            self.check(expression, scope, f"{pointer}.{name}")
            scope = {**scope, name: self.kind(expression.node, scope)}
        return scope

    # ---- the source side

    def check(self, expression: Expression, scope: dict[str, SchemaView], pointer: str) -> None:
        """Report the paths of an expression that the source does not have."""
        self._paths(expression.node, expression, scope, pointer)

    def _paths(
        self, node: Node, expression: Expression, scope: dict[str, SchemaView], pointer: str
    ) -> SchemaView | None:
        """Return the schema of a path, `None` once a part of it is known to be missing (and reported)."""
        match node:
            case Var(name):
                return scope.get(name, view(None))
            case Field(base, key):
                inner = self._paths(base, expression, scope, pointer)
                return None if inner is None else self._step(inner, key, node, expression, pointer)
            case Select(base, key):
                inner = self._paths(base, expression, scope, pointer)
                self._paths(key, expression, scope, pointer)
                if inner is None:
                    return None
                if isinstance(key, Const) and isinstance(key.value, str) and inner.properties is not None:
                    return self._step(inner, key.value, node, expression, pointer)
                return inner.items
            case _:
                for child in children(node):
                    self._paths(child, expression, scope, pointer)
                return self.kind(node, scope)

    def _step(self, inner: SchemaView, key: str, node: Node, expression: Expression, pointer: str) -> SchemaView | None:
        known, found = inner.field(key)
        if known != "no" and not inner.is_list:
            return found
        label = _label(node)
        if (expression.line, label) not in self.seen:
            self.seen.add((expression.line, label))
            if inner.is_list:
                hint = f"take one element: {_label(children(node)[0])}[0], or loop with `each`"
                self.note(UNKNOWN_SOURCE, f"{label}: this is a list, it has no fields", expression.line, pointer, hint)
            else:
                near = closest(key, inner.properties or ())
                hint = (
                    f"did you mean {near}?"
                    if near
                    else f"known here: {', '.join(sorted(inner.properties or ()))[:200]}"
                )
                self.note(UNKNOWN_SOURCE, f"the source has no field {label}", expression.line, pointer, hint)
        return None

    def kind(self, node: Node, scope: dict[str, SchemaView]) -> SchemaView:
        """Return what is known about the value of an expression, as a schema."""
        match node:
            case Const(value):
                names = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
                return view({"type": names.get(type(value), "number")})
            case Var(name):
                return scope.get(name, view(None))
            case Field(base, key):
                return self.kind(base, scope).field(key)[1]
            case Select(base, key):
                inner = self.kind(base, scope)
                if isinstance(key, Const) and isinstance(key.value, str) and inner.properties is not None:
                    return inner.field(key.value)[1]
                return inner.items
            case Compare() | Not():
                return view({"type": "boolean"})
            case Binary(op, left, _):
                if op != "+":
                    return view({"type": "number"})
                return view({"type": "string"}) if self.kind(left, scope).types == {"string"} else view(None)
            case ListOf():
                return view({"type": "array"})
            case Call("required" | "first" | "last" | "where" | "sort_by" as name, arguments) if arguments:
                inner = self.kind(arguments[0], scope)
                return inner.items if name in ("first", "last") else inner
            case Call(name, _):
                json_type = _JSON_TYPE.get(self.functions[name].returns)
                return view({"type": json_type} if json_type else None)
            case _:
                return view(None)

    # ---- the target side

    def object(self, shape: Object, target: SchemaView, scope: dict[str, SchemaView]) -> None:
        """Report unknown targets, wrong types, and required targets that are not set."""
        if shape is not self.definition.body:
            scope = self.lets(shape.lets, scope, f"{shape.path}.let")
        else:
            scope = self.lets((), {**scope, **{name: view(None) for name, _ in shape.lets}}, "let")
        for name, inner in shape.fields:
            known, field = target.field(name)
            if known == "no":
                near = closest(name, target.properties or ())
                hint = (
                    f"did you mean {near}?"
                    if near
                    else f"known here: {', '.join(sorted(target.properties or ()))[:200]}"
                )
                self.note(UNKNOWN_TARGET, f"the target has no field {inner.path}", inner.line, inner.path, hint)
            self.target(inner, field, scope)
        names = dict(shape.fields)
        for name in target.required if target.properties is not None else []:
            path = f"{shape.path}.{name}" if shape.path else name
            if name not in names:
                self.note(TARGET_NOT_SET, f"the required target {path} is not set", shape.line, path)
            elif not names[name].required and _may_be_left_out(names[name]):
                self.unsure.append(names[name])

    def unsure_targets(self) -> None:
        """Say once which required targets depend on the source having a value."""
        if self.unsure:
            paths = ", ".join(dict.fromkeys(shape.path for shape in self.unsure))
            message = f"required targets that are left out when their source is missing: {paths}"
            hint = "list them under `required`: then the map itself says what is missing, and where"
            self.note(TARGET_NOT_SET, message, self.unsure[0].line, self.unsure[0].path, hint, "info")

    def target(self, shape: Shape, target: SchemaView, scope: dict[str, SchemaView]) -> None:
        for expression in (shape.when, shape.default):
            if expression is not None:
                self.check(expression, scope, shape.path)
        match shape:
            case Value(expression=expression):
                self.check(expression, scope, shape.path)
                self.fits(self.kind(expression.node, scope).types, target, expression.line, shape.path)
            case Constant(value=value):
                self._constant(value, target, shape)
            case Object():
                self.fits(frozenset({"object"}), target, shape.line, shape.path)
                self.object(shape, target, scope)
            case Elements(items=items):
                self.fits(frozenset({"array"}), target, shape.line, shape.path)
                for item in items:
                    self.target(item, target.items, scope)
            case Each():
                self._each(shape, target, scope)

    def _constant(self, value: Any, target: SchemaView, shape: Shape) -> None:
        names = {str: "string", int: "integer", bool: "boolean", type(None): "null", list: "array", dict: "object"}
        self.fits(frozenset({names.get(type(value), "number")}), target, shape.line, shape.path)

    def _each(self, shape: Each, target: SchemaView, scope: dict[str, SchemaView]) -> None:
        self.fits(frozenset({"array"}), target, shape.line, shape.path)
        self.check(shape.source, scope, shape.path)
        source = self.kind(shape.source.node, scope)
        if source.types and "array" not in source.types:
            message = f"`each` needs a list, {shape.source.text} is {_words(source.types)}"
            self.note(TYPE_MISMATCH, message, shape.source.line, shape.path)
        inner = {**scope, shape.variable: source.items}
        if shape.where is not None:
            self.check(shape.where, inner, f"{shape.path}.where")
        if shape.counter is not None:
            inner[shape.counter] = view({"type": "integer"})
        self.target(shape.body, target.items, self.lets(shape.lets, inner, f"{shape.path}.let"))

    def fits(self, given: frozenset[str], target: SchemaView, line: int, pointer: str) -> None:
        """Report a value whose every possible type is refused by the target."""
        wanted = target.types
        if not wanted or not given or given & wanted or given == {"null"}:
            return
        if "number" in given and "integer" in wanted:
            return  # whole at run time, perhaps
        hint = None
        if given == {"string"} and wanted & {"number", "integer"}:
            hint = "read it with number() or integer()"
        elif "string" in wanted and given & {"number", "integer"}:
            hint = "write it as text with text()"
        self.note(TYPE_MISMATCH, f"{pointer} takes {_words(wanted)}, this is {_words(given)}", line, pointer, hint)


def _may_be_left_out(shape: Shape) -> bool:
    if shape.default is not None:
        return False
    if isinstance(shape, (Object, Elements)):
        return False
    if isinstance(shape, Value) and isinstance(shape.expression.node, Call):
        function = FUNCTIONS.get(shape.expression.node.function)
        if function is not None and function.never_none:
            return False
    return not always_present(shape) and not (
        isinstance(shape, Value) and isinstance(shape.expression.node, (Binary, Compare, Not))
    )


def _words(types: frozenset[str]) -> str:
    return " or ".join(_WORD.get(name, name) for name in sorted(types - {"null"} or types))


def _label(node: Node) -> str:
    match node:
        case Var(name):
            return "" if name == "doc" else name
        case Field(base, key):
            inner = _label(base)
            return f"{inner}.{key}" if inner else key
        case Select(base, Const(key)):
            return f'{_label(base)}["{key}"]' if isinstance(key, str) else f"{_label(base)}[{key}]"
        case _:
            return "…"
