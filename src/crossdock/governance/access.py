"""Who may do what: roles, the permission table, API keys, sessions and one-click login links.

Tokens carry 256 bits of randomness, so the record keeps only their SHA-256; a slow password hash would protect nothing
more.
Every token names its tenant in clear and ends in a checksum: a mistyped one is refused without asking the record.
What the table does not list is denied. Sessions and links are found by digest alone, because the token is all a browser
has.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from ..canonical.identifiers import CROCKFORD
from ..durable.identity import Ids, from_micros, to_micros
from ..errors import AccessDenied, ConfigurationError, NotFound
from ..store.engine import Connection, Row

Role = Literal["operator", "integrator", "operations", "agent", "auditor", "partner"]
ROLES: tuple[str, ...] = get_args(Role)

TokenBytes = Callable[[int], bytes]

SESSION_HOURS_MAX = 12
SESSION_IDLE_MINUTES_MAX = 60
SEEN_AFTER_SECONDS = 60
LINK_MINUTES_MAX = 15

_READ = (
    "order.read", "shipment.read", "message.read", "issue.read", "inventory.read", "overview.read", "search.read",
    "event.read", "outage.read", "supply.read", "reconciliation.read", "return.read",
)  # fmt: skip
_REPAIR = (
    "message.replay",
    "message.discard",
    "message.amend",
    "replay.run",
    "issue.acknowledge",
    "issue.fix",
    "order.cancel",
    "order.note",
    "order.source",
    "return.request",
    "return.decide",
    "invoice.rebill",
    "outage.declare",
    "reconciliation.run",
    "reconciliation.accept",
    "job.read",
)
_CONFIGURE = ("release.read", "release.plan", "release.apply", "release.rollback", "lookup.set", "connection.check")

# The whole table. A right is `noun.verb`; there are no wildcards, so that a new right is nobody's until it is given.
PERMISSIONS: dict[str, frozenset[str]] = {
    "operator": frozenset(
        (*_READ, *_REPAIR, *_CONFIGURE, "message.raw", "message.ingest", "connection.pause", "tenant.create",
         "tenant.read", "key.create", "key.read", "key.revoke", "secret.put", "secret.list", "secret.remove",
         "audit.read", "audit.verify", "link.create", "restore.read", "restore.close", "retention.read",
         "retention.run")
    ),
    "integrator": frozenset(
        (*_READ, *_REPAIR, *_CONFIGURE, "message.raw", "message.ingest", "connection.pause", "secret.put",
         "secret.list")
    ),
    "operations": frozenset((*_READ, *_REPAIR, "message.raw", "release.read", "lookup.set", "connection.pause")),
    "agent": frozenset(("order.read", "shipment.read", "issue.read", "search.read", "overview.read", "order.note",
                        "return.read", "return.request", "return.decide")),
    "auditor": frozenset(
        (*_READ, "message.raw", "release.read", "audit.read", "audit.verify", "key.read", "secret.list")
    ),
    "partner": frozenset(("message.ingest", "supplier.read")),
}  # fmt: skip

ACTIONS: frozenset[str] = frozenset().union(*PERMISSIONS.values())


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asks: one actor with one role in one tenant. A partner is bound to `connection_id`; `label` names a key."""

    tenant_id: str
    actor: str
    role: str
    connection_id: str = ""
    label: str = ""


class ApiKey(msgspec.Struct, frozen=True):
    """What may be shown of a key: never the token."""

    key_id: str
    label: str
    role: str
    connection_id: str
    created_at: datetime
    revoked_at: datetime | None


class Session(msgspec.Struct, frozen=True):
    """A signed-in browser."""

    tenant_id: str
    actor: str
    role: str
    created_at: datetime
    expires_at: datetime

    @property
    def identity(self) -> Identity:
        return Identity(self.tenant_id, self.actor, self.role)


def may(role: str, action: str) -> bool:
    """Tell whether a role has a right. An unknown role or right has, and gives, none."""
    return action in PERMISSIONS.get(role, frozenset())


def may_ingest(identity: Identity, tenant_id: str, connection_id: str) -> bool:
    """Tell whether this identity may hand in documents on a connection; a partner only on its own."""
    if identity.tenant_id != tenant_id or not may(identity.role, "message.ingest"):
        return False
    return identity.role != "partner" or (bool(connection_id) and identity.connection_id == connection_id)


def require(identity: Identity, action: str) -> None:
    """Raise `AccessDenied` when the identity's role lacks the right."""
    if not may(identity.role, action):
        raise AccessDenied(f"The role {identity.role} may not {action}", code="XD-SEC-002")


