"""Measure Crossdock, its parts and its peers in one run; print the figures and write the reference page.

    python -m bench                 everything but the soak: about 25 minutes in a quiet hour
    python -m bench --quick         the same parts with small counts, nothing written: within 2 minutes
    python -m bench --only hub,saq  some parts; add --write to put them on the page
    python -m bench --page          make the page of the record again, measuring nothing

PostgreSQL is a throwaway cluster on this machine's disk with fsync on, started and removed here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench import page
from bench.campaign import PARTS, Campaign, Options, say
from bench.databases import Databases
from bench.record import ROOT, new_record, read, write
from crossdock.simulator.load import measuring

RECORD = ROOT / "docs" / "reference" / "performance.json"
PAGE = ROOT / "docs" / "reference" / "performance.md"
DEFAULT = tuple(part for part in PARTS if part != "soak")
QUICK = ("hub", "storage", "postgres", "saq", "peers", "troubles", "cost")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small counts, one round; for people, never written")
    parser.add_argument("--only", default="", help=f"parts, with commas between: {', '.join(PARTS)}")
    parser.add_argument("--skip", default="", help="parts to leave out")
    parser.add_argument("--events", type=int, default=0, help="events of each workload of the hub")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of hub and SAQ")
    parser.add_argument("--peer-rounds", type=int, default=0, help="rounds of everything else")
    parser.add_argument("--orders", default="", help="sizes of the record for the cost on SQLite: 10000,100000,1000000")
    parser.add_argument("--soak-seconds", type=float, default=3600.0, help="length of the soak")
    parser.add_argument("--write", action="store_true", help="write the page although only some parts were measured")
    parser.add_argument("--no-write", action="store_true", help="write nothing")
    parser.add_argument("--page", action="store_true", help="only make the page again")
    parser.add_argument("--folder", type=Path, help="where the stores go: the disk that is measured")
    asked = parser.parse_args()
    if asked.page:
        PAGE.write_text(page.render(read(RECORD)))
        return 0
    options = _options(asked, parser)
    record = new_record(" ".join(["python -m bench", *sys.argv[1:]]))
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-bench-", dir=asked.folder) as scratch,
        Databases() as databases,
        measuring.open_sink() as sink,
    ):
        Campaign(record, options, Path(scratch), databases, sink).run()
    record.seconds = time.monotonic() - began
    print(page.console(record))
    complete = not asked.quick and not asked.only and not asked.skip
    if (complete or asked.write) and not asked.no_write:
        write(record, RECORD)
        PAGE.write_text(page.render(record))
        say(f"written: {PAGE.relative_to(ROOT)}, {RECORD.relative_to(ROOT)}")
    return 0


def _options(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> Options:
    parts = tuple(filter(None, asked.only.split(","))) or (QUICK if asked.quick else DEFAULT)
    skipped = set(filter(None, asked.skip.split(",")))
    unknown = {*parts, *skipped} - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    options = Options(parts=tuple(part for part in parts if part not in skipped), soak_seconds=asked.soak_seconds)
    if asked.quick:
        options.events, options.rounds, options.peer_rounds, options.peer_share = 1_000, 1, 1, 0.1
        options.storage_events, options.batches, options.open_loops, options.seconds = 1_000, (64,), False, 0.3
        options.cost_orders, options.trouble_events = {"sqlite": (1_000,)}, 2_000
    options.events = asked.events or options.events
    options.rounds = asked.rounds or options.rounds
    options.peer_rounds = asked.peer_rounds or options.peer_rounds
    if asked.orders:
        options.cost_orders = {**options.cost_orders, "sqlite": tuple(int(one) for one in asked.orders.split(","))}
    return options


if __name__ == "__main__":
    raise SystemExit(main())
