"""From a checked map to one Python function.

The source that is generated holds only names made here (`v7`, `o2`, `_k3`): no character of the user's text.
Constants, keys and functions are placeholders in that source; they are put in as values in the parsed tree
before it is compiled, so a key cannot become code whatever it contains.

Every prefix of a path is read once per scope (`order` of `order.number` and `order.date`) and checked to be a mapping,
so that a missing branch costs a comparison and no exception.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import CodeType
from typing import Any

from crossdock.mapping import values
from crossdock.mapping.faults import VALUE_MISSING, Fault
from crossdock.mapping.functions import Function
from crossdock.mapping.structure import (
    CONTEXT_NAMES,
    Constant,
    Each,
    Elements,
    MapDefinition,
    Object,
    Shape,
    Value,
    expressions,
    least_fields,
    shapes,
)
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
    children,
    walk,
)

_OPERATION = {
    "+": "_add", "-": "_subtract", "*": "_multiply", "/": "_divide", "//": "_floor_divide", "%": "_remainder",
    "==": "_equal", "!=": "_unequal", "<": "_less", "<=": "_less_or_equal", ">": "_greater", ">=": "_greater_or_equal",
    "in": "_contained", "not in": "_not_contained",
}  # fmt: skip
_RUNTIME: dict[str, Any] = {name: getattr(values, name[1:]) for name in _OPERATION.values()} | {
    "_field": values.field, "_select": values.select, "_negate": values.negate, "_listed": values.listed,
    "_weigh": values.weigh, "_C": values.CONTAINERS, "_E": values.EMPTY, "_len": len, "_dict": dict, "_str": str,
}  # fmt: skip


def missing() -> Any:
    """End the run because a required target has no value."""
    raise Fault(VALUE_MISSING, "a required field has no value")


class Program:
    """A generated function, the places its lines stand for, and its source for people to read."""

    def __init__(self, function: Callable[..., Any], places: dict[int, tuple[str, int]], source: str) -> None:
        self.function = function
        self.places = places
        self.source = source


def generate_map(definition: MapDefinition, functions: Mapping[str, Function]) -> Program:
    """Return the function `(doc, root, message, partner, tenant, envelope, run) -> dict` of a map."""
    writer = _Writer(functions)
    writer.open_scope({name: name for name in CONTEXT_NAMES}, _all_nodes(definition.body))
    writer.object(definition.body, "out")
    writer.line("return out")
    return writer.finish(", ".join((*CONTEXT_NAMES, "run")))


def generate_expression(expression: Expression, functions: Mapping[str, Function]) -> Program:
    """Return the function `(doc, run) -> value` of one expression."""
    writer = _Writer(functions)
    writer.place = ("", expression.line)
    writer.open_scope({"doc": "doc"}, [expression.node])
    writer.line(f"return {writer.code(expression.node)}")
    return writer.finish("doc, run")


def _all_nodes(shape: Shape) -> list[Node]:
    return [expression.node for inner in shapes(shape) for expression in expressions(inner)]


class _Writer:
    """Writes one function: statements, constants and the names in scope."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.lines: list[str] = []
        self.depth = 1
        self.constants: dict[str, Any] = {}
        self.runtime: dict[str, Any] = {}
        self.places: dict[int, tuple[str, int]] = {}
        self.place: tuple[str, int] = ("", 1)
        self.serial = 0
        self.names: dict[str, str] = {}  # name of the language -> variable of the function
        self.prefixes: dict[Node, str] = {}  # path prefix -> variable that holds it, known to be a mapping

    # ---- source

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)
        self.places[len(self.lines) + 1] = self.place

    def fresh(self, letter: str) -> str:
        self.serial += 1
        return f"{letter}{self.serial}"

    def constant(self, value: Any) -> str:
        name = f"_k{len(self.constants)}"
        self.constants[name] = value
        return name

    def finish(self, parameters: str) -> Program:
        source = "\n".join([f"def mapped({parameters}):", *self.lines])
        tree = _Constants(self.constants).visit(ast.parse(source))
        # The compiler takes no decimals as constants; they become names of the function's own namespace.
        decimals = {name: value for name, value in self.constants.items() if isinstance(value, Decimal)}
        code: CodeType = compile(ast.fix_missing_locations(tree), "<map>", "exec")
        namespace: dict[str, Any] = {"__builtins__": {}, **_RUNTIME, "_missing": missing, **self.runtime, **decimals}
        exec(code, namespace)  # noqa: S102 - the tree above is made of our own names and constants only
        return Program(namespace["mapped"], self.places, source)

    # ---- scopes

    def open_scope(self, names: dict[str, str], nodes: list[Node]) -> None:
        """Bring names into scope and read the prefixes of all paths that start with them."""
        self.names = self.names | names
        # A name of an outer scope may be hidden by the new one: its prefixes mean something else now.
        self.prefixes = {node: name for node, name in self.prefixes.items() if _root(node) not in names}
        for node in nodes:
            for inner in walk(node):
                if isinstance(inner, Field):
                    self._prefix(inner.base, names)

    def _prefix(self, node: Node, names: dict[str, str]) -> None:
        """Read a prefix into a variable, outermost first; only prefixes that are fixed in the text."""
        if node in self.prefixes or _root(node) not in names:
            return
        match node:
            case Var(name):
                if name == "doc" and self.names["doc"] == "doc":
                    self.prefixes[node] = "doc"  # the entry has made sure that these are mappings
                    return
                read = self.names[name]
            case Field(base, key):
                self._prefix(base, names)
                read = f"{self.prefixes[base]}.get({self.constant(key)})"
            case Select(base, Const(key)):
                if isinstance(base, Var):
                    inner = self.names[base.name]
                else:
                    inner = self.code(base)
                read = f"_select(run, {inner}, {self.constant(key)})"
            case _:
                return
        variable = self.fresh("p")
        self.line(f"{variable} = {read}")
        self.line(f"if {variable}.__class__ is not _dict: {variable} = _E")
        self.prefixes[node] = variable

    # ---- targets

    def object(self, shape: Object, variable: str) -> None:
        """Write the statements that build an object in a variable."""
        outer = self.names, self.prefixes
        self.lets(shape.lets, [node for _, inner in shape.fields for node in _all_nodes(inner)])
        self.line(f"{variable} = {{}}")
        for name, inner in shape.fields:
            key = self.constant(name)
            self.target(inner, lambda value, key=key: f"{variable}[{key}] = {value}")  # type: ignore[misc]
        self.names, self.prefixes = outer

    def lets(self, lets: tuple[tuple[str, Expression], ...], nodes: list[Node]) -> None:
        for position, (name, expression) in enumerate(lets):
            variable = self.fresh("l")
            self.place = (f"let.{name}", expression.line)
            self.line(f"{variable} = {self.code(expression.node)}")
            later = [later.node for _, later in lets[position + 1 :]]
            self.open_scope({name: variable}, later + nodes)

    def target(self, shape: Shape, store: Callable[[str], str]) -> None:
        """Write the statements that compute one target and store it, if it has a value."""
        self.place = (shape.path, shape.line)
        depth = self.depth
        if shape.when is not None:
            self.line(f"if {self.code(shape.when.node)}:")
            self.depth += 1
        match shape:
            case Constant(value=value):
                self._store_constant(shape, value, store)
            case Value(expression=expression):
                self.place = (shape.path, expression.line)
                self._store_value(shape, expression.node, store)
            case Object():
                variable = self.fresh("o")
                self.object(shape, variable)
                self.place = (shape.path, shape.line)
                least = least_fields(shape)
                self._store_built(shape, variable, f"_len({variable}) > {least}" if least else variable, store)
            case Elements(items=items):
                variable = self.fresh("a")
                self.line(f"{variable} = []")
                for item in items:
                    self.target(item, lambda value: f"{variable}.append({value})")
                self.place = (shape.path, shape.line)
                self._store_built(shape, variable, variable, store)
            case Each():
                self._each(shape, store)
        self.depth = depth

    def _store_constant(self, shape: Shape, value: Any, store: Callable[[str], str]) -> None:
        if isinstance(value, (list, dict)):
            # A fresh copy for each document: the next reader may change it.
            self.line(store(self._literal(value)))
        elif value is not None:
            self.line(store(self.constant(value)))
        elif shape.default is not None or shape.required or not shape.omit:
            self._store_value(shape, Const(None), store)

    def _literal(self, value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self._literal(item) for item in value)}]"
        if isinstance(value, dict):
            return f"{{{', '.join(f'{self.constant(key)}: {self._literal(item)}' for key, item in value.items())}}}"
        return self.constant(value)

    def _store_value(self, shape: Shape, node: Node, store: Callable[[str], str]) -> None:
        code = self.code(node)
        maybe_none, maybe_container = self._may_be(node)
        if shape.default is not None and maybe_none:
            variable = self.fresh("v")
            self.line(f"{variable} = {code}")
            self.line(f"if {variable} is None: {variable} = {self.code(shape.default.node)}")
            default_none, default_container = self._may_be(shape.default.node)
            code, maybe_none, maybe_container = variable, default_none, maybe_container or default_container
        if not maybe_none and not maybe_container:
            self.line(store(code))
            return
        variable = code if code.isidentifier() and code[0] == "v" else "v0"
        if variable != code:
            self.line(f"v0 = {code}")
        otherwise = "if"
        if maybe_container:
            self.line(f"if {variable}.__class__ is _str: {store(variable)}")
            otherwise = "elif"
        self.line(f"{otherwise} {variable} is not None:")
        if maybe_container:
            self.line(f"    if {variable}.__class__ in _C: _weigh(run, {variable})")
        self.line(f"    {store(variable)}")
        self._store_nothing(shape, store)

    def _store_nothing(self, shape: Shape, store: Callable[[str], str]) -> None:
        if shape.required:
            self.line("else: _missing()")
        elif not shape.omit:
            self.line(f"else: {store('None')}")

    def _store_built(self, shape: Shape, variable: str, condition: str, store: Callable[[str], str]) -> None:
        self.line(f"if {condition}: {store(variable)}")
        self._store_nothing(shape, store)

    def _each(self, shape: Each, store: Callable[[str], str]) -> None:
        self.place = (shape.path, shape.source.line)
        source, result, item = self.fresh("s"), self.fresh("a"), self.fresh("i")
        self.line(f"{source} = {self.code(shape.source.node)}")
        if shape.default is not None:
            self.line(f"if {source} is None: {source} = {self.code(shape.default.node)}")
        self.line(f"if {source} is not None:")
        depth = self.depth
        self.depth += 1
        self.line(f"{result} = []")
        self.line(f"for {item} in _listed(run, {source}, {cost_of(shape)}):")
        if shape.counter is not None:
            counter = self.fresh("n")
            self.lines.insert(len(self.lines) - 1, "    " * self.depth + f"{counter} = 0")
            self.places[len(self.lines) + 1] = self.place
        self.depth += 1
        outer = self.names, self.prefixes
        inside = _all_nodes(shape.body) + [expression.node for _, expression in shape.lets]
        if shape.where is not None:
            inside.append(shape.where.node)
        self.open_scope({shape.variable: item}, inside)
        if shape.where is not None:
            self.line(f"if not {self.code(shape.where.node)}: continue")
        if shape.counter is not None:
            self.line(f"{counter} += 1")
            self.open_scope({shape.counter: counter}, [])
        self.lets(shape.lets, _all_nodes(shape.body))
        self.target(shape.body, lambda value: f"{result}.append({value})")
        self.names, self.prefixes = outer
        self.depth = depth + 1
        self.place = (shape.path, shape.line)
        self.line(f"if {result}: {store(result)}" if shape.required else store(result))
        if shape.required:
            self.line("else: _missing()")
        self.depth = depth
        self._store_nothing(shape, store)

    # ---- expressions

    def code(self, node: Node) -> str:
        """Return the Python expression of a node."""
        match node:
            case Const(value):
                return self.constant(value)
            case Var(name):
                return self.names[name]
            case Field(base, key):
                prefix = self.prefixes.get(base)
                if prefix is not None:
                    return f"{prefix}.get({self.constant(key)})"
                return f"_field({self.code(base)}, {self.constant(key)})"
            case Select(base, key):
                return f"_select(run, {self.code(base)}, {self.code(key)})"
            case Binary(op, left, right):
                return f"{_OPERATION[op]}(run, {self.code(left)}, {self.code(right)})"
            case Negative(operand):
                return f"_negate(run, {self.code(operand)})"
            case Not(operand):
                return f"(not {self.code(operand)})"
            case Logic(op, operands):
                return "(" + f" {op} ".join(self.code(operand) for operand in operands) + ")"
            case Choice(condition, then, otherwise):
                return f"({self.code(then)} if {self.code(condition)} else {self.code(otherwise)})"
            case Compare():
                return self._compare(node)
            case Call(name, arguments):
                self.runtime[f"_f_{name}"] = self.functions[name].code
                return f"_f_{name}({', '.join(['run', *map(self.code, arguments)])})"
            case ListOf(items):
                return f"[{', '.join(map(self.code, items))}]"

    def _compare(self, node: Compare) -> str:
        if len(node.rest) == 1:
            op, right = node.rest[0]
            return self._comparison(op, node.first, self.code(node.first), right, self.code(right))
        # In a chain each middle value is computed once, as in Python, and not at all once the chain is decided.
        parts, left_node, left = [], node.first, self.code(node.first)
        for position, (op, right) in enumerate(node.rest):
            code = self.code(right)
            if position < len(node.rest) - 1:
                variable = self.fresh("t")
                parts.append(self._comparison(op, left_node, left, right, f"({variable} := {code})"))
                left = variable
            else:
                parts.append(self._comparison(op, left_node, left, right, code))
            left_node = right
        return "(" + " and ".join(parts) + ")"

    def _comparison(self, op: str, left_node: Node, left: str, right_node: Node, right: str) -> str:
        if op in ("is", "is not"):
            if isinstance(left_node, Const):
                return self.constant((left_node.value is None) == (op == "is"))
            return f"({left} {op} None)"
        if op in ("==", "!=") and (_is_text(left_node) or _is_text(right_node)):
            return f"({left} {op} {right})"  # with a text constant Python's own comparison means the same
        if op == "in" and isinstance(right_node, ListOf) and right_node.items and all(map(_is_text, right_node.items)):
            listed = self.constant(tuple(item.value for item in right_node.items if isinstance(item, Const)))
            return f"({left} in {listed})"
        return f"{_OPERATION[op]}(run, {left}, {right})"

    def _may_be(self, node: Node) -> tuple[bool, bool]:
        """Return whether a value may be None, and whether it may be a list or mapping."""
        match node:
            case Const(value):
                return value is None, False
            case Binary() | Negative() | Not() | Compare():
                return False, False
            case Call(name, _):
                function = self.functions[name]
                return not function.never_none, function.returns in ("any", "list", "mapping")
            case Choice(_, then, otherwise):
                first, second = self._may_be(then), self._may_be(otherwise)
                return first[0] or second[0], first[1] or second[1]
            case Logic(_, operands):
                each = [self._may_be(operand) for operand in operands]
                return any(none for none, _ in each), any(container for _, container in each)
            case ListOf():
                return False, True
            case _:
                return True, True


def _is_text(node: Node) -> bool:
    return isinstance(node, Const) and isinstance(node.value, str)


def _root(node: Node) -> str | None:
    """Return the name a fixed path starts with, `None` for anything else."""
    while True:
        match node:
            case Var(name):
                return name
            case Field(base, _) | Select(base, Const(_)):
                node = base
            case _:
                return None


def cost_of(shape: Each) -> int:
    """Return the steps of one round of a loop: its shapes and the nodes of their expressions."""
    return 1 + sum(1 + sum(size_of(expression.node) for expression in expressions(inner)) for inner in shapes(shape))


def size_of(node: Node) -> int:
    """Return the number of nodes of an expression."""
    return 1 + sum(size_of(child) for child in children(node))


class _Constants(ast.NodeTransformer):
    """Puts the constants in where their placeholders stand."""

    def __init__(self, constants: dict[str, Any]) -> None:
        self.constants = constants

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.constants.get(node.id, self)
        if value is self or isinstance(value, Decimal):
            return node
        return ast.copy_location(ast.Constant(value), node)
