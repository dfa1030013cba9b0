"""A customer with a browser and no script: finds an order in the portal and asks to return something of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp


class PortalVisitor:
    """One visit to a tenant's portal."""

    def __init__(self, session: aiohttp.ClientSession, hub_url: str, tenant_id: str) -> None:
        self._session = session
        self._hub = hub_url.rstrip("/")
        self._home = f"{self._hub}/p/{tenant_id}"
        self._order = ""

    async def find(self, number: str, postcode: str) -> str:
        """Look an order up and return its page."""
        form = {"number": number, "postcode": postcode}
        async with self._session.post(self._home, data=form, allow_redirects=False) as answer:
            if answer.status != 303:
                raise RuntimeError(f"the portal does not show order {number}: {answer.status}")
            self._order = self._hub + answer.headers["location"]
        return await self.look()

    async def look(self) -> str:
        """Return the page of the order that was found."""
        async with self._session.get(self._order) as answer:
            return await answer.text()

    async def ask_to_return(self, chosen: Mapping[int, tuple[int, str, str]]) -> str:
        """Fill in the form and return the order's page; `chosen` is place → (quantity, condition, reason)."""
        page_address = f"{self._order}/return"
        async with self._session.get(page_address) as answer:
            text = await answer.text()
        offered = set(re.findall(r'name="quantity-(\d+)"', text))
        form: dict[str, str] = {"resolution": "refund"} | dict(re.findall(r'name="(form)" value="([^"]+)"', text))
        for place, (quantity, condition, reason) in chosen.items():
            if str(place) not in offered:
                raise RuntimeError(f"the portal does not offer to return line {place}")
            form |= {f"quantity-{place}": str(quantity), f"condition-{place}": condition, f"reason-{place}": reason}
        async with self._session.post(page_address, data=form, allow_redirects=False) as answer:
            if answer.status != 303:
                raise RuntimeError(f"the portal did not take the return: {answer.status}")
        return await self.look()
