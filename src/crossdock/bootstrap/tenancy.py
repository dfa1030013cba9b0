"""What a running hub knows of its tenants: the active configuration, resolved secrets, connectors, health of sites.

All of it is a copy of what the record says, made when a release becomes active. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from ..config import Settings
from ..connectors import registry
from ..connectors.egress import Egress
from ..connectors.leases import LeasedConnector
from ..durable.identity import Clock, Ids
from ..errors import ConfigurationError, CrossdockError, NotFound
from ..flow import recovery
from ..flow.collect import Collector
from ..flow.pipeline import Pipeline
from ..flow.send import Partner, Sender
from ..governance import access, releases, secrets, tenants
from ..governance.configuration import Configuration, compile_pack
from ..governance.pack import ConnectionSpec
from ..sdk import Connector, ConnectorContext
from ..store import messages, shapes
from ..store.engine import Connection, Store

log = structlog.get_logger()

Chore = Callable[[Coroutine[Any, Any, Any]], None]


class _Made(msgspec.Struct, frozen=True):
    """A connector and what it was made of. The same makings need no new connector."""

    spec: ConnectionSpec
    secrets: dict[str, str]
    partner: Partner
    connector: LeasedConnector


class Tenancy:
    """The tenants of one hub. `attach` gives it the moving parts, which need it first."""

    sender: Sender
    pipeline: Pipeline
    collector: Collector

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Clock,
        ids: Ids,
        root_key: bytes,
        egress: Egress,
        chore: Chore,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._root_key = root_key
        self._egress = egress
        self._chore = chore
        self._active: dict[str, Configuration] = {}
        self._secrets: dict[str, dict[str, str]] = {}
        self._refused: dict[str, dict[str, ConfigurationError]] = {}
        self._made: dict[tuple[str, str], _Made] = {}
        self._health: dict[str, dict[str, str]] = {}
        self._specs: dict[tuple[str, str], tuple[ConnectionSpec, str]] = {}
        self._troubles: dict[str, str] = {}
        self._secret_stamps: dict[str, tuple[int, int]] = {}
        # One at a time for a tenant: an older release that was read earlier must not come into force later.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def attach(self, sender: Sender, pipeline: Pipeline, collector: Collector) -> None:
        """Take the moving parts."""
        self.sender, self.pipeline, self.collector = sender, pipeline, collector

    # -- what is known

    def active(self) -> list[str]:
        """Return the tenants that have a configuration."""
        return list(self._active)

    def configuration(self, tenant_id: str) -> Configuration | None:
        """Return the active configuration, or None for a tenant that does not exist."""
        return self._active.get(tenant_id)

    def configurations(self) -> Mapping[str, Configuration]:
        """Return the active configurations by tenant."""
        return self._active

    def require(self, tenant_id: str) -> Configuration:
        """Return the active configuration, or raise NotFound."""
        configuration = self._active.get(tenant_id)
        if configuration is None:
            raise NotFound(f"There is no tenant {tenant_id}")
        return configuration

    def receiving(self, tenant_id: str, connection_id: str) -> tuple[ConnectionSpec, str]:
        """Return a connection and the release it stands in, or raise NotFound.

        One that a new release dropped is still answered for, under its last release: what came in through it is ours.
        """
        place = (tenant_id, connection_id)
        configuration = self._active.get(tenant_id)
        spec = configuration.connections.get(connection_id) if configuration is not None else None
        if configuration is not None and spec is not None:
            known = self._specs.get(place)
            if known is None or known[1] != configuration.release_id:
                known = self._specs[place] = (spec, configuration.release_id)
            return known
        if place in self._specs:
            return self._specs[place]
        raise NotFound(f"There is no connection {connection_id}", code="XD-ING-001")

    def sending(self, tenant_id: str, connection_id: str) -> ConnectionSpec:
        """Return a connection to send on. One that is not in the release any more holds what waits for it."""
        configuration = self._active.get(tenant_id)
        spec = configuration.connections.get(connection_id) if configuration is not None else None
        if spec is None:
            return ConnectionSpec(connection_id, partner="", connector="", paused=True)
        if not spec.in_flight_max:
            spec = msgspec.structs.replace(spec, in_flight_max=self._settings.flow.in_flight_per_connection)
        return spec

    def inbound_secrets(self, tenant_id: str, references: Sequence[str]) -> tuple[str, ...]:
        """Return resolved secrets of inbound connections; one that cannot be resolved is left out."""
        known = self._secrets.get(tenant_id, {})
        found = (known.get(reference) for reference in references)
        return tuple(value for value in found if value is not None)

    def health(self, tenant_id: str) -> dict[str, str]:
        """Return the health of each site: the worst of its partner's connections. Kept until a circuit changes."""
        found = self._health.get(tenant_id)
        if found is None:
            configuration = self._active.get(tenant_id)
            if configuration is None:
                return {}
            found = {}
            for site in configuration.sites.values():
                states = [
                    self.sender.health(tenant_id, spec.connection)
                    for spec in configuration.connections.values()
                    if spec.partner == site.partner
                ]
                found[site.site] = "down" if "down" in states else "degraded" if "degraded" in states else "healthy"
            self._health[tenant_id] = found
        return found

    def forget_health(self, tenant_id: str) -> None:
        """A circuit changed: judge the sites anew when they are asked for."""
        self._health.pop(tenant_id, None)

    # -- connectors

    async def partner_of(self, tenant_id: str, connection_id: str) -> Partner:
        """Make the connector of a connection. Raises what the connector raises for settings that cannot work."""
        configuration = self.require(tenant_id)
        spec = configuration.connections.get(connection_id)
        if spec is None:
            raise NotFound(f"There is no connection {connection_id}", code="XD-ING-001")
        return self._make_partner(configuration, spec)

    @contextlib.asynccontextmanager
    async def connector_of(self, tenant_id: str, connection_id: str) -> AsyncIterator[Connector]:
        """Lend the connector the sender uses too; it stays open for as long, even if a release replaces it."""
        connector = (await self.sender.partner(tenant_id, connection_id)).connector
        with connector.in_use() if isinstance(connector, LeasedConnector) else contextlib.nullcontext():
            yield connector

    def _make_partner(self, configuration: Configuration, spec: ConnectionSpec) -> Partner:
        """Return the connector of a connection: the one there is, unless its settings or secrets have changed."""
        place = (configuration.tenant_id, spec.connection)
        resolved = self._secrets.get(configuration.tenant_id, {})
        values = {name: resolved[reference] for name, reference in spec.secrets.items() if reference in resolved}
        refused = self._refused.get(configuration.tenant_id, {})
        for reference in spec.secrets.values():
            if reference in refused:
                raise refused[reference].with_traceback(None)
        made = self._made.get(place)
        if made is not None and made.spec == spec and made.secrets == values:
            return made.partner
        context = ConnectorContext(
            spec.connection,
            configuration.tenant_id,
            spec.settings,
            values,
            self._egress,
            self._clock,
            spec.timeout_seconds,
            self._folder_root(),
            self._settings.limits.partner_answer_bytes_max,
        )
        manifest = registry.manifests()[spec.connector]
        idempotent = manifest.idempotent_push or bool(spec.settings.get("idempotent"))
        connector = LeasedConnector(registry.create(spec.connector, context))
        partner = Partner(spec, connector, idempotent)
        self._made[place] = _Made(spec, values, partner, connector)
        return partner

    def _folder_root(self) -> str | None:
        security = self._settings.security
        return security.folder_root or ("/" if security.packs_may_read_process else None)

    def _replace_connectors(self, configuration: Configuration) -> None:
        """Have the sender use the connectors of a release. What it replaces is closed after its last use.

        Nothing is awaited: no send may find a tenant half replaced.
        """
        tenant_id = configuration.tenant_id
        before = {place: made for place, made in self._made.items() if place[0] == tenant_id}
        self.sender.forget(tenant_id)
        for spec in configuration.connections.values():
            try:
                self.sender.remember(tenant_id, spec.connection, self._make_partner(configuration, spec))
            except CrossdockError:
                self._made.pop((tenant_id, spec.connection), None)
        for place, made in before.items():
            if place[1] not in configuration.connections:
                del self._made[place]
            if self._made.get(place) is not made:
                self._chore(made.connector.close())

    # -- changes

    async def apply_pack(self, tenant_id: str, files: Mapping[str, str], author: str, note: str) -> releases.Release:
        """Make a release of a tenant's files and run under it. Creates the tenant if it is new."""
        now = self._clock.now()

        def apply(connection: Connection) -> releases.Release:
            if not any(tenant.tenant_id == tenant_id for tenant in tenants.listed(connection)):
                head = compile_pack(files, release_id="new").head
                tenants.create(connection, tenant_id, head.name, at=now, operator=head.operator)
            return releases.apply(
                connection,
                tenant_id,
                files,
                author=author,
                note=note,
                at=now,
                ids=self._ids,
                connector_kinds=tuple(registry.manifests()),
            )

        release = await self.pipeline.write(apply)
        await self.activate(tenant_id)
        return release

    async def set_lookup_row(self, tenant_id: str, table: str, key: str, value: str, actor: str) -> int:
        """Make a release with one more row in a lookup table; return how many messages it set free."""
        now = self._clock.now()
        await self.pipeline.write(
            lambda connection: releases.set_lookup_row(
                connection, tenant_id, table, key, value, author=actor, at=now, ids=self._ids
            )
        )
        return await self.activate(tenant_id)

    async def load(self) -> None:
        """Take up every tenant's active release at the start, without setting free what waits: see `release_held`."""
        for tenant in await self._store.read(tenants.listed):
            await self._take_up(tenant.tenant_id, release_held=False)

    async def release_held(self) -> None:
        """Set free what waited for what the active releases know; after a start, behind what was under way."""
        for tenant_id, configuration in list(self._active.items()):
            try:
                await self._release_held(configuration)
            except Exception as error:  # noqa: BLE001 - the worker: one tenant's fault stops nobody else
                self._note_trouble(tenant_id, error)

    async def take_up_releases(self, *, release_held: bool = True) -> None:
        """Run under what another process applied beside this one: releases (`crossdock apply`) and secrets.

        `release_held` sets free what waited for it; among several processes one does.
        A tenant whose release cannot be loaded goes on under its old one and is told of in `trouble`.
        """
        stamps, active = await self._store.read(lambda one: (secrets.stamps(one), releases.active_ids(one)))
        for tenant_id, release_id in active:
            known = self._active.get(tenant_id)
            changed = self._secret_stamps.get(tenant_id) != stamps.get(tenant_id)
            if known is None or known.release_id != release_id or changed or tenant_id in self._troubles:
                await self._take_up(tenant_id, release_held=release_held)

    async def _take_up(self, tenant_id: str, *, release_held: bool = True) -> None:
        try:
            await self.activate(tenant_id, release_held=release_held)
        except Exception as error:  # noqa: BLE001 - the worker: one tenant's fault stops nobody else
            self._note_trouble(tenant_id, error)

    def _note_trouble(self, tenant_id: str, error: Exception) -> None:
        """Keep it for `trouble`; log it when it changes, not each time it is met."""
        trouble = f"{type(error).__name__}: {error}"
        if self._troubles.get(tenant_id) != trouble:
            log.error("tenant.not_taken_up", tenant_id=tenant_id, exc_info=error)
        self._troubles[tenant_id] = trouble

    def trouble(self) -> str:
        """Say in words which tenants' configuration could not be taken up, and why; empty when all is well."""
        return "; ".join(f"the release of {tenant} cannot run: {why}" for tenant, why in sorted(self._troubles.items()))

    async def activate(self, tenant_id: str, *, release_held: bool = True) -> int:
        """Run under the tenant's active release; return how many messages it set free."""
        async with self._turns[tenant_id]:
            try:
                configuration = await self._store.read(lambda connection: releases.active(connection, tenant_id))
            except NotFound:
                return 0
            await self._resolve_secrets(configuration)
            self._active[tenant_id] = configuration
            self._health.pop(tenant_id, None)
            self._replace_connectors(configuration)
            timeouts = {spec.connection: spec.timeout_seconds for spec in configuration.connections.values()}
            self.collector.watch(tenant_id, _polls(configuration), timeouts)
            self._troubles.pop(tenant_id, None)
            return await self._release_held(configuration) if release_held else 0

    async def _release_held(self, configuration: Configuration) -> int:
        tenant_id = configuration.tenant_id

        def find(connection: Connection) -> Any:
            awaits = messages.awaited(connection, tenant_id, "held")
            decided = (
                shapes.decided(connection, tenant_id) if any(one.startswith("shape:") for one in awaits) else set()
            )
            known = {one for one in awaits if one in decided or _is_known(one, configuration)}
            return recovery.released(connection, tenant_id, known, configuration.release_id) if known else []

        stored = await self._store.read(find)
        self.pipeline.resume(stored)
        return len(stored)

    async def _resolve_secrets(self, configuration: Configuration) -> None:
        tenant_id = configuration.tenant_id
        references: set[str] = set()
        for spec in configuration.connections.values():
            references |= set(spec.secrets.values()) | set(spec.authentication.secrets)

        own_process = self._settings.security.packs_may_read_process

        def resolve(connection: Connection) -> tuple[dict[str, str], dict[str, ConfigurationError], Any]:
            values: dict[str, str] = {}
            refused: dict[str, ConfigurationError] = {}
            for reference in references:
                try:
                    values[reference] = secrets.resolve(
                        reference,
                        connection=connection,
                        tenant_id=tenant_id,
                        root_key=self._root_key,
                        own_process=own_process,
                    ).reveal()
                except NotFound:
                    continue
                except ConfigurationError as error:
                    refused[reference] = error
                    log.warning("secret.unavailable", tenant_id=tenant_id, reference=reference, error=str(error))
            return values, refused, secrets.stamps(connection).get(tenant_id)

        # A new book: what was removed or renamed must not go on working.
        self._secrets[tenant_id], self._refused[tenant_id], stamp = await self._store.read(resolve)
        self._secret_stamps.pop(tenant_id, None)
        if stamp is not None:
            self._secret_stamps[tenant_id] = stamp

    async def set_secret(self, tenant_id: str, name: str, value: str) -> None:
        """Seal a secret of a tenant; packs refer to it as `secret:NAME`."""
        now = self._clock.now()
        await self.pipeline.write(
            lambda connection: secrets.put(connection, tenant_id, name, value, root_key=self._root_key, at=now)
        )
        if tenant_id in self._active:
            await self.activate(tenant_id)

    async def remove_secret(self, tenant_id: str, name: str) -> None:
        """Forget a secret of a tenant, here and in the record."""
        await self.pipeline.write(lambda connection: secrets.remove(connection, tenant_id, name))
        if tenant_id in self._active:
            await self.activate(tenant_id)

    async def create_key(self, tenant_id: str, role: str, connection_id: str, label: str) -> str:
        """Return a new API key of a tenant; a connection binds it to one door."""
        now = self._clock.now()

        def create(connection: Connection) -> Any:
            return access.create_key(
                connection, tenant_id, role, connection_id=connection_id, label=label or role, at=now, ids=self._ids
            )

        made = await self.pipeline.write(create)
        return made if isinstance(made, str) else str(made[0])


def _polls(configuration: Configuration) -> dict[str, float]:
    """Return what is fetched: of systems and file servers that give documents out, and APIs with an address to poll."""
    return {
        spec.connection: spec.poll_seconds
        for spec in configuration.connections.values()
        if spec.inbound and not spec.paused and _gives(spec)
    }


def _gives(spec: ConnectionSpec) -> bool:
    if spec.connector == "http_json":
        return bool(spec.settings.get("poll_url"))
    return "in" in registry.manifests()[spec.connector].directions


def _is_known(awaits: str, configuration: Configuration) -> bool:
    kind, _, rest = awaits.partition(":")
    table, _, key = rest.partition(":")
    if kind == "shape":
        # A connection that holds nothing any more holds up nothing of before.
        spec = configuration.connections.get(table)
        return spec is not None and not spec.drift.holds
    return kind == "lookup" and key in configuration.lookups.get(table, {})
