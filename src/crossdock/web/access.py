"""Who asks: the identity behind an API key or a session cookie, and the guard against requests from foreign pages.

Rights are those of `governance.access`; handlers call `require(identity, "noun.verb")`. The tenant always comes from
the
credential, never from the request. Sessions live on real time (`session_clock`), even where the hub's clock is
simulated.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec
import structlog

from ..durable.identity import Clock, SystemClock
from ..errors import AccessDenied
from ..governance import access
from ..governance.access import Identity
from ..store.engine import StoreUnavailable
from .hub_port import Hub
from .problems import Unauthenticated

log = structlog.get_logger()

SESSION_COOKIE = "crossdock_session"
KEY_CACHE_SECONDS = 10.0
_KEY_CACHE_MAX = 4_096
_TOUCH_SECONDS = 30.0


class ForeignPage(AccessDenied):
    """The request came from another site's page."""

    code = "XD-SEC-004"


class Principal(msgspec.Struct, frozen=True):
    """The identity of a request and, for a browser, the token its forms must carry."""

    identity: Identity
    csrf_token: str = ""

    @property
    def tenant_id(self) -> str:
        return self.identity.tenant_id

    @property
    def actor(self) -> str:
        """Who the audit names: a person's sign-in, or a key's label with its id."""
        label, actor = self.identity.label, self.identity.actor
        return f"{label} ({actor})" if label else actor

    def may(self, action: str) -> bool:
        """Tell whether this identity has the right."""
        return access.may(self.identity.role, action)

    def require(self, action: str) -> None:
        """Raise `AccessDenied` when the right is missing."""
        access.require(self.identity, action)


class Gate:
    """Finds out who asks. Valid API keys are remembered for ten seconds, so a revoked one works no longer than that."""

    def __init__(self, hub: Hub, session_clock: Clock | None = None) -> None:
        self._hub = hub
        self.clock = session_clock or SystemClock()
        self._keys: dict[bytes, tuple[float, Identity]] = {}
        self._touched: dict[str, float] = {}

    async def by_key(self, token: str) -> Identity:
        """Return the identity of an API key, or raise `Unauthenticated`."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._keys.get(digest)
        now = self.clock.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        try:
            identity = await self._hub.store.read(lambda connection: access.identify(connection, token))
        except AccessDenied as error:
            raise Unauthenticated(str(error), hint=error.hint) from None
        if len(self._keys) >= _KEY_CACHE_MAX:
            self._keys.clear()
        self._keys[digest] = (now + KEY_CACHE_SECONDS, identity)
        return identity

    async def by_session(self, token: str) -> Principal | None:
        """Return the principal of a session cookie; None when it is unknown or over."""
        at = self.clock.now()
        session = await self._hub.store.read(lambda connection: access.session(connection, token, at=at))
        if session is None:
            return None
        return Principal(session.identity, csrf_token_of(token))

    async def note_use(self, token: str) -> None:
        """Keep a session alive; the record is asked at most twice a minute."""
        now = self.clock.monotonic()
        if self._touched.get(token, -_TOUCH_SECONDS) > now - _TOUCH_SECONDS:
            return
        if len(self._touched) >= _KEY_CACHE_MAX:
            self._touched.clear()
        self._touched[token] = now
        at = self.clock.now()
        try:
            await self._hub.store.write(lambda connection: access.touch_session(connection, token, at=at))
        except StoreUnavailable as error:
            # Reading goes on where nothing can be written; the session ends a little sooner, if that lasts.
            log.warning("session.not_touched", error=str(error))

    async def of_api(self, request: Any) -> Principal:
        """Return who calls the API: a bearer key, or on reads the session of our own pages."""
        token = bearer(request.headers.get("authorization", ""))
        if token:
            return Principal(await self.by_key(token))
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if cookie and request.method in ("GET", "HEAD") and _from_our_pages(request):
            principal = await self.by_session(cookie)
            if principal is not None:
                return principal
        raise Unauthenticated(hint="Send an API key as: Authorization: Bearer …")


def bearer(header: str) -> str:
    """Return the token of an Authorization header, empty when it holds none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def csrf_token_of(session_token: str) -> str:
    """Return the token forms of this session carry. It is derived, so nothing is stored, and tells nothing of the
    cookie.
    """
    return hmac.new(session_token.encode(), b"crossdock form", hashlib.sha256).hexdigest()[:40]


def refuse_foreign_pages(request: Any, expected_token: str, form_token: str) -> None:
    """Raise `ForeignPage` unless a writing request comes from our own page and carries the session's token."""
    given = request.headers.get("x-csrf-token", "") or form_token
    if not _from_our_pages(request) or not hmac.compare_digest(given.encode(), expected_token.encode()):
        raise ForeignPage(hint="Reload the page and try again")


def refuse_foreign_requests(request: Any) -> None:
    """Raise `ForeignPage` when a form of a page without a session was sent from another site's page."""
    if not _from_our_pages(request):
        raise ForeignPage(hint="Open the page again and send it from there")


def _from_our_pages(request: Any) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")
