"""Maps: what the YAML means, and what a run reports."""

from decimal import Decimal

import pytest

from crossdock.errors import ConfigurationError, HeldAwaiting
from crossdock.mapping import MapContext, MappingError, compile_map, run_tests

HEAD = "map: m\nfrom: {format: json}\nto: {object: shipment}\n"


def a_map(body, head=HEAD):
    return compile_map(head + body, file="m.yaml")


def run(body, document, **context):
    compiled = a_map(body)
    result = compiled.run(document, MapContext(**context))

    assert compiled.interpreted(document, MapContext(**context)) == result
    return result


def test_targets_nest_and_missing_values_leave_no_field():
    """Dotted and nested targets build objects; a field without a value is left out, and so is an object of such."""
    body = """
set:
  a.b: x
  a.c: gone
  d: {e: gone, f: '"constant"'}
  g: {h: '"constant"'}
  i: true
  j: null
"""
    assert {"a": {"b": 1}, "g": {"h": "constant"}, "i": True} == run(body, {"x": 1})


def test_nulls_are_written_when_asked_for():
    """`omit_if_none: false` writes null, for the map or for one field."""
    assert {"a": None} == run("omit_if_none: false\nset: {a: x}", {})
    assert {"a": None} == run("set:\n  a: {expr: x, omit_if_none: false}\n  b: x", {})
    assert {"b": 1} == run("omit_if_none: false\nset:\n  a: {expr: x, omit_if_none: true}\n  b: 1", {})


def test_default_when_and_const():
    """Options stand beside `expr`, `const` and `set`."""
    body = """
set:
  a: {expr: x, default: '"none"'}
  b: {expr: y, when: y > 5}
  c: {const: [1, {d: e}]}
  f: {set: {g: v}, when: y < 5, let: {v: y + 1}}
"""
    assert {"a": "none", "c": [1, {"d": "e"}], "f": {"g": 4}} == run(body, {"y": 3})
    assert {"a": 1, "b": 6, "c": [1, {"d": "e"}]} == run(body, {"x": 1, "y": 6})


def test_constants_are_fresh_for_each_document():
    """Changing one result does not change the next."""
    compiled = a_map("set:\n  a: {const: [1]}")
    compiled.run({}, MapContext())["a"].append(2)

    assert {"a": [1]} == compiled.run({}, MapContext())


def test_fixed_elements_without_a_value_are_left_out():
    """A list of fixed elements holds those that say something about the document."""
    body = "set:\n  refs:\n    - {type: '\"po\"', value: po}\n    - {type: '\"bol\"', value: bol}\n  none: [gone]"

    assert {"refs": [{"type": "po", "value": "7"}]} == run(body, {"po": "7"})


def test_loops_filter_count_and_nest():
    """Loops see the names around them; the counter counts the elements that pass `where`."""
    body = """
let: {prefix: '"L"'}
set:
  lines:
    each: lines as line, n
    where: line.qty > 0
    let: {double: line.qty * 2}
    set:
      n: n
      key: concat(prefix, n, line.sku)
      double: double
      serials: {each: line.serials as serial, m, expr: concat(n, ".", m, ":", serial)}
"""
    document = {
        "lines": [{"sku": "A", "qty": 0}, {"sku": "B", "qty": 2, "serials": ["x", "y"]}, {"sku": "C", "qty": 1}]
    }
    body = body.replace(
        "{each: line.serials as serial, m, expr:", "\n        each: line.serials as serial, m\n        expr:"
    )
    body = body.replace(", serial)}", ", serial)")

    expected = [
        {"n": 1, "key": "L1B", "double": 4, "serials": ["1.1:x", "1.2:y"]},
        {"n": 2, "key": "L2C", "double": 2},
    ]
    assert {"lines": expected} == run(body, document)


