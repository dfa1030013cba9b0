"""The simulation from the command line.

    python -m tests.simulation run --seeds 1:200 [--faults-min 1000000] [--report FILE]
    python -m tests.simulation replay --seed 7 [--shrink]
    python -m tests.simulation mutants [--seeds-max 1000] [--only NAME]
    python -m tests.simulation power --cuts 100000 --seed 1

Text hashes are fixed by starting the interpreter anew with PYTHONHASHSEED=0: a seed and a commit replay everything.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], environment)
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="run seeds and print what was injected and found")
    one.add_argument("--seeds", default="1:100", help="A:B, both included")
    one.add_argument("--faults-min", type=int, default=0, help="go on behind the last seed until so many faults came")
    one.add_argument("--minutes", type=float, default=0.0, help="end after so many minutes in any case")
    one.add_argument("--report", type=Path, help="write the report as JSON here, too")
    one = commands.add_parser("replay", help="run one seed again and print its trace")
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--shrink", action="store_true", help="make the failure small first")
    one = commands.add_parser("mutants", help="show at which seed each known-bad variant is caught")
    one.add_argument("--seeds-max", type=int, default=1000)
    one.add_argument("--only", default="")
    one.add_argument("--report", type=Path)
    one = commands.add_parser("power", help="cut the power of the real store, and of two unsafe settings of it")
    one.add_argument("--cuts", type=int, default=1000)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--report", type=Path)
    return int(_COMMANDS[(arguments := parser.parse_args()).command](arguments))


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return asked.stdout.strip() or "unknown"


def _say(report: Any, file: Path | None) -> None:
    print(_write(report, file))


def _write(report: Any, file: Path | None) -> str:
    """Put a report, finished or not, in the place of the one before; return its text."""
    text = json.dumps({"commit": COMMIT, **msgspec.to_builtins(report)}, indent=2)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(file.name + ".new")
        unfinished.write_text(text + "\n")
        unfinished.replace(file)
    return text


def _run(arguments: argparse.Namespace) -> int:
    from .campaign import campaign

    first, _, last = arguments.seeds.partition(":")
    report = campaign(
        range(int(first), int(last or first) + 1),
        faults_min=arguments.faults_min,
        minutes_max=arguments.minutes,
        found_so_far=functools.partial(_write, file=arguments.report),
    )
    _say(report, arguments.report)
    return 1 if report.failing or report.not_repeated else 0


def _replay(arguments: argparse.Namespace) -> int:
    from .campaign import shrunk
    from .faults import drawn
    from .world import simulate

    plan = shrunk(arguments.seed)[0] if arguments.shrink else drawn(arguments.seed)
    verdict = simulate(plan, trace=True)
    print("\n".join(verdict.trace))
    print(json.dumps({"plan": msgspec.to_builtins(plan), "faults": verdict.faults, "hash": verdict.hash}, default=list))
    print("\n".join(verdict.violations) or "no violation")
    return 1 if verdict.violations else 0


def _mutants(arguments: argparse.Namespace) -> int:
    from .mutants.hunt import hunt, table

    def write(caught: list[Any]) -> None:
        seeds = [seed for _, seed, _ in caught if seed is not None]
        found = {
            "seeds_max": arguments.seeds_max,
            "hunted": len(caught),
            "caught": len(seeds),
            "median_seeds": statistics.median(seeds) if seeds else None,
            "mutants": {name: {"seeds": seed, "by": by} for name, seed, by in caught},
        }
        _write(found, arguments.report)

    caught = hunt(arguments.seeds_max, only=arguments.only, found_so_far=write)
    print(table(caught))
    return 1 if any(seed is None for _, seed, _ in caught) else 0


def _power(arguments: argparse.Namespace) -> int:
    from .power import PowerReport, cut_power

    # The controls come first: they are short, and a long run that is cut off has them already.
    controls = [
        cut_power(min(600, arguments.cuts), arguments.seed, synchronous=one, short_scripts=8)
        for one in ("normal", "off")
    ]

    def so_far(full: PowerReport) -> None:
        _write({"full": full, "controls": controls}, arguments.report)
        print(f"{full.cuts} cuts of {full.scripts} scripts, {full.acknowledged} acknowledged", file=sys.stderr)

    full = cut_power(arguments.cuts, arguments.seed, short_scripts=200, found_so_far=so_far)
    _say({"full": full, "controls": controls}, arguments.report)
    return 1 if full.lost or full.corrupt or not all(control.lost for control in controls) else 0


# Asked at the start: a long run is of the commit it began with.
COMMIT = _commit()
_COMMANDS = {"run": _run, "replay": _replay, "mutants": _mutants, "power": _power}

if __name__ == "__main__":
    sys.exit(main())
