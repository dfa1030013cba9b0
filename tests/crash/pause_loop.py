"""Pause a worker past its lease again and again: every write it makes late must be refused.

    python -m tests.crash.pause_loop --pauses 1000 --stops 20

Two ways. *Fenced writes*: a worker's lease is ended on the database's own time, another one takes its slots, and the
first one's next write goes through the product's own pipeline door. *Stops*: a process that writes as fast as it can is
stopped (SIGSTOP) at a random moment, also in the middle of a transaction, until its slots are taken over, then goes on
(SIGCONT); not one of its rows may be younger than the takeover. `--fault unfenced` is the control: it writes late.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from crossdock.durable.lanes import SLOTS
from crossdock.store import workers
from crossdock.store.engine import Fenced, StoreUnavailable, open_store
from tests.support.postgres import PostgresCluster, find_binaries

LEASE_MICROS = 400_000
BEAT_SECONDS = 0.1
TAKEOVER_SECONDS_MAX = 30.0


class Report(msgspec.Struct):
    """What one run found. `late` are writes that were kept although the lease was over."""

    pauses: int
    stops: int
    faults: tuple[str, ...] = ()
    refused: int = 0
    late: int = 0
    rows: int = 0
    registrations: int = 0
    stopped_in_a_transaction: int = 0
    takeover_max_seconds: float = 0.0
    seconds: float = 0.0


def _table(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"create table if not exists late_writes (worker bigint, place bigserial, at bigint default {workers.NOW})"
        )


def fenced_writes(url: str, pauses: int, report: Report) -> None:
    """End a lease and take over, then have the old worker write: by each door that the product's transactions use."""
    store = open_store(url, readers=1)
    store.join()
    fence = (lambda connection, number: None) if "unfenced" in report.faults else workers.fence
    heir = store.write_now(lambda c: workers.register(c, "heir", "worker", 3_600_000_000))
    for _ in range(pauses):
        number = store.write_now(lambda c: workers.register(c, "paused", "worker", 3_600_000_000))
        store.write_now(lambda c, n=number: workers.beat(c, n, 3_600_000_000, takes_slots=True))
        # The pause: the lease ends on the database's time, and the other one's beat finds it.
        store.write_now(
            lambda c, n=number: c.execute(f"update workers set expires_at = {workers.NOW} - 1 where worker = ?", (n,))
        )
        store.write_now(lambda c: workers.beat(c, heir, 3_600_000_000, takes_slots=True))

        def late(connection: Any, number: int = number) -> None:
            fence(connection, number)
            connection.execute("insert into late_writes (worker) values (?)", (number,))

        try:
            store.write_now(late)
        except Fenced:
            report.refused += 1
        else:
            report.late += 1
    store.write_now(lambda c: workers.leave(c, heir))
    store.close()


def write_for_ever(url: str, unfenced: bool) -> None:
    """Be the worker that is stopped: register, beat, write in transactions that last a while; anew when fenced."""
    store = open_store(url, readers=1)
    store.join()
    number, beaten_at = 0, 0.0
    while True:
        try:
            if not number:
                number = store.write_now(lambda c: workers.register(c, f"x:{os.getpid()}", "worker", LEASE_MICROS))
                print(number, flush=True)
            if time.monotonic() - beaten_at > BEAT_SECONDS:
                store.write_now(lambda c, n=number: workers.beat(c, n, LEASE_MICROS, takes_slots=True))
                beaten_at = time.monotonic()

            def write(connection: Any, number: int = number) -> None:
                if not unfenced:
                    workers.fence(connection, number)
                time.sleep(0.004)
                connection.execute("insert into late_writes (worker) values (?)", (number,))

            store.write_now(write)
        except Fenced:
            if unfenced:
                # The control does not care: it goes on writing under its old number.
                beaten_at = time.monotonic() + 3600
            else:
                number = 0
        except StoreUnavailable:
            """Its session was ended while it stood still; it asks again on a new one."""


