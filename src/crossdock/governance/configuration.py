"""Compile a pack into what the flow runs: partners, connections, maps, lookups, policy, brand, routes.

`compile_pack` reads every file, checks each by itself and all together, and reports all faults at once with file and
line.
A `Configuration` is immutable and belongs to one release; its two hot questions, `routes_for` and `inbound_rule`, are
answered from indexes built here. Where releases are kept says `releases.py`; what stands in a pack says `pack.py`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from .. import formats, mapping
from ..errors import ConfigurationError, CrossdockError, Finding
from ..mapping.yaml_source import Located, load
from ..processes.case_rules import CaseRules
from ..processes.contracts import Contract
from ..processes.notices import NoticeRule, NoticeRules
from ..processes.ownership import OwnershipRule, OwnershipRules
from ..processes.policy import Calendar, OrderPolicy, OrderRules, ServiceLevelsFile, Site, SitesFile, SourcingFile
from ..processes.policy_compiler import CompiledPolicy, compile_policy
from .pack import BrandSpec, ConnectionSpec, InboundRule, PackHead, PartnerSpec, Route
from .pack_checks import ConnectorLint, check_references
from .pack_files import INVALID, PackReader, closest, follow, lookup_rows, pack_error
from .rule_files import RULES, rule_findings

T = TypeVar("T")

# What a pack may hold. A name that ends in a slash is a directory of such files.
PLACES = (
    "pack.yaml", "partners/", "connections/", "maps/", "lookups/", "routes.yaml", "sites.yaml", "calendars/",
    "service_levels.yaml", "rules/sourcing.yaml", "rules/orders.yaml", "rules/case.yaml", "brand.yaml",
    "contracts/", "notifications.yaml", "ownership.yaml",
    *(f"rules/{kind}.yaml" for kind in RULES),
)  # fmt: skip

# Parts of the order policy: the file each stands in, and the key around it there.
_POLICY_FILES = {
    "sites": ("sites.yaml", "sites"),
    "regions": ("sites.yaml", "regions"),
    "calendars": ("calendars/", ""),
    "service_levels": ("service_levels.yaml", "service_levels"),
    "sourcing": ("rules/sourcing.yaml", "rules"),
    "substitutes": ("rules/sourcing.yaml", "substitutes"),
    "timezone": ("pack.yaml", "timezone"),
    "case": ("rules/case.yaml", ""),
}

_SITE_IS = re.compile(r"""site\s*==\s*(["'])([^"'\\]*)\1""")

Place = tuple[str, int]


class _RouteIndex(msgspec.Struct, frozen=True):
    """The routes of one kind of request: those of any site, and for each site named the whole list for it."""

    general: tuple[tuple[Route, Any], ...]
    by_site: dict[str, tuple[tuple[Route, Any], ...]]


class _Rule(msgspec.Struct, frozen=True):
    rule: InboundRule
    matches_name: Callable[[str], Any] | None
    when: Any


class Pack(msgspec.Struct):
    """What the files say, before anything is compiled; `places` tells where each object stands, for findings."""

    head: PackHead | None = None
    partners: dict[str, PartnerSpec] = msgspec.field(default_factory=dict)
    connections: dict[str, ConnectionSpec] = msgspec.field(default_factory=dict)
    maps: dict[str, mapping.CompiledMap] = msgspec.field(default_factory=dict)
    lookups: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    routes: list[Route] = msgspec.field(default_factory=list)
    policy: OrderPolicy = OrderPolicy()
    # Of every process besides the orders' own: kind of aggregate → its `rules/<kind>.yaml`.
    rules: dict[str, Any] = msgspec.field(default_factory=lambda: {kind: policy() for kind, policy in RULES.items()})
    brand: BrandSpec = BrandSpec()
    contracts: dict[str, Contract] = msgspec.field(default_factory=dict)
    notices: NoticeRules = NoticeRules()
    ownership: OwnershipRules = OwnershipRules()
    places: dict[tuple[str, str], Place] = msgspec.field(default_factory=dict)
    trees: dict[tuple[str, str], Located] = msgspec.field(default_factory=dict)
    # Maps that are there and do not compile: who names one is not told that there is none.
    broken_maps: set[str] = msgspec.field(default_factory=set)


class Configuration:
    """Everything one release of one tenant says, ready to run. Never changed after it is made."""

    __slots__ = (
        "_echoes",
        "_inbound",
        "_notices",
        "_owned",
        "_owners",
        "_routes",
        "brand",
        "compiled_policy",
        "connections",
        "contracts",
        "files",
        "head",
        "lookups",
        "maps",
        "notices",
        "partners",
        "policy",
        "release_id",
        "routes",
        "rules",
        "sites",
        "tenant_id",
        "warnings",
    )  # fmt: skip

    def __init__(
        self,
        pack: Pack,
        policy: CompiledPolicy,
        files: Mapping[str, str],
        release_id: str,
        warnings: tuple[Finding, ...] = (),
    ) -> None:
        assert pack.head is not None
        self.warnings = warnings
        self.head = pack.head
        self.tenant_id = pack.head.tenant
        self.release_id = release_id
        self.partners = pack.partners
        self.connections = pack.connections
        self.maps = pack.maps
        self.lookups = pack.lookups
        self.policy = pack.policy
        self.compiled_policy = policy
        self.rules: Mapping[str, Any] = pack.rules
        self.brand = pack.brand
        self.contracts: Mapping[str, Contract] = pack.contracts
        self._echoes = frozenset(
            (spec.connection, str(pack.maps[rule.map].target.object))
            for spec in pack.connections.values()
            for rule in spec.inbound
            if rule.map
        ) & frozenset((route.connection, str(pack.maps[route.map].source.object)) for route in pack.routes)
        self._owned: dict[str, list[tuple[OwnershipRule, Any]]] = {}
        for one in pack.ownership.rules:
            condition = _expression(one.when, "ownership.yaml", 1)
            self._owned.setdefault(one.object, []).append((one, condition and condition.evaluate))
        self.notices = pack.notices
        self._notices: dict[str, list[tuple[NoticeRule, Any]]] = {}
        for rule in pack.notices.rules:
            self._notices.setdefault(rule.on, []).append((rule, _expression(rule.when, "notifications.yaml", 1)))
        self._owners = [(one, _expression(one.when, "notifications.yaml", 1)) for one in pack.notices.owners]
        self.routes = tuple(pack.routes)
        self.sites: dict[str, Site] = {site.site: site for site in pack.policy.sites}
        self.files: Mapping[str, str] = MappingProxyType(dict(files))
        self._routes = {
            kind: _route_index([route for route in self.routes if route.document == kind], pack)
            for kind in {route.document for route in self.routes}
        }
        self._inbound: dict[tuple[str, str, str], tuple[_Rule, ...]] = {}
        for connection in self.connections.values():
            _index_inbound(self._inbound, connection, pack.places[("connection", connection.connection)])

    def policy_of(self, kind: str) -> Any:
        """Return the rules by which a process decides: the compiled order policy, or what `rules/<kind>.yaml` says."""
        return self.compiled_policy if kind == "order" else self.rules.get(kind)

    def echoes(self, connection_id: str, kind: str | None) -> bool:
        """Tell whether a connection is told objects of a kind and tells us such: what we say may come back."""
        return (connection_id, kind) in self._echoes

    def ownership_of(self, kind: str) -> Sequence[tuple[OwnershipRule, Any]]:
        """Return the rules of who owns an object of a kind, each with its condition (None: always)."""
        return self._owned.get(kind, ())

    def notice_rules(self, event_type: str) -> Sequence[tuple[NoticeRule, Any]]:
        """Return the notification rules of a type of event, each with its condition (None: always)."""
        return self._notices.get(event_type, ())

    def channel_owners(self, event_type: str, audience: str, variables: Mapping[str, Any]) -> list[str]:
        """Return the systems that tell an audience of an event already."""
        return [
            one.system
            for one, condition in self._owners
            if one.on == event_type
            and one.audience == audience
            and (condition is None or condition.evaluate(variables) is True)
        ]

    def takes(self, kind: str) -> bool:
        """Tell whether any route names this kind of request or event."""
        return kind in self._routes

    def routes_for(self, kind: str, variables: Mapping[str, Any]) -> tuple[Route, ...]:
        """Return every route that takes a request of this kind, in the order of the file.

        `variables` holds `site`, the request's attributes and the fields of its document.
        """
        index = self._routes.get(kind)
        if index is None:
            return ()
        candidates = index.by_site.get(variables.get("site", ""), index.general)
        return tuple([route for route, when in candidates if when is None or when.evaluate(variables) is True])

    def inbound_rule(
        self,
        connection_id: str,
        *,
        format: str,  # noqa: A002 - the word of the pack
        set_code: str = "",
        name: str = "",
        document: Any = None,
    ) -> InboundRule | None:
        """Return the first rule of the connection that fits a decoded document, or None when nobody agreed on it."""
        rules = self._inbound.get((connection_id, format, set_code)) or self._inbound.get(
            (connection_id, format, ""), ()
        )
        for entry in rules:
            if entry.matches_name is not None and not entry.matches_name(name):
                continue
            if entry.when is not None and entry.when.evaluate(_variables(document)) is not True:
                continue
            return entry.rule
        return None

    @property
    def digest(self) -> str:
        """The identity of the content: the same files give the same digest."""
        return digest_of(self.files)


def compile_pack(
    files: Mapping[str, str],
    *,
    release_id: str,
    connector_kinds: Collection[str] = (),
    connector_lint: ConnectorLint | None = None,
) -> Configuration:
    """Return the configuration that the files of a pack describe.

    Raises ConfigurationError with every finding (file and line). `connector_kinds` are the connectors there are;
    `connector_lint` (`connectors.registry.lint_settings`) checks the settings of connections that are sent to.
    Without them connections are taken as they are: this room does not know the connectors.
    """
    reader = PackReader()
    pack = _read(reader, files)
    check_references(reader, pack, connector_kinds, connector_lint)
    policy: CompiledPolicy | None = None
    try:
        policy = compile_policy(pack.policy, compile_condition=_condition)
    except ConfigurationError as error:
        for finding in error.findings or (Finding(INVALID, str(error), pointer=error.pointer),):
            reader.findings.append(_in_policy(finding, files))
    _check_expressions(reader, pack)
    for file, finding in rule_findings(pack):
        reader.add(file, 1, finding.message, value=finding.value)
    if any(finding.severity == "error" for finding in reader.findings) or policy is None:
        raise pack_error(reader.findings)
    return Configuration(pack, policy, files, release_id, tuple(reader.findings))


def digest_of(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of a pack's content, in hex: paths and texts, in the order of the paths."""
    digest = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode(), files[path].encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def _read(reader: PackReader, files: Mapping[str, str]) -> Pack:
    pack = Pack()
    policy: dict[str, Any] = {"calendars": []}
    for path in sorted(files):
        text = files[path]
        place = next(
            (known for known in PLACES if path == known or (known.endswith("/") and path.startswith(known))), ""
        )
        match place:
            case "":
                reader.add(path, 1, f"a pack has no file {path}", hint=closest(path, PLACES))
            case "maps/":
                _read_map(reader, pack, path, text)
            case "lookups/":
                _read_lookup(reader, pack, path, text)
            case "partners/":
                _collect(reader, pack, path, text, PartnerSpec, "partner", pack.partners)
            case "connections/":
                _collect(reader, pack, path, text, ConnectionSpec, "connection", pack.connections)
            case "contracts/":
                _collect(reader, pack, path, text, Contract, "contract", pack.contracts)
            case "routes.yaml":
                for number, (route, item) in enumerate(reader.structs(path, text, Route, under="routes")):
                    pack.routes.append(route)
                    pack.places[("route", str(number))] = (path, item.line)
            case _:
                _read_single(reader, pack, policy, path, text)
    if "pack.yaml" not in files:
        reader.add(
            "pack.yaml", 1, "the pack has no pack.yaml", hint="It names the tenant: tenant, name, timezone, currency"
        )
    if pack.head is not None:
        policy.setdefault("timezone", pack.head.timezone)
    pack.policy = OrderPolicy(**{**policy, "calendars": tuple(policy["calendars"])})
    return pack


def _read_single(reader: PackReader, pack: Pack, policy: dict[str, Any], path: str, text: str) -> None:
    """Read a file that holds one thing: the head, the brand, or a part of the order policy."""
    if path == "pack.yaml":
        pack.head = _one(reader, path, text, PackHead)
    elif path == "brand.yaml":
        pack.brand = _one(reader, path, text, BrandSpec) or pack.brand
    elif path.startswith("calendars/"):
        policy["calendars"] += [calendar for calendar, _ in reader.structs(path, text, Calendar)]
    elif path == "sites.yaml" and (sites := _one(reader, path, text, SitesFile)):
        policy.update(sites=sites.sites, regions=sites.regions)
    elif path == "service_levels.yaml" and (levels := _one(reader, path, text, ServiceLevelsFile)):
        policy["service_levels"] = levels.service_levels
    elif path == "rules/sourcing.yaml" and (sourcing := _one(reader, path, text, SourcingFile)):
        policy.update(sourcing=sourcing.rules, substitutes=sourcing.substitutes)
    elif path == "rules/orders.yaml" and (rules := _one(reader, path, text, OrderRules)):
        policy["orders"] = rules
    elif path == "ownership.yaml" and (root := reader.tree(path, text)) is not None:
        pack.ownership = reader.struct(path, root, OwnershipRules) or pack.ownership
        pack.trees[("ownership", path)] = root
    elif path == "notifications.yaml" and (root := reader.tree(path, text)) is not None:
        pack.notices = reader.struct(path, root, NoticeRules) or pack.notices
        pack.trees[("notices", path)] = root
    elif path == "rules/case.yaml" and (cases := _one(reader, path, text, CaseRules)):
        policy["case"] = cases
    else:
        kind = path.removeprefix("rules/").removesuffix(".yaml")
        if kind in pack.rules and (found := _one(reader, path, text, RULES[kind])) is not None:
            pack.rules[kind] = found


def _one(reader: PackReader, path: str, text: str, kind: type[T]) -> T | None:
    root = reader.tree(path, text)
    return reader.struct(path, root, kind) if root is not None else None


def _collect(
    reader: PackReader, pack: Pack, path: str, text: str, kind: type[T], noun: str, into: dict[str, T]
) -> None:
    for value, item in reader.structs(path, text, kind):
        name = str(getattr(value, noun))
        if (noun, name) in pack.places:
            file, line = pack.places[(noun, name)]
            reader.add(path, item.line, f"the {noun} {name} is described twice", hint=f"The other one: {file}:{line}")
            continue
        into[name] = value
        pack.places[(noun, name)] = (path, item.line)
        pack.trees[(noun, name)] = item


_MAP_NAME = re.compile(r"^map:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)


def _read_map(reader: PackReader, pack: Pack, path: str, text: str) -> None:
    try:
        compiled = compiled_map(text, path)
    except ConfigurationError as error:
        for finding in error.findings or (Finding(error.code, str(error), line=1),):
            pointer = f"{path}:{finding.line or 1}" + (f" {finding.pointer}" if finding.pointer else "")
            reader.findings.append(msgspec.structs.replace(finding, pointer=pointer))
        named = _MAP_NAME.search(text)
        pack.broken_maps.add(named[1] if named else path.rpartition("/")[2].removesuffix(".yaml"))
        return
    for side in (compiled.source, compiled.target):
        for finding in formats.check(side):
            reader.add(path, side.line, finding.message, code=finding.code, hint=finding.hint)
    if compiled.name in pack.maps:
        file, line = pack.places[("map", compiled.name)]
        reader.add(path, 1, f"the map {compiled.name} is described twice", hint=f"The other one: {file}:{line}")
        return
    pack.maps[compiled.name] = compiled
    pack.places[("map", compiled.name)] = (path, 1)


@lru_cache(maxsize=512)
def compiled_map(text: str, file: str) -> mapping.CompiledMap:
    """Compile a map once per text: most releases change one file of many."""
    return mapping.compile_map(text, file=file)


def _read_lookup(reader: PackReader, pack: Pack, path: str, text: str) -> None:
    root = reader.tree(path, text)
    if root is None:
        return
    fields = root.value if root.is_mapping else {}
    for name in fields:
        if name not in ("table", "rows", "description"):
            reader.add(path, fields[name].line, f"there is no field {name}", hint="Fields: table, rows, description")
    table, rows = fields.get("table"), fields.get("rows")
    if table is None or not isinstance(table.value, str) or rows is None or not (rows.is_mapping or rows.value is None):
        reader.add(path, root.line, "a lookup has a table (its name) and rows (code: value)")
    elif table.value in pack.lookups:
        reader.add(path, root.line, f"the lookup {table.value} is described twice")
    else:
        pack.lookups[table.value] = lookup_rows(reader, path, rows.value or {})
        pack.places[("lookup", table.value)] = (path, root.line)


def _check_expressions(reader: PackReader, pack: Pack) -> None:
    """Compile every `when`, so that a fault is found on save and not with the first document."""
    wanted = [(*pack.places[("route", str(number))], route.when) for number, route in enumerate(pack.routes)]
    for connection in pack.connections.values():
        place = pack.places[("connection", connection.connection)]
        wanted += [(*place, rule.when) for rule in connection.inbound]
    texts = [one.when for one in pack.notices.rules] + [one.when for one in pack.notices.owners]
    wanted += [("notifications.yaml", 1, text) for text in texts]
    wanted += [("ownership.yaml", index + 1, one.when) for index, one in enumerate(pack.ownership.rules)]
    for file, line, text in wanted:
        try:
            _expression(text, file, line)
        except CrossdockError as error:
            reader.add(file, line, f"when: {error}", code=error.code, value=text, hint=next(iter(error.hint), None))


def _in_policy(finding: Finding, files: Mapping[str, str]) -> Finding:
    """Give a finding of the order policy (`/sites/3/calendar`) the file and line it is about."""
    part, _, rest = finding.pointer.lstrip("/").partition("/")
    file, key = _POLICY_FILES.get(part, ("rules/orders.yaml", ""))
    root = load(files[file])[0] if file in files else None
    line = follow(root, [*([key] if key else []), *rest.split("/")]).line if root is not None else 1
    return msgspec.structs.replace(finding, code=INVALID, pointer=f"{file}:{line}", line=line)


def _condition(text: str, place: str) -> Callable[[Mapping[str, Any]], Any]:
    evaluate: Callable[[Mapping[str, Any]], Any] = _expression(text, place, 1).evaluate
    return evaluate


@lru_cache(maxsize=4096)
def _expression(text: str, file: str, line: int) -> Any:
    return mapping.compile_expression(text, file=file, line=line) if text else None


def _route_index(routes: list[Route], pack: Pack) -> _RouteIndex:
    """Index the routes of a kind by site where their whole condition is `site == "…"`, as most are."""
    places = {id(route): pack.places[("route", str(number))] for number, route in enumerate(pack.routes)}
    rows = []
    for route in routes:
        only = _SITE_IS.fullmatch(route.when.strip())
        rows.append(
            (only.group(2) if only else None, (route, None if only else _expression(route.when, *places[id(route)])))
        )
    sites = {site for site, _ in rows if site is not None}
    return _RouteIndex(
        tuple([entry for site, entry in rows if site is None]),
        {name: tuple([entry for site, entry in rows if site in (None, name)]) for name in sites},
    )


def _index_inbound(
    index: dict[tuple[str, str, str], tuple[_Rule, ...]], connection: ConnectionSpec, place: tuple[str, int]
) -> None:
    """Index a connection's rules by format and set; rules without a set serve every set, each list in file order."""
    rules = [
        _Rule(
            rule,
            re.compile(fnmatch.translate(rule.name_glob), re.IGNORECASE).match if rule.name_glob else None,
            _expression(rule.when, *place),
        )
        for rule in connection.inbound
    ]
    for key in {(entry.rule.format, entry.rule.set) for entry in rules} | {(entry.rule.format, "") for entry in rules}:
        fitting = [e for e in rules if e.rule.format == key[0] and e.rule.set in ("", key[1])]
        index[(connection.connection, *key)] = tuple(fitting)


def _variables(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, dict) else {"doc": document}
