"""Secrets at rest and in use: sealed with a key of their own under the tenant's key under the installation's root key.

    root key ──HKDF(tenant)──▶ key of the tenant ──wraps──▶ data key of one secret ──AES-256-GCM──▶ the value
Both seals are bound to `tenant|name|version`: a sealed value moved to another tenant, name or version does not open.
A pack only names secrets (`secret:NAME`, `env:NAME`, `file:PATH`); `resolve` is the one place where a name becomes a
value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..durable.identity import from_micros, to_micros
from ..errors import ConfigurationError, NotFound
from ..store.engine import Connection

RandomBytes = Callable[[int], bytes]

SECRET_BYTES_MAX = 64 * 1024
_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_WRAPPED_BYTES = 12 + 32 + 16


class Secret:
    """A secret value that shows itself only to `reveal`. repr, str and format give a mask, and it does not pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself; give it straight to what needs it, never to a log or an error."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not written down")


class SecretEntry(msgspec.Struct, frozen=True):
    """What may be shown of a stored secret: never its value."""

    name: str
    version: int
    created_at: datetime


def put(
    connection: Connection,
    tenant_id: str,
    name: str,
    value: str,
    *,
    root_key: bytes,
    at: datetime,
    random_bytes: RandomBytes = os.urandom,
) -> SecretEntry:
    """Store a secret, or a new version of it in place of the old one."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a secret", hint="Use letters, digits, dot, dash, slash and underscore"
        )
    if len(value.encode()) > SECRET_BYTES_MAX:
        raise ConfigurationError(f"The secret {name} is larger than {SECRET_BYTES_MAX} bytes")
    row = connection.one("select sealed from secrets where tenant_id = ? and name = ?", (tenant_id, name))
    version = _version(bytes(row[0])) + 1 if row else 1
    sealed = seal(root_key, tenant_id, name, version, value, random_bytes=random_bytes)
    connection.execute(
        "insert into secrets (tenant_id, name, sealed, created_at) values (?, ?, ?, ?)"
        " on conflict (tenant_id, name) do update set sealed = excluded.sealed, created_at = excluded.created_at",
        (tenant_id, name, sealed, to_micros(at)),
    )
    return SecretEntry(name, version, at)


def get(connection: Connection, tenant_id: str, name: str, *, root_key: bytes) -> Secret:
    """Open a stored secret. `NotFound` when the tenant has none of that name."""
    row = connection.one("select sealed from secrets where tenant_id = ? and name = ?", (tenant_id, name))
    if row is None:
        raise NotFound(f"There is no secret {name}", hint=f"Store it with: crossdock secret put {name}")
    return unseal(root_key, tenant_id, name, bytes(row[0]))


def remove(connection: Connection, tenant_id: str, name: str) -> None:
    """Forget a secret; one that is not there raises `NotFound`."""
    if connection.one("delete from secrets where tenant_id = ? and name = ? returning name", (tenant_id, name)) is None:
        raise NotFound(f"There is no secret {name}")


def listed(connection: Connection, tenant_id: str) -> list[SecretEntry]:
    """Return names, versions and ages of the tenant's secrets; never a value."""
    rows = connection.query(
        "select name, sealed, created_at from secrets where tenant_id = ? order by name", (tenant_id,)
    )
    return [SecretEntry(row[0], _version(bytes(row[1])), from_micros(row[2])) for row in rows]


