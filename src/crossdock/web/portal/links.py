"""The address of one order's page: signed, so that it can be kept and reloaded, and tells nothing to who has it not.

The token holds the order's number and an end; the key is derived from the installation's root key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime, timedelta

import msgspec

LIFETIME = timedelta(days=7)


class _Grant(msgspec.Struct, array_like=True):
    tenant_id: str
    order_number: str
    until: int


def order_token(key: bytes, tenant_id: str, order_number: str, *, now: datetime) -> str:
    """Return a token that opens one order of one tenant for seven days."""
    grant = msgspec.msgpack.encode(_Grant(tenant_id, order_number, int((now + LIFETIME).timestamp())))
    return _text(grant) + "." + _text(_mac(key, grant))


def opened_order(key: bytes, tenant_id: str, token: str, *, now: datetime) -> str | None:
    """Return the order number a token opens; None when it is forged, over or another tenant's."""
    body, _, mac = token.partition(".")
    try:
        grant, given = _bytes(body), _bytes(mac)
        if not hmac.compare_digest(_mac(key, grant), given):
            return None
        found = msgspec.msgpack.decode(grant, type=_Grant)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return found.order_number if found.tenant_id == tenant_id and found.until > now.timestamp() else None


def _mac(key: bytes, grant: bytes) -> bytes:
    return hmac.digest(key, grant, "sha256")[:18]


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii", "replace") + b"=" * (-len(text) % 4))
