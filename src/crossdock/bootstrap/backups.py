"""Make a backup of the record that the settings name, and put one in place where nothing is.

A restored record is marked before anything can run on it: what partners may have got since is in doubt
(store/restores.py). Until the mark is durable the record has not its name yet (SQLite) or its lock is held
(PostgreSQL).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from .. import __version__
from ..canonical.events import Event
from ..config import Settings, load_root_key
from ..durable.identity import Clock, Ids, SystemClock, from_micros, to_micros
from ..errors import ConfigurationError, CrossdockError
from ..governance import audit, releases, tenants
from ..store import backup as copies
from ..store import journal, restores
from ..store.backup import FILES, MANIFEST, Manifest, RestoreRefused
from ..store.engine import Connection, Store, migration_texts, open_store

PARTIAL = ".partial"
# On PostgreSQL a message may be committed this much later than the instant it bears (a transaction may idle so long).
POSTGRES_MARGIN_MICROS = 60_000_000


class Restored(msgspec.Struct, frozen=True):
    """What a restore did, by tenant."""

    restore_id: str
    manifest: Manifest
    url: str
    tenants: dict[str, restores.Marked]


def make_backup(settings: Settings, parent: Path, *, clock: Clock | None = None) -> tuple[Path, Manifest]:
    """Copy the record into a new directory below `parent`; the hub may run meanwhile. Return it after it was verified.

    Raises BackupFailed; then nothing is left under the final name.
    """
    ids = Ids(clock or SystemClock())
    key_fingerprint = copies.fingerprint(load_root_key(settings))
    started = (clock or SystemClock()).now()
    name = f"crossdock-{started:%Y%m%dT%H%M%S.%fZ}"
    directory, draft = parent / name, parent / f"{name}{PARTIAL}"
    parent.mkdir(parents=True, exist_ok=True)
    draft.mkdir(mode=0o700)
    try:
        engine = "postgresql" if settings.store.sqlite_path is None else "sqlite"
        file = draft / FILES[engine]
        if settings.store.sqlite_path is not None:
            facts, version = copies.copy_sqlite(settings.store.sqlite_path, file)
            checked, damaged = copies.check_sqlite(file)
        else:
            facts, version, checked, damaged = copies.dump_postgres(settings.store.url, file)
        manifest = Manifest(
            backup_id=ids.new("bak"),
            engine=engine,
            made_at=facts.made_at,
            crossdock_version=__version__,
            engine_version=version,
            migrations=facts.migrations,
            file=file.name,
            size_bytes=file.stat().st_size,
            sha256=copies.digest_of_file(file),
            journal_position=facts.journal_position,
            rows=facts.rows,
            payloads_checked=checked,
            damaged=damaged,
            audit_heads=facts.audit_heads,
            root_key_fingerprint=key_fingerprint,
        )
        (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        copies.flush(draft / MANIFEST)
        copies.flush(draft)
        draft.rename(directory)
        copies.flush(parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return directory, manifest


def restore(settings: Settings, directory: Path, url: str, *, clock: Clock | None = None) -> Restored:
    """Put a backup in place at `url`, where nothing is yet, and mark it.

    Raises RestoreRefused; then nothing is there.
    """
    manifest = copies.read_manifest(directory)
    file = copies.check_file(directory, manifest)
    known = {name for name, _ in migration_texts({})}
    if unknown := sorted(set(manifest.migrations) - known):
        raise RestoreRefused(
            f"the backup was made by a newer Crossdock ({manifest.crossdock_version}): {', '.join(unknown)}",
            hint=f"Install Crossdock {manifest.crossdock_version}",
        )
    _check_key(settings, manifest)
    clock = clock or SystemClock()
    if url.startswith("sqlite:///"):
        if manifest.engine != "sqlite":
            raise RestoreRefused(f"a backup of {manifest.engine} cannot become an SQLite record")
        return _restore_sqlite(manifest, file, Path(url.removeprefix("sqlite:///")), clock)
    if manifest.engine != "postgresql":
        raise RestoreRefused(f"a backup of {manifest.engine} cannot become a PostgreSQL record")
    return _restore_postgres(manifest, file, url, clock)


def _check_key(settings: Settings, manifest: Manifest) -> None:
    """Refuse another root key: with it no stored secret could be opened."""
    try:
        key = load_root_key(settings)
    except ConfigurationError as error:
        raise RestoreRefused(
            f"the root key that belongs to this backup is not here: {error}",
            hint="Put the key file back first (security.root_key_file); a backup never holds it",
        ) from error
    if copies.fingerprint(key) != manifest.root_key_fingerprint:
        raise RestoreRefused(
            "the root key here is not the one of the backup: no secret in it could be opened",
            hint="Put the key file back that belongs to it; a backup never holds it",
        )


def _restore_sqlite(manifest: Manifest, file: Path, target: Path, clock: Clock) -> Restored:
    for suffix in ("", "-wal", "-shm", "-journal"):
        if Path(f"{target}{suffix}").exists():
            raise RestoreRefused(
                f"{target}{suffix} is there already: a restore never replaces anything",
                hint="Move it away first, and keep it: it may hold what the backup does not",
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(f"{target}{PARTIAL}")
    _remove(draft)
    try:
        shutil.copyfile(file, draft)
        copies.check_sqlite(draft)
        with closing(open_store(f"sqlite:///{draft}", readers=1)) as store:
            done = mark(store, manifest, f"sqlite:///{target}", clock)
        if Path(f"{draft}-wal").exists():
            raise RestoreRefused(f"{draft} could not be closed in order")
        copies.flush(draft)
        # A link never replaces what came there meanwhile; a rename would.
        os.link(draft, target)
        copies.flush(target.parent)
    except FileExistsError as error:
        raise RestoreRefused(f"{target} appeared during the restore") from error
    finally:
        _remove(draft)
    return done


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{draft}{suffix}").unlink(missing_ok=True)


def _restore_postgres(manifest: Manifest, file: Path, url: str, clock: Clock) -> Restored:
    with copies.hold_worker_lock(url):
        if not copies.is_empty_postgres(url):
            raise RestoreRefused(
                "the database is not empty: a restore never replaces anything",
                hint=(
                    "Create an empty database, and name it with --url",
                    "If a restore was cut off here, drop this database and create it again",
                ),
            )
        # Until the record is marked no hub may start on it, whatever becomes of this process.
        copies.begin_restore(url)
        try:
            copies.load_postgres(url, file)
        except RestoreRefused:
            copies.give_up_restore(url)
            raise
        with closing(open_store(url, readers=1)) as store:
            return mark(store, manifest, url, clock)


def mark(store: Store, manifest: Manifest, url: str, clock: Clock) -> Restored:
    """Write into a restored record what it cannot know, in one transaction."""
    ids = Ids(clock)
    restore_id = ids.new("rst")

    def write(connection: Connection) -> dict[str, restores.Marked]:
        now = clock.now()
        marked = {}
        events = []
        for tenant in tenants.listed(connection):
            marked[tenant.tenant_id] = restores.mark(
                connection,
                tenant.tenant_id,
                restore_id=restore_id,
                backup_id=manifest.backup_id,
                connections=_connections(connection, tenant.tenant_id),
                backed_up_at=manifest.made_at,
                restored_at=to_micros(now),
                margin_micros=0 if store.engine == "sqlite" else POSTGRES_MARGIN_MICROS,
            )
            events.append(_event(tenant.tenant_id, restore_id, manifest, ids, now))
            audit.append(
                connection,
                tenant.tenant_id,
                actor="command line",
                action="record.restore",
                object=restore_id,
                detail={"backup": manifest.backup_id, "backed_up_at": from_micros(manifest.made_at)},
                at=now,
            )
        restores.forget_transactions(connection)
        restores.jump_positions(connection)
        if events:
            journal.append(connection, events)
            restores.place_event(connection, events[-1].id)
        restores.end_sign_ins(connection)
        restores.finish(connection)
        return marked

    return Restored(restore_id, manifest, url, store.write_now(write))


def _event(tenant_id: str, restore_id: str, manifest: Manifest, ids: Ids, now: datetime) -> Event:
    """Return what followers of the journal are told: it goes on from an earlier instant."""
    data = {"backup": manifest.backup_id, "backed_up_at": from_micros(manifest.made_at).isoformat()}
    return Event(
        id=ids.new("evt"),
        tenant_id=tenant_id,
        type="crossdock.record.restored.v1",
        subject=f"restore/{restore_id}",
        data=data,
        occurred_at=now,
        recorded_at=now,
        correlation_id=f"restore/{restore_id}",
    )


def _connections(connection: Connection, tenant_id: str) -> Iterator[str]:
    """Yield the connections of the active release; one that cannot be read leaves those that have rows."""
    try:
        yield from releases.active(connection, tenant_id).connections
    except (CrossdockError, msgspec.MsgspecError):
        return
