"""The examples of the documentation work, and so does the command."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossdock.cli.app import main
from crossdock.cli.map import app
from crossdock.cli.map import decode as decode_file
from crossdock.mapping import compile_map, run_tests

ROOT = Path(__file__).parents[3]
PAGES = ["docs/reference/mapping-language.md", "docs/how-to/write-a-map.md"]
EXAMPLES = [
    pytest.param(block, id=f"{page}:{number}")
    for page in PAGES
    if (ROOT / page).is_file()
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    )
    if block.startswith("map:")
]
MAP = """map: m
from: {format: csv, columns: [order, sku, qty], group_by: order}
to: {object: shipment}
lookups: [items]
set:
  number: order
  lines:
    each: rows as row
    set: {sku: 'lookup("items", row.sku)', quantity: number(row.qty)}
tests:
  - name: one row
    given_raw: |
      order,sku,qty
      1,A,5
    lookups: {items: {A: a-1}}
    expect: {number: "1", lines: [{sku: a-1, quantity: 5}]}
"""


def command(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_map_of_the_documentation_passes_its_tests(text):
    """A map printed in the documentation compiles, and its own tests pass."""
    results = run_tests(compile_map(text, file="docs"), decode=decode_file)

    assert results
    assert [] == [(result.name, result.differences) for result in results if not result.passed]


def test_the_command_tests_lints_runs_and_explains(tmp_path):
    """Each subcommand prints its result and ends with 0 when all is well."""
    file, data, tables = tmp_path / "m.yaml", tmp_path / "in.csv", tmp_path / "t.yaml"
    file.write_text(MAP)
    data.write_text("order,sku,qty\n1,A,5\n")
    tables.write_text("items: {A: a-1}")

    assert (0, True) == (command("test", file)[0], "ok" in command("test", tmp_path)[1])
    assert 0 == command("lint", file)[0]
    code, output = command("run", file, data, "--lookups", tables)
    assert (0, True) == (code, '"sku": "a-1"' in output)
    code, output = command("explain", file, data, "--lookups", tables)
    assert (0, True) == (code, "lookup items[A] = a-1" in output)


def test_exit_codes(tmp_path):
    """Rejected is 1, partly good is 6, a missing file is 3."""
    good, bad, data = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "in.csv"
    good.write_text(MAP)
    bad.write_text(MAP.replace("quantity: 5", "quantity: 6"))
    data.write_text("order,sku,qty\n1,A,5\n")

    assert (1, 6) == (command("test", bad)[0], command("test", tmp_path)[0])
    with pytest.raises(SystemExit) as ended:
        main(["map", "test", str(tmp_path / "no")])
    assert 3 == ended.value.code
    code, output = command("run", good, data)
    assert (1, True) == (code, "held, awaits lookup:items:A" in output)
    bad.write_text("map: m\nset: {a: 'f('}")
    assert (1, 1) == (command("lint", bad)[0], command("run", bad, data)[0])


SAMPLES = ROOT.parent / "shared/samples/edi"
SHIPMENT = """map: any-945
from: {format: x12, set: "945"}
to: {object: shipment}
set:
  number: w06.shipment_id
  order: required(w06.depositor_order)
  lines:
    each: flatten(pluck(lines, "items")) as item, n
    set: {line_no: n, sku: item.id_1, quantity: number(item.shipped)}
tests: []
"""


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample EDI files are not here")
@pytest.mark.parametrize("name", ["945_x12types_1", "945_x12types_3", "945_edifabric_1"])
def test_real_945s_run_through_a_map(tmp_path, name):
    """A 945 as partners send it becomes a shipment with its lines."""
    file = tmp_path / "m.yaml"
    file.write_text(SHIPMENT)

    code, output = command("run", file, SAMPLES / f"{name}.edi")

    assert (0, True) == (code, '"line_no": 1' in output)
