"""An answer leaves in one piece: head and body are one write, and closing loses nothing that was written."""

from __future__ import annotations

import asyncio

import pytest

from crossdock.web.joined_writes import _JoinedTransport


class _Wire:
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.closed_after = -1

    def write(self, data: bytes) -> None:
        self.heard.append(data)

    def close(self) -> None:
        self.closed_after = len(self.heard)

    def get_extra_info(self, name: str) -> str:
        return f"the wire's {name}"


@pytest.mark.asyncio
async def test_what_is_written_in_one_turn_is_one_write() -> None:
    """Head and body are joined; what a later turn writes is a write of its own."""
    wire = _Wire()
    joined = _JoinedTransport(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
    joined.write(b"head")
    joined.write(b"body")
    await asyncio.sleep(0)
    joined.write(b"more")
    await asyncio.sleep(0)

    assert [b"headbody", b"more"] == wire.heard


@pytest.mark.asyncio
async def test_closing_writes_first() -> None:
    """An answer followed by a close at once arrives whole, once."""
    wire = _Wire()
    joined = _JoinedTransport(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
    joined.write(b"answer")
    joined.close()
    await asyncio.sleep(0)

    assert ([b"answer"], 1) == (wire.heard, wire.closed_after)


@pytest.mark.asyncio
async def test_everything_else_is_the_transport_itself() -> None:
    """uvicorn asks the wire for addresses and certificates as before."""
    joined = _JoinedTransport(_Wire(), asyncio.get_running_loop())  # type: ignore[arg-type]

    assert "the wire's peername" == joined.get_extra_info("peername")
