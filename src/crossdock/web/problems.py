"""The error contract at the doors: what, where, why, how to fix, who is affected; as `application/problem+json`.

`problem_of` turns any error into one `Problem`; the API sends it as JSON, pages render the same object.
No traceback and no internal text of a bug ever leaves the process: a bug is a reference to the log.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    TooManyRequestsException,
    ValidationException,
)

from ..error_codes import CATALOG, entry_of
from ..errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    CrossdockError,
    DocumentRejected,
    Finding,
    HeldAwaiting,
    NotFound,
    PermanentError,
    TransientError,
    UnknownOutcome,
)
from ..store.engine import CommitUnknown, StoreFull, StoreUnavailable

MEDIA_TYPE = "application/problem+json"
_ENCODE = msgspec.json.Encoder().encode
_MISSING = re.compile(r"^Missing required (\w+) parameter '([^']+)'")
# How msgspec names a place in a body: "… - at `$.lines[0].sku`".
_BODY_PLACE = re.compile(r"at `\$\.?([^`]*)`")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """RFC 9457 with the members every error of the product has."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    pointer: str = ""
    hint: tuple[str, ...] = ()
    impact: str = ""
    doc_url: str = ""
    trace_id: str = ""
    request_id: str = ""
    retryable: bool = False
    retry_after: int | None = None
    findings: tuple[Finding, ...] = ()

    def body(self) -> bytes:
        """The problem as JSON. `status`, `code` and `retryable` always stand there."""
        return _ENCODE({**msgspec.to_builtins(self), "retryable": self.retryable})


class TooLarge(CrossdockError):
    """The request is larger than this door takes."""

    code = "XD-DOC-007"


