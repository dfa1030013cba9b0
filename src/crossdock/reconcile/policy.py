"""`rules/reconciliation.yaml`: what is compared with whose books, how exactly, and when."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from ..canonical.statements import StatementKind
from ..errors import Finding
from .schedule import Cron, CronFault

MICROS_PER_MINUTE = 60_000_000


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One comparison: the hub's record of one kind with the newest statement of a partner.

    `in_flight_minutes`: what happened so shortly before the statement may not have arrived there; it is counted as
    timing. `tolerance`, `tolerance_percent`: quantities and amounts this close agree. `late_minutes`: booked further
    apart is late (0: not looked at). `statement_minutes_max`: an older statement counts as missing.
    `period_hours`: how far back things of a period are compared where the statement does not say.
    `status_map` turns their words for a state into ours. `site` narrows both sides to one site, `numbers` to the things
    whose number fits a pattern such as `SO-*`: a partner states only what is its own.
    """

    comparison: str
    partner: str
    kind: StatementKind
    site: str = ""
    numbers: str = ""
    in_flight_minutes: int = 60
    tolerance: Decimal = Decimal(0)
    tolerance_percent: Decimal = Decimal(0)
    late_minutes: int = 0
    statement_minutes_max: int = 24 * 60
    period_hours: int = 24
    status_map: dict[str, str] = {}


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A set of comparisons made together. `cron` is minute, hour, day, month and weekday in the tenant's own zone.

    Empty `comparisons` means all of them. `drifts` takes the day's drifts of stock into the report.
    """

    run: str
    cron: str = ""
    comparisons: tuple[str, ...] = ()
    drifts: bool = True


class ReconciliationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is compared and when. `sign_off_days`: a difference older than this is shown as overdue."""

    comparisons: tuple[Comparison, ...] = ()
    runs: tuple[Run, ...] = ()
    sign_off_days: int = 3


def findings(rules: ReconciliationRules, partners: frozenset[str], sites: frozenset[str]) -> Iterator[Finding]:
    """Yield every contradiction of the rules."""
    names = [one.comparison for one in rules.comparisons]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding("XD-CFG-001", f"the comparison {name} stands twice", pointer="/comparisons")
    for index, one in enumerate(rules.comparisons):
        if one.partner not in partners:
            yield Finding(
                "XD-CFG-001", f"{one.comparison}: there is no partner {one.partner}", pointer=f"/comparisons/{index}"
            )
        if one.site and one.site not in sites:
            yield Finding(
                "XD-CFG-001", f"{one.comparison}: there is no site {one.site}", pointer=f"/comparisons/{index}"
            )
    runs = [one.run for one in rules.runs]
    for name in sorted({name for name in runs if runs.count(name) > 1}):
        yield Finding("XD-CFG-001", f"the run {name} stands twice", pointer="/runs")
    for index, run in enumerate(rules.runs):
        for name in run.comparisons:
            if name not in names:
                yield Finding("XD-CFG-001", f"{run.run}: there is no comparison {name}", pointer=f"/runs/{index}")
        if run.cron:
            try:
                Cron(run.cron)
            except CronFault as error:
                yield Finding("XD-CFG-001", f"{run.run}: {error}", pointer=f"/runs/{index}/cron", value=run.cron)
