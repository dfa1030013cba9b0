"""Keep a connector open as long as somebody uses it: a release replaces it only after its last send has ended.

Counts uses and closes late. Never decides when a connector is to be replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from ..sdk import CheckResult, Connector, FindResult, Outbound, Pulled, PushResult

# Far longer than any send or poll may take.
USE_SECONDS_MAX = 600.0


class LeasedConnector:
    """A connector that counts its uses; `close` waits for the last of them."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._uses = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it open over several calls: a poll ends only when all it yielded is acknowledged."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> None:
        self._uses += 1
        self._unused.clear()

    def _end(self) -> None:
        self._uses -= 1
        if not self._uses:
            self._unused.set()

    async def check(self) -> CheckResult:
        with self.in_use():
            return await self._connector.check()

    async def pull(self) -> AsyncIterator[Pulled]:
        with self.in_use():
            found = self._connector.pull()
            try:
                async for pulled in found:
                    yield pulled
            finally:
                # Whoever stops early stops the connector too, now and not when memory is tidied up.
                if isinstance(found, AsyncGenerator):
                    await found.aclose()

    async def push(self, outbound: Outbound) -> PushResult:
        self._begin()
        try:
            return await self._connector.push(outbound)
        finally:
            self._end()

    async def find(self, outbound: Outbound) -> FindResult:
        with self.in_use():
            return await self._connector.find(outbound)

    async def close(self) -> None:
        """Wait for the last use, then free what the connector holds; a use that never ends is waited for no longer
        than `USE_SECONDS_MAX`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(USE_SECONDS_MAX):
                # A send that has just asked (`find`) goes on to push in the same step: look again after each wake-up.
                while self._uses:
                    await self._unused.wait()
        await self._connector.close()
