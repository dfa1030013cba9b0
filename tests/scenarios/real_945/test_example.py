"""The example that analysts start from runs as its README says, with its own made-up advice."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import msgspec
from typer.testing import CliRunner

from crossdock.cli.edi import app as edi_app
from crossdock.cli.map import app as map_app
from tests.scenarios.real_945.world import PACK, TENANT, pack_files, running

EXAMPLE = PACK.parent
ADVICE = EXAMPLE / "advice.edi"
ORDERED = (("1000", "MR-TEAPOT", Decimal(48), "CA"), ("2000", "MR-TRAY", Decimal(6), "EA"))


async def test_the_examples_advice_reaches_the_erp(tmp_path: Path) -> None:
    """Two lots and a short line come into the ERP's books as shipped; the 997 names eight defects and accepts."""
    async with running(tmp_path, pack_files()) as world:
        await world.release("MR-501", ORDERED)
        await world.drop("advice.edi", ADVICE.read_bytes())

        (posting,) = world.postings()
        assert ("FS-7", "MR-501") == (posting.business, posting.about)
        assert (("MR-TEAPOT", Decimal(44)), ("MR-TRAY", Decimal(6))) == posting.lines
        buckets = [(line.shipped, line.backordered) for line in world.order("MR-501").lines]
        assert [(Decimal(44), Decimal(4)), (Decimal(6), Decimal(0))] == buckets
        (answer,) = world.answers()
        assert ("E", frozenset("45"), "E", frozenset()) == answer[:4]
        assert 7 == len(answer.elements)


async def test_the_examples_advice_waits_for_its_order(tmp_path: Path) -> None:
    """An advice that comes before its order is parked, and goes on by itself when the order is there."""
    async with running(tmp_path, pack_files()) as world:
        await world.drop("advice.edi", ADVICE.read_bytes())
        assert (["parked"], []) == (world.papers(), world.postings())

        await world.release("MR-501", ORDERED)

        assert (["applied"], 1) == (world.papers(), len(world.postings()))


async def test_an_unknown_warehouse_holds_the_advice(tmp_path: Path) -> None:
    """The example's second lookup holds as well: a place nobody has named."""
    files = pack_files() | {"lookups/places.yaml": "table: places\nrows: {}\n"}
    async with running(tmp_path, files) as world:
        await world.release("MR-501", ORDERED)
        await world.drop("advice.edi", ADVICE.read_bytes())
        assert ["held"] == world.papers()

        await world.hub.fix_issue(TENANT, world.issue_id("XD-MAP-014"), "places", "FS-01", "FERNDALE", "analyst")
        await world.hub.settle()

        assert (["applied"], 1) == (world.papers(), len(world.postings()))


def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    """Strictly nothing is accepted, leniently all of it, and the map gives the quantities."""
    run = CliRunner().invoke
    assert 1 == run(edi_app, ["check", str(ADVICE)]).exit_code
    assert 6 == run(edi_app, ["check", str(ADVICE), "--lenient"]).exit_code
    assert "AK5*E*4*5~" in run(edi_app, ["ack", str(ADVICE), "--lenient"]).stdout
    advice_map = str(PACK / "maps/ferndale-945.yaml")
    assert 0 == run(map_app, ["test", advice_map]).exit_code

    tables = ["--lookups", str(EXAMPLE / "tables.yaml")]
    result = run(map_app, ["run", advice_map, str(ADVICE), *tables])

    assert 0 == result.exit_code
    shipment = json.loads(result.stdout)
    assert [24, 20, 6] == [line["quantity"] for line in shipment["lines"]]


def test_the_tables_of_the_readme_are_those_of_the_pack() -> None:
    """What the command line is given as tables is what the pack holds."""
    tables = msgspec.yaml.decode((EXAMPLE / "tables.yaml").read_bytes())
    packed = [msgspec.yaml.decode(path.read_bytes()) for path in (PACK / "lookups").glob("*.yaml")]

    assert {table["table"]: table["rows"] for table in packed} == tables
