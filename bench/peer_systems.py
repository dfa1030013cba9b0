"""Each peer as a system under test: started on fresh stores with its durable settings, ended, with its processes named.

Redis runs with `appendonly yes` and `appendfsync always`: with less, an accepted event can be lost, and the job would
not be the same. PostgreSQL is the benchmark's own cluster with fsync on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import psycopg

from bench import peer_installation
from bench.databases import Databases
from crossdock.simulator.load import processes

_TABLES = (
    "create table if not exists orders"
    " (order_id text primary key, status text, version int, quantity int, document text)",
    "create table if not exists applied (event_id text primary key)",
)


class NotInstalled(Exception):
    """A peer cannot be measured on this machine; says why."""


class Peer(msgspec.Struct, frozen=True):
    """How one peer is started. `events` is how many make one measurement of a few seconds."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    durable: bool = True
    redis: bool = False
    node: str = ""
    events: int = 2_000
    start_seconds: float = 30.0
    settle_seconds: float = 2.0
    batches: bool = True
    remark: str = ""


_SERVE = ("uvicorn", "--port", "PORT", "--log-level", "error", "--no-access-log", "--loop", "uvloop")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("SAQ", ((*_SERVE, "saq_app:app"), ("saq", "saq_app.settings")), redis=True, events=4_000),
        Peer(
            "Dramatiq",
            ((*_SERVE, "dramatiq_app:app"), ("dramatiq", "dramatiq_app", "-p", "2", "-t", "8")),
            redis=True,
            events=3_000,
        ),
        Peer(
            "Celery",
            ((*_SERVE, "celery_app:app"), ("celery", "-A", "celery_app:worker", "worker", "-c", "4", "-l", "ERROR")),
            redis=True,
            settle_seconds=4.0,
        ),
        Peer(
            "procrastinate",
            (
                (*_SERVE, "procrastinate_app:app"),
                ("procrastinate", "-a", "procrastinate_app.worker", "worker", "--concurrency", "32"),
            ),
            events=1_500,
        ),
        Peer("DBOS", ((*_SERVE, "dbos_app:app", "--workers", "2"),), events=1_000, settle_seconds=4.0),
        Peer(
            "n8n",
            (("node", "--no-deprecation", "PROGRAM", "start"),),
            node="n8n",
            events=500,
            start_seconds=120.0,
            settle_seconds=10.0,
            batches=False,
            remark="keeps no order state; answers before the execution has finished",
        ),
        Peer(
            "Node-RED",
            (("node", "PROGRAM", "-u", "HOME", "-p", "PORT", "FLOW"),),
            durable=False,
            node="node-red",
            events=4_000,
            start_seconds=60.0,
            batches=False,
            remark="memory only, no retry: not the same promise",
        ),
    )
}


class PeerSystem:
    """A running peer."""

    token = ""
    orders_first = False

    def __init__(self, port: int, path: str, roots: Mapping[str, int]) -> None:
        self.port, self.path, self.processes = port, path, roots

    def counters(self) -> dict[str, float]:
        """Nobody counts a peer's commits here."""
        return {}


@contextlib.contextmanager
def running(peer: Peer, sink_url: str, databases: Databases, folder: Path) -> Iterator[PeerSystem]:
    """Start a peer on fresh stores; end it. Raises NotInstalled with the reason where it cannot be run."""
    with contextlib.ExitStack() as stack:
        port = processes.free_port()
        environment = {"BENCH_SINK": sink_url, "PYTHONPATH": str(peer_installation.PEERS)}
        roots: dict[str, int] = {}
        if peer.node:
            commands, path = _prepare_node(peer, port, sink_url, folder, environment)
        else:
            commands, path = _prepare_python(peer, port, databases, folder, environment, roots, stack)
        started = []
        for number, command in enumerate(commands):
            log = folder / f"{peer.name}-{number}.log"
            process = processes.start_program(
                command, log, folder=folder if peer.node else peer_installation.PEERS, environment=environment
            )
            stack.callback(processes.end, process)
            started.append(process)
        if not _answers(port, path, peer.start_seconds, started[0]):
            raise NotInstalled(f"did not start: {_last_words(folder, peer)}")
        time.sleep(peer.settle_seconds)
        # One root for all of a peer's own processes would need a common parent; they are summed under names of one kind.
        roots.update({"app" if number == 0 else f"app {number + 1}": one.pid for number, one in enumerate(started)})
        yield PeerSystem(port, path, roots)


