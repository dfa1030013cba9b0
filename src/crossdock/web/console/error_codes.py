"""The page of one error code, and `/docs/errors/…`, where problems point to: readable without signing in, offline."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from ...error_codes import lookup
from ...errors import NotFound
from ..rendering import page


@get(["/docs/errors/{code:str}", "/console/errors/{code:str}"], include_in_schema=False)
async def error_code(code: FromPath[str]) -> Response[bytes]:
    """Explain one code."""
    entry = lookup(code)
    if entry is None:
        raise NotFound()
    return page("console/error_code.html", {"entry": entry})
