"""What the simulator needs of a running hub: an address, a few administrative acts, and a way to keep in step.

The simulator never looks at the hub's tables; what the hub says of itself is asked through its public API.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class HubPort(Protocol):
    """A running hub under the simulator's clock."""

    @property
    def url(self) -> str:
        """The root address of the web door, such as `http://127.0.0.1:8600`."""

    async def settle(self) -> None:
        """Return when nothing is in memory, nothing is being sent and nothing is due at the present instant."""

    def next_due_at(self) -> datetime | None:
        """Return the instant of the next timer, retry or poll; None when nothing waits for time."""

    async def advance(self) -> None:
        """Run what has become due. Called after the clock has moved."""

    async def apply_pack(self, tenant_id: str, files: Mapping[str, str], author: str) -> Any:
        """Make a release of the tenant's configuration and run under it."""

    async def create_key(self, tenant_id: str, role: str, connection: str = "", label: str = "") -> str:
        """Return a new API key of the tenant; `connection` binds it to one ingest door, the audit shows `label`."""

    async def set_secret(self, tenant_id: str, name: str, value: str) -> None:
        """Seal a secret of the tenant under a name that packs refer to as `secret:NAME`."""

    async def stop(self) -> None:
        """Stop; everything accepted is durable."""
