"""Exchange documents with a partner's PostgreSQL by its own procedures; its tables are never touched.

A push is `CALL put(identity, document_type, content)`; a pull is `SELECT place, identity, content FROM
get(after, how_many)`; a find is `SELECT known(identity)`, a reference or null. Values are bound, names are checked.
libpq opens its socket itself, so it gets the address that the egress has checked, and no name to look up again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec
import psycopg
from psycopg import sql

from ...errors import ConfigurationError, Finding, PermanentError, TransientError
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ..egress import MalformedAddress, parse_host

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?")
_NAMES = ("push", "pull", "acknowledge", "find")
# SQLSTATE classes of refusals that the same content will meet again: data, integrity, privilege or name, raised.
_REFUSED = ("22", "23", "42", "P0")
# Classes after which the connection is gone and nobody knows: connection, operator intervention.
_LOST = ("08", "57P")
# libpq gives no SQLSTATE for a refused login.
_NO_LOGIN = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
DETAIL_CHARACTERS = 500


class DatabaseSettings(msgspec.Struct, frozen=True):
    """Where the server is and what is called there."""

    host: str
    database: str
    username: str
    port: int = 5432
    push: str = ""
    pull: str = ""
    acknowledge: str = ""
    find: str = ""
    rows_max: int = 100
    tls: Literal["verify-full", "disable"] = "verify-full"


def create(context: ConnectorContext) -> Database:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    try:
        settings = msgspec.convert(dict(context.settings), DatabaseSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from error
    findings = lint(context.settings, context.secrets)
    if findings:
        raise ConfigurationError(findings[0].message, code="XD-CFG-003")
    return Database(context, settings)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    del secrets
    findings = []
    for name in _NAMES:
        value = settings.get(name)
        if isinstance(value, str) and value and not _NAME.fullmatch(value):
            message = (
                f"{name} is no name of a procedure: lower-case letters, digits and _, with one schema before a dot"
            )
            findings.append(Finding("XD-CFG-003", message, pointer=f"/settings/{name}"))
    host = settings.get("host")
    if isinstance(host, str) and host:
        try:
            parse_host(host)
        except MalformedAddress as error:
            findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/host"))
    return findings


class Database:
    """One partner's database. Each call opens its own connection and closes it."""

    def __init__(self, context: ConnectorContext, settings: DatabaseSettings) -> None:
        self._context = context
        self._settings = settings
        self._after = 0

    async def check(self) -> CheckResult:
        """Log in, and see that every procedure that is named exists."""
        try:
            async with asyncio.timeout(self._context.timeout_seconds), await self._connect() as connection:
                missing = []
                for kind in _NAMES:
                    name = getattr(self._settings, kind)
                    found = await connection.execute(
                        "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
                        "where p.proname = %s and (n.nspname = %s or %s = '')",
                        (name.rpartition(".")[2], name.rpartition(".")[0], name.rpartition(".")[0]),
                    )
                    row = await found.fetchone()
                    if name and (row is None or not row[0]):
                        missing.append(name)
        except PermanentError as error:
            return CheckResult(False, str(error), "Compare role, password, database and address with the partner's.")
        except TransientError as error:
            return CheckResult(False, str(error))
        except (psycopg.Error, TimeoutError) as error:
            return CheckResult(False, _words(error))
        if missing:
            return CheckResult(False, f"there is no {', '.join(missing)}", "Compare the names with the partner's.")
        return CheckResult(True, f"logged in to {self._settings.database}; every procedure is there")

    async def pull(self) -> AsyncIterator[Pulled]:
        """Give the rows beyond the last one whose content is safe in the hub, in order.

        Raises TransientError or PermanentError. After a restart rows come again unless `acknowledge` moves the
        partner's own cursor; they are known by their identity.
        """
        if not self._settings.pull:
            return
        query = sql.SQL("select place, identity, content from {}(%s, %s)").format(_named(self._settings.pull))
        rows = await self._rows(query, (self._after, self._settings.rows_max))
        for place, identity, content in rows:
            data = content if isinstance(content, bytes) else str(content).encode()
            yield Pulled(data, str(identity), "application/json", self._acknowledgment(int(place)), str(identity))

    def _acknowledgment(self, place: int) -> Any:
        async def acknowledge() -> None:
            if self._settings.acknowledge:
                call = sql.SQL("call {}(%s)").format(_named(self._settings.acknowledge))
                await self._rows(call, (place,))
            self._after = max(self._after, place)

        return acknowledge

    async def push(self, outbound: Outbound) -> PushResult:
        """Call the procedure. What it raises is its refusal; a connection that is lost meanwhile leaves it unknown."""
        if not self._settings.push:
            return PushResult("failed", permanent=True, code="XD-CFG-001", detail="the setting push is missing")
        call = sql.SQL("call {}(%s, %s, %s)").format(_named(self._settings.push))
        try:
            connection = await asyncio.wait_for(self._connect(), self._context.timeout_seconds)
        except PermanentError as error:
            return PushResult("failed", permanent=True, code=error.code, detail=str(error))
        except (TransientError, TimeoutError) as error:
            return PushResult("failed", code="XD-PTR-010", detail=_words(error))
        try:
            try:
                text = outbound.content.decode()
            except UnicodeDecodeError:
                return PushResult("failed", permanent=True, code="XD-PTR-013", detail="the content is no UTF-8 text")
            async with asyncio.timeout(self._context.timeout_seconds):
                await connection.execute(call, (outbound.identity, outbound.document_type, text))
        except TimeoutError:
            return PushResult("unknown", code="XD-PTR-011", detail="the procedure did not end in time")
        except psycopg.Error as error:
            return _failure(error)
        finally:
            await connection.close()
        return PushResult("done", reference=outbound.identity)

    async def find(self, outbound: Outbound) -> FindResult:
        """Ask the partner whether it has an effect of this identity."""
        if not self._settings.find:
            return FindResult("cannot_tell", detail="the setting find is missing")
        query = sql.SQL("select {}(%s)").format(_named(self._settings.find))
        try:
            rows = await self._rows(query, (outbound.identity,))
        except (PermanentError, TransientError) as error:
            return FindResult("cannot_tell", detail=str(error))
        reference = rows[0][0] if rows else None
        return FindResult("absent") if reference is None else FindResult("found", reference=str(reference))

    async def close(self) -> None:
        """Hold nothing, free nothing."""

    async def _rows(self, query: sql.Composed, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(self._context.timeout_seconds), await self._connect() as connection:
                cursor = await connection.execute(query, values)
                return await cursor.fetchall() if cursor.description else []
        except TimeoutError as error:
            raise TransientError(f"{self._settings.host} did not answer in time", code="XD-PTR-011") from error
        except psycopg.Error as error:
            raise TransientError(f"{self._settings.host}: {_words(error)}", code="XD-PTR-013") from error

    async def _connect(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        settings, egress = self._settings, self._context.egress
        encrypted = settings.tls != "disable"
        look = egress.resolve if encrypted else egress.check_unencrypted
        verdicts = await look(parse_host(settings.host), settings.port)
        try:
            return await psycopg.AsyncConnection.connect(
                host=settings.host,
                hostaddr=verdicts[0].address,
                port=settings.port,
                dbname=settings.database,
                user=settings.username,
                password=self._context.secrets.get("password", ""),
                sslmode=settings.tls,
                sslrootcert="system" if encrypted else "",
                gssencmode="disable",
                passfile="/dev/null",
                connect_timeout=max(2, int(self._context.timeout_seconds)),
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            if any(words in str(error) for words in _NO_LOGIN):
                raise PermanentError(
                    f"{settings.host} refused the login of {settings.username}", code="XD-PTR-017"
                ) from error
            raise TransientError(f"cannot connect to {settings.host}: {_words(error)}", code="XD-PTR-010") from error


def _named(name: str) -> sql.Identifier:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is no name of a procedure", code="XD-CFG-003")
    return sql.Identifier(*name.split("."))


def _failure(error: psycopg.Error) -> PushResult:
    state = error.sqlstate or ""
    if not state or state.startswith(_LOST):
        return PushResult("unknown", code="XD-PTR-010", detail=_words(error))
    return PushResult("failed", permanent=state.startswith(_REFUSED), code="XD-PTR-013", detail=_words(error))


def _words(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__)[:DETAIL_CHARACTERS]