def new_token(tenant_id: str, *, kind: str = "xd", token_bytes: TokenBytes = randomness.token_bytes) -> str:
    """Return a fresh token `<kind>_<tenant>_<52 characters><6 characters of checksum>`."""
    number = int.from_bytes(token_bytes(32), "big")
    text = "".join(CROCKFORD[(number >> shift) & 31] for shift in range(255, -1, -5))
    return f"{kind}_{tenant_id}_{text}{_checksum(kind, tenant_id, text)}"


def token_tenant(token: str, *, kind: str = "xd") -> str:
    """Return the tenant a well-formed token names; empty when the token is mistyped or of another kind."""
    head, _, tail = token.rpartition("_")
    found, _, tenant_id = head.partition("_")
    if found != kind or not tenant_id or len(tail) != 58:
        return ""
    return tenant_id if hmac.compare_digest(_checksum(kind, tenant_id, tail[:52]).encode(), tail[52:].encode()) else ""


def create_key(
    connection: Connection,
    tenant_id: str,
    role: str,
    *,
    at: datetime,
    ids: Ids,
    label: str = "",
    connection_id: str = "",
    token_bytes: TokenBytes = randomness.token_bytes,
) -> tuple[str, ApiKey]:
    """Make an API key and return its token, which is shown this once, and its record."""
    if role not in PERMISSIONS:
        raise ConfigurationError(f"There is no role {role}", hint=f"Roles: {', '.join(ROLES)}")
    if (role == "partner") != bool(connection_id):
        raise ConfigurationError("A key of role partner is bound to a connection, and only such a key is")
    token = new_token(tenant_id, token_bytes=token_bytes)
    key = ApiKey(ids.new("key", at), label, role, connection_id, at, None)
    connection.execute(
        "insert into api_keys (tenant_id, key_id, digest, label, role, connection_id, created_at)"
        " values (?,?,?,?,?,?,?)",
        (tenant_id, key.key_id, digest_of(token), label, role, connection_id, to_micros(at)),
    )
    return token, key


def identify(connection: Connection, token: str) -> Identity:
    """Return who an API key stands for, or raise `AccessDenied`; unknown, revoked and mistyped look the same."""
    tenant_id = token_tenant(token)
    row = None
    if tenant_id:
        row = connection.one(
            "select tenant_id, key_id, role, connection_id, label from api_keys where digest = ? and"
            " revoked_at is null",
            (digest_of(token),),
        )
    if row is None or row[0] != tenant_id:
        raise AccessDenied(
            "The API key is not valid", code="XD-SEC-001", hint="Send a valid key as: Authorization: Bearer …"
        )
    return Identity(row[0], row[1], row[2], row[3], row[4])


def keys(connection: Connection, tenant_id: str) -> list[ApiKey]:
    """Return the tenant's keys, oldest first, revoked ones too."""
    rows = connection.query(
        "select key_id, label, role, connection_id, created_at, revoked_at from api_keys where"
        " tenant_id = ? order by key_id",
        (tenant_id,),
    )
    return [ApiKey(r[0], r[1], r[2], r[3], from_micros(r[4]), from_micros(r[5]) if r[5] else None) for r in rows]


def revoke_key(connection: Connection, tenant_id: str, key_id: str, *, at: datetime) -> None:
    """Make a key invalid at once. A key of another tenant is `NotFound`; revoking twice changes nothing."""
    changed = connection.execute(
        "update api_keys set revoked_at = coalesce(revoked_at, ?) where tenant_id = ? and key_id = ?",
        (to_micros(at), tenant_id, key_id),
    )
    if changed == 0:
        raise NotFound(f"There is no key {key_id}")


def create_session(
    connection: Connection,
    tenant_id: str,
    actor: str,
    role: str,
    *,
    at: datetime,
    hours: int = SESSION_HOURS_MAX,
    token_bytes: TokenBytes = randomness.token_bytes,
) -> tuple[str, Session]:
    """Sign an actor in; return the cookie's token, of which the record keeps the digest, and the session."""
    if role not in PERMISSIONS or role == "partner":
        raise AccessDenied(f"The role {role} has no sessions", code="XD-SEC-002")
    token = new_token(tenant_id, kind="xs", token_bytes=token_bytes)
    session = Session(tenant_id, actor, role, at, at + timedelta(hours=min(hours, SESSION_HOURS_MAX)))
    connection.execute(
        "insert into sessions (session_digest, tenant_id, actor, role, created_at, seen_at,"
        " expires_at) values (?,?,?,?,?,?,?)",
        (digest_of(token), tenant_id, actor, role, to_micros(at), to_micros(at), to_micros(session.expires_at)),
    )
    return token, session