def stops(url: str, count: int, report: Report, chance: random.Random) -> None:
    """Stop the writing process at random moments; look for rows that are younger than the takeover."""
    heir_store = open_store(url, readers=1)
    heir_store.join()
    heir = heir_store.write_now(lambda c: workers.register(c, "heir", "worker", 3_600_000_000))
    fault = ["--unfenced"] if "unfenced" in report.faults else []
    command = [sys.executable, "-m", "tests.crash.pause_loop", "--write-for-ever", url, *fault]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert child.stdout is not None
        with psycopg.connect(url, autocommit=True) as look:
            number = 0
            for _ in range(count):
                if not number or "unfenced" not in report.faults:
                    # The control keeps its old number.
                    number = int(child.stdout.readline())
                time.sleep(chance.uniform(0.05, 0.25))
                os.kill(child.pid, signal.SIGSTOP)
                began = time.monotonic()
                inside = look.execute(
                    "select count(*) from pg_stat_activity where state = 'idle in transaction'"
                    " and application_name = %s",
                    (f"{workers.APPLICATION}{number}",),
                ).fetchone()
                report.stopped_in_a_transaction += int(inside is not None and inside[0] > 0)
                while look.execute("select 1 from workers where worker = %s", (number,)).fetchone():
                    heir_store.write_now(lambda c: workers.beat(c, heir, 3_600_000_000, takes_slots=True))
                    if time.monotonic() - began > TAKEOVER_SECONDS_MAX:
                        raise RuntimeError("nobody could take over")
                    time.sleep(0.02)
                report.takeover_max_seconds = max(report.takeover_max_seconds, time.monotonic() - began)
                row = look.execute(f"select {workers.NOW}").fetchone()
                assert row is not None
                os.kill(child.pid, signal.SIGCONT)
                time.sleep(0.15)
                late = look.execute(
                    "select count(*) from late_writes where worker = %s and at > %s", (number, row[0])
                ).fetchone()
                assert late is not None
                report.late += late[0]
                report.refused += int(late[0] == 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGCONT)
        child.kill()
        child.wait()
    row = heir_store.read_now(lambda c: c.one("select count(*) from slots where worker = ?", (heir,)))
    assert row is not None and row[0] <= SLOTS
    heir_store.close()


def run(url: str, *, pauses: int, stopped: int, seed: int, faults: tuple[str, ...] = ()) -> Report:
    """Run both ways on an empty database."""
    report = Report(pauses, stopped, faults)
    began = time.monotonic()
    open_store(url, readers=1).close()
    _table(url)
    fenced_writes(url, pauses, report)
    if stopped:
        stops(url, stopped, report, random.Random(seed))
    with psycopg.connect(url) as look:
        row = look.execute("select last_value from worker_numbers").fetchone()
        report.registrations = int(row[0]) if row else 0
        row = look.execute("select count(*) from late_writes").fetchone()
        report.rows = int(row[0]) if row else 0
    report.takeover_max_seconds = round(report.takeover_max_seconds, 3)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def main() -> None:
    """Run from the command line on a server of its own; exit 1 when a late write was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pauses", type=int, default=1_000, help="leases that end before a write")
    parser.add_argument("--stops", type=int, default=20, help="real SIGSTOPs of a process that writes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], help="unfenced: a known-bad variant")
    parser.add_argument("--write-for-ever", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--unfenced", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_for_ever:
        write_for_ever(arguments.write_for_ever, arguments.unfenced)
        return
    binaries = find_binaries()
    if binaries is None:
        sys.exit("no PostgreSQL binaries on this machine")
    cluster = PostgresCluster(binaries)
    try:
        url = cluster.dsn(cluster.create_database())
        faults = tuple(arguments.fault)
        report = run(url, pauses=arguments.pauses, stopped=arguments.stops, seed=arguments.seed, faults=faults)
    finally:
        cluster.close()
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.late else 0)


if __name__ == "__main__":
    main()
