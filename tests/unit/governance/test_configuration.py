# ruff: noqa: E501 - tables of cases and rows read better in one line
"""Compiling a pack: every fault at once with file and line; the hot questions answered from indexes."""

from __future__ import annotations

import pytest

from crossdock.connectors import registry
from crossdock.errors import ConfigurationError
from crossdock.governance.configuration import compile_pack, digest_of


def test_a_sound_pack_compiles(pack: dict[str, str]) -> None:
    """What the files say is what the configuration has."""
    configuration = compile_pack(pack, release_id="rel_1", connector_kinds=tuple(registry.manifests()))

    assert ("northgate", "rel_1") == (configuration.tenant_id, configuration.release_id)
    assert {"erp", "reno"} == set(configuration.partners)
    assert {"erp-in", "reno-out"} == set(configuration.connections)
    assert {"erp-order", "reno-order"} == set(configuration.maps)
    assert {"services": {"X": "express", "N": "standard"}} == configuration.lookups
    assert {"reno"} == set(configuration.sites)
    assert "America/Los_Angeles" == configuration.policy.timezone
    assert digest_of(pack) == configuration.digest


def test_routes_are_chosen_by_site_and_condition(pack: dict[str, str]) -> None:
    """Every route of the kind whose condition holds is taken, in the order of the file."""
    configuration = compile_pack(pack, release_id="rel_1")

    both = configuration.routes_for("fulfillment_request", {"site": "reno", "service_level": "express"})
    one = configuration.routes_for("fulfillment_request", {"site": "swift", "service_level": "express"})

    assert ['site == "reno"', 'service_level == "express"'] == [route.when for route in both]
    assert ['service_level == "express"'] == [route.when for route in one]
    assert () == configuration.routes_for("fulfillment_request", {"site": "swift"})
    assert () == configuration.routes_for("service_case", {"site": "reno"})


def test_the_first_fitting_inbound_rule_wins(pack: dict[str, str]) -> None:
    """Format, set, name and condition choose the rule; what no rule fits has none."""
    rules = compile_pack(pack, release_id="rel_1")

    by_content = rules.inbound_rule("erp-in", format="json", set_code="", name="x", document={"kind": "order"})
    by_name = rules.inbound_rule("erp-in", format="json", set_code="", name="ORDERS-7.json", document={"kind": "?"})

    assert by_content is not None and by_content.when
    assert by_name is not None and by_name.name_glob
    assert rules.inbound_rule("erp-in", format="json", set_code="", name="x", document={}) is None
    assert rules.inbound_rule("erp-in", format="json", set_code="", name="x", document=[1]) is None
    assert rules.inbound_rule("erp-in", format="csv", set_code="", name="orders-1.json", document={}) is None
    assert rules.inbound_rule("nowhere", format="json", set_code="", name="x", document={"kind": "order"}) is None


def test_a_rule_without_a_set_serves_every_set(pack: dict[str, str]) -> None:
    """Of X12 rules in file order the first wins that names the set or names none."""
    pack["connections/swift.yaml"] = (
        "connection: swift\npartner: reno\nconnector: sftp\nx12: {us: ZZ:NORTHGATE, them: ZZ:SWIFT}\n"
        "inbound:\n  - {format: x12, set: '945', ignore: true}\n  - {format: x12, ignore: true, name_glob: '*'}\n"
    )
    rules = compile_pack(pack, release_id="rel_1")

    exact = rules.inbound_rule("swift", format="x12", set_code="945", name="a", document=None)
    other = rules.inbound_rule("swift", format="x12", set_code="856", name="a", document=None)

    assert exact is not None and "945" == exact.set
    assert other is not None and "" == other.set


