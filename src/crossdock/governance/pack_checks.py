"""What the files of a pack must mean together: everything named exists, and what is joined fits.

Faults go into the reader's findings with file and line and the closest name that exists.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ..canonical.catalog import EVENT_TYPES, OBJECTS
from ..canonical.requests import object_of_route, routable
from ..durable.retention import RetentionSpec, faults_of
from ..errors import Finding, Severity
from ..mapping import CompiledMap
from .contracts import check_contract
from .notices import check_notices
from .ownership import check_ownership
from .pack import ConnectionSpec, Route
from .pack_files import PackReader, follow
from .secrets import is_reference

if TYPE_CHECKING:
    from .configuration import Pack

# What says whether a kind of connector exists and its settings and secrets fit: `connectors.registry.lint_settings`.
# It is handed in, because the connectors stand above this room.
ConnectorLint = Callable[[str, Mapping[str, Any], Mapping[str, str]], list[Finding]]

_RECEIPT_KEYS = ("header:", "field:")
_LANES = ("field:", "header:")


def check_references(reader: PackReader, pack: Pack, kinds: Collection[str], lint: ConnectorLint | None) -> None:
    """Book a finding for every reference of the pack that leads nowhere or to something that does not fit."""
    if pack.head is not None:
        _check_zone(reader, "pack.yaml", 1, pack.head.timezone)
        _check_retention(reader, "pack.yaml", 1, pack.head.retention)
    for partner in pack.partners.values():
        _check_zone(reader, *pack.places[("partner", partner.partner)], partner.timezone)
    for connection in pack.connections.values():
        _check_connection(reader, pack, connection, kinds, lint)
        file, line = pack.places[("connection", connection.connection)]
        _check_retention(reader, file, line, connection.retention, own=True)
    for number, route in enumerate(pack.routes):
        _check_route(reader, pack, route, *pack.places[("route", str(number))])
    for name, compiled in pack.maps.items():
        file, line = pack.places[("map", name)]
        _check_sides(reader, compiled, file)
        for table in compiled.lookups:
            if table not in pack.lookups:
                reader.dangling(
                    file, line, f"the map {name} reads the lookup {table}, which the pack has not", table, pack.lookups
                )
    for contract in pack.contracts.values():
        check_contract(reader, pack, contract, *pack.places[("contract", contract.contract)])
    check_notices(reader, pack)
    check_ownership(reader, pack)
    for site in pack.policy.sites:
        _check_zone(reader, "sites.yaml", 1, site.timezone)
        if site.partner not in pack.partners:
            message = f"the site {site.site} belongs to the partner {site.partner}, which the pack has not"
            reader.dangling("sites.yaml", 1, message, site.partner, pack.partners)


def _check_sides(reader: PackReader, compiled: CompiledMap, file: str) -> None:
    """What a map reads or makes must exist, and the event must carry what the map makes."""
    source, target, name = compiled.source, compiled.target, compiled.name
    if source.object is not None and source.object not in OBJECTS:
        message = f"the map {name} reads a {source.object}, which there is not"
        reader.dangling(file, source.line, message, source.object, OBJECTS)
    if target.object is None:
        return
    # Acknowledgments are not mapped: the hub reads them from the 997 itself.
    makeable = [known for known in OBJECTS if known != "ack"]
    if target.object not in makeable:
        message = f"the map {name} makes a {target.object}, which no map can make"
        reader.dangling(file, target.line, message, target.object, makeable)
        return
    fitting = [event.name for event in EVENT_TYPES.values() if event.data is OBJECTS[target.object]]
    if target.event in fitting:
        return
    if not target.event:
        message = f"the map {name} makes a {target.object} and names no event for it"
    elif target.event in EVENT_TYPES:
        message = f"the map {name} makes a {target.object}, which the event {target.event} does not carry"
    else:
        message = f"there is no event {target.event}"
    reader.dangling(file, target.line, message, target.event or "", fitting)


def _check_outage(reader: PackReader, pack: Pack, connection: ConnectionSpec) -> None:
    """A fallback must exist, be another connection of the pack, and lead on to no third."""
    file, line = pack.places[("connection", connection.connection)]
    name, outage = connection.connection, connection.outage
    if outage.action == "file" and not outage.fallback_connection:
        reader.add(file, line, f"outage: {name} goes through a file, but names no fallback_connection")
    if not outage.fallback_connection:
        return
    if outage.fallback_connection == name:
        reader.add(file, line, f"outage: {name} cannot be its own fallback_connection")
    elif outage.fallback_connection not in pack.connections:
        message = f"outage: {name} falls back on {outage.fallback_connection}, which the pack has not"
        reader.dangling(file, line, message, outage.fallback_connection, pack.connections)


def _check_connection(
    reader: PackReader, pack: Pack, connection: ConnectionSpec, kinds: Collection[str], lint: ConnectorLint | None
) -> None:
    file, line = pack.places[("connection", connection.connection)]
    name = connection.connection
    if connection.partner not in pack.partners:
        message = f"the connection {name} belongs to the partner {connection.partner}, which the pack has not"
        reader.dangling(file, line, message, connection.partner, pack.partners)
    if kinds and connection.connector not in kinds:
        reader.dangling(file, line, f"there is no connector {connection.connector}", connection.connector, kinds)
    elif lint is not None and any(route.connection == name for route in pack.routes):
        # Only what is sent on needs an address: a door that partners call may have no settings at all.
        tree = pack.trees.get(("connection", name))
        for finding in lint(connection.connector, connection.settings, connection.secrets):
            at = follow(tree, finding.pointer.strip("/").split("/")).line if tree is not None else line
            # A value that does not fit may be a placeholder of a template; what is missing or unknown can never work.
            severity: Severity = "warning" if finding.code == "XD-CFG-003" else finding.severity
            place = f"{file}:{at}"
            reader.findings.append(msgspec.structs.replace(finding, pointer=place, line=at, severity=severity))
    _check_outage(reader, pack, connection)
    for field, reference in [
        *connection.secrets.items(),
        *(("authentication", s) for s in connection.authentication.secrets),
    ]:
        if not is_reference(reference):
            # The value itself must not get into the finding: it may well be the secret.
            reader.add(
                file, line, f"{field}: a secret is named, not written", hint="Write secret:NAME, env:NAME or file:PATH"
            )
    if connection.authentication.kind in ("hmac", "standard_webhooks") and not connection.authentication.secrets:
        reader.add(file, line, f"authentication: {connection.authentication.kind} needs at least one secret")
    for key in connection.receipt_key:
        if key not in ("name", "name+digest") and not (key.startswith(_RECEIPT_KEYS) and key.partition(":")[2]):
            reader.add(
                file,
                line,
                f"receipt_key: {key} is none",
                value=key,
                hint="header:NAME, field:PATH, name or name+digest",
            )
    if connection.lane and not (connection.lane.startswith(_LANES) and connection.lane.partition(":")[2]):
        reader.add(
            file, line, f"lane: {connection.lane} is none", value=connection.lane, hint="field:PATH or header:NAME"
        )
    for rule in connection.inbound:
        if rule.format == "x12" and connection.x12 is None:
            reader.add(
                file, line, f"the connection {name} reads X12 but has no x12 part", hint="x12: {us: ZZ:…, them: ZZ:…}"
            )
        if rule.ignore:
            continue
        compiled = pack.maps.get(rule.map)
        if rule.map in pack.broken_maps:
            continue
        if compiled is None:
            reader.dangling(file, line, f"inbound: there is no map {rule.map}", rule.map, pack.maps)
        elif compiled.source.format is None:
            reader.add(
                file,
                line,
                f"inbound: {rule.map} is an outbound map",
                value=rule.map,
                hint="Name a map with from: {format: …}",
            )
        elif compiled.source.format != rule.format:
            reader.add(
                file,
                line,
                f"inbound: {rule.map} reads {compiled.source.format}, the rule says {rule.format}",
                value=rule.map,
            )
        elif rule.set and (agreed := str(compiled.source.options.get("set", rule.set))) != rule.set:
            reader.add(
                file, line, f"inbound: {rule.map} reads the set {agreed}, the rule says {rule.set}", value=rule.set
            )
    _check_x12(reader, connection, file, line)


def _check_x12(reader: PackReader, connection: ConnectionSpec, file: str, line: int) -> None:
    x12 = connection.x12
    if x12 is None:
        return
    for field, party in (("us", x12.us), ("them", x12.them)):
        qualifier, _, identifier = party.partition(":")
        if len(qualifier) != 2 or not 1 <= len(identifier) <= 15:
            hint = "Two signs, a colon, up to 15 signs: ZZ:NORTHGATE"
            reader.add(file, line, f"x12.{field}: {party} is no qualifier:id", value=party, hint=hint)
    separators = (x12.element_separator, x12.component_separator, x12.terminator)
    if any(len(sign) != 1 or sign.isalnum() for sign in separators) or len(set(separators)) != 3:
        reader.add(file, line, "x12: the separators are three different single signs, no letters or digits")


def _check_route(reader: PackReader, pack: Pack, route: Route, file: str, line: int) -> None:
    wanted = object_of_route(route.document)
    if wanted is None:
        reader.dangling(file, line, f"no process asks for a {route.document}", route.document, routable())
    connection = pack.connections.get(route.connection)
    if connection is None:
        reader.dangling(file, line, f"there is no connection {route.connection}", route.connection, pack.connections)
    compiled = pack.maps.get(route.map)
    if route.map in pack.broken_maps:
        return
    if compiled is None:
        reader.dangling(file, line, f"there is no map {route.map}", route.map, pack.maps)
        return
    if compiled.source.object is None or compiled.target.format is None:
        reader.add(
            file, line, f"{route.map} is an inbound map", value=route.map, hint="A route needs from: {object: …}"
        )
    elif wanted is not None and compiled.source.object != wanted:
        message = f"{route.map} reads a {compiled.source.object}, a {route.document} carries a {wanted}"
        reader.add(file, line, message, value=route.map)
    if compiled.target.format == "x12" and connection is not None and connection.x12 is None:
        reader.add(file, line, f"{route.map} writes X12 but {route.connection} has no x12 part", value=route.connection)
    named = set(_site_names(route.when))
    sites = {site.site for site in pack.policy.sites}
    for site in sorted(named - sites):
        reader.dangling(file, line, f"the route names the site {site}, which the pack has not", site, sites)


def _site_names(when: str) -> list[str]:
    """Return the sites that a condition compares `site` with; conditions of another shape are left to their run."""

    try:
        tree = ast.parse(when.strip() or "None", mode="eval")
    except (SyntaxError, ValueError):
        return []
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "site":
            for side in node.comparators:
                values = side.elts if isinstance(side, (ast.List, ast.Tuple)) else [side]
                found += [
                    v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str) and v.value
                ]
    return found


def _check_retention(reader: PackReader, file: str, line: int, spec: RetentionSpec, *, own: bool = False) -> None:
    """Periods must be days and fit each other; a connection says only how long its bytes and messages are kept."""
    for field, words in faults_of(spec):
        hint = "Such as retention: {payloads: 30d, messages: 400d, receipts: 400d}"
        reader.add(file, line, f"retention.{field}: {words}", value=getattr(spec, field), hint=hint)
    if own and (spec.receipts or spec.orders):
        reader.add(file, line, "receipts and orders are kept as pack.yaml says, not by connection", value="retention")


def _check_zone(reader: PackReader, file: str, line: int, name: str) -> None:
    if not name:
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.add(file, line, f"there is no time zone {name}", value=name, hint="Such as America/Los_Angeles or UTC")