def stamps(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return for every tenant what changes when a secret is stored or removed; never a value.

    A running hub compares it to notice secrets that another process has changed.
    """
    rows = connection.query(
        "select tenant_id, count(*), sum(created_at - 1700000000000000) from secrets group by tenant_id"
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


def rewrap(
    connection: Connection,
    tenant_id: str,
    *,
    old_root_key: bytes,
    new_root_key: bytes,
    random_bytes: RandomBytes = os.urandom,
) -> int:
    """Seal every secret of the tenant under a new root key and return how many; one that does not open stops it all."""
    rows = connection.query("select name, sealed from secrets where tenant_id = ? order by name", (tenant_id,))
    for name, sealed in rows:
        value = unseal(old_root_key, tenant_id, name, bytes(sealed)).reveal()
        fresh = seal(new_root_key, tenant_id, name, _version(bytes(sealed)), value, random_bytes=random_bytes)
        connection.execute("update secrets set sealed = ? where tenant_id = ? and name = ?", (fresh, tenant_id, name))
    return len(rows)


def resolve(
    reference: str,
    *,
    connection: Connection | None = None,
    tenant_id: str = "",
    root_key: bytes = b"",
    environment: Mapping[str, str] | None = None,
    own_process: bool = True,
) -> Secret:
    """Return what a reference of a pack names: `secret:NAME`, `env:NAME` or `file:PATH`.

    Text without one of these prefixes is refused: a pack holds no secrets. The error names the reference, never a
    value.
    `own_process` false refuses `env:` and `file:`: where tenants write their own packs, these would show them the
    operator's environment and files.
    """
    kind, _, name = reference.partition(":")
    if kind == "secret" and name and connection is not None:
        return get(connection, tenant_id, name, root_key=root_key)
    if kind in ("env", "file") and not own_process:
        raise _unavailable(f"{kind}: is not open to this tenant's packs", hint="Use secret:NAME", pointer=reference)
    if kind == "env" and name:
        value = (os.environ if environment is None else environment).get(name)
        if value is None:
            raise _unavailable(f"The environment has no {name}", hint=f"Set {name} for the process", pointer=reference)
        return Secret(value)
    if kind == "file" and name:
        try:
            return Secret(Path(name).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise _unavailable(
                f"The secret's file {name} cannot be read", hint="Make it readable", pointer=reference
            ) from error
    raise _unavailable(
        "A secret is named, not written: the value is no reference", hint="Write secret:NAME, env:NAME or file:PATH"
    )


def is_reference(text: str) -> bool:
    """Tell whether a value names a secret instead of being one."""
    kind, _, name = text.partition(":")
    return kind in ("secret", "env", "file") and bool(name)


def seal(
    root_key: bytes, tenant_id: str, name: str, version: int, value: str, *, random_bytes: RandomBytes = os.urandom
) -> bytes:
    """Return the sealed bytes of a value: format, version, wrapped data key, nonce and ciphertext."""
    bound = _bound_to(tenant_id, name, version)
    data_key = random_bytes(32)
    wrap_nonce, nonce = random_bytes(12), random_bytes(12)
    wrapped = AESGCM(_tenant_key(root_key, tenant_id)).encrypt(wrap_nonce, data_key, bound)
    content = AESGCM(data_key).encrypt(nonce, value.encode(), bound)
    return bytes([_FORMAT]) + version.to_bytes(4, "big") + wrap_nonce + wrapped + nonce + content


def unseal(root_key: bytes, tenant_id: str, name: str, sealed: bytes) -> Secret:
    """Open sealed bytes, or raise `ConfigurationError`: changed, moved or sealed under another root key."""
    bound = _bound_to(tenant_id, name, _version(sealed))
    wrapped, content = sealed[5 : 5 + _WRAPPED_BYTES], sealed[5 + _WRAPPED_BYTES :]
    try:
        data_key = AESGCM(_tenant_key(root_key, tenant_id)).decrypt(wrapped[:12], wrapped[12:], bound)
        return Secret(AESGCM(data_key).decrypt(content[:12], content[12:], bound).decode())
    except (InvalidTag, ValueError) as error:
        raise ConfigurationError(
            f"The secret {name} does not open",
            code="XD-SEC-006",
            hint="It was sealed under another root key, or it was changed or moved; store it again",
            pointer=f"secret:{name}",
        ) from error


def _unavailable(message: str, *, hint: str, pointer: str = "") -> ConfigurationError:
    return ConfigurationError(message, code="XD-CFG-009", hint=hint, pointer=pointer)


def _tenant_key(root_key: bytes, tenant_id: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"crossdock tenant key|" + tenant_id.encode()).derive(
        root_key
    )


def _bound_to(tenant_id: str, name: str, version: int) -> bytes:
    return f"{tenant_id}|{name}|{version}".encode()


def _version(sealed: bytes) -> int:
    if len(sealed) < 5 + _WRAPPED_BYTES + 28 or sealed[0] != _FORMAT:
        raise ConfigurationError("A stored secret is damaged", code="XD-SEC-006", hint="Store the secret again")
    return int.from_bytes(sealed[1:5], "big")
