"""Time, chance, threads and sockets enter the core through named seams only: else a seed would not replay a run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "crossdock"
PURE = ("canonical", "edi", "formats", "mapping", "processes", "durable", "flow", "views")
FORBIDDEN = {"time", "random", "secrets", "uuid", "socket", "threading", "multiprocessing", "concurrent", "select"}
# file: what it may import all the same, for the reason given
SEAMS = {
    "durable/identity.py": {"time", "random"},  # SystemClock and Ids are the seams
    "durable/fairness.py": {"threading"},  # a lock: doors put in on the event loop, a cycle takes out where it runs
}
# Asking for the time or for chance without an import of its own.
CALLS = {"now", "utcnow", "today", "urandom", "uuid4", "to_thread", "run_in_executor", "monotonic", "perf_counter"}
CLOCKS = {"_clock", "clock"}


def faults(path: str, text: str) -> Iterator[str]:
    """Yield what a module asks of the outside without a seam."""
    allowed = SEAMS.get(path, set())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [(node.module or "").partition(".")[0]]
        else:
            names = []
        yield from (f"{path}: imports {name}" for name in names if name in FORBIDDEN - allowed)
        if allowed or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in CALLS and not _is_clock(node.func.value):
            yield f"{path}: calls {ast.unparse(node.func)}"


def _is_clock(value: ast.expr) -> bool:
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name in CLOCKS


def test_the_core_asks_nobody_for_time_chance_threads_or_sockets() -> None:
    """Everything outside comes in through ports."""
    found = [
        fault
        for room in PURE
        for file in sorted((SOURCE / room).rglob("*.py"))
        for fault in faults(file.relative_to(SOURCE).as_posix(), file.read_text())
    ]

    assert [] == found


def test_the_lint_sees_each_way_out() -> None:
    """Its positive control."""
    text = (
        "import time\nfrom random import choice\nfrom datetime import datetime\ndatetime.now()\nasyncio.to_thread(f)\n"
    )

    assert [
        "flow/x.py: imports time",
        "flow/x.py: imports random",
        "flow/x.py: calls datetime.now",
        "flow/x.py: calls asyncio.to_thread",
    ] == list(faults("flow/x.py", text))
    assert [] == list(faults("flow/x.py", "self._clock.now()\nclock.monotonic()\n"))
