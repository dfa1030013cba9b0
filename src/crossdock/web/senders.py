"""Proof of who hands a document in: an API key, an HMAC over the raw body, or a Standard Webhooks signature.

Authenticity comes before parsing. A connection that does not exist, or belongs to somebody else, takes the same way
through this code as one whose credential is wrong, and every refusal is the same: answers tell nothing about which
addresses exist. Only who proves the secret hears more: that the time is too far away. Why a sender of ours was refused
is in the log.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import msgspec
import structlog

from ..errors import AccessDenied
from ..governance import access
from ..governance.pack import Authentication, ConnectionSpec
from ..sdk import signatures
from .access import Gate, bearer
from .hub_port import Hub
from .problems import Unauthenticated

# What an unknown address is checked against, so that it takes the same way as a wrong signature.
_NOBODY = ("whsec_bm9ib2R5IGhvbGRzIHRoaXMgc2VjcmV0Lg==",)
_CODES = {signatures.MALFORMED: "XD-ING-007", signatures.EXPIRED: "XD-ING-009", signatures.WRONG: "XD-ING-008"}
_EVER_SECONDS = 10**9
log = structlog.get_logger("crossdock.web")
_HINT = "Send the key or the signature that was issued for this connection"


class Sender(msgspec.Struct, frozen=True):
    """A sender that proved itself. `receipt_key` is the identity its transport gave the message, if any."""

    connection: ConnectionSpec
    receipt_key: str
    batch_arrays: bool


class _ProvenButLate(AccessDenied):
    """The signature is right and its time is not."""


class Senders:
    """Proves senders against the active configuration of their tenant."""

    def __init__(self, hub: Hub, gate: Gate) -> None:
        self._hub = hub
        self._gate = gate

    async def prove(
        self,
        tenant_id: str,
        connection_id: str,
        headers: Mapping[str, str],
        credentials: Mapping[str, str],
        content: bytes,
    ) -> Sender:
        """Return the sender, or raise the one refusal: the same for unknown, foreign, missing and wrong."""
        try:
            return await self._proven(tenant_id, connection_id, headers, credentials, content)
        except _ProvenButLate as error:
            raise Unauthenticated(str(error), code=_CODES[signatures.EXPIRED], hint=error.hint) from None
        except AccessDenied as error:
            configuration = self._hub.configuration(tenant_id)
            if configuration is not None and connection_id in configuration.connections:
                log.info("ingest.refused", tenant=tenant_id, connection=connection_id, code=error.code, why=str(error))
            raise Unauthenticated(hint=_HINT) from None

    async def _proven(
        self,
        tenant_id: str,
        connection_id: str,
        headers: Mapping[str, str],
        credentials: Mapping[str, str],
        content: bytes,
    ) -> Sender:
        configuration = self._hub.configuration(tenant_id)
        spec = configuration.connections.get(connection_id) if configuration is not None else None
        token = bearer(credentials.get("authorization", "")) or credentials.get("x-api-key", "")
        identity = headers.get("idempotency-key", "") if spec is None or not spec.receipt_key else ""
        if token:
            await self._key_fits(token, tenant_id, connection_id, spec)
        elif spec is None or spec.authentication.kind == "api_key":
            self._signature(Authentication("standard_webhooks"), _NOBODY, headers, content)
            raise Unauthenticated(hint=_HINT)
        elif spec.authentication.kind != "none":
            secrets = self._hub.inbound_secrets(tenant_id, spec.authentication.secrets)
            identity = self._signature(spec.authentication, secrets, headers, content) or identity
        if spec is None:
            raise Unauthenticated(hint=_HINT)
        return Sender(spec, identity, bool(spec.settings.get("batch_arrays", False)))

    async def _key_fits(self, token: str, tenant_id: str, connection_id: str, spec: ConnectionSpec | None) -> None:
        """Take a key of this connection, a shared secret named in the pack, or a key that may hand in anywhere."""
        if spec is not None and spec.authentication.kind == "api_key" and spec.authentication.secrets:
            for secret in self._hub.inbound_secrets(tenant_id, spec.authentication.secrets):
                if hmac.compare_digest(token.encode("utf-8", "replace"), secret.encode()):
                    return
        identity = await self._gate.by_key(token)
        if spec is None or not access.may_ingest(identity, tenant_id, connection_id):
            raise Unauthenticated(hint=_HINT)

    def _signature(
        self, rule: Authentication, secrets: tuple[str, ...], headers: Mapping[str, str], content: bytes
    ) -> str:
        """Return the id the sender signed (empty where its scheme has none), or raise `Unauthenticated`."""

        def verified(tolerance_seconds: int) -> str:
            now = self._hub.clock.now()
            if rule.kind == "hmac":
                return signatures.verify_hmac(
                    headers, content, secrets, header=rule.header, now=now, tolerance_seconds=tolerance_seconds
                ).id
            return signatures.verify_standard(
                headers, content, secrets, now=now, tolerance_seconds=tolerance_seconds
            ).id

        try:
            return verified(rule.tolerance_seconds)
        except AccessDenied as error:
            if error.code == signatures.EXPIRED:
                # Raises again where the signature is wrong besides.
                verified(_EVER_SECONDS)
                raise _ProvenButLate(str(error), hint=error.hint) from None
            raise Unauthenticated(str(error), code=_CODES.get(error.code), hint=error.hint or _HINT) from None
