"""A connector that is replaced is closed only after its last use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from crossdock.connectors.leases import LeasedConnector
from crossdock.sdk import CheckResult, FindResult, Outbound, Pulled, PushResult

ORDER = Outbound("msg_1", "SO-1", "fulfillment_request", b"{}", "application/json")


class Slow:
    """Its pushes wait; it writes down what happened in order."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []

    async def check(self) -> CheckResult:
        return CheckResult(True, "")

    async def pull(self) -> AsyncIterator[Pulled]:
        for pulled in ():
            yield pulled

    async def push(self, outbound: Outbound) -> PushResult:
        await self.gate.wait()
        self.seen.append("pushed")
        return PushResult("done")

    async def find(self, outbound: Outbound) -> FindResult:
        await self.gate.wait()
        self.seen.append("asked")
        return FindResult("absent")

    async def close(self) -> None:
        self.seen.append("closed")


async def test_close_waits_for_a_send_that_asks_first() -> None:
    """A send that asks and then pushes is one use: closing does not come between."""
    slow = Slow()
    lease = LeasedConnector(slow)

    async def send() -> None:
        await lease.find(ORDER)
        await lease.push(ORDER)

    sending = asyncio.ensure_future(send())
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(lease.close())
    await asyncio.sleep(0)
    slow.gate.set()
    await asyncio.gather(sending, closing)

    assert ["asked", "pushed", "closed"] == slow.seen


async def test_an_unused_connector_is_closed_at_once() -> None:
    """Nothing is waited for when nothing is under way, and a use of several calls counts until its end."""
    slow = Slow()
    lease = LeasedConnector(slow)

    with lease.in_use():
        closing = asyncio.ensure_future(lease.close())
        await asyncio.sleep(0)
        assert [] == slow.seen
    await closing

    assert ["closed"] == slow.seen
