"""`/v1/keys` and `/v1/secrets`: who may call, and what connections prove themselves with. No value is read back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody

from ...errors import AccessDenied
from ...governance import access, audit, secrets
from ...governance.access import ApiKey
from ...governance.secrets import SecretEntry
from ..access import Principal
from ..context import api_principal, web_of
from ..hub_port import Hub

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of a role; one of role `partner` is bound to a connection."""

    role: str
    connection: str = ""
    label: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NewKey(msgspec.Struct, frozen=True):
    """The token of a new key, shown this once."""

    token: str


class KeyList(msgspec.Struct, frozen=True):
    """The keys of the tenant, revoked ones too; never a token."""

    items: tuple[ApiKey, ...]


class SecretRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret under the name that packs refer to as `secret:NAME`."""

    name: _Name
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class SecretName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which secret."""

    name: _Name


class SecretList(msgspec.Struct, frozen=True):
    """Names, versions and ages of the tenant's secrets; never a value."""

    items: tuple[SecretEntry, ...]


@get("/v1/keys", operation_id="listKeys", summary="List API keys", tags=["credentials"])
async def list_keys(request: Request[Any, Any, Any]) -> KeyList:
    """Return the tenant's keys, the oldest first."""
    principal, hub = await _who(request, "key.read")
    return KeyList(tuple(await hub.store.read(lambda connection: access.keys(connection, principal.tenant_id))))


@post("/v1/keys", operation_id="createKey", summary="Make an API key", tags=["credentials"], status_code=201)
async def create_key(request: Request[Any, Any, Any], data: JSONBody[KeyRequest]) -> NewKey:
    """Make a key and return its token, this once."""
    principal, hub = await _who(request, "key.create")
    if data.role == "operator" and principal.identity.role != "operator":
        raise AccessDenied("Only an operator makes operators", code="XD-SEC-002")
    token = await hub.create_key(principal.tenant_id, data.role, data.connection, data.label)
    await _note(principal, hub, "key.create", f"{data.role} {data.connection}".strip())
    return NewKey(token)


@post(
    "/v1/keys/{key_id:str}/revoke",
    operation_id="revokeKey",
    summary="Revoke an API key",
    tags=["credentials"],
    status_code=204,
)
async def revoke_key(request: Request[Any, Any, Any], key_id: FromPath[str]) -> None:
    """Make a key invalid; a process that remembers it forgets it within ten seconds."""
    principal, hub = await _who(request, "key.revoke")
    now = hub.clock.now()
    await hub.store.write(lambda connection: access.revoke_key(connection, principal.tenant_id, key_id, at=now))
    await _note(principal, hub, "key.revoke", key_id)


@get("/v1/secrets", operation_id="listSecrets", summary="List secrets", tags=["credentials"])
async def list_secrets(request: Request[Any, Any, Any]) -> SecretList:
    """Return what secrets there are."""
    principal, hub = await _who(request, "secret.list")
    return SecretList(tuple(await hub.store.read(lambda connection: secrets.listed(connection, principal.tenant_id))))


@post("/v1/secrets", operation_id="putSecret", summary="Store a secret", tags=["credentials"], status_code=204)
async def put_secret(request: Request[Any, Any, Any], data: JSONBody[SecretRequest]) -> None:
    """Seal a secret, or a new version of it; connections use it from now on."""
    principal, hub = await _who(request, "secret.put")
    await hub.set_secret(principal.tenant_id, data.name, data.value)
    await _note(principal, hub, "secret.put", f"secret:{data.name}")


@post(
    "/v1/secrets/remove", operation_id="removeSecret", summary="Remove a secret", tags=["credentials"], status_code=204
)
async def remove_secret(request: Request[Any, Any, Any], data: JSONBody[SecretName]) -> None:
    """Forget a secret; connections that name it stop working."""
    principal, hub = await _who(request, "secret.remove")
    await hub.remove_secret(principal.tenant_id, data.name)
    await _note(principal, hub, "secret.remove", f"secret:{data.name}")


async def _who(request: Request[Any, Any, Any], action: str) -> tuple[Principal, Hub]:
    principal = await api_principal(request)
    principal.require(action)
    return principal, web_of(request).hub


async def _note(principal: Principal, hub: Hub, action: str, what: str) -> None:
    now = hub.clock.now()
    await hub.store.write(
        lambda connection: audit.append(
            connection, principal.tenant_id, actor=principal.actor, action=action, object=what, at=now
        )
    )
