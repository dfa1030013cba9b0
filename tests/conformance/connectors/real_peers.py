"""Let the suite of promises, which speaks of plain documents, judge a connector that speaks to a real system.

The suite offers `{"id":"A"}` and sends `{"order":"SO-1"}`; the system knows sales, shipments and tickets. `Translated`
stands before the connector and changes words only: which record a document means, and which document a record means.
What is judged is the real server's own record.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from crossdock.sdk import CheckResult, Connector, FindResult, Outbound, Pulled, PushResult
from crossdock.sdk.conformance import Fault
from tests.conformance.connectors.harnesses import _Harness
from tests.conformance.connectors.http_fault_proxy import HttpFaultProxy


class Words:
    """What one harness's documents are called in the system."""

    async def outgoing(self, outbound: Outbound) -> bytes:
        """Return the connector's document for what the suite sends."""
        raise NotImplementedError

    def incoming(self, pulled: Pulled) -> bytes | None:
        """Return what the suite offered as this record, None for a record of somebody else."""
        raise NotImplementedError


class Translated:
    """A connector in the suite's words."""

    def __init__(self, connector: Connector, words: Words) -> None:
        self._connector = connector
        self._words = words

    async def check(self) -> CheckResult:
        return await self._connector.check()

    async def pull(self) -> AsyncIterator[Pulled]:
        async for pulled in self._connector.pull():
            content = self._words.incoming(pulled)
            if content is None:
                await pulled.acknowledge()
            else:
                yield msgspec.structs.replace(pulled, content=content)

    async def push(self, outbound: Outbound) -> PushResult:
        return await self._connector.push(await self._said(outbound))

    async def find(self, outbound: Outbound) -> FindResult:
        return await self._connector.find(await self._said(outbound))

    async def _said(self, outbound: Outbound) -> Outbound:
        return msgspec.structs.replace(outbound, content=await self._words.outgoing(outbound))

    async def close(self) -> None:
        await self._connector.close()


class RealHarness(_Harness, Words):
    """The shared part: a proxy with faults before the server, a second one as the outside, a tag for our records."""

    timeout_seconds = 4.0

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.tag = f"c{uuid.uuid4().hex[:8]}"
        self.proxy = HttpFaultProxy(upstream, self.is_effect)
        self.outside = HttpFaultProxy(upstream, lambda *_: False)
        self.offered: dict[str, bytes] = {}
        self.sent: dict[str, bytes] = {}

    def is_effect(self, method: str, path: str, body: bytes) -> bool:
        """Tell whether a request is the one with which the effect happens."""
        raise NotImplementedError

    async def start(self) -> Any:
        await self.proxy.start()
        await self.outside.start()
        self.proxy.redirect_to = f"{self.outside.url}/elsewhere"
        return self

    async def stop(self) -> None:
        await super().stop()
        await self.proxy.stop()
        await self.outside.stop()

    async def set_fault(self, fault: Fault) -> None:
        self.proxy.fault = fault

    def escaped(self) -> bool:
        return bool(self.outside.writes or self.outside.effects)