FAULTS = {
    "duplicate key": ("partners/erp.yaml", "partner: erp\nname: A\nname: B\n", 'partners/erp.yaml:3', "appears twice"),
    "unknown field": ("partners/erp.yaml", "partner: erp\nname: A\nrol: erp\n", "partners/erp.yaml:3", "no field rol"),
    "wrong value": ("partners/erp.yaml", "partner: erp\nname: A\nrole: boss\n", "partners/erp.yaml:3", "boss"),
    "anchor": ("partners/erp.yaml", "partner: &p erp\nname: *p\n", "partners/erp.yaml:1", "anchors"),
    "unknown file": ("rule/sourcing.yaml", "rules: []\n", "rule/sourcing.yaml:1", "no file"),
    "no map": ("routes.yaml", "- {document: order_status, connection: reno-out, map: reno-ordr}\n", "routes.yaml:1", "no map"),
    "wrong map": (
        "routes.yaml", "- {document: order_status, connection: reno-out, map: reno-order}\n", "routes.yaml:1", "carries a order_status"),
    "no connection": (
        "routes.yaml", "- {document: fulfillment_request, connection: ren, map: reno-order}\n", "routes.yaml:1", "no connection"),
    "no kind": ("routes.yaml", "- {document: fulfilment, connection: reno-out, map: reno-order}\n", "routes.yaml:1", "no process"),
    "no site": (
        "routes.yaml", "\n- document: fulfillment_request\n  connection: reno-out\n  map: reno-order\n  when: site == \"rno\"\n",
        "routes.yaml:2", "names the site rno"),
    "bad condition": (
        "routes.yaml", "- {document: fulfillment_request, connection: reno-out, map: reno-order, when: 'open(1)'}\n",
        "routes.yaml:1", "open"),
    "no partner": ("connections/x.yaml", "connection: x\npartner: erpp\nconnector: http_json\n", "connections/x.yaml:1", "partner erpp"),
    "no connector": ("connections/x.yaml", "connection: x\npartner: erp\nconnector: htp_json\n", "connections/x.yaml:1", "no connector"),
    "secret written out": (
        "connections/x.yaml", "connection: x\npartner: erp\nconnector: http_json\nsecrets: {token: hunter2}\n",
        "connections/x.yaml:1", "named, not written"),
    "x12 without envelope": (
        "connections/x.yaml", "connection: x\npartner: erp\nconnector: sftp\ninbound: [{format: x12, ignore: true}]\n",
        "connections/x.yaml:1", "no x12 part"),
    "lane that is none": (
        "connections/x.yaml", "connection: x\npartner: erp\nconnector: sftp\nlane: number\n",
        "connections/x.yaml:1", "lane: number is none"),
    "lookup that is not there": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: order}\nlookups: [sites]\nset:\n  number: lookup(\"sites\", a)\n",
        "maps/m.yaml:1", "lookup sites"),
    "a map that is none": ("maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: order}\nset: {number: 'a +'}\n", "maps/m.yaml:4", ""),
    "bad zone": ("sites.yaml", "sites:\n  - {site: reno, partner: reno, timezone: Mars/Base}\n", "sites.yaml", "zone"),
    "site's calendar": (
        "sites.yaml", "sites:\n  - {site: reno, partner: reno, timezone: UTC, calendar: moon}\n", "sites.yaml:2", "calendar"),
    "sourcing rule": (
        "rules/sourcing.yaml", "rules:\n  - {rule: a, kind: stock}\n  - {rule: b, kind: hold, when: 'foo('}\n",
        "rules/sourcing.yaml:3", "rule b"),
    "twice": ("partners/other.yaml", "partner: erp\nname: Again\n", "partners/other.yaml:1", "twice"),
    "event there is not": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: inventory_snapshot, event: crossdock.inventory.snapshots.v1}\nset: {number: a}\n", "maps/m.yaml:3", "no event crossdock.inventory.snapshots.v1"),
    "event of another object": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: order, event: crossdock.shipment.departed.v1}\nset: {number: a}\n", "maps/m.yaml:3", "does not carry"),
    "event of the hub": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: order, event: crossdock.deadline.passed.v1}\nset: {number: a}\n", "maps/m.yaml:3", "does not carry"),
    "no event": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: order}\nset: {number: a}\n", "maps/m.yaml:3", "names no event"),
    "object there is not": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: ordr, event: crossdock.order.released.v1}\nset: {number: a}\n", "maps/m.yaml:3", "a ordr"),
    "object no map makes": (
        "maps/m.yaml", "map: m\nfrom: {format: json}\nto: {object: ack, event: crossdock.document.acknowledged.v1}\nset: {number: a}\n", "maps/m.yaml:3", "no map can make"),
    "object nobody has": (
        "maps/m.yaml", "map: m\nfrom: {object: fulfilment}\nto: {format: json}\nset: {number: a}\n", "maps/m.yaml:2", "reads a fulfilment"),
    "lookup row": ("lookups/x.yaml", "table: x\nrows:\n  A: [1]\n", "lookups/x.yaml:3", "row A"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_has_file_line_and_words(pack: dict[str, str], name: str) -> None:
    """Each kind of fault is found when the pack is saved, with its place; never by the first document."""
    file, text, pointer, words = FAULTS[name]
    pack[file] = text

    with pytest.raises(ConfigurationError) as refused:
        compile_pack(pack, release_id="rel_1", connector_kinds=tuple(registry.manifests()))

    found = [finding for finding in refused.value.findings if finding.pointer.startswith(pointer)]
    assert found, [(finding.pointer, finding.message) for finding in refused.value.findings]
    assert any(words in finding.message for finding in found), [finding.message for finding in found]
    assert "hunter2" not in repr(refused.value.findings)


def test_an_event_that_is_nearly_right_is_suggested(pack: dict[str, str]) -> None:
    """Only events that carry what the map makes are offered."""
    pack["maps/erp-order.yaml"] = pack["maps/erp-order.yaml"].replace("order.released.v1", "order.relesed.v1")

    with pytest.raises(ConfigurationError) as refused:
        compile_pack(pack, release_id="rel_1")

    assert ("Did you mean crossdock.order.released.v1?",) == refused.value.hint


def test_all_faults_come_at_once(pack: dict[str, str]) -> None:
    """Three broken files are three findings of one error, each with a suggestion where one is near."""
    pack["partners/erp.yaml"] = "partner: erp\nname: A\nrol: erp\n"
    pack["connections/reno.yaml"] = "connection: reno-out\npartner: rno\nconnector: http_json\n"
    pack["sites.yaml"] = "sites: 7\n"

    with pytest.raises(ConfigurationError) as refused:
        compile_pack(pack, release_id="rel_1")

    pointers = {finding.pointer for finding in refused.value.findings}
    assert {"partners/erp.yaml:3", "connections/reno.yaml:1", "sites.yaml:1"} <= pointers
    assert "Did you mean role?" in refused.value.hint
    assert "Did you mean reno?" in refused.value.hint


def test_settings_of_what_is_sent_to_are_linted(pack: dict[str, str]) -> None:
    """A connection that routes send to must have the settings its connector needs; a door that is only called need not."""
    kinds = tuple(registry.manifests())

    with pytest.raises(ConfigurationError) as refused:
        compile_pack(pack, release_id="rel_1", connector_kinds=kinds, connector_lint=registry.lint_settings)

    assert {"connections/reno.yaml"} == {finding.pointer.partition(":")[0] for finding in refused.value.findings}
