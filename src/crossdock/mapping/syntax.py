"""From the text of an expression to a checked tree.

Python's own parser reads the text; every node it gives is looked at, and only those of the language pass.
What comes out are the nodes below: they hold plain values and names, never code.
Both the generator and the interpreter work on this tree and on nothing else.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.errors import Finding
from crossdock.mapping.faults import BUDGET, NOT_IN_LANGUAGE, UNKNOWN_FUNCTION, UNREADABLE, WRONG_ARGUMENTS
from crossdock.mapping.functions import FUNCTIONS, Function, closest
from crossdock.mapping.values import NUMBER_MAX

LENGTH_MAX = 4_000
NODES_MAX = 500
DEPTH_MAX = 32

DOCUMENT = "doc"


class Const(msgspec.Struct, frozen=True):
    """A text, number, true, false or None."""

    value: Any


class Var(msgspec.Struct, frozen=True):
    """A name in scope: the document, a context name, a `let` or a loop element."""

    name: str


class Field(msgspec.Struct, frozen=True):
    """The key of a mapping; `None` if there is none."""

    base: Node
    key: str


class Select(msgspec.Struct, frozen=True):
    """`base[key]`: by key, position or qualifier."""

    base: Node
    key: Node


class Binary(msgspec.Struct, frozen=True):
    """Arithmetic."""

    op: str
    left: Node
    right: Node


class Negative(msgspec.Struct, frozen=True):
    """A change of sign."""

    operand: Node


class Not(msgspec.Struct, frozen=True):
    """Logical not."""

    operand: Node


class Logic(msgspec.Struct, frozen=True):
    """`and` or `or` over two or more operands; the value is that of the deciding operand."""

    op: str
    operands: tuple[Node, ...]


class Compare(msgspec.Struct, frozen=True):
    """A chain of comparisons; `is` and `is not` compare with None only."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


