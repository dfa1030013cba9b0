"""Which connections are in doubt after a restore: what is made for them is asked for before it is sent."""

from __future__ import annotations

from ..flow.render import SendMode
from ..store import restores
from ..store.engine import Store


class Doubts:
    """Kept in memory for the cycle; read at the start, and again while there are any."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: set[tuple[str, str]] = set()

    async def load(self) -> None:
        """Read them, before anything is taken up."""
        self._open = await self._store.read(restores.in_doubt)

    async def tick(self) -> None:
        """See whether somebody closed some. New ones come only by a restore, where no hub runs."""
        if self._open:
            await self.load()

    def around(self, mode_of: SendMode) -> SendMode:
        """Return the state in which new sends are written: unknown for connections in doubt."""

        def mode(tenant_id: str, connection_id: str, lane: str) -> tuple[str, int, int]:
            state, slot, handed = mode_of(tenant_id, connection_id, lane)
            return ("unknown" if (tenant_id, connection_id) in self._open else state), slot, handed

        return mode
