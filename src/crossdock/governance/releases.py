"""Releases: immutable, numbered sets of configuration. Every change of anything makes a new one.

`plan` says what would change and changes nothing; `apply` writes the release and makes it the active one in the
caller's
database transaction; `rollback` applies an older release's files as a new release, so history only grows.
Compiled releases are cached by id and content: they never change, and two records of one process never share one
that is not the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import yaml

from .. import edi, formats, mapping
from ..canonical.catalog import schemas
from ..durable.identity import Ids, from_micros, to_micros
from ..errors import ConfigurationError, Conflict, Finding, NotFound
from ..store.engine import Connection, Row
from . import audit
from .configuration import Configuration, compile_pack, compiled_map, digest_of
from .pack_checks import ConnectorLint
from .pack_diff import Change, diff_files
from .pack_files import DANGLING, INVALID, closest

CACHE_RELEASES_MAX = 64


class Release(msgspec.Struct, frozen=True):
    """One release without its files. `number` counts from 1 within the tenant."""

    release_id: str
    number: int
    digest: str
    author: str
    note: str
    created_at: datetime
    active: bool = False


class MapTest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one test of one map."""

    map: str
    name: str
    passed: bool
    detail: str = ""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an apply would do. `findings` hold the lint's warnings too; `ok` says that an apply would be taken.

    `base_digest` names the active content the plan was made against: hand it to `apply` to refuse a stale plan.
    """

    tenant_id: str
    digest: str
    base_digest: str
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    tests: tuple[MapTest, ...] = ()
    configuration: Configuration | None = None

    @property
    def ok(self) -> bool:
        errors = any(finding.severity == "error" for finding in self.findings)
        return self.configuration is not None and not errors and all(test.passed for test in self.tests)

    @property
    def unchanged(self) -> bool:
        return self.digest == self.base_digest


# Tenant, release id and digest of the content.
_Key = tuple[str, str, str]


class _Cache:
    """The compiled releases of this process, least recently used out first."""

    def __init__(self, size_max: int) -> None:
        self._lock = threading.Lock()
        self._size_max = size_max
        self._entries: OrderedDict[_Key, Configuration] = OrderedDict()

    def get(self, key: _Key) -> Configuration | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: _Key, value: Configuration) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size_max:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_cache = _Cache(CACHE_RELEASES_MAX)


def plan(
    connection: Connection,
    tenant_id: str,
    files: Mapping[str, str],
    *,
    connector_kinds: Collection[str] = (),
    connector_lint: ConnectorLint | None = None,
) -> Plan:
    """Say what applying these files would change, what lint finds and how the maps' own tests end. Changes nothing."""
    base = _active_files(connection, tenant_id)
    return plan_against(base, tenant_id, files, connector_kinds=connector_kinds, connector_lint=connector_lint)


def plan_against(
    base: Mapping[str, str] | None,
    tenant_id: str,
    files: Mapping[str, str],
    *,
    connector_kinds: Collection[str] = (),
    connector_lint: ConnectorLint | None = None,
) -> Plan:
    """Return the plan of replacing one set of files by another; `base` None says that there is none yet. Pure."""
    digest, base_digest = digest_of(files), digest_of(base) if base is not None else ""
    changes = tuple(diff_files(base or {}, files))
    try:
        configuration = compile_pack(
            files, release_id="", connector_kinds=connector_kinds, connector_lint=connector_lint
        )
    except ConfigurationError as error:
        return Plan(tenant_id, digest, base_digest, changes, error.findings)
    findings = [*configuration.warnings, *_wrong_tenant(configuration, tenant_id), *_lint(configuration)]
    return Plan(tenant_id, digest, base_digest, changes, tuple(findings), tuple(_tests(configuration)), configuration)


def apply(
    connection: Connection,
    tenant_id: str,
    files: Mapping[str, str],
    *,
    author: str,
    note: str,
    at: datetime,
    ids: Ids,
    base_digest: str | None = None,
    connector_kinds: Collection[str] = (),
    connector_lint: ConnectorLint | None = None,
) -> Release:
    """Make these files the tenant's active release, in the caller's database transaction, and book it in the audit.

    Content equal to the active release changes nothing and returns that release. A pack with findings or with a failing
    map test raises ConfigurationError; a `base_digest` that is not the active content any more raises Conflict.
    """
    current = active_release(connection, tenant_id)
    if base_digest is not None and (current.digest if current else "") != base_digest:
        raise Conflict(
            "Somebody applied another release since this plan was made", code="XD-CFG-008", hint="Plan again"
        )
    digest = digest_of(files)
    if current is not None and current.digest == digest:
        return current
    planned = plan(connection, tenant_id, files, connector_kinds=connector_kinds, connector_lint=connector_lint)
    if not planned.ok:
        raise _refused(planned)
    return _write(connection, tenant_id, files, digest, planned, author=author, note=note, at=at, ids=ids)


