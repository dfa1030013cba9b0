"""What the examples' companies have in common: who takes part, how the hub reaches them, their day and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from ..books import Company
from ..clock import Action, Timeline, dice
from ..hub_port import HubPort
from ..ledger import Ledger
from ..pack_source import with_addresses
from ..supply.party import Party
from ..wire import Door, bearer, ingest_url, standard_webhook
from ..world import clock_time
from .erp import HouseErp, HouseOrder

STARTS = clock_time("07:30")
ENDS = clock_time("18:00")


class Site(Protocol):
    """A warehouse with books, which tells its stock when it opens."""

    ledger: Ledger

    async def open(self) -> None: ...


class House:
    """One company. Subclasses name its parties, folders and sites before they `join`."""

    def __init__(self, tenant: str, seed: int, timeline: Timeline) -> None:
        self.tenant = tenant
        self.timeline = timeline
        self._seed = seed
        self.erp = HouseErp(timeline, self.token("erp"))
        self.parties: list[Party] = [self.erp]
        # Who signs its webhooks as Standard Webhooks say, with which secret; the others bear a key.
        self.signing: dict[str, str] = {}
        # What else of the pack's examples is replaced in connections, and the secrets that come with it.
        self.addresses: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.folders: dict[str, Path] = {}
        self.sites: list[Site] = []
        self.orders: Sequence[HouseOrder] = ()

    def token(self, name: str) -> str:
        """Return the secret that a party asks the hub for; of the seed alone."""
        return f"{name}-{dice(self._seed, self.tenant, 'secret', name).randbytes(12).hex()}"

    async def start(self) -> None:
        """Open the sockets, and plan the day."""
        for party in self.parties:
            await party.service.start()
        for number, site in enumerate(self.sites):
            self.at(clock_time("07:50"), f"site{number}", site.open)
        for order in self.orders:
            self.release(order)

    def release(self, order: HouseOrder) -> None:
        """Plan that an order is released so many minutes after nine."""

        async def act() -> None:
            await self.erp.release(order)

        self.at(clock_time("09:00") + timedelta(minutes=order.minute), f"erp:{order.number}", act)

    def at(self, moment: datetime, who: str, action: Action) -> None:
        """Plan an action of the day."""
        self.timeline.at(moment, f"{self.tenant}-{who}", action)

    async def stop(self) -> None:
        """Close the sockets."""
        for party in self.parties:
            await party.service.stop()

    async def join(
        self, hub: HubPort, session: aiohttp.ClientSession, pack: Mapping[str, str], template: str = ""
    ) -> None:
        """Configure the hub with the pack, whose example addresses bear the template's name, and open the doors."""
        domain = template or self.tenant
        addresses = {f"https://{party.name}.{domain}.example": party.service.url for party in self.parties}
        addresses |= self.addresses
        addresses |= {f"/srv/{domain}/{name}": str(folder) for name, folder in self.folders.items()}
        for party in self.parties:
            await hub.set_secret(self.tenant, f"{party.name}-token", self.token(party.name))
        signing = {f"{name}-signing": secret for name, secret in self.signing.items()}
        for name, secret in {**signing, **self.secrets}.items():
            await hub.set_secret(self.tenant, name, secret)
        await hub.apply_pack(self.tenant, with_addresses(pack, addresses), "simulator")
        for party in self.parties:
            if party.name in self.signing:
                signer = standard_webhook(self.signing[party.name])
            else:
                signer = bearer(await hub.create_key(self.tenant, "partner", party.name))
            url = ingest_url(hub.url, self.tenant, party.name)
            party.door = Door(session, self.timeline, party.ledger, url, signer)

    def company(self, **more: Any) -> Company:
        """Return all books of the company."""
        books = {"invoice_gate": "shipped", **more}
        sites = tuple(site.ledger for site in self.sites)
        return Company(self.tenant, releasing=(self.erp.ledger,), sites=sites, finance=self.erp.ledger, **books)
