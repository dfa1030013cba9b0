"""What `make bench` measures: the limits of this machine, the product on SQLite and PostgreSQL, the pure rooms.

    python -m bench [--events N] [--rounds N] [--skip-postgres] [--skip-rooms]

PostgreSQL is a throwaway cluster on this machine's disk with fsync on, started and removed here.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from crossdock.cli import bench
from tests.support.postgres import PostgresCluster, find_binaries

ROOMS = ("mapping", "process", "edi_codec", "http_client")


def main() -> int:
    """Run what was asked for; print tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="events of each workload")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are shown")
    parser.add_argument("--skip-postgres", action="store_true")
    parser.add_argument("--skip-rooms", action="store_true")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-bench-")))
        bench.show(bench.measure("sqlite", None, scratch, asked.events, asked.rounds))
        if not asked.skip_postgres:
            binaries = find_binaries()
            if binaries is None:
                print("PostgreSQL was NOT measured: none was found on this machine", file=sys.stderr)
            else:
                cluster = PostgresCluster(binaries)
                stack.callback(cluster.close)
                databases = (cluster.dsn(cluster.create_database()) for _ in range(asked.rounds))
                bench.show(bench.measure("postgresql", databases, scratch, asked.events, asked.rounds))
    if not asked.skip_rooms:
        for room in ROOMS:
            print(f"\n== {room}", flush=True)
            subprocess.run([sys.executable, "-m", f"bench.{room}"], check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