def test_an_inner_loop_may_hide_an_outer_name():
    """The nearest name counts, and the outer one is there again after the inner loop."""
    body = """
set:
  outer:
    each: rows as item
    set:
      inner: {each: item.rows as item, expr: item.v}
      v: item.v
"""
    assert {"outer": [{"inner": [1], "v": 2}]} == run(
        body.replace("as item, expr", "as item\n        expr")
        .replace("{each", "\n        each")
        .replace("item.v}", "item.v"),
        {"rows": [{"v": 2, "rows": [{"v": 1}]}]},
    )


def test_a_missing_list_is_no_field_and_an_empty_one_is_empty():
    """`each` tells a list that was not sent from one that is empty; anything else is an error."""
    body = "set:\n  lines: {each: lines, expr: item}"

    assert {} == run(body, {})
    assert {"lines": []} == run(body, {"lines": []})
    with pytest.raises(MappingError) as caught:
        run(body, {"lines": {"a": 1}})
    assert "XD-MAP-011" == caught.value.code


def test_context_names():
    """A map reads the message, the partner, the tenant and the envelope; `doc` reaches hidden fields."""
    body = "set: {a: message.name, b: partner.code, c: tenant.id, d: envelope.sender, e: doc.message}"
    context = {"message": {"name": "f"}, "partner": {"code": "p"}, "tenant": {"id": "t"}, "envelope": {"sender": "s"}}

    assert {"a": "f", "b": "p", "c": "t", "d": "s", "e": 1} == run(body, {"message": 1}, **context)


def test_select_splits_and_keeps_the_root():
    """With `select` each element is a document; the whole is read as `root`."""
    compiled = a_map("select: orders\nset: {number: number, batch: root.batch}")
    decoded = {"batch": "B", "orders": [{"number": 1}, {"number": 2}]}

    results = [compiled.run(one, MapContext(root=decoded)) for one in compiled.split(decoded)]

    assert [{"number": 1, "batch": "B"}, {"number": 2, "batch": "B"}] == results
    with pytest.raises(MappingError):
        compiled.split({"orders": 5})


def test_conditions_decide_whether_the_map_applies():
    """`when` is asked by `applies`; `run` refuses a document the map does not apply to."""
    compiled = a_map('let: {k: kind}\nwhen: [k == "A", n > 0]\nset: {n: n}')

    assert compiled.applies({"kind": "A", "n": 1}, MapContext())
    assert not compiled.applies({"kind": "B"}, MapContext())
    with pytest.raises(MappingError) as caught:
        compiled.run({"kind": "A", "n": 0}, MapContext())
    assert "XD-MAP-018" == caught.value.code


def test_every_fault_is_reported_at_once():
    """A rejected document carries one finding for each field that failed, with source, line and value."""
    body = """set:
  a: number(x.a)
  b: required(x.b)
  c: {expr: x.c, required: true}
  d: lookup("t", x.a)
  lines:
    each: lines
    set: {q: number(item.q)}
lookups: [t]
"""
    with pytest.raises(MappingError) as caught:
        run(body, {"x": {"a": "1a"}, "lines": [{"q": "1"}, {"q": "?"}]})

    found = [(f.code, f.line, f.pointer, f.value) for f in caught.value.findings]
    assert [
        ("XD-MAP-012", 5, "/x/a", "1a"),
        ("XD-MAP-010", 6, "/x/b", None),
        ("XD-MAP-010", 7, "/x/c", None),
        ("XD-MAP-014", 8, "/x/a", "1a"),
        ("XD-MAP-012", 11, "/lines/1/q", "?"),
    ] == found
    assert ("m.yaml", 5, "/a", "1a") == (caught.value.file, caught.value.line, caught.value.field, caught.value.value)


def test_a_failing_let_is_reported_once():
    """Fields that use a local name which failed do not add findings of their own."""
    with pytest.raises(MappingError) as caught:
        run("let: {n: number(x)}\nset: {a: n + 1, b: n + 2}", {"x": "?"})

    assert ["XD-MAP-012"] == [finding.code for finding in caught.value.findings]


