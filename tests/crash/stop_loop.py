"""Stop the embedded hub and let it go on again and again (SIGSTOP, SIGCONT), and compare the ledgers around it.

    python -m tests.crash.stop_loop --stops 50

The load, the partners and the verdict are the kill loop's. Some stops outlast the time allowed for a push, so that the
process finds all of its timers due at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.crash.kill_loop import KillLoop, Report

PUSH_TIMEOUT_SECONDS = 5.0


class StopLoop(KillLoop):
    """The kill loop with stops for kills; every third one outlasts a push."""

    stopped = 0

    async def _cycle(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.2, 0.6))
        self.stopped += 1
        long = self.stopped % 3 == 0
        os.kill(self._pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(PUSH_TIMEOUT_SECONDS + 1 if long else self._chance.uniform(0.05, 1.0))
        finally:
            os.kill(self._pid, signal.SIGCONT)


async def run(stops: int, seed: int, directory: Path, *faults: str) -> Report:
    """Run a number of stops and return what the ledgers say."""
    return await StopLoop(stops, seed, directory, faults).run()


def main() -> None:
    """Run from the command line; exit 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], help="a known-bad variant that must be caught")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xd-stops-") as directory:
        report = asyncio.run(run(arguments.stops, arguments.seed, Path(directory), *arguments.fault))
    print(json.dumps(msgspec.to_builtins(report), indent=2))
    sys.exit(1 if report.lost or report.doubled else 0)


if __name__ == "__main__":
    main()
