"""What the web needs of the running hub. `bootstrap.py` implements it; tests bring a small one of their own.

The web never starts a stage, opens a database or asks the operating system for the time: it is handed this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from ..canonical.events import Event
from ..config import Settings
from ..durable.identity import Clock
from ..durable.outage import OutageAction
from ..flow.ingest import InboundOffer, IngestAnswer
from ..flow.outages import Outage
from ..governance.configuration import Configuration

T = TypeVar("T")


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run again: single messages, or everything open of an issue.

    `under` chooses the release: the one each message ran under, or the active one. A dry run changes no row.
    """

    message_ids: tuple[str, ...] = ()
    issue_id: str = ""
    under: Literal["original", "current"] = "current"
    dry_run: bool = False
    actor: str = ""
    reason: str = ""


class StorePort(Protocol):
    """The two doors of the store the web uses."""

    async def read(self, fn: Callable[[Any], T]) -> T: ...

    async def write(self, fn: Callable[[Any], T]) -> T: ...


class Health(Protocol):
    """Whether the hub takes work; `reason` says in words why not."""

    @property
    def ready(self) -> bool: ...

    @property
    def reason(self) -> str: ...


class Hub(Protocol):
    """The running hub, as its doors see it."""

    url: str

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> StorePort: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def retention(self) -> Any:
        """What removes what a pack no longer keeps: `run(tenant_id, dry_run=…, actor=…)`."""
        ...

    def ingest(self, offer: InboundOffer) -> Awaitable[IngestAnswer]:
        """Store one message; returns when it is durable. Raises TransientError when the hub cannot take it now."""
        ...

    def ingest_many(self, offers: Sequence[InboundOffer]) -> Awaitable[Sequence[IngestAnswer]]:
        """Store several messages in one commit; answers stand in the order of the offers."""
        ...

    def configuration(self, tenant_id: str) -> Configuration | None:
        """Return the active configuration from memory, or None for a tenant that does not exist."""
        ...

    def inbound_secrets(self, tenant_id: str, references: Sequence[str]) -> tuple[str, ...]:
        """Return the resolved secrets of an inbound connection; a reference that cannot be resolved is left out."""
        ...

    def outages(self, tenant_id: str) -> Awaitable[Sequence[Outage]]:
        """Return a tenant's outages: those that last first, then the newest."""
        ...

    def declare_outage(
        self, tenant_id: str, connection_id: str, actor: str, reason: str, action: OutageAction | None
    ) -> Awaitable[Outage]:
        """Begin an outage. Raises NotFound, or Conflict when one lasts or the action is not possible."""
        ...

    def end_outage(self, tenant_id: str, outage_id: str, actor: str, reason: str) -> Awaitable[Outage]:
        """End an outage: stale updates are discarded, the rest goes out. Raises NotFound and Conflict."""
        ...

    def signing_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, derived from the root key; the same in every process."""
        ...

    def subscribe(self, tenant_id: str, after: str | None) -> AsyncIterator[tuple[str, Event]]:
        """Follow the journal of one tenant: no gap, no duplicate, committed facts only.

        Each event comes with its cursor; handing that back as `after` resumes behind it. None starts with what comes
        next.
        """
        ...

    def replay(self, tenant_id: str, request: ReplayRequest) -> Awaitable[Any]:
        """Run messages again, or say what that would do."""
        ...

    def source_again(self, tenant_id: str, order_number: str, actor: str) -> Awaitable[Any]:
        """Look for sites for an order that waits, past any hold; Conflict when it does not wait."""
        ...

    def source_issue_again(self, tenant_id: str, issue_id: str, actor: str) -> Awaitable[Any]:
        """Look for sites for every order behind an issue's open members."""
        ...

    def fix_issue(self, tenant_id: str, issue_id: str, table: str, key: str, value: str, actor: str) -> Awaitable[Any]:
        """Add one row to a lookup table (a new release) and replay what waits for it."""
        ...

    @property
    def repair(self) -> Any:
        """Acts on dead letters and bulk replays (`bootstrap.repair.Repair`)."""
        ...

    @property
    def shape_decisions(self) -> Any:
        """A person's word on changed shapes (`bootstrap.shapes.ShapeDecisions`)."""
        ...

    @property
    def reconciling(self) -> Any:
        """Makes runs of reconciliation and signs them (`bootstrap.reconciling.Reconciling`)."""
        ...

    @property
    def by_hand(self) -> Any:
        """What people ask for about returns and invoices (`bootstrap.by_hand.ByHand`)."""
        ...

    def create_key(self, tenant_id: str, role: str, connection: str = "", label: str = "") -> Awaitable[str]:
        """Return a new API key of a tenant; `connection` binds it to one door."""
        ...

    def set_secret(self, tenant_id: str, name: str, value: str) -> Awaitable[None]:
        """Seal a secret of a tenant and use it from now on."""
        ...

    def remove_secret(self, tenant_id: str, name: str) -> Awaitable[None]:
        """Forget a secret of a tenant."""
        ...

    def health(self) -> Health:
        """Return whether the hub takes work. It answers from memory and never waits."""
        ...


def public_address(hub: Hub) -> str:
    """Return the address others use: the one set, else the one the doors listen on."""
    return hub.settings.web.public_url.rstrip("/") or hub.url or hub.settings.public_url
