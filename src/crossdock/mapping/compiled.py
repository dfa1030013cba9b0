"""The compiled map and the compiled expression: what the rest of the product calls.

The generated function does the work. When it fails, the interpreter runs once more over the same document
and names every fault with file, line, field, source and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec

from crossdock.errors import ConfigurationError, DocumentRejected, Finding, HeldAwaiting
from crossdock.mapping.faults import (
    BUDGET,
    DOES_NOT_APPLY,
    NOT_IN_TABLE,
    WRONG_TYPE,
    Awaiting,
    Fault,
    MappingError,
    shown,
)
from crossdock.mapping.functions import FUNCTIONS, Function, closest
from crossdock.mapping.generate import Program, generate_expression, generate_map
from crossdock.mapping.interpret import FieldTrace, Interpreter, Scope, Trouble
from crossdock.mapping.reader import read
from crossdock.mapping.structure import MapDefinition, MapSide, Object, TestCase, Value
from crossdock.mapping.syntax import Choice, Const, Expression, Logic, Problem, parse, static_path, walk
from crossdock.mapping.values import EMPTY, STEPS_MAX, RunState

FINDINGS_MAX = 100


class MapContext(msgspec.Struct, frozen=True):
    """What a map may read beside its document. `root` is the whole input when the map has `select`."""

    lookups: Mapping[str, Mapping[str, str]] = {}
    message: dict[str, Any] = {}
    partner: dict[str, Any] = {}
    tenant: dict[str, Any] = {}
    envelope: dict[str, Any] = {}
    root: dict[str, Any] | None = None


class CompiledMap:
    """A map that is ready to run. It holds no state: one instance serves all documents and threads."""

    def __init__(self, definition: MapDefinition, functions: Mapping[str, Function]) -> None:
        self.definition = definition
        self._functions = functions
        self._program = generate_map(definition, functions)
        self._conditions = _conditions(definition)
        self._applies = generate_map(self._conditions, functions) if self._conditions else None

    @property
    def name(self) -> str:
        """The name of the map."""
        return self.definition.name

    @property
    def source(self) -> MapSide:
        """What comes in: a format with its options, or a canonical object."""
        return self.definition.source

    @property
    def target(self) -> MapSide:
        """What goes out: a canonical object with its event, or a format with its options."""
        return self.definition.target

    @property
    def lookups(self) -> tuple[str, ...]:
        """The tables the map may read."""
        return self.definition.lookups

    @property
    def tests(self) -> tuple[TestCase, ...]:
        """The tests in the map's file."""
        return self.definition.tests

    @property
    def generated_source(self) -> str:
        """The generated function, for people to read; `_k0` and so on stand for the constants."""
        return self._program.source

    def split(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the documents of a decoded input: one for each element that `select` finds, else the input itself."""
        select = self.definition.select
        if select is None:
            return [document]
        interpreter = Interpreter(self._functions, RunState({}))
        elements = interpreter.attempt(select, _scope(document, MapContext()), "select")
        if interpreter.troubles:
            raise self._ended(interpreter.troubles, MapContext())
        if elements is None:
            return []
        if elements.__class__ is not list or any(element.__class__ is not dict for element in elements):
            fault = Fault(WRONG_TYPE, "`select` must find a list of mappings", elements)
            raise self._ended([Trouble(fault, "select", select.text, select.line, [])], MapContext())
        return list(elements)

    def applies(self, document: dict[str, Any], context: MapContext) -> bool:
        """Tell whether the conditions of the map (`when`) hold for this document."""
        if self._applies is None or self._conditions is None:
            return True
        return all(self._run(self._applies, self._conditions, document, context).values())

    def run(self, document: dict[str, Any], context: MapContext) -> dict[str, Any]:
        """Return the target of one document.

        Raises `HeldAwaiting` when a lookup has no row, `MappingError` (a `DocumentRejected`) with all findings
        when a value is wrong or missing, or when the map does not apply.
        """
        if self._applies is not None and not self.applies(document, context):
            line = self.definition.conditions[0].line
            finding = Finding(DOES_NOT_APPLY, f"map {self.name} does not apply to this document", line=line)
            raise MappingError(
                finding.message, code=DOES_NOT_APPLY, file=self.definition.file, line=line, field="when", value=None,
                findings=(finding,), hint="the conditions are under `when` in the map",
            )  # fmt: skip
        return self._run(self._program, self.definition, document, context)

    def _run(
        self, program: Program, definition: MapDefinition, document: dict[str, Any], context: MapContext
    ) -> dict[str, Any]:
        root = context.root
        run = RunState(context.lookups)
        try:
            result: dict[str, Any] = program.function(
                document if document.__class__ is dict else EMPTY, document if root is None else root,
                context.message, context.partner, context.tenant, context.envelope, run,
            )  # fmt: skip
            return result
        except Fault as fault:
            if fault.code == BUDGET and run.left < 0:
                # Running it once more, slowly, would only use up the budget again.
                field, line = _place(program, fault.__traceback__)
                raise self._ended([Trouble(fault, "/" + field.replace(".", "/"), "", line, [])], context) from None
        except (Awaiting, RecursionError):
            pass
        interpreter = Interpreter(self._functions, RunState(context.lookups, 10 * STEPS_MAX))
        result = interpreter.whole(definition.body, _scope(document, context))
        if interpreter.troubles:
            raise self._ended(interpreter.troubles, context) from None
        return result

    def interpreted(self, document: dict[str, Any], context: MapContext) -> dict[str, Any]:
        """Return what `run` returns, computed by the interpreter alone; for tests and comparison."""
        interpreter = Interpreter(self._functions, RunState(context.lookups))
        result = interpreter.whole(self.definition.body, _scope(document, context))
        if interpreter.troubles:
            raise self._ended(interpreter.troubles, context)
        return result

    def explain(self, document: dict[str, Any], context: MapContext) -> list[FieldTrace]:
        """Return how each target field came by its value; fields that failed are left out, `run` reports those."""
        interpreter = Interpreter(self._functions, RunState(context.lookups))
        interpreter.whole(self.definition.body, _scope(document, context))
        if any(isinstance(trouble.fault, Fault) and trouble.fault.code == BUDGET for trouble in interpreter.troubles):
            raise self._ended(interpreter.troubles, context)
        return interpreter.traces

    def _ended(self, troubles: list[Trouble], context: MapContext) -> HeldAwaiting | MappingError:
        where = f"map {self.name}" if self.name else "expression"
        return ended(troubles, self.definition.file, where, context.lookups)


class CompiledExpression:
    """One expression, ready to run: a condition of a route, a rule of validation or sourcing."""

    def __init__(self, expression: Expression, file: str, functions: Mapping[str, Function]) -> None:
        self.expression = expression
        self.file = file
        self._functions = functions
        self._program = generate_expression(expression, functions)

    @property
    def text(self) -> str:
        """The expression as it was written."""
        return self.expression.text

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths the expression reads, dotted: `order.ship_to.country`."""
        found = {static_path(node) for node in walk(self.expression.node)} - {None}
        dotted = {".".join(map(str, keys)) for _, keys in (path for path in found if path) if keys}
        return tuple(sorted(path for path in dotted if not any(other.startswith(path + ".") for other in dotted)))

    def evaluate(self, variables: dict[str, Any], lookups: Mapping[str, Mapping[str, str]] = EMPTY) -> Any:
        """Return the value; raises `MappingError`, or `HeldAwaiting` when a lookup has no row."""
        run = RunState(lookups)
        try:
            return self._program.function(variables, run)
        except (Fault, Awaiting, RecursionError) as fault:
            if isinstance(fault, Fault) and fault.code == BUDGET and run.left < 0:
                troubles = [Trouble(fault, "", self.text, self.expression.line, [])]
                raise ended(troubles, self.file, "expression", lookups) from None
        interpreter = Interpreter(self._functions, RunState(lookups))
        try:
            value = interpreter.attempt(self.expression, Scope({"doc": variables}, {"doc": ""}), "")
        except Fault:  # a budget: it is among the troubles
            value = None
        if interpreter.troubles:
            raise ended(interpreter.troubles, self.file, "expression", lookups) from None
        return value


def compile_map(text: str, *, file: str, functions: Mapping[str, Function] = FUNCTIONS) -> CompiledMap:
    """Return the compiled map of a YAML text; raises `ConfigurationError` with all findings, each with its line."""
    definition, findings = read(text, file=file, functions=functions)
    if definition is None:
        first = findings[0]
        message = f"{file}, line {first.line}: {first.message}"
        if len(findings) > 1:
            message += f" (and {len(findings) - 1} more)"
        raise ConfigurationError(
            message, code=first.code, hint=first.hint or (), findings=tuple(findings[:FINDINGS_MAX])
        )
    return CompiledMap(definition, functions)


def compile_expression(
    text: str, *, file: str, line: int = 1, functions: Mapping[str, Function] = FUNCTIONS
) -> CompiledExpression:
    """Return the compiled form of one expression; raises `ConfigurationError` with the finding."""
    try:
        node = parse(text, functions=functions)
    except Problem as problem:
        finding = problem.finding(text, line, "")
        message = f"{file}, line {finding.line}: {problem.message}"
        raise ConfigurationError(message, code=problem.code, hint=problem.hint or (), findings=(finding,)) from None
    return CompiledExpression(Expression(text, line, node), file, functions)


def ended(
    troubles: list[Trouble], file: str, where: str, lookups: Mapping[str, Mapping[str, str]]
) -> HeldAwaiting | MappingError:
    """Return the error a run ends with: rejected if anything is wrong, held if only lookups are missing."""
    findings = tuple(_finding(trouble, where, lookups) for trouble in troubles[:FINDINGS_MAX])
    for trouble, finding in zip(troubles, findings, strict=False):
        if isinstance(trouble.fault, Fault):
            message = finding.message if len(findings) == 1 else f"{finding.message} (and {len(findings) - 1} more)"
            return MappingError(
                message, code=finding.code, file=file, line=trouble.line, field=trouble.target, value=finding.value,
                findings=findings, hint=finding.hint or (), pointer=finding.pointer,
            )  # fmt: skip
    first = troubles[0].fault
    assert isinstance(first, Awaiting)
    hint = findings[0].hint or ()
    awaits = f"lookup:{first.table}:{first.key}"
    return HeldAwaiting(findings[0].message, awaits=awaits, hint=hint, pointer=findings[0].pointer, findings=findings)


def _finding(trouble: Trouble, where: str, lookups: Mapping[str, Mapping[str, str]]) -> Finding:
    fault = trouble.fault
    pointer = trouble.sources[0] if trouble.sources else ""
    place = f"{where}, line {trouble.line}" + (f", {trouble.target}" if trouble.target else "")
    if isinstance(fault, Awaiting):
        near = closest(fault.key, lookups.get(fault.table, {}))
        key = shown(fault.key) or ""
        known = f' (closest: "{near}")' if near else ""
        message = f'{place}: looks up table "{fault.table}"; "{key}" is not in it{known}'
        hint = f'add "{key}" to the table "{fault.table}": the document is released by itself'
        return Finding(NOT_IN_TABLE, message, pointer=pointer, value=key, hint=hint, line=trouble.line)
    hint_expression = f"the expression is: {trouble.expression[:200]}" if trouble.expression else None
    return Finding(
        fault.code, f"{place}: {fault.message}", pointer=pointer, value=shown(fault.value), hint=hint_expression,
        line=trouble.line,
    )  # fmt: skip


def _scope(document: Any, context: MapContext) -> Scope:
    root = document if context.root is None else context.root
    variables = {
        "doc": document, "root": root, "message": context.message, "partner": context.partner,
        "tenant": context.tenant, "envelope": context.envelope,
    }  # fmt: skip
    origins: dict[str, str | None] = {name: f"{name}:" for name in variables}
    origins["doc"] = ""
    if context.root is None:
        origins["root"] = ""
    return Scope(variables, origins)


def _conditions(definition: MapDefinition) -> MapDefinition | None:
    """Return the conditions of a map as a small map of their own with one field, true or false."""
    if not definition.conditions:
        return None
    nodes = tuple(condition.node for condition in definition.conditions)
    first = definition.conditions[0]
    together = nodes[0] if len(nodes) == 1 else Logic("and", nodes)
    text = " and ".join(condition.text for condition in definition.conditions)
    truth = Expression(text, first.line, Choice(together, Const(True), Const(False)))
    fields = (("applies", Value(path="when", line=first.line, expression=truth)),)
    body = Object(path="", line=definition.body.line, fields=fields, lets=definition.body.lets)
    return msgspec.structs.replace(definition, body=body)


def _place(program: Program, traceback: TracebackType | None) -> tuple[str, int]:
    """Return the target field and the line of the map at which the generated function stopped."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<map>":
            return program.places.get(traceback.tb_lineno, ("", 1))
        traceback = traceback.tb_next
    return "", 1


__all__ = [
    "CompiledExpression", "CompiledMap", "DocumentRejected", "MapContext", "compile_expression", "compile_map", "ended",
]  # fmt: skip
