"""Expressions: what they mean, what they refuse, and where they stop."""

from decimal import Decimal

import pytest

from crossdock.errors import ConfigurationError, HeldAwaiting
from crossdock.mapping import MappingError, compile_expression

DOCUMENT = {
    "order": {"number": "1001", "priority": 2, "ship-to": "x", "from": "here", "total": Decimal("12.50"), "text": "7"},
    "lines": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 3}],
    "refs": [{"type": "PO", "value": "P-1"}, {"type": "BOL", "value": "B-1"}],
    "parties": {"ST": {"name": "Ann"}},
    "empty": "",
}


def evaluate(text, document=None, lookups=None):
    rule = compile_expression(text, file="rules.yaml", line=7)
    return rule.evaluate(DOCUMENT if document is None else document, lookups or {})


@pytest.mark.parametrize(
    "text, expected",
    [
        ("order.number", "1001"),
        ("order.nothing.at.all", None),
        ("nothing", None),
        ("lines.sku", None),
        ('order["ship-to"]', "x"),
        ('order["from"]', "here"),
        ("lines[0].sku", "A"),
        ("lines[-1].sku", "B"),
        ("lines[7].sku", None),
        ('refs["BOL"].value', "B-1"),
        ('refs["XX"].value', None),
        ('parties["ST"].name', "Ann"),
        ("order.priority + 1", 3),
        ("order.total * 2", Decimal("25.00")),
        ("7 // 2", 3),
        ("-7 % 3", 2),
        ("1 / 4", Decimal("0.25")),
        ('"a" + "b"', "ab"),
        ("0.1 + 0.2 == 0.3", True),
        ("0 < order.priority <= 2", True),
        ("0 < order.priority < 2", False),
        ("order.priority == True", False),
        ("1 == True", False),
        ("order.text == 7", False),
        ('"PO" in ["PO", "BOL"]', True),
        ('order.number not in ["1001"]', False),
        ("nothing is None and order is not None", True),
        ('nothing or "default"', "default"),
        ('"high" if order.priority > 1 else "normal"', "high"),
        ("not empty", True),
        ("[1, order.priority]", [1, 2]),
        ('default(empty, "-")', "-"),
        ("first(lines).sku", "A"),
        ('where(lines, "sku", "B")[0].qty', 3),
        ('sum_field(lines, "qty")', 5),
        ("(order.number\n  if True\n  else None)", "1001"),
    ],
)
def test_expressions_have_a_value(text, expected):
    """Each form of the language gives the value the reference promises."""
    assert expected == evaluate(text)