def _prepare_python(
    peer: Peer,
    port: int,
    databases: Databases,
    folder: Path,
    environment: dict[str, str],
    roots: dict[str, int],
    stack: contextlib.ExitStack,
) -> tuple[list[list[str]], str]:
    programs = peer_installation.environment()
    dsn = databases.fresh()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _TABLES:
            connection.execute(statement)
    environment["BENCH_DSN"] = dsn
    roots["database"] = databases.pid()
    if peer.name == "DBOS":
        environment["BENCH_SYSTEM_DSN"] = databases.fresh()
    if peer.redis:
        redis = stack.enter_context(_redis(folder))
        environment["BENCH_REDIS"] = f"redis://127.0.0.1:{redis[0]}"
        roots["broker"] = redis[1]
    if peer.name == "procrastinate":
        _run_once([str(programs / "procrastinate"), "-a", "procrastinate_app.worker", "schema", "--apply"], environment)
    commands = [[str(programs / command[0]), *_filled(command[1:], {"PORT": str(port)})] for command in peer.commands]
    return commands, "/events"


def _prepare_node(
    peer: Peer, port: int, sink_url: str, folder: Path, environment: dict[str, str]
) -> tuple[list[list[str]], str]:
    program = peer_installation.node_program(peer.node)
    if program is None:
        raise NotInstalled("not installed (python -m bench.peer_installation --node)")
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    source = "n8n_workflow.json" if peer.node == "n8n" else "node_red_flow.json"
    flow = folder / source
    flow.write_text(_flow((peer_installation.PEERS / source).read_text(), sink_url))
    words = {"PROGRAM": str(program), "HOME": str(home), "PORT": str(port), "FLOW": str(flow)}
    commands = [_filled(command, words) for command in peer.commands]
    if peer.node == "node-red":
        return commands, "/events"
    environment.update(
        N8N_PORT=str(port),
        N8N_LISTEN_ADDRESS="127.0.0.1",
        N8N_USER_FOLDER=str(home),
        N8N_DIAGNOSTICS_ENABLED="false",
        N8N_VERSION_NOTIFICATIONS_ENABLED="false",
        N8N_TEMPLATES_ENABLED="false",
        N8N_PERSONALIZATION_ENABLED="false",
        N8N_LOG_LEVEL="error",
        N8N_ENCRYPTION_KEY="a-benchmark-has-no-secrets",
        EXECUTIONS_DATA_SAVE_ON_SUCCESS="all",
        DB_SQLITE_POOL_SIZE="4",
    )
    one = "--id=peerwf0000000001"
    for words_ in (
        ["import:workflow", f"--input={flow}"],
        ["publish:workflow", one],
        ["update:workflow", one, "--active=true"],
    ):
        subprocess.run(
            ["node", str(program), *words_], env={**_inherited(), **environment}, check=False, capture_output=True
        )
    return commands, "/webhook/events"


def _flow(text: str, sink_url: str) -> str:
    """Return a workflow with the map and the sink's address in it."""
    script = json.dumps((peer_installation.PEERS / "map_event.js").read_text())[1:-1]
    return text.replace("{MAP}", script).replace("{SINK}", sink_url)


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[tuple[int, int]]:
    """Start a Redis whose every answer is durable; yield its port and process id."""
    program = peer_installation.redis_server()
    if program is None:
        raise NotInstalled("there is no Redis on this machine (scripts/ensure_redis.sh)")
    port = processes.free_port()
    data = folder / "redis"
    data.mkdir(parents=True, exist_ok=True)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    process = processes.start_program(command, folder / "redis.log")
    try:
        if not processes.wait_for_port(port, 15, process):
            raise NotInstalled("Redis did not start")
        yield port, process.pid
    finally:
        processes.end(process)


def _answers(port: int, path: str, seconds: float, process: subprocess.Popen[str]) -> bool:
    """Return whether the door answers at all before the time is up; a refusal is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2)
        except urllib.error.HTTPError as error:
            if error.code in (400, 404, 405, 422):
                return True
        except OSError:
            pass
        else:
            return True
        time.sleep(0.2)
    return False


def _run_once(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        list(command),
        cwd=peer_installation.PEERS,
        env={**_inherited(), **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise NotInstalled(f"could not be prepared: {done.stderr.strip()[-300:]}")


def _inherited() -> dict[str, str]:
    import os

    return dict(os.environ)


def _filled(command: Sequence[str], words: Mapping[str, str]) -> list[str]:
    return [words.get(word, word) for word in command]


def _last_words(folder: Path, peer: Peer) -> str:
    log = folder / f"{peer.name}-0.log"
    return log.read_text()[-300:].strip() if log.exists() else "it said nothing"
