"""The hub's public API as the people of the day use it: the operations person's hands, and the report's eyes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from .portal_visitor import PortalVisitor


class ApiRefused(RuntimeError):
    """The hub's API answered with an error."""


class HubApi:
    """The API of one tenant under a key with an operator's rights."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return the answer to `GET /v1{path}`."""
        async with self._session.get(f"{self._url}/v1{path}", params=query, headers=self._headers) as response:
            return await self._answer(response)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to `POST /v1{path}`."""
        async with self._session.post(f"{self._url}/v1{path}", json=body, headers=self._headers) as response:
            return await self._answer(response)

    async def every(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Give every item of a list, page by page."""
        cursor = ""
        while True:
            page = await self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    def visitor(self, tenant_id: str) -> PortalVisitor:
        """Return a customer who visits the portal of a tenant; it has no key."""
        return PortalVisitor(self._session, self._url, tenant_id)

    async def order(self, number: str) -> dict[str, Any]:
        """Return an order with what is known of it."""
        return await self.get(f"/orders/{quote(number, safe='')}")

    async def open_issues(self) -> list[dict[str, Any]]:
        """Return the issues that wait for somebody."""
        return [item async for item in self.every("/issues", state="open")]

    async def fix_issue(self, issue_id: str, table: str, key: str, value: str) -> dict[str, Any]:
        """Add the missing row to a lookup table and let what waits for it go on."""
        return await self.post(f"/issues/{issue_id}/fix", {"table": table, "key": key, "value": value})

    async def _answer(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        if response.status >= 400:
            raise ApiRefused(
                f"{response.method} {response.url.path}: {response.status} {(await response.text())[:300]}"
            )
        body: dict[str, Any] = await response.json(content_type=None)
        return body
