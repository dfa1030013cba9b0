"""From the YAML of a map to its definition, with a finding for everything that is wrong.

The reader never stops at the first fault: an author sees them all, each with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crossdock.errors import Finding
from crossdock.mapping.faults import BUDGET, NOT_IN_LANGUAGE, UNKNOWN_LOOKUP, UNKNOWN_TARGET, UNREADABLE
from crossdock.mapping.functions import Function, closest
from crossdock.mapping.structure import (
    CONTEXT_NAMES,
    Constant,
    Each,
    Elements,
    MapDefinition,
    MapSide,
    Object,
    Shape,
    TestCase,
    Value,
    shapes,
)
from crossdock.mapping.syntax import Call, Const, Expression, Problem, parse, walk
from crossdock.mapping.yaml_source import Located, load

FIELDS_MAX = 2_000
LOOPS_MAX = 8
FORMATS = ("json", "csv", "fixed", "x12")
KEYS = (
    "map", "description", "from", "to", "select", "when", "let", "set", "required", "omit_if_none", "lookups", "tests",
)  # fmt: skip
TEST_KEYS = (
    "name", "given", "given_raw", "lookups", "message", "partner", "tenant", "envelope",
    "expect", "expect_error", "expect_held",
)  # fmt: skip
FORMS = ("expr", "const", "set", "each")
OPTIONS = ("when", "required", "default", "omit_if_none")
FORM_KEYS = {
    "expr": OPTIONS,
    "const": OPTIONS,
    "set": (*OPTIONS, "let"),
    "each": (*OPTIONS, "where", "let", "set", "expr"),
}

_EACH = re.compile(
    r"(?P<source>.+?)(?:\s+as\s+(?P<name>[A-Za-z_]\w*)(?:\s*,\s*(?P<counter>[A-Za-z_]\w*))?)?\s*", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAP_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_EMPTY = Object(path="", line=1, fields=())


def read(text: str, *, file: str, functions: Mapping[str, Function]) -> tuple[MapDefinition | None, list[Finding]]:
    """Return the definition of a map and the findings; with an error among them the definition is `None`."""
    root, findings = load(text)
    if root is None:
        return None, findings
    reader = MapReader(file, functions, findings)
    definition = reader.definition(root)
    if any(finding.severity == "error" for finding in reader.findings):
        return None, reader.findings
    return definition, reader.findings


class MapReader:
    """Reads one map and collects what is wrong with it."""

    def __init__(self, file: str, functions: Mapping[str, Function], findings: list[Finding]) -> None:
        self.file = file
        self.functions = functions
        self.findings = findings
        self.lookups: frozenset[str] = frozenset()
        self.omit = True
        self.required: frozenset[str] | None = frozenset()
        self.count = 0
        self.loops = 0

    def problem(
        self, line: int, message: str, *, code: str = UNREADABLE, pointer: str = "", hint: str | None = None
    ) -> None:
        self.findings.append(Finding(code, message, pointer=pointer, hint=hint, line=line))

    def known(self, located: Located, keys: tuple[str, ...], where: str) -> dict[str, Located]:
        """Return the fields of a mapping, with a finding for each key that has no meaning here."""
        if not located.is_mapping:
            self.problem(located.line, f"{where} must be a mapping")
            return {}
        for key, item in located.value.items():
            if key not in keys:
                near = closest(key, keys)
                hint = f"did you mean {near}?" if near else f"known here: {', '.join(keys)}"
                self.problem(item.line, f'{where} has no key "{key}"', hint=hint)
        return dict(located.value)

    # ---- the whole

    def definition(self, root: Located) -> MapDefinition:
        keys = self.known(root, KEYS, "a map")
        for key in ("map", "from", "to", "set"):
            if key not in keys and root.is_mapping:
                self.problem(root.line, f'a map needs the key "{key}"')
        name = self.text(keys.get("map"), "map")
        if name and not _MAP_NAME.fullmatch(name):
            self.problem(keys["map"].line, "the name of a map is lower case letters, digits, dots and dashes")
        self.lookups = frozenset(self.names(keys.get("lookups"), "lookups"))
        self.omit = self.flag(keys.get("omit_if_none"), "omit_if_none", default=True)
        self._required(keys.get("required"))
        scope = frozenset(CONTEXT_NAMES)
        select = self.expression(keys["select"], scope, "select") if "select" in keys else None
        lets, scope = self.lets(keys.get("let"), scope, "let")
        body = self.object(keys["set"], scope, "", lets) if "set" in keys else _EMPTY
        self._required_exist(body, keys.get("required"))
        return MapDefinition(
            name=name, file=self.file, description=self.text(keys.get("description"), "description"),
            source=self.side(keys.get("from"), "from"), target=self.side(keys.get("to"), "to"), body=body,
            select=select, conditions=self.conditions(keys.get("when"), scope), lookups=tuple(sorted(self.lookups)),
            tests=self.tests(keys.get("tests")),
        )  # fmt: skip

    def text(self, located: Located | None, where: str) -> str:
        if located is None:
            return ""
        if not isinstance(located.value, str):
            self.problem(located.line, f"{where} must be text")
            return ""
        return located.value

    def flag(self, located: Located | None, where: str, *, default: bool) -> bool:
        if located is None:
            return default
        if not isinstance(located.value, bool):
            self.problem(located.line, f"{where} must be true or false")
            return default
        return located.value

    def names(self, located: Located | None, where: str) -> list[str]:
        if located is None:
            return []
        if not located.is_list or not all(isinstance(item.value, str) for item in located.value):
            self.problem(located.line, f"{where} must be a list of names")
            return []
        return [item.value for item in located.value]

    def _required(self, located: Located | None) -> None:
        if located is not None and isinstance(located.value, bool):
            self.required = None if located.value else frozenset()
        else:
            self.required = frozenset(self.names(located, "required"))

    def _required_exist(self, body: Object, located: Located | None) -> None:
        paths = {shape.path for shape in shapes(body)}
        for name in sorted((self.required or frozenset()) - paths):
            near = closest(name, paths)
            hint = f"did you mean {near}?" if near else None
            line = located.line if located else 1
            self.problem(line, f'required names "{name}", which `set` does not set', code=UNKNOWN_TARGET, hint=hint)

    def side(self, located: Located | None, where: str) -> MapSide:
        if located is None:
            return MapSide()
        if not located.is_mapping:
            self.problem(located.line, f"{where} must be a mapping with `format` or `object`")
            return MapSide()
        options = {key: item.plain() for key, item in located.value.items()}
        form, named = options.pop("format", None), options.pop("object", None)
        event = options.pop("event", None)
        if (form is None) == (named is None):
            self.problem(located.line, f"{where} needs either `format` or `object`")
        elif form is not None and form not in FORMATS:
            near = closest(str(form), FORMATS)
            self.problem(located.line, f'there is no format "{form}"', hint=f"did you mean {near}?" if near else None)
        elif named is not None:
            for key in options:
                self.problem(located.line, f'{where} has no key "{key}" beside `object`')
        for key, value in (("object", named), ("event", event)):
            if value is not None and not isinstance(value, str):
                self.problem(located.line, f"{where}.{key} must be text")
        return MapSide(form, named, event, options, located.line)

    def conditions(self, located: Located | None, scope: frozenset[str]) -> tuple[Expression, ...]:
        if located is None:
            return ()
        items = located.value if located.is_list else [located]
        found = [self.expression(item, scope, "when") for item in items]
        return tuple(condition for condition in found if condition is not None)

    # ---- expressions

    def expression(self, located: Located, scope: frozenset[str], pointer: str) -> Expression | None:
        """Read an expression; a plain YAML number, true, false or null is that constant."""
        if located.is_list or located.is_mapping:
            self.problem(located.line, f"{pointer} must be an expression", pointer=pointer)
            return None
        self.count += 1
        if self.count == FIELDS_MAX + 1:
            self.problem(located.line, f"a map may have {FIELDS_MAX:,} expressions", code=BUDGET)
        if self.count > FIELDS_MAX:
            return None
        if not isinstance(located.value, str):
            return Expression(str(located.value), located.line, Const(located.value))
        return self.parsed(located.value, located.line, scope, pointer)

    def parsed(self, text: str, line: int, scope: frozenset[str], pointer: str) -> Expression | None:
        try:
            node = parse(text, locals=scope, functions=self.functions)
        except Problem as problem:
            self.findings.append(problem.finding(text, line, pointer))
            return None
        for inner in walk(node):
            if isinstance(inner, Call) and inner.function == "lookup" and isinstance(inner.arguments[0], Const):
                self._declared(str(inner.arguments[0].value), line, pointer)
        return Expression(text, line, node)

    def _declared(self, table: str, line: int, pointer: str) -> None:
        if table not in self.lookups:
            near = closest(table, self.lookups)
            hint = f"did you mean {near}?" if near else f"add `lookups: [{table}]` to the map"
            message = f'the map does not declare the lookup table "{table}"'
            self.problem(line, message, code=UNKNOWN_LOOKUP, pointer=pointer, hint=hint)

    def lets(
        self, located: Located | None, scope: frozenset[str], pointer: str
    ) -> tuple[tuple[tuple[str, Expression], ...], frozenset[str]]:
        """Read local names in order; each is in scope of those after it."""
        found: list[tuple[str, Expression]] = []
        if located is not None and not located.is_mapping:
            self.problem(located.line, "`let` must be a mapping of names to expressions", pointer=pointer)
        elif located is not None:
            for name, item in located.value.items():
                expression = self.expression(item, scope, f"{pointer}.{name}")
                scope = self.bind(scope, name, item.line)
                if expression is not None:
                    found.append((name, expression))
        return tuple(found), scope

    def bind(self, scope: frozenset[str], name: str, line: int) -> frozenset[str]:
        if name in CONTEXT_NAMES or not _NAME.fullmatch(name):
            reason = "is a context name" if name in CONTEXT_NAMES else "must be a letter, then letters, digits and _"
            self.problem(line, f'the local name "{name}" {reason}', code=NOT_IN_LANGUAGE)
        return scope | {name}

    # ---- targets

    def options(self, form: dict[str, Located], scope: frozenset[str], path: str) -> dict[str, Any]:
        required = self.required is None or path in self.required
        return {
            "when": self.expression(form["when"], scope, f"{path}.when") if "when" in form else None,
            "default": self.expression(form["default"], scope, f"{path}.default") if "default" in form else None,
            "required": self.flag(form.get("required"), "required", default=required),
            "omit": self.flag(form.get("omit_if_none"), "omit_if_none", default=self.omit),
        }

    def shape(self, located: Located, scope: frozenset[str], path: str) -> Shape:
        if located.is_list:
            items = tuple(self.shape(item, scope, path) for item in located.value)
            return Elements(path=path, line=located.line, items=items, **self.options({}, scope, path))
        if located.is_mapping:
            form = next((key for key in ("each", *FORMS) if key in located.value), None)
            if form is not None:
                return self.form(form, located, scope, path)
            return self.object(located, scope, path, ())
        if not isinstance(located.value, str):
            return Constant(path=path, line=located.line, value=located.value, **self.options({}, scope, path))
        expression = self.expression(located, scope, path) or Expression("", located.line, Const(None))
        return Value(path=path, line=located.line, expression=expression, **self.options({}, scope, path))

    def form(self, name: str, located: Located, scope: frozenset[str], path: str) -> Shape:
        keys = self.known(located, (name, *FORM_KEYS[name]), f"a target with `{name}`")
        line = located.line
        if name == "each":
            return self.each(keys, line, scope, path)
        if name == "expr":
            expression = self.expression(keys["expr"], scope, path) or Expression("", line, Const(None))
            options = self.options(keys, scope, path)
            return Value(path=path, line=keys["expr"].line, expression=expression, **options)
        if name == "const":
            return Constant(path=path, line=line, value=keys["const"].plain(), **self.options(keys, scope, path))
        options = self.options({key: item for key, item in keys.items() if key != "default"}, scope, path)
        lets, inner = self.lets(keys.get("let"), scope, f"{path}.let")
        if "default" in keys:
            self.problem(line, "a nested object has no `default`: give its fields one", pointer=path)
        body = self.object(keys["set"], inner, path, lets)
        return Object(path=path, line=line, fields=body.fields, lets=lets, **options)

    def each(self, keys: dict[str, Located], line: int, scope: frozenset[str], path: str) -> Shape:
        text = self.text(keys["each"], "each")
        found = _EACH.fullmatch(text)
        source_text = found["source"] if found else text
        variable = (found and found["name"]) or "item"
        counter = found["counter"] if found else None
        source = self.parsed(source_text, keys["each"].line, scope, path) or Expression("", line, Const(None))
        inner = self.bind(scope, variable, keys["each"].line)
        where = self.expression(keys["where"], inner, f"{path}.where") if "where" in keys else None
        if counter is not None:
            if counter == variable:
                self.problem(keys["each"].line, "the element and the counter need different names", pointer=path)
            inner = self.bind(inner, counter, keys["each"].line)
        lets, inner = self.lets(keys.get("let"), inner, f"{path}.let")
        if ("set" in keys) == ("expr" in keys):
            self.problem(line, "`each` needs either `set` or `expr`", pointer=path)
        self.loops += 1
        if self.loops > LOOPS_MAX:
            self.problem(line, f"loops may be nested {LOOPS_MAX} deep", code=BUDGET, pointer=path)
        if "set" in keys:
            body: Shape = self.object(keys["set"], inner, path, ())
        else:
            element = self.expression(keys["expr"], inner, path) if "expr" in keys else None
            body = Value(path=path, line=line, expression=element or Expression("", line, Const(None)), omit=True)
        self.loops -= 1
        return Each(
            path=path, line=line, source=source, variable=variable, counter=counter, where=where, lets=lets, body=body,
            **self.options(keys, scope, path),
        )  # fmt: skip

    def object(self, located: Located, scope: frozenset[str], path: str, lets: Any) -> Object:
        """Read a mapping of targets; dotted targets become nested objects."""
        if not located.is_mapping:
            self.problem(located.line, "`set` must be a mapping of targets to expressions", pointer=path)
            return Object(path=path, line=located.line, fields=())
        tree: dict[str, Any] = {}
        for target, item in located.value.items():
            self._place(tree, target.split("."), item, target)
        return self._built(tree, located.line, scope, path, lets)

    def _place(self, tree: dict[str, Any], parts: list[str], item: Located, target: str) -> None:
        """Put a target into the tree. A nested mapping and dotted targets of the same parent are merged."""
        for position, part in enumerate(parts):
            if not part or part.startswith("__"):
                self.problem(item.line, f'"{target}" is no target', code=NOT_IN_LANGUAGE)
                return
            last = position == len(parts) - 1
            nested = last and item.is_mapping and not any(form in item.value for form in FORMS)
            if last and not nested:
                if part in tree:
                    self.problem(item.line, f'the target "{target}" is set twice', pointer=target)
                tree[part] = item
                return
            inner = tree.setdefault(part, {})
            if not isinstance(inner, dict):
                self.problem(item.line, f'the target "{target}" is set twice', pointer=target)
                return
            tree = inner
        for key, value in item.value.items():
            self._place(tree, key.split("."), value, f"{target}.{key}")

    def _built(self, tree: dict[str, Any], line: int, scope: frozenset[str], path: str, lets: Any) -> Object:
        fields: list[tuple[str, Shape]] = []
        for name, item in tree.items():
            inner_path = f"{path}.{name}" if path else name
            if isinstance(item, dict):
                fields.append((name, self._built(item, _first_line(item, line), scope, inner_path, ())))
            else:
                fields.append((name, self.shape(item, scope, inner_path)))
        options = self.options({}, scope, path) if path else {}
        return Object(path=path, line=line, fields=tuple(fields), lets=lets, **options)

    # ---- tests

    def tests(self, located: Located | None) -> tuple[TestCase, ...]:
        if located is None:
            return ()
        if not located.is_list:
            self.problem(located.line, "tests must be a list")
            return ()
        return tuple(self.test(item) for item in located.value)

    def test(self, located: Located) -> TestCase:
        keys = self.known(located, TEST_KEYS, "a test")
        plain = {key: item.plain() for key, item in keys.items()}
        if ("given" in plain) == ("given_raw" in plain):
            self.problem(located.line, "a test needs either `given` or `given_raw`")
        if sum(key in plain for key in ("expect", "expect_error", "expect_held")) != 1:
            self.problem(located.line, "a test needs one of `expect`, `expect_error`, `expect_held`")
        context: dict[str, Any] = {
            key: plain[key] for key in ("lookups", "message", "partner", "tenant", "envelope") if key in plain
        }
        for key, value in context.items():
            if not isinstance(value, dict):
                self.problem(keys[key].line, f"{key} must be a mapping")
        return TestCase(
            str(plain.get("name", "")), located.line, plain.get("given"), plain.get("given_raw"), context,
            plain.get("expect"), plain.get("expect_error"), plain.get("expect_held"),
        )  # fmt: skip


def _first_line(tree: dict[str, Any], otherwise: int) -> int:
    for item in tree.values():
        return _first_line(item, otherwise) if isinstance(item, dict) else item.line
    return otherwise
