"""The database connector keeps its promises against a real PostgreSQL whose procedures misbehave on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Literal

import msgspec
import psycopg
import pytest

from crossdock.connectors import registry
from crossdock.connectors.database.connector import lint
from crossdock.connectors.egress import Egress
from crossdock.errors import ConfigurationError
from crossdock.sdk import Connector
from crossdock.sdk.conformance import Effect, Fault, an_order, run
from tests.conformance.connectors.harnesses import START, MovingClock, a_context
from tests.support.postgres import PostgresCluster, find_binaries
from tests.support.processes import free_port

PARTNER = """
create table fault (kind text);
create table taken (id serial, identity text primary key, content text);
create table reached (id serial, identity text, content text);
create table offered (place bigserial primary key, identity text, content text);
create table cursor_of_hub (place bigint);
insert into cursor_of_hub values (0);
create procedure hub_put(identity text, document_type text, content text) language plpgsql as $$
declare trouble text := coalesce((select kind from fault limit 1), 'none');
begin
  if trouble = 'cut_before_effect' then perform pg_terminate_backend(pg_backend_pid()); end if;
  if trouble = 'refuse' and content like '%REFUSED%' then raise exception 'we do not take this order'; end if;
  insert into reached (identity, content) values (hub_put.identity, hub_put.content);
  insert into taken (identity, content) values (hub_put.identity, hub_put.content) on conflict do nothing;
  commit;
  if trouble = 'cut_after_effect' then perform pg_terminate_backend(pg_backend_pid()); end if;
  if trouble = 'stall_after_effect' then perform pg_sleep(30); end if;
end $$;
create function hub_get(after bigint, how_many integer) returns table (place bigint, identity text, content text)
language sql as $$
  select o.place, o.identity, o.content from offered o
  where o.place > greatest(after, (select c.place from cursor_of_hub c)) order by 1 limit how_many
$$;
create procedure hub_taken(up_to bigint) language sql as $$
  update cursor_of_hub set place = greatest(place, up_to)
$$;
create function hub_known(name text) returns text language sql as $$
  select 'T-' || id from taken where identity = name
$$;
"""
SETTINGS = {"push": "hub_put", "pull": "public.hub_get", "acknowledge": "hub_taken", "find": "hub_known"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresCluster]:
    """A PostgreSQL that listens on a loopback port."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("NOT RUN: no PostgreSQL binaries on this machine (scripts/ensure_postgres.sh could get none)")
    cluster = PostgresCluster(binaries, settings={"listen_addresses": "127.0.0.1", "port": str(free_port())})
    yield cluster
    cluster.close()


class DatabaseHarness:
    """A partner's database of its own, and connectors that call it."""

    def __init__(self, server: PostgresCluster) -> None:
        self.server = server
        self.name = server.create_database()
        self.partner = psycopg.connect(server.dsn(self.name), autocommit=True)
        self.partner.execute(PARTNER)

    def stop(self) -> None:
        self.partner.close()
        self.server.drop_database(self.name)

    async def connector(
        self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True, **changed: Any
    ) -> Connector:
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.server.port if reachable else free_port(),
            "database": self.name,
            "username": self.server.owner if credentials == "good" else "nobody_here",
            "tls": "disable",
            **SETTINGS,
            **changed,
        }
        return registry.create("database", a_context(settings, {"password": "x"}, MovingClock(START), 1.0))

    async def set_fault(self, fault: Fault) -> None:
        self.partner.execute("delete from fault")
        self.partner.execute("insert into fault values (%s)", (fault,))

    async def offer(self, name: str, content: bytes) -> None:
        self.partner.execute("insert into offered (identity, content) values (%s, %s)", (name, content.decode()))

    async def settle(self) -> None:
        """A committed row is complete."""

    def effects(self) -> list[Effect]:
        return self._of("taken")

    def attempts(self) -> list[Effect]:
        return self._of("reached")

    def escaped(self) -> bool:
        return False

    def _of(self, table: Literal["taken", "reached"]) -> list[Effect]:
        rows = self.partner.execute(f"select identity, content from {table} order by id").fetchall()
        return [Effect(identity, content.encode()) for identity, content in rows]


@pytest.fixture
async def make(server: PostgresCluster) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    made: list[DatabaseHarness] = []

    async def make_one() -> DatabaseHarness:
        made.append(DatabaseHarness(server))
        return made[-1]

    yield make_one
    for harness in made:
        harness.stop()


PROMISES = registry.manifests()["database"].promises


@pytest.mark.parametrize("promise", [promise for promise, state in PROMISES.items() if state == "done"])
async def test_database_keeps(promise: str, make: Callable[[], Awaitable[Any]]) -> None:
    """The connector keeps the promise against real procedures."""
    await run(promise, make)


async def test_content_and_identity_are_values_never_statements(make: Callable[[], Awaitable[Any]]) -> None:
    """What looks like SQL arrives as it is."""
    harness = await make()
    order = msgspec.structs.replace(an_order(1), identity="'); drop table taken; --", content=b"'; select 1; --")
    connector = await harness.connector()

    assert "done" == (await connector.push(order)).outcome
    assert [Effect(order.identity, order.content)] == harness.effects()
    assert "found" == (await connector.find(order)).answer


async def test_a_missing_procedure_is_named_and_a_refusal_says_why(make: Callable[[], Awaitable[Any]]) -> None:
    """The check finds what is not there; the partner's own words are shown."""
    harness = await make()
    found = await (await harness.connector(push="hub_putt")).check()
    assert (False, True) == (found.ok, "hub_putt" in found.detail)
    await harness.set_fault("refuse")
    refused = await (await harness.connector()).push(an_order(1, content=b"REFUSED"))
    assert (True, True) == (refused.permanent, "we do not take this order" in refused.detail)


async def test_an_address_out_of_bounds_is_not_reached(make: Callable[[], Awaitable[Any]]) -> None:
    """The egress judges the address before libpq hears of it."""
    harness = await make()
    connector: Any = await harness.connector()
    connector._context = msgspec.structs.replace(connector._context, egress=Egress())

    found = await connector.check()
    sent = await connector.push(an_order(1))

    assert (False, True) == (found.ok, "may not be reached" in found.detail)
    assert ("failed", []) == (sent.outcome, harness.effects())


@pytest.mark.parametrize("name", ["a; drop table x", "A.B", "a.b.c", 'a"', "", "1a"])
async def test_a_name_that_is_no_name_is_refused(name: str, make: Callable[[], Awaitable[Any]]) -> None:
    """Lint and start refuse it; an empty one means there is no such procedure."""
    assert bool(name) == bool(lint({"push": name}, {}))
    if name:
        with pytest.raises(ConfigurationError):
            await (await make()).connector(push=name)
