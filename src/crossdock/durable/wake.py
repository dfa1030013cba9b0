"""The port by which one process tells others that work for them is in the record. Losing a call costs a second.

Nothing depends on it: every worker looks into the record by itself, a wake-up only saves the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

# Not a slot: "slots are free, come and take your share".
SLOTS_ARE_FREE = -1

Woken = Callable[[Collection[int]], None]


class WakeUp(Protocol):
    """Carries slot numbers from whoever stored work to the worker that owns the slot."""

    def within(self, connection: Any, slots: Collection[int]) -> None:
        """Announce inside the transaction that stores the work, where the medium can: it is heard after the commit."""
        ...

    def after(self, slots: Collection[int]) -> None:
        """Announce after the commit, where the medium cannot do it inside. Never raises, never waits."""
        ...

    async def start(self, woken: Woken) -> None:
        """Listen from now on; `woken` is called on the event loop."""
        ...

    async def stop(self) -> None:
        """Stop listening."""
        ...

    def trouble(self) -> str:
        """Say in words why wake-ups are not heard; empty when all is well. Meanwhile every worker looks by itself."""
        ...