def keep(
    connection: Connection, tenant_id: str, files: Mapping[str, str], *, author: str, note: str, at: datetime, ids: Ids
) -> Release:
    """Keep a candidate as a release that is not active; the same content is kept once. Findings are refused as in
    `apply`.
    """
    digest = digest_of(files)
    known = next((one for one in history(connection, tenant_id) if one.digest == digest), None)
    if known is not None:
        return known
    planned = plan(connection, tenant_id, files)
    if not planned.ok:
        raise _refused(planned)
    return _write(
        connection, tenant_id, files, digest, planned, author=author, note=note, at=at, ids=ids, activate=False
    )


def set_lookup_row(
    connection: Connection, tenant_id: str, table: str, key: str, value: str, *, author: str, at: datetime, ids: Ids
) -> Release:
    """Apply a release in which one row of a lookup is set, all other text of its file kept. The same value changes
    nothing.
    """
    configuration = active(connection, tenant_id)
    if table not in configuration.lookups:
        raise NotFound(f"There is no lookup {table}", code=DANGLING, hint=closest(table, configuration.lookups) or ())
    if not key or any(sign in key + value for sign in "\r\n\0"):
        raise ConfigurationError("A row is one code and one value, without line breaks", code=INVALID)
    path = next(p for p, text in configuration.files.items() if p.startswith("lookups/") and _table_of(text) == table)
    text = _with_row(configuration.files[path], key, value)
    note = f"{table}: {key} = {value}"
    return apply(connection, tenant_id, {**configuration.files, path: text}, author=author, note=note, at=at, ids=ids)


def rollback(
    connection: Connection, tenant_id: str, release_id: str, *, author: str, at: datetime, ids: Ids, note: str = ""
) -> Release:
    """Apply the files of an older release as a new one."""
    old = find(connection, tenant_id, release_id)
    files = files_of(connection, tenant_id, release_id)
    note = note or f"Back to release {old.number}"
    return apply(connection, tenant_id, files, author=author, note=note, at=at, ids=ids)


def active(connection: Connection, tenant_id: str) -> Configuration:
    """Return what the tenant runs now. `NotFound` when nothing was ever applied."""
    row = connection.one(
        "select r.release_id, r.digest from active_releases a join releases r"
        " on r.tenant_id = a.tenant_id and r.release_id = a.release_id where a.tenant_id = ?",
        (tenant_id,),
    )
    if row is None:
        raise NotFound(f"{tenant_id} has no configuration yet", hint="Apply a pack: crossdock apply DIR")
    return _compiled(connection, tenant_id, row[0], row[1])


def active_ids(connection: Connection) -> list[tuple[str, str]]:
    """Return the active release of every tenant: (tenant_id, release_id)."""
    return [
        (row[0], row[1])
        for row in connection.query("select tenant_id, release_id from active_releases order by tenant_id")
    ]


def load(connection: Connection, tenant_id: str, release_id: str) -> Configuration:
    """Return the configuration of a release, compiled once per process. Another tenant's release is `NotFound`.

    Costs one indexed query; who asks for many in a row keeps what it got.
    """
    row = connection.one("select digest from releases where tenant_id = ? and release_id = ?", (tenant_id, release_id))
    if row is None:
        raise NotFound(f"There is no release {release_id}")
    return _compiled(connection, tenant_id, release_id, row[0])


def _compiled(connection: Connection, tenant_id: str, release_id: str, digest: str) -> Configuration:
    key = (tenant_id, release_id, digest)
    found = _cache.get(key)
    if found is None:
        found = compile_pack(files_of(connection, tenant_id, release_id), release_id=release_id)
        _cache.put(key, found)
    return found


