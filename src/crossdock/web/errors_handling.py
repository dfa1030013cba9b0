"""What becomes of an error at the doors: problem+json for the API, a page for people, the tenant's words on the portal.

A bug is logged with its trace under the request id; the answer carries the id and nothing else of it.
"""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from ..errors import CrossdockError
from .context import request_id_of, trace_id_in
from .problems import MEDIA_TYPE, Problem, Unauthenticated, problem_of
from .rendering import page

log = structlog.get_logger("crossdock.web")


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Return the answer for an error, in the form of the place it happened in."""
    path = request.url.path
    trace_id = trace_id_in(request.headers.get("traceparent", ""))
    problem = problem_of(error, instance=path, request_id=request_id_of(request.scope), trace_id=trace_id)
    if problem.status >= 500 and not isinstance(error, CrossdockError | HTTPException):
        log.error("web.failed", request_id=problem.request_id, path=path, exc_info=error)
    headers = {}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    if path.startswith("/p/") or path == "/p":
        return _portal(problem, headers)
    if path.startswith("/v1/") or path.endswith((".json", "z")):
        if problem.status == 401:
            headers["www-authenticate"] = "Bearer"
        if problem.status == 405 and isinstance(error, HTTPException) and error.headers:
            headers["allow"] = str(error.headers.get("allow", ""))
        return Response(problem.body(), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
    if isinstance(error, Unauthenticated):
        target = "/login" if request.method != "GET" else f"/login?next={path}"
        return Response(b"", status_code=303, headers={"location": target, "hx-redirect": target})
    return _with(page("console/error.html", {"problem": problem}, status_code=problem.status), headers)


def _portal(problem: Problem, headers: dict[str, str]) -> Response[bytes]:
    # No brand is known for an unknown tenant, and no word of ours may show: plain and neutral.
    return _with(page("portal/error.html", {"status": problem.status}, status_code=problem.status), headers)


def _with(response: Response[bytes], headers: dict[str, str]) -> Response[bytes]:
    for name, value in headers.items():
        response.headers[name] = value
    return response