class Choice(msgspec.Struct, frozen=True):
    """`then if condition else otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


class Call(msgspec.Struct, frozen=True):
    """A call of a registered function."""

    function: str
    arguments: tuple[Node, ...]


class ListOf(msgspec.Struct, frozen=True):
    """A list written out."""

    items: tuple[Node, ...]


Node = Const | Var | Field | Select | Binary | Negative | Not | Logic | Compare | Choice | Call | ListOf


class Expression(msgspec.Struct, frozen=True):
    """A checked expression, its text and the line of its file."""

    text: str
    line: int
    node: Node


class Problem(Exception):
    """An expression is not one of the language."""

    def __init__(self, code: str, message: str, line_offset: int = 0, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line_offset = line_offset
        self.hint = hint

    def finding(self, text: str, line: int, pointer: str) -> Finding:
        """Return this problem as a finding of a file."""
        value = text if len(text) <= 200 else text[:199] + "…"
        return Finding(
            self.code, self.message, pointer=pointer, value=value, hint=self.hint, line=line + self.line_offset
        )


_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
_COMPARE = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
_REFUSED = {
    ast.Lambda: "functions of your own", ast.ListComp: "comprehensions", ast.SetComp: "comprehensions",
    ast.DictComp: "comprehensions", ast.GeneratorExp: "comprehensions", ast.JoinedStr: "f-strings: use concat()",
    ast.NamedExpr: "assignments: use `let`", ast.Await: "await", ast.Yield: "yield", ast.YieldFrom: "yield",
    ast.Dict: "mappings written out: use a YAML mapping", ast.Set: "sets: use a list", ast.Starred: "unpacking",
    ast.Slice: "slices: use substring()", ast.Tuple: "tuples: use a list",
}  # fmt: skip


def parse(text: str, *, locals: frozenset[str] = frozenset(), functions: Mapping[str, Function] = FUNCTIONS) -> Node:  # noqa: A002 - the word of the language
    """Return the checked tree of an expression, or raise `Problem`.

    `locals` are the names in scope; every other name is a top-level field of the document.
    """
    if len(text) > LENGTH_MAX:
        raise Problem(BUDGET, f"an expression may have {LENGTH_MAX:,} characters, this one has {len(text):,}")
    multiline = "\n" in text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(f"(\n{text}\n)" if multiline else text.strip(), mode="eval")
    except SyntaxError as error:
        offset = max((error.lineno or 1) - 2, 0) if multiline else 0
        place = "" if multiline or not error.offset else f" at column {error.offset}"
        raise Problem(
            UNREADABLE, f"this is not an expression: {error.msg}{place}", offset, _syntax_hint(text)
        ) from None
    except (RecursionError, MemoryError):
        raise Problem(BUDGET, f"an expression may be nested {DEPTH_MAX} levels deep") from None
    except ValueError as error:
        raise Problem(UNREADABLE, f"this is not an expression: {error}") from None
    reader = _Reader(locals, functions, 2 if multiline else 1)
    return reader.node(tree.body, 0)


def _syntax_hint(text: str) -> str | None:
    words = text.replace(".", " ").split()
    if any(word in {"from", "class", "in", "is", "as", "import", "return", "with", "global"} for word in words):
        return 'a field that bears the name of a Python keyword is written order["from"]'
    if text.count("(") > text.count(")"):
        return "inside { } a comma ends the value: put quotes around the expression, or give it a line of its own"
    if not text.strip():
        return "write None for no value"
    return None


class _Reader:
    """Walks Python's tree once and lets through what the language knows."""

    def __init__(self, scope: frozenset[str], functions: Mapping[str, Function], first_line: int) -> None:
        self.scope = scope
        self.functions = functions
        self.first_line = first_line
        self.nodes = 0

    def node(self, tree: ast.expr, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise Problem(BUDGET, f"an expression may have {NODES_MAX} nodes: split it with `let`")
        if depth > DEPTH_MAX:
            raise Problem(BUDGET, f"an expression may be nested {DEPTH_MAX} levels deep: split it with `let`")
        depth += 1
        match tree:
            case ast.Constant(value):
                return Const(self._constant(tree, value))
            case ast.Name(name):
                self._allowed(tree, name)
                return Var(name) if name in self.scope else Field(Var(DOCUMENT), name)
            case ast.Attribute(base, key):
                self._allowed(tree, key)
                return Field(self.node(base, depth), key)
            case ast.Subscript(base, key):
                return self._subscript(base, key, depth)
            case ast.Call():
                return self._call(tree, depth)
            case ast.IfExp(condition, then, otherwise):
                return Choice(self.node(condition, depth), self.node(then, depth), self.node(otherwise, depth))
            case ast.List(items):
                return ListOf(tuple(self.node(item, depth) for item in items))
            case _:
                return self._operation(tree, depth)

    def _operation(self, tree: ast.expr, depth: int) -> Node:
        match tree:
            case ast.BoolOp(op, values):
                operands = tuple(self.node(value, depth) for value in values)
                return Logic("and" if isinstance(op, ast.And) else "or", operands)
            case ast.UnaryOp(ast.Not(), operand):
                return Not(self.node(operand, depth))
            case ast.UnaryOp(ast.USub(), operand):
                inner = self.node(operand, depth)
                if isinstance(inner, Const) and type(inner.value) in (int, Decimal):
                    return Const(-inner.value)
                return Negative(inner)
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.node(operand, depth)
            case ast.BinOp(left, op, right) if type(op) in _BINARY:
                return Binary(_BINARY[type(op)], self.node(left, depth), self.node(right, depth))
            case ast.BinOp(_, ast.Pow(), _):
                raise self._refused(tree, "powers")
            case ast.Compare():
                return self._compare(tree, depth)
            case _:
                raise self._refused(tree, _REFUSED.get(type(tree), f"`{type(tree).__name__}`"))

    def _refused(self, tree: ast.expr, what: str, code: str = NOT_IN_LANGUAGE) -> Problem:
        return Problem(code, f"the mapping language has no {what}", self._line_offset(tree))

    def _line_offset(self, tree: ast.expr) -> int:
        return max(tree.lineno - self.first_line, 0)

    def _allowed(self, tree: ast.expr, name: str) -> None:
        if name.startswith("__"):
            raise self._refused(tree, f"names that start with two underscores ({name})")

    def _constant(self, tree: ast.expr, value: object) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            if not -NUMBER_MAX < value < NUMBER_MAX:
                raise Problem(BUDGET, "this number is too large", self._line_offset(tree))
            return value
        if isinstance(value, float):
            number = Decimal(repr(value))
            if not number.is_finite() or not -NUMBER_MAX < number < NUMBER_MAX:
                raise Problem(BUDGET, "this number is too large", self._line_offset(tree))
            return number
        raise self._refused(tree, f"constants of the type {type(value).__name__}")

    def _subscript(self, base: ast.expr, key: ast.expr, depth: int) -> Node:
        inner, index = self.node(base, depth), self.node(key, depth)
        if isinstance(index, Const) and type(index.value) not in (int, str):
            raise Problem(WRONG_ARGUMENTS, "a selection is a text or a whole number", self._line_offset(key))
        return Select(inner, index)

    def _compare(self, tree: ast.Compare, depth: int) -> Node:
        rest = []
        for op, right in zip(tree.ops, tree.comparators, strict=True):
            node = self.node(right, depth)
            if isinstance(op, (ast.Is, ast.IsNot)) and node != Const(None):
                raise Problem(NOT_IN_LANGUAGE, "`is` compares with None only: use ==", self._line_offset(tree))
            rest.append((_COMPARE[type(op)], node))
        return Compare(self.node(tree.left, depth), tuple(rest))

    def _call(self, tree: ast.Call, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name):
            raise self._refused(tree, "methods: call a function, as in upper(name)")
        name = tree.func.id
        self._allowed(tree, name)
        function = self.functions.get(name)
        if function is None:
            near = closest(name, self.functions)
            hint = f"did you mean {near}()?" if near else "the functions are listed in the mapping language's reference"
            raise Problem(UNKNOWN_FUNCTION, f"there is no function {name}()", self._line_offset(tree), hint)
        if tree.keywords:
            raise self._refused(tree, "keyword arguments")
        arguments = tuple(self.node(argument, depth) for argument in tree.args)
        wrong = function.refuses(arguments_constant(arguments))
        if wrong:
            raise Problem(WRONG_ARGUMENTS, f"{function.signature}: {wrong}", self._line_offset(tree))
        return Call(name, arguments)


class _NotConstant:
    """Stands for an argument whose value is only known at run time."""


NOT_CONSTANT = _NotConstant()


def arguments_constant(arguments: tuple[Node, ...]) -> list[object]:
    """Return the values of the arguments that are constants, and a mark for the others."""
    return [argument.value if isinstance(argument, Const) else NOT_CONSTANT for argument in arguments]


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below a node."""
    match node:
        case Field(base):
            return (base,)
        case Select(base, key):
            return (base, key)
        case Binary(_, left, right):
            return (left, right)
        case Negative(operand) | Not(operand):
            return (operand,)
        case Logic(_, operands):
            return operands
        case Compare(first, rest):
            return (first, *(right for _, right in rest))
        case Choice(condition, then, otherwise):
            return (condition, then, otherwise)
        case Call(_, arguments):
            return arguments
        case ListOf(items):
            return items
        case _:
            return ()


def walk(node: Node) -> list[Node]:
    """Return a node and all nodes below it."""
    found = [node]
    for child in children(node):
        found.extend(walk(child))
    return found


def static_path(node: Node) -> tuple[str, tuple[str | int, ...]] | None:
    """Return the root name and the keys of a path that is fixed in the text, else `None`."""
    keys: list[str | int] = []
    while True:
        match node:
            case Var(name):
                return name, tuple(reversed(keys))
            case Field(base, key):
                keys.append(key)
                node = base
            case Select(base, Const(key)):
                keys.append(key)
                node = base
            case _:
                return None
