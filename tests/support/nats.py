"""Real NATS servers with JetStream, one or three, that can be killed, paused, wiped and set back.

Each has ports of its own. The binary comes from a pinned package. Stores lie under the directory that is handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from tests.support.processes import end, free_port

READY_SECONDS_MAX = 30.0
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


def nats_binary() -> Path | None:
    """Return the server's binary, beside this Python or on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = shutil.which("nats-server")
    return beside if beside.exists() else Path(found) if found else None


class NatsServers:
    """One server, or a cluster of three. `start` before use; `stop` at the end."""

    def __init__(self, directory: Path, count: int = 1, *, configuration: str = "", jetstream: bool = True) -> None:
        self.directory = directory
        self._jetstream = jetstream
        self.count = count
        self._configuration = configuration
        self._ports = [free_port() for _ in range(count)]
        self._routes = [free_port() for _ in range(count)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * count
        self._clients: list[Client] = []

    @property
    def urls(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self._ports]

    @property
    def url(self) -> str:
        """All addresses, as the settings want them."""
        return ",".join(self.urls)

    # -- life

    def start(self, *nodes: int) -> None:
        """Start these servers, or all; those that run are left alone."""
        for node in nodes or range(self.count):
            if self._processes[node] is None:
                self._processes[node] = self._spawn(node)

    def _spawn(self, node: int) -> subprocess.Popen[bytes]:
        binary = nats_binary()
        assert binary is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [binary, "-n", f"n{node}", "-a", "127.0.0.1", "-p", str(self._ports[node])]
        if self._jetstream:
            command += ["-js", "-sd", self.store(node)]
        if self.count > 1:
            routes = ",".join(f"nats://127.0.0.1:{port}" for port in self._routes)
            command += ["--cluster_name", "xd", "--cluster", f"nats://127.0.0.1:{self._routes[node]}"]
            command += ["--routes", routes]
        if self._configuration:
            file = self.directory / "server.conf"
            file.write_text(self._configuration)
            command += ["-c", file]
        # Servers are started beside running threads, where a function between fork and exec may wait for ever.
        launcher: list[str | Path] = [sys.executable, "-S", "-E", "-c", _DIE_WITH_PARENT]
        with (self.directory / f"n{node}.log").open("ab") as log:
            return subprocess.Popen(
                [*launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        for node in range(self.count):
            self.kill(node)

    def kill(self, node: int) -> None:
        """Kill -9 one server, paused or not."""
        process, self._processes[node] = self._processes[node], None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            end(process, signal.SIGKILL)

    def pause(self, node: int) -> None:
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: int, number: int) -> None:
        process = self._processes[node]
        if process is not None:
            os.kill(process.pid, number)

    def running(self) -> list[int]:
        return [node for node, process in enumerate(self._processes) if process is not None]

    # -- stores

    def store(self, node: int) -> Path:
        return self.directory / f"store-{node}"

    def wipe(self, *nodes: int) -> None:
        """Take away the stores of servers that do not run."""
        for node in nodes or range(self.count):
            assert self._processes[node] is None
            shutil.rmtree(self.store(node), ignore_errors=True)

    def keep_copy(self, name: str) -> None:
        """Copy the stores of servers that do not run: what the disk held at this moment."""
        for node in range(self.count):
            assert self._processes[node] is None
            shutil.copytree(self.store(node), self.directory / f"{name}-{node}")

    def set_back(self, name: str, *nodes: int) -> None:
        """Put an older copy in place: what was written since was never on the disk."""
        self_nodes = nodes or range(self.count)
        for node in self_nodes:
            self.wipe(node)
            shutil.copytree(self.directory / f"{name}-{node}", self.store(node))

    # -- asking

    async def client(self, **options: Any) -> Client:
        """Return a client of a test, patient with servers that go and come."""

        async def quiet(error: Exception) -> None:
            """Servers are killed on purpose here."""

        patience: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.1, "connect_timeout": 2}
        if not options.get("allow_reconnect", True):
            patience["max_reconnect_attempts"] = 1
        client = await nats.connect(servers=self.urls, error_cb=quiet, **{**patience, **options})
        self._clients.append(client)
        return client

    async def close_clients(self) -> None:
        for client in self._clients:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 5)
        self._clients.clear()

    async def api(self, client: Client, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await client.request(f"$JS.API.{call}", json.dumps(body or {}).encode(), timeout=5)
        return dict(json.loads(answer.data))

    async def ready(self) -> None:
        """Wait until JetStream answers, and its cluster has a leader. Raises TimeoutError."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        probe = {"name": "READY", "subjects": ["ready"], "storage": "memory", "num_replicas": self.count}
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                client = await asyncio.wait_for(self.client(), 5)
                try:
                    answer = await self.api(client, "STREAM.CREATE.READY", probe)
                    if "error" not in answer:
                        await self.api(client, "STREAM.DELETE.READY")
                        return
                finally:
                    self._clients.remove(client)
                    await client.close()
            await asyncio.sleep(0.1)
        raise TimeoutError("NATS did not become ready")

    async def leader(self, stream: str) -> int | None:
        """Return the node that leads a stream, None when nobody says so."""
        with contextlib.suppress(Exception):
            client = await asyncio.wait_for(self.client(), 3)
            try:
                answer = await self.api(client, f"STREAM.INFO.{stream}")
                return int(answer["cluster"]["leader"][1:])
            finally:
                self._clients.remove(client)
                await client.close()
        return None