class RateLimited(CrossdockError):
    """Too many requests; slow down."""

    code = "XD-API-429"

    def __init__(self, message: str = "", *, retry_after_seconds: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unauthenticated(AccessDenied):
    """The credential is missing, wrong or not for this address."""

    code = "XD-SEC-001"


class BadRequest(CrossdockError):
    """The request cannot be understood."""

    code = "XD-API-400"


class UnknownValue(CrossdockError):
    """The parameter has a value that does not exist."""

    code = "XD-API-422"


def refuse_unknown(value: str, known: Iterable[str], pointer: str) -> None:
    """Raise `UnknownValue` with the nearest names unless the value is empty or known."""
    names = sorted(known)
    if not value or value in names:
        return
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = (f"Did you mean {near[0]}?",) if near else ()
    raise UnknownValue(
        f"There is no {pointer.rpartition('/')[2]} {value[:80]!r}",
        pointer=pointer,
        hint=(*hint, f"One of: {', '.join(names)}"),
    )


class PreconditionMismatch(Conflict):
    """The same idempotency key came with another request."""

    code = "XD-API-001"


# For codes the catalogue does not have. First match wins, so subclasses stand before their parents.
# True: the same request may succeed later.
_STATUS: tuple[tuple[type[Exception], int, bool], ...] = (
    (TooLarge, 413, False),
    (RateLimited, 429, True),
    (Unauthenticated, 401, False),
    (BadRequest, 400, False),
    (PreconditionMismatch, 422, False),
    (StoreFull, 507, True),
    (CommitUnknown, 503, True),
    (StoreUnavailable, 503, True),
    (NotFound, 404, False),
    (Conflict, 409, False),
    (AccessDenied, 403, False),
    (DocumentRejected, 422, False),
    (HeldAwaiting, 422, False),
    (ConfigurationError, 422, False),
    (TransientError, 503, True),
    (UnknownOutcome, 502, True),
    (PermanentError, 422, False),
)
_HTTP_CODES: tuple[tuple[type[HTTPException], str], ...] = (
    (ValidationException, "XD-API-400"),
    (NotAuthorizedException, "XD-SEC-001"),
    (PermissionDeniedException, "XD-SEC-002"),
    (NotFoundException, "XD-API-404"),
    (MethodNotAllowedException, "XD-API-405"),
    (TooManyRequestsException, "XD-API-429"),
    (ClientException, "XD-API-400"),
)


def problem_of(error: BaseException, *, instance: str = "", request_id: str = "", trace_id: str = "") -> Problem:
    """Return the problem of an error. What is not one of ours is a bug: it gets 500 and no detail."""
    if isinstance(error, CrossdockError):
        status, retryable = _status_of(error)
        seconds = getattr(error, "retry_after_seconds", None)
        if seconds is None and retryable:
            seconds = 5.0
        detail = str(error)
        findings = error.findings
        code, pointer, hint = error.code, error.pointer, error.hint
        if status == 404:
            # Absent and foreign look the same, to the byte: nothing of the object's own words is repeated.
            detail, pointer, findings, hint, code = str(NotFound()), "", (), (), NotFound.code
    elif isinstance(error, HTTPException):
        status, retryable, seconds = error.status_code, error.status_code in (429, 503), None
        code = next((name for kind, name in _HTTP_CODES if isinstance(error, kind)), _code_of_status(status))
        detail = str(NotFound()) if status == 404 else (error.detail if status < 500 else "")
        findings = _findings_of(error)
        pointer, hint = (findings[0].pointer if findings else ""), ()
    else:
        status, retryable, seconds = 500, True, None
        code, pointer, findings, hint = "XD-SYS-001", "", (), ()
        detail = "Something went wrong inside the hub; it is recorded under this request id."
    entry = entry_of(code) if code in CATALOG else entry_of(_code_of_status(status))
    return Problem(
        type=f"/docs/errors/{code}",
        title=entry.title,
        status=status,
        detail=detail or entry.what,
        code=code,
        instance=instance,
        pointer=pointer,
        # One list: who raised it knows this very case, the catalogue what helps in general (it stands at `doc_url`).
        hint=tuple(dict.fromkeys(hint)) or entry.fix,
        doc_url=f"/docs/errors/{code}",
        trace_id=trace_id,
        request_id=request_id,
        retryable=retryable,
        retry_after=math.ceil(seconds) if seconds is not None else None,
        findings=findings,
    )


def _status_of(error: CrossdockError) -> tuple[int, bool]:
    if error.code in CATALOG and not isinstance(error, NotFound):
        entry = CATALOG[error.code]
        return entry.http_status, entry.retryable
    for kind, status, retryable in _STATUS:
        if isinstance(error, kind):
            return status, retryable
    return 500, True


def _code_of_status(status: int) -> str:
    named = {401: "XD-SEC-001", 403: "XD-SEC-002", 404: "XD-API-404", 409: "XD-API-409", 413: "XD-DOC-007"}
    named |= {415: "XD-API-415", 422: "XD-API-422", 429: "XD-API-429", 503: "XD-SYS-003", 507: "XD-SYS-004"}
    return named.get(status, "XD-API-400" if status < 500 else "XD-SYS-001")


def _findings_of(error: HTTPException) -> tuple[Finding, ...]:
    extra: Any = error.extra
    if not isinstance(extra, list):
        missing = _MISSING.search(error.detail)
        return (Finding("XD-API-400", error.detail, pointer=f"/{missing[1]}/{missing[2]}"),) if missing else ()
    return tuple(
        Finding(
            code="XD-API-400",
            message=str(item.get("message", "")),
            pointer=_pointer_of(item),
        )
        for item in extra
        if isinstance(item, dict)
    )


def _pointer_of(item: dict[str, Any]) -> str:
    """Return where the fault stands: `/query/q`, `/header/name`, or a place in the body such as `/status`."""
    source, key = getattr(item.get("source"), "value", item.get("source")), str(item.get("key", ""))
    found = _BODY_PLACE.search(str(item.get("message", "")))
    if source in (None, "body"):
        place = found[1] if found else ("" if key == "data" else key)
        return "/" + re.sub(r"[.\[\]]+", "/", place).strip("/")
    return f"/{source}/{key}"
