"""What a partner's HTTP answer means for the send: done, failed for now, failed for good, or unknown.

The transport's status and the business outcome are two things: a 200 may say no in its body (`success_when`).
Pure: the time is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from ...sdk import PushResult
from ..http_client import Response
from ..pointers import MISSING, look_up
from ..rest import retry_after_seconds
from .settings import HttpJsonSettings

_TRANSIENT = frozenset({408, 425, 429})


def interpret(
    response: Response, settings: HttpJsonSettings, now: datetime, secrets: Iterable[str], kept_bytes_max: int = 8_192
) -> PushResult:
    """Return what the answer to a send means; of its body at most `kept_bytes_max` are kept.

    2xx  done, unless success_when says otherwise        3xx  permanent: a wrong address, never followed
    408 425 429 5xx  transient, Retry-After honoured      409  as on_conflict says       other 4xx  permanent
    """
    status = response.status
    kept = mask(response.body[:kept_bytes_max], secrets)
    if 200 <= status < 300:
        return _judge_body(response, settings, kept)
    if status == 409 and settings.on_conflict == "done":
        return PushResult(
            "done",
            code="XD-PTR-014",
            detail="409: the partner has it already",
            http_status=status,
            response=kept,
            reference=_reference(response.body, settings),
        )
    if is_transient(status, settings) or (status == 409 and settings.on_conflict == "transient"):
        return PushResult(
            "failed",
            error_class="partner",
            code="XD-PTR-012" if status == 429 else "XD-PTR-013",
            detail=f"the partner answered {status}",
            http_status=status,
            retry_after_seconds=retry_after_seconds(response, now),
            response=kept,
        )
    if 300 <= status < 400:
        where = response.header(b"location")[:200]
        return PushResult(
            "failed",
            permanent=True,
            error_class="system",
            code="XD-PTR-015",
            detail=f"the partner redirects ({status}) to {where!r}; never followed: configure the address",
            http_status=status,
            response=kept,
        )
    return PushResult(
        "failed",
        permanent=True,
        error_class="system" if status in (401, 403) else "data",
        code="XD-PTR-017" if status in (401, 403) else "XD-PTR-014",
        detail=f"the partner refused with {status}",
        http_status=status,
        response=kept,
    )


def is_transient(status: int, settings: HttpJsonSettings) -> bool:
    """Tell whether a status may turn out better later."""
    return status in _TRANSIENT or status >= 500 or status in settings.transient_statuses


def mask(content: bytes, secrets: Iterable[str]) -> bytes:
    """Return the content without the secrets of the connection, which some partners echo."""
    for secret in secrets:
        if len(secret) >= 6:
            content = content.replace(secret.encode(), b"***")
    return content


def _judge_body(response: Response, settings: HttpJsonSettings, kept: bytes) -> PushResult:
    if settings.success_when:
        document = _decode(response)
        if document is MISSING:
            return PushResult(
                "unknown",
                error_class="unknown",
                code="XD-PTR-008",
                detail=f"the partner answered {response.status}, but its body does not tell whether it agrees",
                http_status=response.status,
                response=kept,
            )
        for pointer, wanted in settings.success_when.items():
            found = look_up(document, pointer)
            allowed = wanted if isinstance(wanted, list) else [wanted]
            if not any(_same(found, value) for value in allowed):
                shown = "nothing" if found is MISSING else repr(found)[:200]
                return PushResult(
                    "failed",
                    permanent=True,
                    error_class="data",
                    code="XD-PTR-016",
                    detail=f"the partner answered {response.status} but refused: {pointer} holds {shown}",
                    http_status=response.status,
                    response=kept,
                )
    return PushResult("done", http_status=response.status, response=kept, reference=_reference(response.body, settings))


def _same(found: Any, wanted: Any) -> bool:
    # True == 1 in Python, not in JSON.
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def _decode(response: Response) -> Any:
    if response.truncated:
        return MISSING
    try:
        return msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return MISSING


def _reference(body: bytes, settings: HttpJsonSettings) -> str:
    if not settings.reference_pointer:
        return ""
    try:
        found = look_up(msgspec.json.decode(body), settings.reference_pointer)
    except msgspec.DecodeError:
        return ""
    return str(found)[:200] if isinstance(found, str | int) else ""
