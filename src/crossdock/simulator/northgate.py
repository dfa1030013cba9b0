"""Northgate's world: all of its partners on loopback sockets and in folders, and how the hub reaches them."""

from __future__ import annotations

import base64
from pathlib import Path

import aiohttp

from .books import Company
from .carrier import Carrier
from .clock import Timeline, dice
from .erp import Erp
from .hub_port import HubPort
from .ledger import Ledger
from .mail_spool import MailSpool
from .pack_source import pack_files, with_addresses
from .service_desk import ServiceDesk
from .shop import Shop
from .threepl_harbor import ThreePlHarbor
from .threepl_swift import ThreePlSwift
from .wire import Door, bearer, hmac_hex, ingest_url, standard_webhook
from .wms_reno import WmsReno
from .world import PlannedOrder, clock_time

TENANT = "northgate"
OPENS, CLOSES = clock_time("07:50"), clock_time("18:00")


class Northgate:
    """The partners of Northgate. Secrets are drawn from the seed: this world is a stage."""

    def __init__(self, seed: int, timeline: Timeline, folder: Path) -> None:
        self._secrets = {
            name: f"{name}-{dice(seed, 'secret', name).randbytes(12).hex()}"
            for name in (
                "erp-token",
                "shop-token",
                "shop-signing",
                "swift-password",
                "harbor-token",
                "cargoline-signing",
                "desk-token",
            )
        }
        signing = base64.b64encode(dice(seed, "secret", "harbor-signing").randbytes(24)).decode()
        self._secrets["harbor-signing"] = f"whsec_{signing}"
        self._timeline = timeline
        self.carrier = Carrier(seed, timeline)
        self.erp = Erp(timeline, self._secrets["erp-token"])
        self.shop = Shop(timeline, self._secrets["shop-token"])
        self.reno = WmsReno(seed, timeline, self.carrier, folder / "reno")
        self.swift = ThreePlSwift(seed, timeline, self.carrier, folder / "swift", self._secrets["swift-password"])
        self.harbor = ThreePlHarbor(seed, timeline, self.carrier, self._secrets["harbor-token"])
        self.desk = ServiceDesk(timeline, self._secrets["desk-token"])
        self.mail = MailSpool(timeline, folder / "mail")
        self._services = (self.erp.service, self.shop.service, self.harbor.service, self.desk.service)

    async def start(self) -> None:
        """Open every socket and folder."""
        for service in self._services:
            await service.start()
        await self.swift.start()
        self.reno.open(OPENS, CLOSES)
        self.swift.open(OPENS, CLOSES)
        self.harbor.open(OPENS, CLOSES)
        self.mail.open(OPENS, CLOSES)

    async def stop(self) -> None:
        """Close every socket."""
        for service in self._services:
            await service.stop()
        await self.swift.stop()

    async def join(self, hub: HubPort, session: aiohttp.ClientSession) -> None:
        """Configure the hub for this company and give each partner its door."""
        for name, value in self._secrets.items():
            await hub.set_secret(TENANT, name, value)
        await hub.apply_pack(TENANT, with_addresses(pack_files(TENANT), self._addresses()), "simulator")
        key = await hub.create_key(TENANT, "partner", "erp")
        self.erp.door = Door(session, self._timeline, self.erp.ledger, ingest_url(hub.url, TENANT, "erp"), bearer(key))
        self.shop.door = Door(
            session,
            self._timeline,
            self.shop.ledger,
            ingest_url(hub.url, TENANT, "shop"),
            hmac_hex(self._secrets["shop-signing"], "X-Shop-Hmac-Sha256", "X-Shop-Event-Id"),
        )
        self.harbor.door = Door(
            session,
            self._timeline,
            self.harbor.ledger,
            ingest_url(hub.url, TENANT, "harbor"),
            standard_webhook(self._secrets["harbor-signing"]),
        )
        self.carrier.door = Door(
            session,
            self._timeline,
            self.carrier.ledger,
            ingest_url(hub.url, TENANT, "cargoline"),
            hmac_hex(self._secrets["cargoline-signing"], "X-Cargoline-Signature", "X-Cargoline-Event"),
        )

    def _addresses(self) -> dict[str, str]:
        return {
            "https://erp.northgate.example": self.erp.service.url,
            "https://shop.northgate.example": self.shop.service.url,
            "https://api.harbor.example": self.harbor.service.url,
            "https://desk.northgate.example": self.desk.service.url,
            "host: sftp.swift.example": "host: 127.0.0.1",
            "port: 22": f"port: {self.swift.port}",
            "SWIFT_HOST_KEY": self.swift.host_key,
            "/srv/northgate/reno": str(self.reno.inbox.parent),
            "/srv/northgate/mail": str(self.mail.root),
        }

    async def place(self, order: PlannedOrder) -> None:
        """Let an order happen in the system it comes from."""
        await (self.erp.release(order) if order.origin == "erp" else self.shop.place(order))

    @property
    def returns_ledger(self) -> Ledger:
        """The books of the site that takes goods back."""
        return self.harbor.ledger

    async def open_return(self, order_number: str) -> None:
        """Have the parcel that came back for an order opened and inspected."""
        await self.harbor.open_return(order_number)

    def company(self) -> Company:
        """Return all books of this company."""
        return Company(
            tenant=TENANT,
            releasing=(self.erp.ledger, self.shop.ledger),
            sites=(self.reno.ledger, self.swift.ledger, self.harbor.ledger),
            finance=self.erp.ledger,
            carrier=self.carrier.ledger,
            desk=self.desk.ledger,
            shop=self.shop.ledger,
        )
