"""The audit trail: who did what to which object and why, as one hash chain for each tenant.

Each entry holds the hash of the one before it, so an edit, an insertion, a removal or a swap breaks the chain at a row
that `verify` names. A cut at the end, or a chain that was rewritten as a whole, shows only against a head that was kept
elsewhere: `head` gives it, `verify(…, expected=…)` compares. Entries are numbered without gaps; nothing here changes
one.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import from_micros, to_micros
from ..store.engine import Connection, Row

GENESIS = "0" * 64
PAGE_ROWS = 1_000

_COLUMNS = "audit_id, at, actor, action, object, reason, detail, previous_hash, hash"


class Entry(msgspec.Struct, frozen=True):
    """One act. `action` is a verb of the permission table (`release.apply`), `detail` what changed, as JSON values."""

    audit_id: str
    at: datetime
    actor: str
    action: str
    object: str
    reason: str
    detail: Any
    hash: str


class Head(msgspec.Struct, frozen=True):
    """The end of the chain: keep it in a second place to notice a cut or a rewritten whole."""

    count: int
    hash: str


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check of the chain found. `first_bad` names the first entry that does not fit, `reason` says how."""

    ok: bool
    checked: int
    head: Head
    first_bad: str = ""
    reason: str = ""


def append(
    connection: Connection,
    tenant_id: str,
    *,
    actor: str,
    action: str,
    object: str,  # noqa: A002 - the word of the table and of the screen
    at: datetime,
    reason: str = "",
    detail: Any = None,
) -> Entry:
    """Add an entry in the caller's database transaction, so that the act and its entry stand or fall together."""
    # Touching the tenant's row makes appends of one tenant wait for each other on PostgreSQL; SQLite has one writer
    # anyway.
    connection.execute("update tenants set name = name where tenant_id = ?", (tenant_id,))
    last = connection.one(
        "select audit_id, hash from audit where tenant_id = ? order by audit_id desc limit 1", (tenant_id,)
    )
    number = int(last[0].removeprefix("aud_")) + 1 if last else 1
    audit_id = f"aud_{number:012d}"
    previous = last[1] if last else GENESIS
    body = msgspec.json.encode(detail) if detail is not None else None
    micros = to_micros(at)
    digest = _digest(tenant_id, (audit_id, micros, actor, action, object, reason, body, previous))
    connection.execute(
        f"insert into audit (tenant_id, {_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (tenant_id, audit_id, micros, actor, action, object, reason, body, previous, digest),
    )
    return Entry(audit_id, at, actor, action, object, reason, detail, digest)


def head(connection: Connection, tenant_id: str) -> Head:
    """Return the end of the tenant's chain; an empty chain has count 0."""
    last = connection.one(
        "select audit_id, hash from audit where tenant_id = ? order by audit_id desc limit 1", (tenant_id,)
    )
    return Head(int(last[0].removeprefix("aud_")), last[1]) if last else Head(0, GENESIS)


def verify(connection: Connection, tenant_id: str, *, expected: Head | None = None) -> Verdict:
    """Recompute the chain from its first entry and say where it breaks, if it does.

    `expected` is a head kept elsewhere: the chain must reach it and hold that hash at that place.
    """
    previous, count, after = GENESIS, 0, ""
    seen_expected = expected is None or expected.count == 0
    while rows := connection.query(
        f"select {_COLUMNS} from audit where tenant_id = ? and audit_id > ? order by audit_id limit ?",  # noqa: S608
        (tenant_id, after, PAGE_ROWS),
    ):
        for row in rows:
            reason = _fault(tenant_id, row, count + 1, previous)
            if not reason and expected is not None and count + 1 == expected.count:
                seen_expected = True
                reason = (
                    ""
                    if row[8] == expected.hash
                    else "The chain was rewritten: this entry is not the one kept elsewhere"
                )
            if reason:
                return Verdict(False, count, Head(count, previous), row[0], reason)
            count, previous, after = count + 1, row[8], row[0]
    if not seen_expected:
        missing = f"aud_{count + 1:012d}"
        return Verdict(False, count, Head(count, previous), missing, f"The end is cut off: {count} entries are left")
    return Verdict(True, count, Head(count, previous))


def entries(connection: Connection, tenant_id: str, *, before: str = "", limit: int = 100) -> list[Entry]:
    """Return the newest entries first; `before` is the last id of the page before."""
    rows = connection.query(
        f"select {_COLUMNS} from audit where tenant_id = ? and audit_id < ? order by audit_id desc limit ?",  # noqa: S608
        (tenant_id, before or "aud_999999999999", min(limit, PAGE_ROWS)),
    )
    return [
        Entry(r[0], from_micros(r[1]), r[2], r[3], r[4], r[5], msgspec.json.decode(r[6]) if r[6] else None, r[8])
        for r in rows
    ]


def _fault(tenant_id: str, row: Row, number: int, previous: str) -> str:
    """Say in what way an entry breaks the chain; empty when it fits."""
    if row[0] != f"aud_{number:012d}":
        return f"Entry aud_{number:012d} is missing"
    if row[7] != previous:
        return "The entry before it was changed, removed or swapped"
    body = bytes(row[6]) if row[6] is not None else None
    if row[8] != _digest(tenant_id, (row[0], row[1], row[2], row[3], row[4], row[5], body, row[7])):
        return "The entry was changed after it was written"
    return ""


def _digest(tenant_id: str, parts: Row) -> str:
    """Hash an entry as a JSON list, so that no two different entries read the same."""
    return hashlib.sha256(msgspec.json.encode([tenant_id, *parts])).hexdigest()
