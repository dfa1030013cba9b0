"""Send documents to an HTTP API or webhook, and fetch documents by polling one.

One identity per effect goes out with every attempt: as Idempotency-Key, as webhook-id, or in the URL.
What an answer means stands in `answers.py`; bytes move in `../http_client.py`.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ...errors import ConfigurationError, Finding, PermanentError, TransientError, UnknownOutcome
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ...sdk.signatures import sign_hmac, sign_standard
from ..egress import Target
from ..http_client import HttpClient, Response, SentOnDeadConnection, encode_lines
from ..pointers import MISSING, look_up, raw_items
from ..rest import retry_after_seconds
from . import settings as schema
from .answers import interpret, is_transient
from .settings import UrlTemplate, is_free_header, read_settings, signing_secrets, tls_context


def create(context: ConnectorContext) -> HttpJson:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    return HttpJson(context)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    return schema.lint(settings, secrets)


class HttpJson:
    """One configured HTTP connection."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        self._settings = settings = read_settings(context.settings)
        self._secrets = tuple(value for value in context.secrets.values() if value)
        self._signing_secrets = signing_secrets(context.secrets)
        self._fixed = [("user-agent", "crossdock"), ("accept", "application/json"), *settings.headers.items()]
        self._fixed += self._static_credentials()
        self._send_to: dict[str, UrlTemplate] = {
            document: UrlTemplate(settings.url, path) for document, path in settings.paths.items()
        }
        self._default = UrlTemplate(settings.url) if settings.url else None
        self._heads: dict[tuple[str, str], list[str]] = {}
        self._client = HttpClient(
            context.egress,
            connections_max=settings.connections_max,
            read_timeout_seconds=context.timeout_seconds,
            total_timeout_seconds=context.timeout_seconds,
            response_bytes_max=settings.response_bytes_max,
            tls=tls_context(settings),
        )
        self._since = settings.poll_start

    async def check(self) -> CheckResult:
        """Ask the health address with the connection's own credentials, or at least connect."""
        address = self._settings.health_url or self._settings.url or self._settings.poll_url
        target = UrlTemplate(address).fill(identity="check", since="")
        try:
            if not self._settings.health_url:
                await self._client.connect(target)
                return CheckResult(True, f"{target.authority} can be reached; nothing was sent")
            response = await self._get(target, "check")
        except (TransientError, PermanentError, UnknownOutcome) as error:
            return CheckResult(False, str(error), error.hint[0] if error.hint else "")
        if 200 <= response.status < 300:
            return CheckResult(True, f"{target.authority} answered {response.status}")
        if response.status in (401, 403):
            return CheckResult(
                False,
                f"{target.authority} refused the credentials ({response.status})",
                "Compare the secrets of this connection with what the partner has issued.",
            )
        return CheckResult(False, f"{target.authority} answered {response.status}", "Ask the partner whether it is up.")

    async def push(self, outbound: Outbound) -> PushResult:
        """Send one document and say what happened. Nothing is raised for what a partner can cause."""
        clock = self._context.clock
        started = clock.monotonic()
        try:
            target, request = self._render(outbound)
            try:
                response = await self._client.exchange(target, request)
            except SentOnDeadConnection:
                if not self._settings.idempotent:
                    raise
                response = await self._client.exchange(target, request)
            result = interpret(response, self._settings, clock.now(), self._secrets, self._context.answer_bytes_max)
        except TransientError as error:
            result = PushResult("failed", error_class="partner", code=error.code, detail=str(error))
        except UnknownOutcome as error:
            result = PushResult("unknown", error_class="unknown", code=error.code, detail=str(error))
        except (PermanentError, ConfigurationError) as error:
            result = PushResult("failed", permanent=True, error_class="system", code=error.code, detail=str(error))
        return msgspec.structs.replace(result, duration_ms=(clock.monotonic() - started) * 1000)

    async def find(self, outbound: Outbound) -> FindResult:
        """Ask the partner whether it has the effect, where `find_url` is configured."""
        if not self._settings.find_url:
            return FindResult("cannot_tell", detail="no find_url is configured")
        try:
            response = await self._get(
                UrlTemplate(self._settings.find_url).fill(identity=outbound.identity), outbound.identity
            )
        except (TransientError, UnknownOutcome, PermanentError) as error:
            return FindResult("cannot_tell", detail=str(error))
        if response.status in (404, 410):
            return FindResult("absent", detail=f"the partner answered {response.status}")
        if not 200 <= response.status < 300 or response.truncated:
            return FindResult("cannot_tell", detail=f"the partner answered {response.status}")
        return self._found(response)

    def _found(self, response: Response) -> FindResult:
        try:
            document = msgspec.json.decode(response.body) if response.body else None
        except msgspec.DecodeError:
            document = MISSING
        if self._settings.find_pointer:
            if document is MISSING:
                return FindResult("cannot_tell", detail="the partner's answer is not JSON")
            there = look_up(document, self._settings.find_pointer)
            if there is MISSING or there in (None, "", [], {}, False):
                return FindResult("absent", detail=f"{self._settings.find_pointer} holds nothing")
        reference = look_up(document, self._settings.reference_pointer) if self._settings.reference_pointer else MISSING
        return FindResult("found", reference=str(reference) if isinstance(reference, str | int) else "")

    async def pull(self) -> AsyncIterator[Pulled]:
        """Fetch what is new. The cursor moves on only over items that are durable in the hub, in their order."""
        settings = self._settings
        if not settings.poll_url:
            return
        response = await self._fetch(UrlTemplate(settings.poll_url).fill(since=self._since))
        if response is None:
            return
        try:
            items = raw_items(response.body, settings.poll_items)
            documents = [msgspec.json.decode(item) for item in items]
        except msgspec.DecodeError as error:
            raise PermanentError(
                f"the poll's answer holds no list: {error}", code="XD-PTR-008", hint="Look at poll_items."
            ) from error
        acknowledged = [False] * len(items)
        cursors = [
            look_up(document, settings.poll_cursor) if settings.poll_cursor else MISSING for document in documents
        ]

        def acknowledgment(index: int) -> Callable[[], Awaitable[None]]:
            async def acknowledge() -> None:
                acknowledged[index] = True
                done = acknowledged.index(False) if False in acknowledged else len(acknowledged)
                reached = [cursor for cursor in cursors[:done] if isinstance(cursor, str | int)]
                if reached:
                    self._since = str(reached[-1])

            return acknowledge

        for index, (item, document) in enumerate(zip(items, documents, strict=True)):
            key = look_up(document, settings.poll_key) if settings.poll_key else MISSING
            receipt_key = str(key) if isinstance(key, str | int) else ""
            yield Pulled(item, receipt_key, "application/json", acknowledgment(index), receipt_key)

    async def _fetch(self, target: Target) -> Response | None:
        try:
            response = await self._get(target, "poll")
        except UnknownOutcome as error:
            raise TransientError(str(error), code=error.code) from error  # a question may be asked again
        if response.status in (204, 304):
            return None
        if is_transient(response.status, self._settings):
            raise TransientError(
                f"the poll was answered with {response.status}",
                retry_after_seconds=retry_after_seconds(response, self._context.clock.now()),
                code="XD-PTR-012" if response.status == 429 else "XD-PTR-013",
            )
        if not 200 <= response.status < 300:
            refused = response.status in (401, 403)
            raise PermanentError(
                f"the poll was refused with {response.status}",
                code="XD-PTR-017" if refused else "XD-PTR-014",
                hint="Compare the secrets of this connection with what the partner has issued." if refused else (),
            )
        if response.truncated:
            raise PermanentError(
                f"the poll's answer is longer than {self._settings.response_bytes_max} bytes",
                code="XD-PTR-020",
                hint="Fetch fewer items at a time, or raise response_bytes_max.",
            )
        return response

    async def _get(self, target: Target, identity: str) -> Response:
        headers = [*self._fixed, *self._signature(identity, b"")]
        return await self._client.request("GET", target, headers, b"")

    def _render(self, outbound: Outbound) -> tuple[Target, bytes]:
        template = self._send_to.get(outbound.document_type) or self._default
        if template is None:
            raise ConfigurationError("this connection has no url to send to", hint="Set url.")
        target = template.fill(identity=outbound.identity)
        lines = [
            f"{self._settings.method} {target.path} HTTP/1.1",
            *self._static_lines(target),
            f"content-type: {outbound.content_type}",
        ]
        if self._settings.idempotency_header:
            lines.append(f"{self._settings.idempotency_header}: {outbound.identity}")
        lines += [f"{name}: {value}" for name, value in self._signature(outbound.identity, outbound.content)]
        for name, value in outbound.headers.items():
            if not is_free_header(name):
                raise PermanentError(f"{name[:80]!r} cannot be sent as a header", code="XD-PTR-019")
            lines.append(f"{name}: {value}")
        lines.append(f"content-length: {len(outbound.content)}")
        return target, encode_lines(lines) + b"\r\n" + outbound.content

    def _static_lines(self, target: Target) -> list[str]:
        key = (target.scheme, target.authority)
        lines = self._heads.get(key)
        if lines is None:
            lines = [f"host: {target.authority}", *(f"{name}: {value}" for name, value in self._fixed)]
            self._heads[key] = lines
        return lines

    def _static_credentials(self) -> list[tuple[str, str]]:
        settings, secrets = self._settings, self._context.secrets
        wanted = schema.SECRET_OF_AUTH.get(settings.auth)
        if wanted is not None and not secrets.get(wanted):
            raise ConfigurationError(f"auth {settings.auth} needs the secret {wanted}", code="XD-CFG-014")
        if settings.auth == "bearer":
            return [("authorization", f"Bearer {secrets['token']}")]
        if settings.auth == "api_key":
            return [(settings.auth_header or "x-api-key", secrets["api_key"])]
        if settings.auth == "basic":
            pair = f"{settings.username}:{secrets['password']}".encode()
            return [("authorization", f"Basic {base64.b64encode(pair).decode()}")]
        return []

    def _signature(self, identity: str, body: bytes) -> list[tuple[str, str]]:
        settings = self._settings
        if settings.auth == "standard_webhooks":
            timestamp = int(self._context.clock.now().timestamp())
            return list(sign_standard(identity, timestamp, body, self._signing_secrets).items())
        if settings.auth != "hmac":
            return []
        stamp = int(self._context.clock.now().timestamp()) if settings.timestamp_header else None
        value = sign_hmac(
            body,
            self._signing_secrets[0],
            encoding=settings.signature_encoding,
            prefix=settings.signature_prefix,
            timestamp=stamp,
        )
        signature = [(settings.auth_header or "x-signature", value)]
        return signature if stamp is None else [*signature, (settings.timestamp_header, str(stamp))]

    async def close(self) -> None:
        """Close the kept connections."""
        await self._client.close()
