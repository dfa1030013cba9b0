"""Signing in with a one-click link, and out again.

`GET /login/{token}` shows a page with one button; only its POST redeems the token, so that mail scanners and link
previews
that fetch every address do not use it up. Without JavaScript it works the same.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from ...durable.identity import Clock
from ...errors import AccessDenied
from ...governance import access
from ..access import SESSION_COOKIE, csrf_token_of, refuse_foreign_pages
from ..context import browser_principal, web_of
from ..hub_port import Hub, public_address
from ..rendering import page

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


async def login_address(hub: Hub, clock: Clock, tenant_id: str, actor: str, role: str, *, next_path: str = "") -> str:
    """Return the full address of a link that signs `actor` in once, within a quarter of an hour of `clock`."""
    at = clock.now()
    token = await hub.store.write(
        lambda connection: access.create_login_link(connection, tenant_id, actor, role, at=at)
    )
    return f"{public_address(hub)}/login/{token}" + (f"?next={next_path}" if next_path else "")


@get("/login", include_in_schema=False)
async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say how one signs in."""
    if await browser_principal(request) is not None:
        return _to("/console")
    return page("console/sign_in.html", {"token": "", "next": "", "wrong": False})


@get("/login/{token:str}", include_in_schema=False)
async def login_link(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
    """Ask for one click before the link is used."""
    return page(
        "console/sign_in.html", {"token": token, "next": _inside(request.query_params.get("next", "")), "wrong": False}
    )


@post("/login", include_in_schema=False, status_code=303)
async def sign_in(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Redeem the link, set the session cookie and go to the console."""
    refuse_foreign_pages(request, "", "")  # nobody is signed in yet: the token itself is the secret
    gate = web_of(request).gate
    at = gate.clock.now()
    token = data.get("token", "").strip()
    try:
        session_token, session = await web_of(request).hub.store.write(
            lambda connection: access.redeem_login_link(connection, token, at=at)
        )
    except AccessDenied:
        context = {"token": "", "next": _inside(data.get("next", "")), "wrong": True}
        return page("console/sign_in.html", context, status_code=401)
    response = _to(_inside(data.get("next", "")) or "/console")
    seconds = int((session.expires_at - at).total_seconds())
    response.set_cookie(
        Cookie(
            SESSION_COOKIE,
            value=session_token,
            path="/",
            max_age=seconds,
            httponly=True,
            samesite="lax",
            secure=_is_secure(request),
        )
    )
    return response


@post("/logout", include_in_schema=False, status_code=303)
async def sign_out(request: Request[Any, Any, Any], data: Form) -> Response[bytes]:
    """Forget the session and its cookie."""
    token = request.cookies.get(SESSION_COOKIE, "")
    if token:
        refuse_foreign_pages(request, csrf_token_of(token), data.get("csrf_token", ""))
        await web_of(request).hub.store.write(lambda connection: access.end_session(connection, token))
    response = _to("/login")
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


@get("/", include_in_schema=False)
async def home() -> Response[bytes]:
    """Lead to the console."""
    return _to("/console")


def _to(path: str) -> Response[bytes]:
    return Response(b"", status_code=303, headers={"location": path}, media_type="text/html")


def _inside(path: str) -> str:
    """Return a path of our own console; anything else, such as another site, becomes nothing."""
    return path if path.startswith("/console") and "//" not in path and "\\" not in path else ""


def _is_secure(request: Request[Any, Any, Any]) -> bool:
    return request.url.scheme == "https"
