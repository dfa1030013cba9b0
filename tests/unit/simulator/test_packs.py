"""The packs that come with the product compile, lint clean, and pass the tests in their own maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crossdock
from crossdock import formats, mapping
from crossdock.canonical import claims, freight, inventory, receiving
from crossdock.canonical.catalog import schemas
from crossdock.canonical.requests import REQUEST_OBJECTS
from crossdock.errors import ConfigurationError, NotFound
from crossdock.governance.configuration import compile_pack
from crossdock.simulator.pack_source import pack_files, pack_names, with_addresses

MAPS = [(pack, path) for pack in pack_names() for path in pack_files(pack) if path.startswith("maps/")]


def decode(data: bytes, side: mapping.MapSide) -> list[dict[str, Any]]:
    return formats.decode(data, side).documents


@pytest.mark.parametrize("pack", pack_names())
def test_a_pack_compiles_without_a_finding(pack):
    """Every file of a shipped pack is read, and everything it names exists."""
    configuration = compile_pack(pack_files(pack), release_id="rel_test")

    assert pack == configuration.tenant_id


@pytest.mark.parametrize("pack,path", MAPS)
def test_a_map_passes_the_tests_in_its_file(pack, path):
    """A shipped map has tests, and they pass."""
    compiled = mapping.compile_map(pack_files(pack)[path], file=path)

    results = mapping.run_tests(compiled, decode=decode)

    assert results
    assert [] == [(result.name, result.differences) for result in results if not result.passed]


@pytest.mark.parametrize("pack,path", MAPS)
def test_a_map_fits_the_canonical_model(pack, path):
    """The linter finds no error or warning in a shipped map against the canonical schemas."""
    text, known = pack_files(pack)[path], schemas()
    compiled = mapping.compile_map(text, file=path)

    findings = mapping.lint(
        text,
        file=path,
        source_schema=known.get(compiled.source.object or ""),
        target_schema=known.get(compiled.target.object or ""),
    )

    assert [] == [finding for finding in findings if finding.severity != "info"]


def test_northgate_routes_every_request_of_every_site():
    """Whatever the process asks for, Northgate's routes know a partner for it."""
    configuration = compile_pack(pack_files("northgate"), release_id="rel_test")

    returns = configuration.policy_of("return")
    switched_off = {
        "return_label": not returns.ask_label,
        "return_disposition": not returns.instruct_site,
        "return_status": not returns.tell_status,
    }
    # Northgate buys nothing through the hub, books no freight and publishes no stock.
    elsewhere = {kind for noun in (receiving, freight, claims, inventory) for kind in noun.NOUN.requests}
    for kind in REQUEST_OBJECTS:
        if switched_off.get(kind) or kind in elsewhere:
            continue
        sites = tuple(configuration.sites) if kind.startswith("fulfillment_") else ("",)
        for site in sites:
            assert configuration.routes_for(kind, {"site": site, "order_number": "W-50001", "channel": "web"})


def test_an_address_that_the_pack_does_not_name_is_a_mistake():
    """Putting addresses into a pack refuses one that stands nowhere."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.example"):
        with_addresses(pack_files("lakeside"), {"https://nowhere.example": "http://127.0.0.1:1"})


def test_addresses_replace_the_examples_in_connections_only():
    """Real addresses appear in connections, and nothing else of the pack changes."""
    files = pack_files("lakeside")

    changed = with_addresses(files, {"https://dock.lakeside.example": "http://127.0.0.1:9"})

    assert ["connections/dock.yaml"] == [path for path in files if files[path] != changed[path]]
    assert "http://127.0.0.1:9/" in changed["connections/dock.yaml"]


def test_an_unknown_pack_is_answered_with_those_there_are():
    """Asking for a pack that does not come along says which do."""
    with pytest.raises(NotFound) as refusal:
        pack_files("atlantis")

    assert "northgate" in refusal.value.hint[0]


def test_the_package_carries_the_packs_of_the_repository():
    """`crossdock/_packs` is the folder `packs/` of the repository, so a wheel carries the same files."""
    inside = Path(crossdock.__file__).parent / "_packs"

    assert (Path(__file__).parents[3] / "packs").resolve() == inside.resolve()
