"""Real servers of other makers, started for a test from what `scripts/ensure_*.sh` has prepared in `var/peers`.

Holds what they share: where they lie, how their HTTP is waited for, and how a missing one is skipped out loud.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.processes import end, free_port, spawn

START_SECONDS_MAX = 90.0
ATTEMPTS_MAX = 3
PEERS = Path(os.environ.get("CROSSDOCK_PEERS") or Path(__file__).parents[2] / "var/peers").resolve()


def prepared(name: str, system: str) -> Path:
    """Return the folder of a prepared server; skips out loud when there is none."""
    folder = PEERS / name
    if not any(folder.glob("ready-*")):
        pytest.skip(f"NOT RUN: no {system} on this machine (scripts/ensure_{name}.sh could get none)")
    return folder


class PeerServer:
    """One running server process that answers HTTP on a loopback port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "server.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The root address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, port: int) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return what to run for a port, and its environment."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether the server is ready."""
        return self.status("GET", "/") < 500

    def status(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> int:
        """Return the status of one request, 599 when there was no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 599
        finally:
            connection.close()

    def start(self) -> None:
        """Start (again, on its old port once it has one) and return when it is ready."""
        again = self.port
        for _ in range(ATTEMPTS_MAX):
            self.port = again or free_port()
            command, environment = self.command(self.port)
            self._process = spawn(command, log=self.log, environment=environment)
            deadline = time.monotonic() + START_SECONDS_MAX
            while time.monotonic() < deadline and self._process.poll() is None:
                if self.answers():
                    return
                time.sleep(0.1)
            self.stop()
        raise RuntimeError(f"{self.folder.name} did not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """End the process, as a partner's outage does."""
        if self._process is not None:
            end(self._process, signal.SIGTERM)
            self._process = None