def session(connection: Connection, token: str, *, at: datetime) -> Session | None:
    """Return the live session of a cookie's token; None when it is unknown, expired or idle for too long."""
    row = _session_row(connection, token, at)
    return _session(row) if row else None


def touch_session(connection: Connection, token: str, *, at: datetime) -> bool:
    """Note that a session is in use; written at most once a minute. Return whether something was written."""
    changed = connection.execute(
        "update sessions set seen_at = ? where session_digest = ? and seen_at < ?",
        (to_micros(at), digest_of(token), to_micros(at - timedelta(seconds=SEEN_AFTER_SECONDS))),
    )
    return changed > 0


def rotate_session(
    connection: Connection, token: str, *, at: datetime, token_bytes: TokenBytes = randomness.token_bytes
) -> tuple[str, Session]:
    """Exchange a live session's token for a new one; the old one is dead at once. The end of the session stays."""
    row = _session_row(connection, token, at)
    if row is None:
        raise AccessDenied("The session has ended", code="XD-SEC-001", hint="Sign in again")
    fresh = new_token(row[0], kind="xs", token_bytes=token_bytes)
    connection.execute(
        "update sessions set session_digest = ?, seen_at = ? where session_digest = ?",
        (digest_of(fresh), to_micros(at), digest_of(token)),
    )
    return fresh, _session(row)


def end_session(connection: Connection, token: str) -> None:
    """Sign out: forget the session. Ending one that is gone changes nothing."""
    connection.execute("delete from sessions where session_digest = ?", (digest_of(token),))


def end_sessions_of(connection: Connection, tenant_id: str, actor: str) -> int:
    """Sign an actor out everywhere, such as after a change of role; return how many sessions ended."""
    return connection.execute("delete from sessions where tenant_id = ? and actor = ?", (tenant_id, actor))


def create_login_link(
    connection: Connection,
    tenant_id: str,
    actor: str,
    role: str,
    *,
    at: datetime,
    minutes: int = LINK_MINUTES_MAX,
    token_bytes: TokenBytes = randomness.token_bytes,
) -> str:
    """Return the token of a link that signs `actor` in once, within `minutes`."""
    if role not in PERMISSIONS or role == "partner":
        raise AccessDenied(f"The role {role} has no sessions", code="XD-SEC-002")
    token = new_token(tenant_id, kind="xl", token_bytes=token_bytes)
    connection.execute(
        "insert into login_links (link_digest, tenant_id, actor, role, created_at, expires_at)"
        " values (?, ?, ?, ?, ?, ?)",
        (digest_of(token), tenant_id, actor, role, to_micros(at), to_micros(at + timedelta(minutes=minutes))),
    )
    return token


def redeem_login_link(
    connection: Connection, token: str, *, at: datetime, token_bytes: TokenBytes = randomness.token_bytes
) -> tuple[str, Session]:
    """Exchange a link's token for a session, once; used, expired and unknown links look the same."""
    row = connection.one(
        "delete from login_links where link_digest = ? returning tenant_id, actor, role, expires_at",
        (digest_of(token),),
    )
    if row is None or row[3] <= to_micros(at):
        raise AccessDenied("The link is used or expired", code="XD-SEC-001", hint="Ask for a new link")
    return create_session(connection, row[0], row[1], row[2], at=at, token_bytes=token_bytes)


def forget_expired(connection: Connection, *, at: datetime) -> int:
    """Remove sessions and links whose time is over; return how many."""
    now = to_micros(at)
    ended = connection.execute("delete from sessions where expires_at <= ?", (now,))
    return ended + connection.execute("delete from login_links where expires_at <= ?", (now,))


def digest_of(token: str) -> str:
    """Return what the record keeps of a token: its SHA-256, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _session_row(connection: Connection, token: str, at: datetime) -> Row | None:
    if not token_tenant(token, kind="xs"):
        return None
    row = connection.one(
        "select tenant_id, actor, role, created_at, expires_at, seen_at from sessions where session_digest = ?",
        (digest_of(token),),
    )
    idle_since = to_micros(at - timedelta(minutes=SESSION_IDLE_MINUTES_MAX))
    return row if row is not None and row[4] > to_micros(at) and row[5] > idle_since else None


def _session(row: Row) -> Session:
    return Session(row[0], row[1], row[2], from_micros(row[3]), from_micros(row[4]))


def _checksum(kind: str, tenant_id: str, text: str) -> str:
    digest = hashlib.sha256(f"{kind}|{tenant_id}|{text}".encode()).digest()
    return "".join(CROCKFORD[byte & 31] for byte in digest[:6])