def test_only_missing_rows_hold_a_document():
    """Missing lookups hold the document and are all named."""
    body = "lookups: [t]\nset: {a: 'lookup(\"t\", x)', b: 'lookup(\"t\", y)'}"

    with pytest.raises(HeldAwaiting) as caught:
        run(body, {"x": "1", "y": "2"}, lookups={"t": {}})

    assert "lookup:t:1" == caught.value.awaits
    assert ["1", "2"] == [finding.value for finding in caught.value.findings]


def test_required_targets():
    """`required` rejects a document without the value; an empty list is no value."""
    for body in ("required: [a, b.c]\nset: {a: x, b: {c: y}}", "required: true\nset: {a: x, b.c: y}"):
        assert {"a": 1, "b": {"c": 2}} == run(body, {"x": 1, "y": 2})
        with pytest.raises(MappingError) as caught:
            run(body, {"x": 1})
        assert "XD-MAP-010" == caught.value.code
    with pytest.raises(MappingError):
        run("required: [lines]\nset:\n  lines: {each: lines, expr: item}", {"lines": []})


def test_explain_names_sources_and_lookups():
    """Each target field is traced to its sources in the input and the rows it looked up."""
    body = """lookups: [t]
let: {site: 'refs["SF"].value'}
set:
  code: lookup("t", site)
  lines: {each: lines as line, set: {sku: upper(line.sku)}}
"""
    body = body.replace(
        "{each: lines as line, set: {sku: upper(line.sku)}}",
        "\n    each: lines as line\n    set: {sku: upper(line.sku)}",
    )
    document = {"refs": [{"type": "X"}, {"type": "SF", "value": "R"}], "lines": [{"sku": "a"}]}

    traces = a_map(body).explain(document, MapContext(lookups={"t": {"R": "dc"}}))

    found = [(t.target_pointer, t.value, t.line, t.sources, t.lookups) for t in traces]
    assert [
        ("/code", "dc", 7, ["/refs/1/value"], [("t", "R", "dc")]),
        ("/lines/0/sku", "A", 10, ["/lines/0/sku"], []),
    ] == found


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("map: m\nfrom: {format: json}\nto: {object: o}\nsett: {}\n", 4, 'no key "sett"'),
        (HEAD + "set: {a: 'uper(x)'}", 4, "no function uper"),
        (HEAD + "set:\n  a: x\n  a: y\n", 6, "twice"),
        (HEAD + "set:\n  a: x\n  a.b: y\n", 6, "set twice"),
        (HEAD + "set:\n  a: &x y\n  b: *x\n", 5, "anchors"),
        (HEAD + "set:\n  a: !!python/object:os.system x\n", 5, "tag"),
        (HEAD + 'set:\n  a: lookup("t", x)\n', 5, "does not declare"),
        (HEAD + "required: [b]\nset: {a: x}\n", 4, 'names "b"'),
        (HEAD + "set:\n  a: {each: x as doc, expr: doc}\n", 5, "context name"),
        (HEAD + "set:\n  a: {each: x}\n", 5, "either `set` or `expr`"),
        (HEAD + "set: [a]\n", 4, "must be a mapping"),
        (HEAD + "set: {a: x}\ntests: [{name: n}]\n", 5, "given"),
        ("map: m\nfrom: {format: jason}\nto: {object: o}\nset: {a: x}\n", 2, 'no format "jason"'),
        ("a: [}", 1, "not YAML"),
        ("", 1, "empty"),
        (HEAD + "set:\n  a: |\n    x +\n    y.upper()\n", 7, "methods"),
        (HEAD + "set: {a: " + "{a: " * 60 + "x" + "}" * 60 + "}", 4, "nested"),
    ],
)
def test_a_wrong_map_is_refused_with_the_line(text, line, words):
    """A map that cannot be compiled says what is wrong, and on which line."""
    with pytest.raises(ConfigurationError) as caught:
        compile_map(text, file="m.yaml")

    assert any(words in f.message and line == f.line for f in caught.value.findings), caught.value.findings


