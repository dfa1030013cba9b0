"""Counts the sockets that are connected, by the interpreter's own audit events: what happened, not what was said.

An address outside of 127.0.0.0/8 and ::1 is noted and the connect is stopped before a packet leaves the machine.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_watchers: list[list[str]] = []


class WouldHaveConnected(OSError):
    """A connect to a real network was asked for; the test's hook stopped it."""


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect" or not _watchers:
        return
    address = arguments[1]
    host = str(address[0]) if isinstance(address, tuple) else str(address)
    for watcher in _watchers:
        watcher.append(host)
    if not host.startswith("127.") and host != "::1":
        raise WouldHaveConnected(host)


sys.addaudithook(_hook)


@contextlib.contextmanager
def connects() -> Iterator[list[str]]:
    """Yield the list of hosts that sockets are connected to while the block runs."""
    seen: list[str] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
