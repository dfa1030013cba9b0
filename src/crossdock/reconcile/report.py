"""The report of a run: what agreed, what is under way, what differs and for how long; signed, and chained to the last.

The signature is Ed25519 (RFC 8032) over the report's exact bytes. The report holds the public key and the digest of the
report before it, so that none can be left out. Keys come from outside; nothing here is secret.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .records import Difference


class AgedDifference(msgspec.Struct, frozen=True):
    """A difference with its age in days, what is proposed, and where it stands: open or accepted."""

    difference_id: str
    comparison: str
    difference: Difference
    state: str
    days: int
    fix: str
    reason: str = ""


class ComparisonReport(msgspec.Struct, frozen=True):
    """One comparison. `state` is made, or missing where there was no statement young enough."""

    comparison: str
    partner: str
    kind: str
    state: str
    statement_at: str = ""
    matched: int = 0
    timing: int = 0
    differing: int = 0


class DriftReport(msgspec.Struct, frozen=True):
    """Drifts of stock of the period: how many came up, how many of them are settled, and those that are not."""

    found: int = 0
    settled: int = 0
    open: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """One run. `zero_drift` is true when every comparison was made and nothing differs that nobody signed off."""

    tenant: str
    run_id: str
    run: str
    as_of: str
    release: str
    comparisons: tuple[ComparisonReport, ...]
    differences: tuple[AgedDifference, ...]
    drifts: DriftReport
    matched: int
    timing: int
    differing: int
    partial: bool
    zero_drift: bool
    previous_digest: str
    public_key: str


def encode(report: Report) -> bytes:
    """Return the bytes that are signed and kept."""
    return msgspec.json.encode(report)


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a report's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def public_key_of(seed: bytes) -> str:
    """Return the public half, in base64, of the key made from 32 bytes."""
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()).decode()


def sign(content: bytes, seed: bytes) -> bytes:
    """Return the signature of a report's bytes under the key made from 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(content)


def verify(content: bytes, signature: bytes, public_key: str) -> bool:
    """Tell whether a signature is that of these bytes under a public key in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
