"""Ask and tell a partner's JSON API, and say in one of three words what a telling came to.

What the connectors of real systems (Tryton, service desks, shops) share: JSON over `http_client.py`, and the reading of
answers. A question (`ask`) may be asked again, so its lost answer is transient; a telling (`tell`) whose answer is lost
is unknown, and only a look at the partner's own records settles it. Never retries, never reads business content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec

from ..durable.retry import ErrorClass
from ..errors import ConfigurationError, CrossdockError, PermanentError, TransientError, UnknownOutcome
from ..sdk import CheckResult, ConnectorContext, FindResult, PushResult
from .egress import Target, parse_url
from .http_client import HttpClient, Response, SentOnDeadConnection

RETRY_AFTER_SECONDS_MAX = 86_400.0
RESPONSE_BYTES_MAX = 8_388_608
_TRANSIENT = frozenset({408, 423, 425, 429})

Method = Literal["GET", "POST", "PUT", "PATCH"]


class Refused(PermanentError):
    """The partner has answered that it will not take this.

    `status` is its HTTP status (0 when it said so in words), `answer` the first bytes of what it said.
    """

    code = "XD-PTR-014"

    def __init__(
        self, message: str, *, status: int = 0, answer: bytes = b"", error_class: ErrorClass = "data", **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.answer = answer
        self.error_class: ErrorClass = error_class


class NotYet(TransientError):
    """The partner has nothing to act on yet; it may have later."""

    code = "XD-PTR-040"


class RestClient:
    """One partner's API below one address, with fixed headers that prove who we are."""

    def __init__(
        self, context: ConnectorContext, url: str, headers: Mapping[str, str], *, connections_max: int = 4
    ) -> None:
        self._context = context
        self._base = parse_url(url)
        self._prefix = self._base.path.rstrip("/")
        self._headers = [("user-agent", "crossdock"), ("accept", "application/json"), *headers.items()]
        self._client = HttpClient(
            context.egress,
            connections_max=connections_max,
            read_timeout_seconds=context.timeout_seconds,
            total_timeout_seconds=context.timeout_seconds,
            response_bytes_max=RESPONSE_BYTES_MAX,
        )

    @property
    def authority(self) -> str:
        """Host and port, for people."""
        return self._base.authority

    async def ask(self, path: str) -> Any:
        """Return the JSON of a question.

        Raises TransientError for everything that may turn out better later, a lost answer included, else Refused.
        """
        try:
            try:
                return (await self._exchange("GET", path, None, None))[0]
            except SentOnDeadConnection:
                return (await self._exchange("GET", path, None, None))[0]
        except UnknownOutcome as error:
            raise TransientError(str(error), code=error.code) from error

    async def tell(self, method: Method, path: str, body: Any) -> Any:
        """Have the partner change something; return its JSON, None without any.

        Raises TransientError (nothing happened), Refused (nothing happened, nor ever will) or UnknownOutcome.
        """
        return (await self._exchange(method, path, None, body))[0]

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[Any, Response]:
        """Post JSON; return the JSON of the answer and the answer itself. Raises as `tell`."""
        return await self._exchange("POST", path, headers, body)

    async def _exchange(
        self, method: Method, path: str, headers: Mapping[str, str] | None, body: Any
    ) -> tuple[Any, Response]:
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [*self._headers, *(headers or {}).items()]
        if body is not None:
            lines.append(("content-type", "application/json"))
        target = Target(self._base.scheme, self._base.host, self._base.port, self._prefix + path)
        response = await self._client.request(method, target, lines, content)
        self._judge(response)
        if response.truncated:
            raise UnknownOutcome(f"the answer is longer than {RESPONSE_BYTES_MAX} bytes", code="XD-PTR-020")
        if not response.body.strip():
            return None, response
        try:
            return msgspec.json.decode(response.body), response
        except msgspec.DecodeError as error:
            raise UnknownOutcome(
                f"{self.authority} answered with something that is not JSON", code="XD-PTR-008"
            ) from error

    def _judge(self, response: Response) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        answer = self._context_bytes(response.body)
        if status in _TRANSIENT or status >= 500:
            raise TransientError(
                f"{self.authority} answered {status}",
                code="XD-PTR-012" if status == 429 else "XD-PTR-013",
                retry_after_seconds=retry_after_seconds(response, self._context.clock.now()),
            )
        if 300 <= status < 400:
            raise Refused(
                f"{self.authority} redirects ({status}) to {response.header(b'location')[:200]!r}; never followed",
                status=status,
                answer=answer,
                error_class="system",
                code="XD-PTR-015",
            )
        if status in (401, 403):
            raise Refused(
                f"{self.authority} refused the credentials ({status})",
                status=status,
                answer=answer,
                error_class="system",
                code="XD-PTR-017",
                hint="Compare the secrets of this connection with what was issued, and look at that user's rights.",
            )
        words = answer[:300].decode("utf-8", "replace")
        raise Refused(f"{self.authority} refused with {status}: {words}", status=status, answer=answer)

    def _context_bytes(self, body: bytes) -> bytes:
        kept = body[: self._context.answer_bytes_max]
        for secret in self._context.secrets.values():
            if len(secret) >= 6:
                kept = kept.replace(secret.encode(), b"***")
        return kept

    async def close(self) -> None:
        """Close the kept connections."""
        await self._client.close()