INJECTIONS = [
    "__import__('os').system('id')",
    "().__class__.__bases__[0].__subclasses__()",
    "order.__class__",
    "__builtins__",
    "getattr(order, 'x')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "lambda: 1",
    "[x for x in lines]",
    "(x := 1)",
    "f'{order}'",
    "order.number.upper()",
    "order.number.format(order)",
    "upper.__globals__",
    "2 ** 100000",
    "lines[0:1]",
    "{'a': 1}",
    "{1, 2}",
    "(1, 2)",
    "*lines",
    "await order",
    "(yield)",
    "upper(text=order)",
    "upper(*lines)",
    "1 if True",
    "a; b",
    "import os",
    "1j",
    "b'bytes'",
    "...",
    "order is 3",
    "1 << 100",
    "~1",
    "1 @ 2",
    "",
    "\x00",
    "9" * 100,
    "1e999",
    "(" * 250 + "1" + ")" * 250,
    "-" * 3000 + "1",
    "not " * 900 + "1",
    "[" * 90 + "]" * 90,
    "1" + "+1" * 400,
    "x" * 5000,
    "lookup(order.number, 'x')",
    "at_zone('2026-03-01', '../../etc/passwd')",
    "date('x', '%Y')",
    "upper()",
    "upper('a', 'b')",
    "lines[None]",
    "lines[1.5]",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_what_is_not_in_the_language_is_refused(text):
    """Anything but the documented forms is refused when the expression is compiled, with a code and the line."""
    with pytest.raises(ConfigurationError) as caught:
        compile_expression(text, file="rules.yaml", line=7)

    (finding,) = caught.value.findings
    assert finding.code in {"XD-MAP-001", "XD-MAP-002", "XD-MAP-003", "XD-MAP-004", "XD-MAP-013"}
    assert 7 == finding.line


def test_keys_cannot_become_code():
    """Text of the user is data in the generated function, whatever it contains."""
    key = '"] or __import__("os").system("id") or doc["'
    document = {key: "safe", "__class__": "a key like any other"}

    assert "safe" == evaluate(f"doc[{key!r}]", {"doc": document})
    assert "a key like any other" == evaluate('doc["__class__"]', {"doc": document})


@pytest.mark.parametrize(
    "text, code, value",
    [
        ("order.text * 2", "XD-MAP-011", "7"),
        ("'ab' * 3", "XD-MAP-011", "ab"),
        ("nothing + 1", "XD-MAP-010", None),
        ("nothing < 1", "XD-MAP-010", None),
        ("order.number < 1", "XD-MAP-011", "1001"),
        ("order.priority / 0", "XD-MAP-016", "2"),
        ("0 / 0", "XD-MAP-016", "0"),
        ("number('12x')", "XD-MAP-012", "12x"),
        ("number('NaN')", "XD-MAP-012", "NaN"),
        ("number('1e9')", "XD-MAP-012", "1e9"),
        ("1 in 5", "XD-MAP-011", "5"),
        ("required(nothing)", "XD-MAP-010", None),
        ("error('no ' + order.number)", "XD-MAP-015", None),
        ("date('2026-02-30', 'YYYY-MM-DD')", "XD-MAP-012", "2026-02-30"),
        ("iso_instant('2026-03-01T10:00:00')", "XD-MAP-012", "2026-03-01T10:00:00"),
        ("uom('FURLONG')", "XD-MAP-012", "FURLONG"),
        ("pad('a', 70000)", "XD-MAP-013", "70000"),
        ("99999999999999999999 * 99999999999999999999", "XD-MAP-013", None),
        ("lookup('locations', nothing)", "XD-MAP-010", None),
        ("add_days('2026-01-01', 999999999)", "XD-MAP-012", "2026-01-01"),
    ],
)
def test_faults_name_code_line_and_value(text, code, value):
    """A fault at run time is a `MappingError` with code, file, line and the value that broke it."""
    with pytest.raises(MappingError) as caught:
        evaluate(text)

    error = caught.value
    assert (code, "rules.yaml", 7, value) == (error.code, error.file, error.line, error.value)
    assert [code] == [finding.code for finding in error.findings]


def test_an_unknown_code_is_awaited_and_the_closest_named():
    """A lookup without a row holds; it names what it awaits and the closest key."""
    with pytest.raises(HeldAwaiting) as caught:
        evaluate('lookup("locations", "RENO-X")', lookups={"locations": {"RENO": "dc-reno"}})

    assert "lookup:locations:RENO-X" == caught.value.awaits
    assert 'closest: "RENO"' in str(caught.value)


def test_a_lookup_with_a_default_never_holds():
    """The third argument of lookup() stands in for a missing row, and for a missing table."""
    assert "?" == evaluate('lookup("locations", "RENO-X", "?")', lookups={})


@pytest.mark.parametrize(
    "text",
    [
        'replace(replace(replace(big, "a", "aaaaaaaaaaaaaaaa"), "a", "aaaaaaaaaaaaaaaa"), "a", "aaaaaaaaaaaaaaaa")',
        "concat(big, big, big, big, big, big, big)",
        "big + big + big + big + big + big + big",
        'join([big, big, big, big, big, big, big], "")',
    ],
)
def test_text_bombs_end_in_a_budget(text):
    """A text longer than 65,536 characters is never kept."""
    with pytest.raises(MappingError) as caught:
        evaluate(text, {"big": "a" * 10_000})

    assert "XD-MAP-013" == caught.value.code


def test_a_deep_document_ends_in_an_error_and_not_in_a_crash():
    """Comparing two documents that are nested beyond Python's stack is a fault like any other."""
    deep, other = [], []
    for _ in range(100_000):
        deep, other = [deep], [other]

    with pytest.raises(MappingError) as caught:
        evaluate("a == b", {"a": deep, "b": other})

    assert "XD-MAP-013" == caught.value.code
    while deep:
        deep = deep.pop()
    while other:
        other = other.pop()


def test_an_expression_tells_which_paths_it_reads():
    """`paths` are the longest paths of an expression."""
    rule = compile_expression('order.ship_to.country == "US" and order.total > 5', file="r.yaml")

    assert ("order.ship_to.country", "order.total") == rule.paths


def test_a_misspelled_function_is_answered_with_the_nearest():
    """The finding of an unknown function says which one was probably meant."""
    with pytest.raises(ConfigurationError) as caught:
        compile_expression("uper(name)", file="rules.yaml")

    assert ("did you mean upper()?",) == caught.value.hint