def active_release(connection: Connection, tenant_id: str) -> Release | None:
    """Return the record of the active release, or None."""
    row = connection.one(
        "select r.release_id, r.number, r.digest, r.author, r.note, r.created_at from active_releases a join releases r"
        " on r.tenant_id = a.tenant_id and r.release_id = a.release_id where a.tenant_id = ?",
        (tenant_id,),
    )
    return _release(row, active=True) if row else None


def find(connection: Connection, tenant_id: str, release_id: str) -> Release:
    """Return the record of a release, or raise `NotFound`."""
    release = next((r for r in history(connection, tenant_id) if release_id in (r.release_id, str(r.number))), None)
    if release is None:
        raise NotFound(f"There is no release {release_id}")
    return release


def history(connection: Connection, tenant_id: str, *, limit: int = 1_000) -> list[Release]:
    """Return the tenant's releases, newest first."""
    now = connection.one("select release_id from active_releases where tenant_id = ?", (tenant_id,))
    rows = connection.query(
        "select release_id, number, digest, author, note, created_at from releases where tenant_id = ?"
        " order by number desc limit ?",
        (tenant_id, limit),
    )
    return [_release(row, active=now is not None and row[0] == now[0]) for row in rows]


def files_of(connection: Connection, tenant_id: str, release_id: str) -> dict[str, str]:
    """Return the files of a release as they were applied; changed content is refused as damage of the store."""
    row = connection.one(
        "select files, digest from releases where tenant_id = ? and release_id = ?", (tenant_id, release_id)
    )
    if row is None:
        raise NotFound(f"There is no release {release_id}")
    files: dict[str, str] = msgspec.json.decode(row[0], type=dict[str, str])
    if digest_of(files) != row[1]:
        raise ConfigurationError(
            f"The files of release {release_id} are not those that were applied",
            code="XD-SYS-005",
            hint="Restore the store from a backup, or apply the pack again",
        )
    return files


def diff(connection: Connection, tenant_id: str, before_id: str, after_id: str) -> list[Change]:
    """Return the field-level difference of two releases."""
    return list(diff_files(files_of(connection, tenant_id, before_id), files_of(connection, tenant_id, after_id)))


def forget_compiled() -> None:
    """Empty the process's cache of compiled releases; they are compiled again when asked for."""
    _cache.clear()


def _write(
    connection: Connection,
    tenant_id: str,
    files: Mapping[str, str],
    digest: str,
    planned: Plan,
    *,
    author: str,
    note: str,
    at: datetime,
    ids: Ids,
    activate: bool = True,
) -> Release:
    # Touching the tenant's row makes two applies of one tenant wait for each other, so that numbers do not collide.
    if connection.execute("update tenants set name = name where tenant_id = ?", (tenant_id,)) == 0:
        raise NotFound(f"There is no tenant {tenant_id}", hint="Create it first, or correct tenant: in pack.yaml")
    last = connection.one("select max(number) from releases where tenant_id = ?", (tenant_id,))
    release = Release(ids.new("rel", at), ((last and last[0]) or 0) + 1, digest, author, note, at, activate)
    connection.execute(
        "insert into releases (tenant_id, release_id, number, digest, author, note, created_at, files)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tenant_id,
            release.release_id,
            release.number,
            digest,
            author,
            note,
            to_micros(at),
            msgspec.json.encode(dict(files)),
        ),
    )
    if activate:
        connection.execute(
            "insert into active_releases (tenant_id, release_id, since_at) values (?, ?, ?)"
            " on conflict (tenant_id) do update set release_id = excluded.release_id, since_at = excluded.since_at",
            (tenant_id, release.release_id, to_micros(at)),
        )
    audit.append(
        connection,
        tenant_id,
        actor=author,
        action="release.apply" if activate else "release.keep",
        object=release.release_id,
        at=at,
        reason=note,
        detail={"number": release.number, "digest": digest, "changes": planned.changes[:200]},
    )
    return release


def _release(row: Row, *, active: bool) -> Release:
    return Release(row[0], row[1], row[2], row[3], row[4], from_micros(row[5]), active)


def _active_files(connection: Connection, tenant_id: str) -> dict[str, str] | None:
    row = connection.one("select release_id from active_releases where tenant_id = ?", (tenant_id,))
    return files_of(connection, tenant_id, row[0]) if row else None