async def pushed(context: ConnectorContext, effect: Callable[[], Awaitable[PushResult]]) -> PushResult:
    """Run an effect and say what it came to; nothing is raised for what a partner can cause."""
    started = context.clock.monotonic()
    try:
        result = await effect()
    except UnknownOutcome as error:
        result = PushResult("unknown", error_class="unknown", code=error.code, detail=str(error))
    except TransientError as error:
        result = PushResult(
            "failed",
            error_class="partner",
            code=error.code,
            detail=str(error),
            retry_after_seconds=error.retry_after_seconds,
        )
    except Refused as error:
        result = PushResult(
            "failed",
            permanent=True,
            error_class=error.error_class,
            code=error.code,
            detail=str(error),
            http_status=error.status or None,
            response=error.answer,
        )
    except (PermanentError, ConfigurationError) as error:
        result = PushResult("failed", permanent=True, error_class="system", code=error.code, detail=str(error))
    return msgspec.structs.replace(result, duration_ms=(context.clock.monotonic() - started) * 1000)


async def found(question: Callable[[], Awaitable[FindResult]]) -> FindResult:
    """Run a question; an answer that could not be had is `cannot_tell`."""
    try:
        return await question()
    except CrossdockError as error:
        return FindResult("cannot_tell", detail=str(error))


async def checked(question: Callable[[], Awaitable[str]]) -> CheckResult:
    """Run a question that tells in words what is there; a fault is a failed check with its hint."""
    try:
        return CheckResult(True, await question())
    except CrossdockError as error:
        return CheckResult(False, str(error), error.hint[0] if error.hint else "Ask the partner whether it is up.")


def decode_payload(content: bytes, shape: Any) -> Any:
    """Return a document in the connector's own shape; raises Refused when the map made something else of it."""
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Refused(
            f"the document is not what this connector takes: {error}",
            code="XD-PTR-042",
            hint="Compare the outbound map with the documents in the connector's README.",
        ) from error


def retry_after_seconds(response: Response, now: datetime) -> float | None:
    """Return the partner's Retry-After, given in seconds or as a date, as seconds from now; at most a day."""
    text = response.header(b"retry-after")
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)


def required_secret(context: ConnectorContext, name: str) -> str:
    """Return a secret of the connection; raises ConfigurationError when it is missing or cannot stand in a header."""
    value = context.secrets.get(name, "")
    if not value or not value.isprintable():
        raise ConfigurationError(f"the secret {name} is missing or cannot be used", code="XD-CFG-014")
    return value
