"""Every function does what its entry in the reference says."""

from pathlib import Path

import pytest

from crossdock.mapping import FUNCTIONS, MappingError, compile_expression
from crossdock.mapping.reference import functions_reference

REFERENCE = Path(__file__).parents[3] / "docs/reference/mapping-language.md"
LINES = [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 3}]
LOOKUPS = {"locations": {"RENO": "dc-reno"}}


def value_of(text, **variables):
    return compile_expression(text, file="f").evaluate(variables, LOOKUPS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_gives_the_documented_result(name):
    """The example of each function has exactly the result that the reference prints."""
    function = FUNCTIONS[name]

    assert function.result == str(value_of(function.example, lines=LINES))


def test_the_reference_page_holds_the_registry():
    """The page lists every function as it is registered."""
    assert functions_reference() in REFERENCE.read_text(encoding="utf-8")


NONE_IS_FINE = [
    name for name, f in FUNCTIONS.items() if name not in ("required", "error", "lookup", "pluck", "group_by")
]


@pytest.mark.parametrize(
    "name", sorted(set(NONE_IS_FINE) & {"upper", "lower", "trim", "number", "round", "iso_date", "date_time"})
)
def test_a_missing_value_passes_through(name):
    """A missing source field is a missing target field, not an error."""
    arguments = ", ".join(["None"] * FUNCTIONS[name].arguments_min)

    assert value_of(f"{name}({arguments})") is None


@pytest.mark.parametrize(
    "text, expected",
    [
        ('substring("abcdef", -3)', "def"),
        ('substring("abc", 1, 0)', ""),
        ('right("abc", 0)', ""),
        ('split_part("a/b", "/", 5)', None),
        ('split_part("a/b", "/", -1)', "b"),
        ('matches_glob("aaaaaaaaab", "*a*a*a*b")', True),
        ('matches_glob("abc", "a?c")', True),
        ('matches_glob("abc", "a?")', False),
        ('matches_glob("", "*")', True),
        ('number("1.234,5", ",")', 1234.5),
        ('number(" -.5 ")', -0.5),
        ('number("")', None),
        ("round(-2.5)", -3),
        ("round(1.005, 2)", 1.01),
        ("max([1, None, 3])", 3),
        ("min([])", None),
        ('date("26-03-01", "YY-MM-DD")', "2026-03-01"),
        ('date("03/01/2026 14:30", "MM/DD/YYYY HH:mm")', "2026-03-01T14:30:00"),
        ('at_zone("2026-07-01T12:00:00", "America/New_York")', "2026-07-01T16:00:00Z"),
        ('at_zone("2026-11-01T01:30:00", "America/New_York")', "2026-11-01T05:30:00Z"),
        ('at_zone("2026-03-01T12:00:00+01:00", "America/New_York")', "2026-03-01T11:00:00Z"),
        ('x12_date("20260301")', "2026-03-01"),
        ('x12_time("143059")', "14:30:59"),
        ('date_format("2026-03-01T05:06:07Z", "YYMMDD HHmmss")', "260301 050607"),
        ('uom("zz", "EA")', "EA"),
        ('uom("pl")', "PF"),
        ('pluck(rows, "item.sku")', ["A"]),
        ("distinct([1, True, 1])", [1, True]),
    ],
)
def test_edges(text, expected):
    """The edges of ranges, signs, time zones and missing parts are settled."""
    value = value_of(text, rows=[{"item": {"sku": "A"}}, {}])

    assert expected == (float(value) if isinstance(expected, float) else value)


@pytest.mark.parametrize(
    "text", ['split_part("a", "", 0)', 'replace("a", "", "b")', 'pad("a", 3, "")', "upper([1])", "sum_of(['a'])"]
)
def test_wrong_arguments_are_faults(text):
    """Arguments that make no sense end in a typed error."""
    with pytest.raises(MappingError):
        value_of(text)


def test_nested_lists_are_walked_and_paired():
    """Parents come before what is below them; pairs know where they were nested; elements that are no mapping stay."""
    tree = [{"id": 1, "below": [{"id": 2, "below": [{"id": 3}]}, None]}, {"id": 4}]

    assert [1, 2, 3, 4] == value_of('pluck(descend(tree, "below"), "id")', tree=tree)
    assert 5 == value_of('count(descend(tree, "below"))', tree=tree)
    assert [2] == value_of('pluck(unnest(tree, "below"), "item.id")', tree=tree)
    assert [1, 1] == value_of('pluck(unnest(tree, "below"), "of.id")', tree=tree)
    assert [] == value_of('unnest(nothing, "below")', nothing=None)


@pytest.mark.parametrize("text", ["descend(tree, 1)", "unnest(tree, 1)", 'descend(tree, "id")', 'unnest(tree, "id")'])
def test_nested_lists_must_be_lists(text):
    """A field that is no list, or no name of one, is a typed error."""
    with pytest.raises(MappingError):
        value_of(text, tree=[{"id": 1}])


def test_a_deep_tree_costs_its_budget():
    """A tree of many elements ends in the budget, not in a long run."""
    tree = [{"below": [{"below": [{} for _ in range(1_000)]} for _ in range(1_000)]}]

    assert 1_001_001 == value_of('count(descend(tree, "below"))', tree=tree)
    with pytest.raises(MappingError):
        value_of(
            'count(descend([tree, tree], "below")) + count(descend(tree, "below")) + count(descend(tree, "below"))',
            tree=tree,
        )


def test_a_glob_cannot_be_made_to_explode():
    """A pattern of many stars against a long text stays within the budget or ends in it, quickly."""
    text = compile_expression("matches_glob(a, b)", file="f")

    assert text.evaluate({"a": "a" * 3_000, "b": "*a" * 30 + "b"}) is False
