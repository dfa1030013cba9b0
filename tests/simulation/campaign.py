"""Many seeds in a row: what was injected, what was found, whether a seed replays; and a failure made small.

`shrunk` first drops kinds of faults, then single injections, as long as the run still fails in the same way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from .audit import Verdict
from .faults import Plan, drawn
from .world import simulate

KINDS = (
    "lost",
    "doubled",
    "disorder",
    "leak",
    "unsettled",
    "changed",
    "illegal",
    "stock",
    "undetected",
    "poison",
    "replay",
)
TWICE_EVERY = 100
TOLD_EVERY = 20
SHRINK_TRIES_MAX = 120


class Report(msgspec.Struct):
    """What a campaign came to."""

    first_seed: int
    last_seed: int = -1
    seeds: int = 0
    events: int = 0
    acknowledged: int = 0
    effects: int = 0
    starts: int = 0
    injected: int = 0
    faults: dict[str, int] = {}
    violations: dict[str, int] = {}
    damage_detected: int = 0
    run_twice: int = 0
    not_repeated: int = 0
    failing: dict[int, list[str]] = {}
    cpu_seconds: float = 0.0


def campaign(
    seeds: Iterable[int],
    *,
    faults_min: int = 0,
    stop_at_failure: bool = False,
    minutes_max: float = 0.0,
    found_so_far: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Run seeds; with `faults_min` go on behind the last one until so many faults were injected. `minutes_max` of the
    real clock end it in any case. `found_so_far` is told now and then.
    """
    began, ends = time.process_time(), time.monotonic() + (minutes_max or 1e9) * 60
    report: Report | None = None
    counts: Counter[str] = Counter()
    found: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for seed in _going_on(seeds, faults_min, counts):
        report = report or Report(seed)
        verdict = tried(seed)
        report.last_seed = seed
        report.seeds += 1
        report.events += verdict.events
        report.acknowledged += verdict.acknowledged
        report.effects += verdict.effects
        report.starts += verdict.starts
        report.damage_detected += verdict.detected
        counts.update(verdict.faults)
        found.update(one.partition(":")[0] for one in verdict.violations)
        if verdict.violations:
            report.failing[seed] = verdict.violations[:5]
        if seed % TWICE_EVERY == 0:
            report.run_twice += 1
            report.not_repeated += tried(seed).hash != verdict.hash
        report.faults = dict(sorted(counts.items()))
        report.injected = counts.total()
        report.violations = dict(found)
        report.cpu_seconds = round(time.process_time() - began, 1)
        if report.seeds % TOLD_EVERY == 0:
            found_so_far(report)
        if time.monotonic() > ends or (stop_at_failure and verdict.violations):
            break
    assert report is not None, "no seed was given"
    return report


def _going_on(seeds: Iterable[int], faults_min: int, counts: Counter[str]) -> Iterable[int]:
    last = -1
    for last in seeds:
        yield last
    while counts.total() < faults_min:
        last += 1
        yield last


def tried(seed: int, plan: Plan | None = None) -> Verdict:
    """Run one seed; whatever escapes from the simulated world is a violation too."""
    plan = plan or drawn(seed)
    try:
        return simulate(plan)
    except Exception as error:
        return Verdict(seed, [f"escaped: {type(error).__name__}: {error}"], 0, 0, 0, {}, 0)


def shrunk(seed: int) -> tuple[Plan, Verdict]:
    """Return the smallest plan found that still fails in one of the ways the seed fails in."""
    plan, verdict = drawn(seed), tried(seed)
    wanted = {one.partition(":")[0] for one in verdict.violations}
    tries = 0

    def still(candidate: Plan) -> Verdict | None:
        nonlocal tries
        tries += 1
        result = tried(seed, candidate)
        return result if wanted & {one.partition(":")[0] for one in result.violations} else None

    for kind in sorted(verdict.faults):
        if tries < SHRINK_TRIES_MAX and (less := still(msgspec.structs.replace(plan, without=plan.without | {kind}))):
            plan, verdict = msgspec.structs.replace(plan, without=plan.without | {kind}), less
    number = sum(verdict.faults.values())
    size = max(1, number // 2)
    while size and tries < SHRINK_TRIES_MAX:
        for first in range(1, number + 1, size):
            group = frozenset(range(first, first + size)) - plan.skip
            candidate = msgspec.structs.replace(plan, skip=plan.skip | group)
            if group and tries < SHRINK_TRIES_MAX and (less := still(candidate)):
                plan, verdict = candidate, less
        size //= 2
    return plan, verdict
