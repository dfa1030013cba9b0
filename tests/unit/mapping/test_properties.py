"""Properties of the language: it always ends, and both ways of running it agree."""

import json
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import ConfigurationError, HeldAwaiting
from crossdock.mapping import FUNCTIONS, MapContext, MappingError, compile_expression, compile_map, generate, values

NAMES = ["a", "b", "c", "lines", "item", "n", "local"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20),
    st.text(max_size=8),
    st.sampled_from(["2026-03-01", "1430", "A", "PO", "12.5", ""]),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from([*NAMES, "type", "sku"]), inner, max_size=4),
    ),
    max_leaves=20,
)
roots = st.dictionaries(st.sampled_from(NAMES), documents, max_size=5)
constants = st.one_of(
    st.sampled_from(
        ["None", "True", "False", "0", "1", "-3", "0.5", "1e30", '""', '"A"', '"PO"', '"sku"', '"YYYY-MM-DD"']
    ),
    st.text(max_size=6).map(lambda text: json.dumps(text)),
)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(".".join)
BINARY = ["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


def calls(inner):
    def call(name):
        function = FUNCTIONS[name]
        most = function.arguments_min + 2 if function.arguments_max is None else function.arguments_max
        arguments = st.lists(inner, min_size=function.arguments_min, max_size=most)
        if name == "lookup":
            arguments = arguments.map(lambda given: ['"t"', *given[1:]])
        return arguments.map(lambda given: f"{name}({', '.join(given)})")

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


expressions = st.recursive(
    st.one_of(constants, paths),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(BINARY), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} < {parts[1]} <= {parts[2]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, st.sampled_from(["a", "sku"])).map(lambda parts: f"({parts[0]}).{parts[1]}"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}]"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"(-{text})"),
        inner.map(lambda text: f"({text} is None)"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        calls(inner),
    ),
    max_leaves=12,
)
LOOKUPS = {"t": {"A": "1", "PO": "2"}}
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


def refusal(build):
    """Return the findings of what is refused, `None` if it is not refused."""
    try:
        build()
    except ConfigurationError as error:
        return error.findings
    return None


def outcome(run):
    """Return the value, or what it ended with; anything but the three promised endings escapes and fails the test."""
    try:
        return "value", run()
    except (MappingError, HeldAwaiting) as error:
        findings = [(f.code, f.line, f.value) for f in error.findings]
        return type(error).__name__, findings


@relaxed
@given(expressions, roots)
def test_every_expression_ends_in_a_value_or_a_typed_error(text, document):
    """Whatever is written and whatever comes in, an evaluation ends in a value, a hold or a `MappingError`."""
    try:
        rule = compile_expression(text, file="f")
    except ConfigurationError:
        return
    outcome(lambda: rule.evaluate(document, LOOKUPS))


@relaxed
@given(st.text(max_size=60))
def test_every_text_is_compiled_or_refused(text):
    """No text makes the compiler fail in any other way than with findings."""
    assert () != refusal(lambda: compile_expression(text, file="f"))


@relaxed
@given(st.text(max_size=120))
def test_every_yaml_is_compiled_or_refused(text):
    """No file makes the reader fail in any other way than with findings."""
    text = f"map: m\nfrom: {{format: json}}\nto: {{object: o}}\nset:\n  {text}"

    assert () != refusal(lambda: compile_map(text, file="f"))


def a_map(parts):
    one, two, three, four, five = (json.dumps(part) for part in parts)
    return f"""
map: m
from: {{format: json}}
to: {{object: o}}
lookups: [t]
let: {{local: {one}}}
set:
  a: {two}
  b: {{expr: {three}, default: {four}, when: {five}}}
  list: [{one}, {{x: {two}, k: 1}}]
  c.d: {three}
  c.e: {{expr: {five}, omit_if_none: false}}
  rows:
    each: lines as item, n
    where: {four}
    let: {{local: {five}}}
    set:
      v: {one}
      inner: {{each: {json.dumps("item.lines as b")}, expr: {two}}}
"""


@relaxed
@given(st.tuples(*[expressions] * 5), roots)
def test_the_generated_function_equals_the_interpreter(parts, document):
    """Both ways of running a map give the same value or the same findings."""
    try:
        compiled = compile_map(a_map(parts), file="f")
    except ConfigurationError:
        return
    context = MapContext(lookups=LOOKUPS)

    assert outcome(lambda: compiled.interpreted(document, context)) == outcome(lambda: compiled.run(document, context))


def test_a_wrong_generator_would_be_caught(monkeypatch):
    """The comparison above notices a generator whose subtraction is an addition."""
    monkeypatch.setitem(generate._OPERATION, "-", "_add")
    assert values.subtract is not values.add
    compiled = compile_map(a_map(("5 - 3", "1", "1", "True", "True")), file="f")

    fast, slow = (run({}, MapContext()) for run in (compiled.run, compiled.interpreted))

    assert fast != slow
    assert Decimal(slow["list"][0]) == 2