def _wrong_tenant(configuration: Configuration, tenant_id: str) -> list[Finding]:
    if configuration.tenant_id == tenant_id:
        return []
    message = f"this pack is of the tenant {configuration.tenant_id}, not of {tenant_id}"
    return [Finding(INVALID, message, pointer="pack.yaml:1", line=1, value=configuration.tenant_id, expected=tenant_id)]


def _refused(planned: Plan) -> ConfigurationError:
    findings = [finding for finding in planned.findings if finding.severity == "error"]
    findings += [
        Finding("XD-MAP-017", f"the test {test.name!r} of {test.map} fails: {test.detail}", pointer=test.map)
        for test in planned.tests
        if not test.passed
    ]
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return ConfigurationError(
        f"{first.pointer}: {first.message}{more}",
        code=first.code,
        hint=tuple(dict.fromkeys(finding.hint for finding in findings if finding.hint)),
        pointer=first.pointer,
        findings=tuple(findings),
    )


def _table_of(text: str) -> str:
    return str(yaml.safe_load(text).get("table", ""))


def _with_row(text: str, key: str, value: str) -> str:
    """Return a lookup's text with one row set. Comments and order stay wherever the row is a line of its own."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    rows = next(node for name, node in root.value if name.value == "rows")
    if isinstance(rows, yaml.MappingNode):
        for name, node in rows.value:
            if name.value == key:
                return text[: node.start_mark.index] + _scalar(value) + text[node.end_mark.index :]
        if rows.value and not rows.flow_style:
            name = rows.value[0][0]
            row = f"{_scalar(key)}: {_scalar(value)}\n{' ' * name.start_mark.column}"
            return text[: name.start_mark.index] + row + text[name.start_mark.index :]
    plain: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes nothing but text
    plain["rows"] = {**(plain["rows"] or {}), key: value} if isinstance(plain["rows"], dict) else {key: value}
    lines = [f"{name}: {_scalar(str(content))}" for name, content in plain.items() if name != "rows"]
    return (
        "\n".join([*lines, "rows:", *(f"  {_scalar(k)}: {_scalar(str(v))}" for k, v in plain["rows"].items())]) + "\n"
    )


def _scalar(text: str) -> str:
    """Return a text in double quotes: JSON's are YAML's."""
    return msgspec.json.encode(text).decode()


def _lint(configuration: Configuration) -> list[Finding]:
    """Return what lint says of every map, against the schemas of the canonical objects on either side."""
    tables = frozenset(configuration.lookups)
    return [
        finding
        for compiled in configuration.maps.values()
        for finding in _lint_of(configuration.files[compiled.definition.file], compiled.definition.file, tables)
    ]


@lru_cache(maxsize=512)
def _lint_of(text: str, path: str, tables: frozenset[str]) -> tuple[Finding, ...]:
    """Lint one map once per text: a release that sets a row must not lint every map again inside the writer."""
    compiled = compiled_map(text, path)
    found = mapping.lint(
        text,
        file=path,
        source_schema=_shapes().get(compiled.source.object or ""),
        target_schema=_shapes().get(compiled.target.object or ""),
        lookups=tables,
    )
    return tuple(
        msgspec.structs.replace(finding, pointer=f"{path}:{finding.line or 1} {finding.pointer}".rstrip())
        for finding in found
    )


@lru_cache(maxsize=1)
def _shapes() -> dict[str, dict[str, Any]]:
    return schemas()


def _tests(configuration: Configuration) -> list[MapTest]:
    return [
        test
        for compiled in configuration.maps.values()
        for test in _tests_of(configuration.files[compiled.definition.file], compiled.definition.file)
    ]


@lru_cache(maxsize=512)
def _tests_of(text: str, path: str) -> tuple[MapTest, ...]:
    """Run one map's tests once per text; they bring their own tables, so nothing else of the pack changes them."""
    compiled = compiled_map(text, path)
    return tuple(
        MapTest(compiled.name, result.name, result.passed, "; ".join(result.differences))
        for result in mapping.run_tests(compiled, decode=_decode)
    )


def _decode(content: bytes, side: mapping.MapSide) -> list[dict[str, Any]]:
    """Decode the `given_raw` of a map's test, the way an inbound message of that format is decoded."""
    if side.format == "x12":
        sets = [one for interchange in edi.read_all(content).interchanges for one in interchange.sets]
        wanted = str(side.options.get("set", ""))
        return [edi.set_to_document(one) for one in sets if one.code == wanted or not wanted]
    return formats.decode(content, side).documents