def test_norway_stays_norway():
    """Only true and false are booleans; numbers with leading zeros stay expressions."""
    assert {"a": "NO", "b": Decimal("1.50"), "c": True} == run("set: {a: {const: NO}, b: 1.50, c: true}", {})


def test_a_runaway_map_is_stopped_with_its_line():
    """A map that would visit more elements than its budget ends in a finding that names the loop."""
    body = """set:
  a:
    each: rows as x
    set:
      b:
        each: rows as y
        set:
          c:
            each: rows as z
            expr: concat(x, y, z)
"""
    with pytest.raises(MappingError) as caught:
        a_map(body).run({"rows": list(range(1_000))}, MapContext())

    assert "XD-MAP-013" == caught.value.code
    assert caught.value.line in (9, 10, 12, 13)


def test_copies_of_the_document_are_charged():
    """Writing the whole document into each element of a long list ends in the budget."""
    body = "set:\n  a: {each: rows, set: {all: doc}}"

    with pytest.raises(MappingError) as caught:
        a_map(body).run({"rows": list(range(5_000))}, MapContext())

    assert "XD-MAP-013" == caught.value.code


def test_too_many_nested_loops_are_refused():
    """Loops nest eight deep at most."""
    text = "set:\n"
    for depth in range(12):
        pad = "  " * (2 * depth + 1)
        text += f"{pad}a:\n{pad}  each: rows\n{pad}  set:\n"
    text += "  " * 26 + "b: 1\n"

    with pytest.raises(ConfigurationError) as caught:
        a_map(text)

    assert "XD-MAP-013" == caught.value.code


def test_map_tests_tell_passed_from_failed():
    """The tests in a map pass or say where the result differs; this control must fail."""
    body = """
lookups: [t]
set: {a: number(x), b: 'lookup("t", y, "-")'}
tests:
  - {name: good, given: {x: "1", y: "k"}, lookups: {t: {k: v}}, expect: {a: 1, b: v}}
  - {name: wrong value, given: {x: "1"}, expect: {a: 2}}
  - {name: text is no number, given: {x: "1"}, expect: {a: "1"}}
  - {name: expected error, given: {x: "?"}, expect_error: XD-MAP-012}
  - {name: no error came, given: {x: "1"}, expect_error: XD-MAP-012}
  - {name: error came, given: {x: "?"}, expect: {}}
"""
    results = run_tests(a_map(body))

    assert [True, False, False, True, False, False] == [result.passed for result in results]
    assert ("/a: expected 2, got 1",) == results[1].differences


RUNAWAY = """set:
  a:
    each: rows as x
    set:
      b:
        each: rows as y
        expr: EXPRESSION
"""


@pytest.mark.parametrize(
    "text",
    [
        "matches_glob(big, '*a*a*b')",
        "big == other",
        "big < other",
        "big in other",
        "other in [big, big]",
        "upper(left(big, 60000))",
        "where(rows, 'a', 1)",
        "sort_by(rows, 'a')",
        "distinct(texts)",
        "rows == copy",
        "join(texts, '-')",
    ],
)
def test_costly_expressions_in_loops_are_charged(text):
    """What costs more than a step costs more of the budget, so no map can run for long."""
    with pytest.raises(MappingError) as caught:
        a_map(RUNAWAY.replace("EXPRESSION", f'"{text}"')).run(runaway_document(text), MapContext())

    assert "XD-MAP-013" == caught.value.code
    assert "steps" in str(caught.value)


def runaway_document(text):
    size = 1_000_000 if "other" in text else 60_000
    return {
        "rows": [{"a": number} for number in range(100)],
        "copy": [{"a": number} for number in range(100)],
        "texts": [f"{number:070}" for number in range(100)],
        "big": "a" * size,
        "other": "a" * (size - 1) + "b",
    }


def test_the_same_loops_with_a_cheap_expression_end_well():
    """The control of the test above: the loops alone are far below the budget."""
    result = a_map(RUNAWAY.replace("EXPRESSION", "x.a + y.a")).run(runaway_document(""), MapContext())

    assert 198 == result["a"][99]["b"][99]
