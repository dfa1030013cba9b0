"""`crossdock up` with roles and workers, as real processes: they work, are replaced when killed, and end with their
parent however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.crash.pack import files

SECONDS_MAX = 90.0


def eventually(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS_MAX
    while not (found := true()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Installation:
    """A directory, a record and the processes of `crossdock up`."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")},
            "CROSSDOCK_STORE_URL": url,
            "CROSSDOCK_SECURITY_ROOT_KEY_FILE": str(directory / "root.key"),
            "CROSSDOCK_FLOW_POLL_INTERVAL_SECONDS": "0.2",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def up(self, *options: str) -> subprocess.Popen[bytes]:
        with (self.directory / "up.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "crossdock", "up", "--port", "0", "--no-links", *options],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def log(self) -> str:
        return (self.directory / "up.log").read_text(errors="replace")

    def address(self) -> str:
        found = eventually(lambda: re.search(r"listens on (http://\S+)", self.log()))
        return str(found[1])

    def rows(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()

    def workers(self) -> list[int]:
        """Return the process ids of the live workers."""
        rows = self.rows("select name from workers where role = 'worker' order by worker")
        return [int(name.rpartition(":")[2]) for (name,) in rows]

    def slots_owned(self) -> int:
        return int(self.rows("select count(*) from slots s join workers w on w.worker = s.worker")[0][0])


@pytest.fixture
def installation(database: str, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path, database)
    yield made
    for process in made.processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_doors_here_and_workers_there_work_together_and_end_together(installation: Installation) -> None:
    """Taken in by one process, worked by another; TERM ends all of them and every slot is given back."""
    parent = installation.up("--workers", "2")
    address = installation.address()
    eventually(lambda: len(installation.workers()) == 2 and installation.slots_owned() == 64)
    pack = installation.directory / "pack"
    for name, text in files(9).items():
        (pack / name).parent.mkdir(parents=True, exist_ok=True)
        (pack / name).write_text(text)
    applied = subprocess.run(
        [sys.executable, "-m", "crossdock", "apply", str(pack), "--yes"],
        cwd=installation.directory,
        env=installation.environment,
        capture_output=True,
        timeout=SECONDS_MAX,
    )
    assert 0 == applied.returncode, applied.stderr.decode()
    stock = {"type": "stock", "number": "r", "site": "RENO", "as_of": "2026-01-01T00:00:00Z", "lines": []}
    stock["lines"] = [{"sku": "A", "qty": 5}]

    def offered() -> bool:
        request = urllib.request.Request(f"{address}/v1/ingest/acme/reno", json.dumps(stock).encode())
        request.add_header("content-type", "application/json")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 202)
        return False

    eventually(offered)
    eventually(lambda: installation.rows("select 1 from inventory"))

    children = installation.workers()
    parent.terminate()
    assert 0 == parent.wait(60)
    eventually(lambda: not any(map(alive, children)))
    assert [(0,)] == installation.rows("select count(*) from workers")
    assert [(64,)] == installation.rows("select count(*) from slots where worker = 0")


def test_a_worker_that_is_killed_is_replaced_and_all_end_when_the_parent_is_killed(installation: Installation) -> None:
    """The parent starts another one; children do not outlive a parent that was killed."""
    parent = installation.up("--workers", "2")
    installation.address()
    first = eventually(lambda: found if len(found := installation.workers()) == 2 else None)
    os.kill(first[0], signal.SIGKILL)
    eventually(lambda: len([pid for pid in installation.workers() if pid not in first]) == 1)
    children = [pid for pid in installation.workers() if alive(pid)]
    assert 2 == len(children)

    parent.kill()
    parent.wait()
    eventually(lambda: not any(map(alive, children)))
    # They left in order: no slot is theirs, nobody has to wait for their lease.
    assert not set(children) & set(installation.workers())


def test_several_workers_on_sqlite_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Exit code and words; nothing was started."""
    made = Installation(tmp_path, f"sqlite:///{tmp_path / 'x.db'}")
    for options in (("--workers", "2"), ("--role", "worker")):
        process = made.up(*options)
        assert 0 != process.wait(SECONDS_MAX)
    assert 2 == made.log().count("XD-SYS-015  SQLite is worked by one process")
