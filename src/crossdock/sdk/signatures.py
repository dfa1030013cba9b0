"""Signatures of webhooks, both ways: Standard Webhooks (v1 HMAC-SHA256, v1a Ed25519) and plain HMAC.

Verification looks at the raw body before anybody parses it, compares in constant time, accepts any of several secrets
(rotation) and fails with AccessDenied and one of four codes, never with anything else:

    XD-SEC-010  missing     a header that has to be there is not
    XD-SEC-011  malformed   a header cannot be read
    XD-SEC-012  expired     the timestamp is too old or too far ahead
    XD-SEC-013  wrong       no secret fits

Time is handed in. Whether an id was seen before is the business of whoever stores it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..errors import AccessDenied, ConfigurationError

MISSING, MALFORMED, EXPIRED, WRONG = "XD-SEC-010", "XD-SEC-011", "XD-SEC-012", "XD-SEC-013"

Encoding = Literal["hex", "base64"]

SECRET_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
HEADER_LENGTH_MAX = 4096
SIGNATURES_MAX = 16
ID_LENGTH_MAX = 255
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}")
# An id that holds what looks like a timestamp would let one signature stand for two readings of `id.timestamp.body`.
_AMBIGUOUS = re.compile(r"\.[0-9]{9,}(\.|$)")
_VISIBLE = re.compile(r"[!-~]+")


class Verified(msgspec.Struct, frozen=True):
    """A signature that fits: the sender's id of the message (empty where the scheme has none) and when it signed."""

    id: str
    signed_at: datetime | None


