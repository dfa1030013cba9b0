"""Play small Northgate days with several seeds and print how each ended, by the partners' own ledgers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

COLUMNS = ("orders", "messages_in", "messages_out", "duplicates_ignored", "lost", "double_effects", "open_issues")
HEADS = ("orders", "in", "out", "duplicates", "lost", "twice", "open")


def play(seed: int, orders: int) -> dict[str, Any]:
    """Return the report of one day."""
    words = ["demo", "--headless", "--speed", "max", "--seed", str(seed), "--orders", str(orders), "--report", "-"]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "crossdock", *words], capture_output=True, text=True, check=False
    )
    if not done.stdout:
        raise SystemExit(done.stderr or f"the day ended with {done.returncode} and no report")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> int:
    """Grade the seeds of the command line; 0 when all days were clean."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3])
    arguments.add_argument("--orders", type=int, default=60)
    wanted = arguments.parse_args()
    print("seed", *(f"{head:>10}" for head in HEADS))
    clean = True
    for seed in wanted.seeds:
        report = play(seed, wanted.orders)
        clean = clean and report["lost"] == report["double_effects"] == 0
        print(f"{seed:>4}", *(f"{report[column]:>10}" for column in COLUMNS))
        for finding in report["findings"]:
            print(f"     {finding}")
    return 0 if clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
