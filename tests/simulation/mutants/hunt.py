"""Look for each mutant: at which seed do journals and ledgers tell it from the product?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from crossdock.governance import releases

from ..campaign import tried
from ..world import template
from . import deciding, doors, sending
from .patching import Mutant, applied

ALL: tuple[Mutant, ...] = (*doors.MUTANTS, *sending.MUTANTS, *deciding.MUTANTS)

# (name, seed that caught it or None, what it was caught by)
Caught = tuple[str, int | None, str]


def caught_at(one: Mutant, seeds_max: int, first: int = 1) -> Caught:
    """Return the first seed, counted from 1, at which a mutant is caught."""
    template()
    with applied(one):
        for number in range(1, seeds_max + 1):
            verdict = tried(first + number - 1)
            if verdict.violations:
                return one.name, number, verdict.violations[0]
    return one.name, None, ""


def hunt(
    seeds_max: int,
    *,
    only: str = "",
    share: Sequence[Mutant] = ALL,
    found_so_far: Callable[[list[Caught]], None] = lambda caught: None,
) -> list[Caught]:
    """Hunt every mutant; `only` names some, separated by commas. `found_so_far` is told after each."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    found = []
    for one in share:
        if not names or one.name in names:
            found.append(caught_at(one, seeds_max))
            print(f"{found[-1][0]}: {found[-1][1]} {found[-1][2][:90]}", flush=True)
            found_so_far(found)
            releases.forget_compiled()
    return found


def table(caught: list[Caught]) -> str:
    """Return the hunt as a table, with the median."""
    lines = ["| mutant | seeds until caught | by |", "|---|---|---|"]
    lines += [f"| {name} | {seed if seed is not None else 'not caught'} | {by[:80]} |" for name, seed, by in caught]
    seeds = [seed for _, seed, _ in caught if seed is not None]
    median = statistics.median(seeds) if seeds else 0
    lines.append(f"\n{len(seeds)} of {len(caught)} caught, median {median:g} seeds, most {max(seeds, default=0)}")
    return "\n".join(lines)