def sign_standard(identity: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three Standard Webhooks headers, one signature for each secret in the order given.

    A secret is `whsec_` + base64 (HMAC), `whsk_` + base64 of 32 bytes (Ed25519), or any other text, used as it is.
    Raises ConfigurationError for a secret that cannot be used and for an identity that cannot stand in a header.
    """
    if not secrets:
        raise ConfigurationError("there is no secret to sign with", hint="Add the secret `signing_secret`.")
    if not _is_identity(identity):
        raise ConfigurationError(
            f"{identity[:80]!r} cannot be a webhook-id", hint="Use up to 255 visible ASCII characters."
        )
    content = b"%s.%d." % (identity.encode(), timestamp) + body
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_sign(content, secret) for secret in secrets),
    }


def verify_standard(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now: datetime, tolerance_seconds: float = 300.0
) -> Verified:
    """Return id and time of a genuine Standard Webhooks message, or raise AccessDenied.

    `headers` may be spelled in any case. Secrets may be HMAC secrets, Ed25519 public keys (`whpk_`) or private ones.
    """
    values = lower_names(headers)
    identity = _required(values, "webhook-id")
    timestamp = _required(values, "webhook-timestamp")
    presented = _required(values, "webhook-signature").split(" ")
    if not _is_identity(identity):
        raise AccessDenied("the webhook-id is malformed", code=MALFORMED)
    signed_at = _signed_at(timestamp, now, tolerance_seconds)
    candidates = [_standard_signature(item) for item in presented if item]
    if not candidates or len(candidates) > SIGNATURES_MAX:
        raise AccessDenied("the webhook-signature holds no signature, or too many", code=MALFORMED)
    content = f"{identity}.{timestamp}.".encode() + body
    if not _any_fits(content, secrets, candidates):
        raise AccessDenied("the signature does not fit", code=WRONG, hint="Compare the signing secret on both sides.")
    return Verified(identity, signed_at)


def sign_hmac(
    body: bytes, secret: str, *, encoding: Encoding = "hex", prefix: str = "", timestamp: int | None = None
) -> str:
    """Return the value of a plain HMAC-SHA256 header, over the body or over `timestamp.body`.

    >>> sign_hmac(b"{}", "s3cret", prefix="sha256=")[:15]
    'sha256=adbde1ce'
    """
    content = body if timestamp is None else b"%d." % timestamp + body
    digest = hmac.digest(secret.encode(), content, hashlib.sha256)
    return prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())


def verify_hmac(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    header: str = "x-signature",
    timestamp_header: str = "",
    now: datetime,
    tolerance_seconds: float = 300.0,
) -> Verified:
    """Check a plain HMAC-SHA256 header, in hex or base64, with or without a `sha256=` before it.

    With `timestamp_header` the timestamp is signed too and has to be fresh; without, a captured request can be
    replayed, and only the key of the message protects from doing its work twice.
    """
    values = lower_names(headers)
    presented = _required(values, header.lower()).strip()
    signed_at, content = None, body
    if timestamp_header:
        timestamp = _required(values, timestamp_header.lower())
        signed_at = _signed_at(timestamp, now, tolerance_seconds)
        content = f"{timestamp}.".encode() + body
    digest = _plain_digest(presented)
    fits = False
    for secret in secrets:
        fits |= hmac.compare_digest(hmac.digest(secret.encode(), content, hashlib.sha256), digest)
    if not fits:
        raise AccessDenied("the signature does not fit", code=WRONG, hint="Compare the signing secret on both sides.")
    return Verified("", signed_at)


def lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by their names in small letters; one that appears twice is malformed when asked for."""
    values: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        values[key] = value if key not in values else "\0"
    return values


def is_usable_secret(secret: str) -> bool:
    """Tell whether a signing secret can be read: for lint, before anything is signed with it."""
    try:
        _sign(b"", secret)
    except ConfigurationError:
        return secret.startswith(PUBLIC_PREFIX) and _public_key(secret) is not None
    return True


def _sign(content: bytes, secret: str) -> str:
    if secret.startswith(PRIVATE_PREFIX):
        private = _private_key(secret)
        if private is None:
            raise ConfigurationError("the signing key after whsk_ is not the base64 of 32 bytes")
        return "v1a," + base64.b64encode(private.sign(content)).decode()
    key = _symmetric_key(secret)
    if not key:
        raise ConfigurationError("the signing secret is empty, or not base64 after whsec_")
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def _any_fits(content: bytes, secrets: Iterable[str], candidates: Iterable[tuple[str, bytes]]) -> bool:
    fits = False
    for secret in secrets:
        if secret.startswith((PUBLIC_PREFIX, PRIVATE_PREFIX)):
            private = _private_key(secret) if secret.startswith(PRIVATE_PREFIX) else None
            public = private.public_key() if private is not None else _public_key(secret)
            for version, signature in candidates:
                fits |= version == "v1a" and public is not None and _ed25519_fits(public, signature, content)
            continue
        key = _symmetric_key(secret)
        if not key:
            continue  # an empty key would accept what anybody can sign
        digest = hmac.digest(key, content, hashlib.sha256)
        for version, signature in candidates:
            fits |= version == "v1" and hmac.compare_digest(digest, signature)
    return fits


def _ed25519_fits(public: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _symmetric_key(secret: str) -> bytes:
    if secret.startswith(SECRET_PREFIX):
        return _decode(secret.removeprefix(SECRET_PREFIX)) or b""
    return secret.encode()


def _private_key(secret: str) -> Ed25519PrivateKey | None:
    seed = _decode(secret.removeprefix(PRIVATE_PREFIX))
    return Ed25519PrivateKey.from_private_bytes(seed[:32]) if seed is not None and len(seed) in (32, 64) else None


def _public_key(secret: str) -> Ed25519PublicKey | None:
    raw = _decode(secret.removeprefix(PUBLIC_PREFIX))
    if raw is None or len(raw) != 32:
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        return None


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _required(values: Mapping[str, str], name: str) -> str:
    value = values.get(name, "")
    if not value:
        raise AccessDenied(f"the header {name} is missing", code=MISSING)
    if len(value) > HEADER_LENGTH_MAX or not value.isascii() or "\0" in value:
        raise AccessDenied(f"the header {name} is malformed", code=MALFORMED)
    return value


def _is_identity(text: str) -> bool:
    return len(text) <= ID_LENGTH_MAX and _VISIBLE.fullmatch(text) is not None and not _AMBIGUOUS.search(text)


def _signed_at(timestamp: str, now: datetime, tolerance_seconds: float) -> datetime:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise AccessDenied("the timestamp is not in whole seconds since 1970", code=MALFORMED)
    seconds = int(timestamp)
    if abs(now.timestamp() - seconds) > tolerance_seconds:
        raise AccessDenied(
            f"the timestamp is more than {tolerance_seconds:g} seconds away from now",
            code=EXPIRED,
            hint="Compare the clocks of both sides; a repeated send must be signed anew.",
        )
    return datetime.fromtimestamp(seconds, UTC)


def _standard_signature(item: str) -> tuple[str, bytes]:
    version, comma, text = item.partition(",")
    if not comma or not version or not text:
        raise AccessDenied("the webhook-signature is malformed", code=MALFORMED)
    if version not in ("v1", "v1a"):
        return version, b""  # a version of the future: not an error, it just fits nothing
    signature = _decode(text)
    if signature is None or len(signature) != (32 if version == "v1" else 64):
        raise AccessDenied("the webhook-signature is malformed", code=MALFORMED)
    return version, signature


def _plain_digest(text: str) -> bytes:
    text = text.removeprefix("sha256=")
    try:
        digest = bytes.fromhex(text) if len(text) == 64 else _decode(text)
    except ValueError:
        digest = None
    if digest is None or len(digest) != 32:
        raise AccessDenied("the signature is neither hex nor base64 of 32 bytes", code=MALFORMED)
    return digest
