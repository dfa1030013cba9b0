"""Make a run: our record of each kind, the partner's newest statement, the comparison, the ages, the signed report.

`compare_books` reads and compares, on one snapshot; `make_run` writes what came of it in one transaction: the
differences, the run and its report never disagree in the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from ..canonical.orders import InvoiceRelease, Order
from ..canonical.shipments import Shipment
from ..canonical.statements import Statement
from ..canonical.units import TABLE, UnitTable
from ..durable.identity import Ids, from_micros, to_micros
from ..errors import ConfigurationError, NotFound
from ..governance import audit
from ..governance.configuration import Configuration
from ..governance.rule_files import reconciliation_rules
from ..processes.inventory.positions import Movement
from ..reconcile import report as reports
from ..reconcile.compare import Limits, compare
from ..reconcile.fixes import propose
from ..reconcile.policy import MICROS_PER_MINUTE, Comparison, Run
from ..reconcile.records import Difference, Move, Outcome, Record
from ..store import drifts, issues, reconciliation, statements, stock
from ..store.engine import Connection
from .inventory import movement_of

MICROS_PER_DAY = 24 * 60 * MICROS_PER_MINUTE
DRIFTS_MAX = 5_000

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode_statement = msgspec.json.Decoder(Statement).decode
_EVENTS: dict[str, tuple[str, Any]] = {
    "orders": ("crossdock.order.created.v1", Order),
    "shipments": ("crossdock.shipment.recorded.v1", Shipment),
    "invoices": ("crossdock.invoice.released.v1", InvoiceRelease),
}


class Compared(msgspec.Struct, frozen=True):
    """What was compared of a run, how each comparison went, and (by name) what came of those that could be made."""

    wanted: list[Comparison]
    made: list[reports.ComparisonReport]
    outcomes: dict[str, Outcome]


def compare_books(connection: Connection, configuration: Configuration, run: Run, now: datetime) -> Compared:
    """Compare our record with the partners' newest statements. Reads only."""
    rules, tenant_id, at = reconciliation_rules(configuration), configuration.tenant_id, to_micros(now)
    wanted = [one for one in rules.comparisons if not run.comparisons or one.comparison in run.comparisons]
    made: list[reports.ComparisonReport] = []
    outcomes: dict[str, Outcome] = {}
    for one in wanted:
        found = statements.newest(connection, tenant_id, one.partner, one.kind, one.site, at)
        if found is None or found[0][4] < at - one.statement_minutes_max * MICROS_PER_MINUTE:
            made.append(reports.ComparisonReport(one.comparison, one.partner, one.kind, "missing"))
            continue
        statement = _decode_statement(found[1])
        outcome = outcomes[one.comparison] = _compared(connection, configuration, one, statement, at)
        made.append(
            reports.ComparisonReport(
                one.comparison,
                one.partner,
                one.kind,
                "made",
                statement.as_of.isoformat(),
                outcome.matched,
                outcome.timing,
                len(outcome.differences),
            )
        )
    return Compared(wanted, made, outcomes)


def make_run(
    connection: Connection,
    configuration: Configuration,
    run: Run,
    compared: Compared,
    *,
    ids: Ids,
    now: datetime,
    seed: bytes,
    actor: str,
) -> reports.Report:
    """Age, report and sign; return the report. `seed` is the 32 bytes of the installation's signing key."""
    wanted, made, outcomes = compared.wanted, compared.made, compared.outcomes
    tenant_id, run_id, at = configuration.tenant_id, ids.new("rec", now), to_micros(now)
    aged = _aged(connection, configuration, wanted, outcomes, ids, at, run_id)
    last = reconciliation.runs(connection, tenant_id, "", 1)
    partial = any(one.state == "missing" for one in made)
    drift = _drifts(connection, tenant_id, at) if run.drifts else reports.DriftReport()
    report = reports.Report(
        tenant=tenant_id,
        run_id=run_id,
        run=run.run,
        as_of=now.isoformat(),
        release=configuration.release_id,
        comparisons=tuple(made),
        differences=tuple(aged),
        drifts=drift,
        matched=sum(one.matched for one in made),
        timing=sum(one.timing for one in made),
        differing=sum(one.differing for one in made),
        partial=partial,
        zero_drift=not partial and not drift.open and all(one.state == "accepted" for one in aged),
        previous_digest=reports.digest_of(bytes(last[0][8])) if last else "",
        public_key=reports.public_key_of(seed),
    )
    content = reports.encode(report)
    reconciliation.insert_run(
        connection,
        (
            *(tenant_id, run_id, run.run, "partial" if partial else "complete", at, at),
            *(report.matched, report.timing, report.differing, content, reports.sign(content, seed)),
            report.previous_digest,
        ),
    )
    _raise_missing(connection, tenant_id, made, ids, at)
    audit.append(
        connection, tenant_id, actor=actor, action="reconciliation.run", object=run_id, detail={"run": run.run}, at=now
    )
    return report


def run_named(configuration: Configuration, name: str) -> Run:
    """Return the run of a name, or (empty) the first. Raises NotFound, or ConfigurationError where there is none."""
    runs = reconciliation_rules(configuration).runs
    if not runs:
        raise ConfigurationError("rules/reconciliation.yaml names no run", hint="Add one: {run: end-of-day, cron: …}")
    found = next((one for one in runs if one.run == name), None if name else runs[0])
    if found is None:
        raise NotFound(f"There is no run {name}", hint="Runs: " + ", ".join(one.run for one in runs))
    return found


def _compared(
    connection: Connection, configuration: Configuration, one: Comparison, statement: Statement, now: int
) -> Outcome:
    as_of = to_micros(statement.as_of)
    began = as_of - one.period_hours * 60 * MICROS_PER_MINUTE
    since = began if statement.from_at is None else to_micros(statement.from_at)
    site = one.site or statement.site
    limits = Limits(
        as_of, now, one.in_flight_minutes, one.tolerance, one.tolerance_percent, one.late_minutes, statement.complete
    )
    theirs = [
        Record(
            *(row.key, row.site or site, row.sku, row.lot),
            one.status_map.get(row.status, row.status) or ("available" if one.kind == "stock" else ""),
            *(row.quantity, row.uom, row.amount),
            0 if row.at is None else to_micros(row.at),
        )
        for row in statement.rows
        if not (one.site and row.site and row.site != one.site)
    ]
    moves: list[Move] = []
    if one.kind == "stock":
        ours, moves = _stock(connection, configuration, site, as_of, limits)
    elif one.kind in _EVENTS:
        ours = _entries(connection, configuration.tenant_id, one.kind, since, as_of, site)
    else:
        ours = _sends(connection, configuration, one, since, as_of, limits)
    if one.numbers:
        ours, theirs = ([row for row in side if fnmatchcase(row.key, one.numbers)] for side in (ours, theirs))
    units = UnitTable(configuration.lookups.get(TABLE, {}))
    return compare(one.kind, ours, theirs, limits, units, moves)


def _stock(
    connection: Connection, configuration: Configuration, site: str, as_of: int, limits: Limits
) -> tuple[list[Record], list[Move]]:
    """Return our shelves as of an instant, and what moved so shortly before it that they may not show it."""
    tenant_id = configuration.tenant_id
    shelves: dict[tuple[str, str, str, str], Decimal] = {}
    seen: dict[tuple[str, str], int] = {}
    for row in reconciliation.positions(connection, tenant_id, site):
        shelves[row[0], row[1], row[2], row[3]] = Decimal(row[4])
        seen[row[0], row[1]] = row[5]
    recent: list[Move] = []
    young = as_of - limits.in_flight_minutes * MICROS_PER_MINUTE
    for name in sorted({place[0] for place in seen}):
        first = min(at for place, at in seen.items() if place[0] == name)
        for row in stock.movements_of_site(connection, tenant_id, name, min(first, young), None):
            move = movement_of(row)
            _follow(shelves, recent, name, move, seen.get((name, move.sku), 0), as_of, young)
    # What left of an item that was never counted says nothing of how much there is.
    known = {shelf: one for shelf, one in shelves.items() if one >= 0 or shelf[:2] in seen}
    return [Record("", *shelf, quantity) for shelf, quantity in known.items()], recent


def _follow(
    shelves: dict[tuple[str, str, str, str], Decimal],
    recent: list[Move],
    site: str,
    move: Movement,
    told_at: int,
    as_of: int,
    young: int,
) -> None:
    shelf = (site, *move.shelf)
    if told_at < move.moved_at <= as_of:
        shelves[shelf] = shelves.get(shelf, Decimal(0)) + move.delta
    elif as_of < move.moved_at <= told_at:
        # The site told its stock after their statement: what moved in between is taken back.
        shelves[shelf] = shelves.get(shelf, Decimal(0)) - move.delta
    if young < move.moved_at <= as_of:
        recent.append(Move(site, *move.shelf, move.delta, move.moved_at))


def _entries(connection: Connection, tenant_id: str, kind: str, since: int, as_of: int, site: str) -> list[Record]:
    name, shape = _EVENTS[kind]
    decode = msgspec.json.Decoder(shape).decode
    records: list[Record] = []
    for data, at, _ in reconciliation.events_of(connection, tenant_id, name, since, as_of):
        value = decode(bytes(data))
        place = getattr(value, "site", "")
        if site and place and place != site:
            continue
        key = value.order_number if kind == "invoices" else value.number
        goods: dict[tuple[str, str], Decimal] = {}
        for line in value.lines:
            shelf = (line.sku, getattr(line, "lot", ""))
            goods[shelf] = goods.get(shelf, Decimal(0)) + line.quantity
        records += [
            Record(key, place, sku, lot, "", quantity, "EA", None, at)
            for (sku, lot), quantity in goods.items()
            if quantity
        ]
    return records


def _sends(
    connection: Connection, configuration: Configuration, one: Comparison, since: int, as_of: int, limits: Limits
) -> list[Record]:
    """Return what was sent to a partner: each acknowledged document, or how many of each kind there are."""
    names = [name for name, spec in configuration.connections.items() if spec.partner == one.partner]
    rows = [
        row
        for row in reconciliation.sends_to(connection, configuration.tenant_id, names, since)
        if row[1] == "sent" and row[2] <= as_of
    ]
    if one.kind == "acknowledgments":
        return [Record(row[4], status=row[3], at=row[2]) for row in rows if row[3] != "none"]
    counts, young = Counter(row[0] for row in rows), Counter[str]()
    for row in rows:
        young[row[0]] += limits.on_its_way(row[2], as_of)
    return [Record(kind, quantity=Decimal(n), in_flight=Decimal(young[kind])) for kind, n in counts.items()]


def _aged(
    connection: Connection,
    configuration: Configuration,
    wanted: Sequence[Comparison],
    outcomes: dict[str, Outcome],
    ids: Ids,
    now: int,
    run_id: str,
) -> list[reports.AgedDifference]:
    """Enter differences, know again those that last, and settle those that are gone."""
    tenant_id = configuration.tenant_id
    known = {(row[1], row[3], row[2]): row for row in reconciliation.unsettled(connection, tenant_id, list(outcomes))}
    fresh, again, result = [], [], []
    by_name = {one.comparison: one for one in wanted}
    for name, outcome in outcomes.items():
        for one in outcome.differences:
            row = known.pop((name, one.record_key, one.kind), None)
            detail = _encode(one)
            if row is None:
                difference_id, first, state, reason = ids.new("dif", from_micros(now)), now, "open", ""
                fresh.append((tenant_id, difference_id, name, one.kind, one.record_key, detail, now, now, run_id))
            else:
                difference_id, first, state, reason = row[0], row[6], row[4], row[11]
                again.append((detail, now, run_id, tenant_id, difference_id))
            spec = by_name[name]
            result.append(
                reports.AgedDifference(
                    *(difference_id, name, one, state, (now - first) // MICROS_PER_DAY),
                    propose(one.kind, spec.kind, spec.partner).words,
                    reason,
                )
            )
    reconciliation.insert(connection, fresh)
    reconciliation.seen_again(connection, again)
    gone = [("settled", now, "reconciliation", "agrees now", tenant_id, row[0]) for row in known.values()]
    reconciliation.settle(connection, gone)
    return result


def _drifts(connection: Connection, tenant_id: str, now: int) -> reports.DriftReport:
    rows = drifts.between(connection, tenant_id, now - MICROS_PER_DAY, now, DRIFTS_MAX)
    lasting = [row for row in rows if row[5] != "settled"]
    words = tuple(f"{row[1]} {row[2]}: expected {row[7]}, reported {row[8]}; {row[14]}" for row in lasting)
    return reports.DriftReport(len(rows), len(rows) - len(lasting), words)


def _raise_missing(
    connection: Connection, tenant_id: str, made: Iterable[reports.ComparisonReport], ids: Ids, now: int
) -> None:
    faults = []
    for one in made:
        name = f"comparison/{one.comparison}"
        if one.state == "missing":
            words = f"{one.partner} stated no {one.kind} in time for {one.comparison}"
            faults.append(
                issues.Fault(
                    *(tenant_id, "XD-REC-001", f"XD-REC-001|{one.comparison}", words, "comparison", name, words),
                    error_class="partner",
                    partner=one.partner,
                )
            )
        else:
            issues.resolve_objects(connection, tenant_id, [name], "the statement came", now)
    if faults:
        issues.raise_faults(connection, faults, ids=ids, now_micros=now)


def sign_off(
    connection: Connection, tenant_id: str, difference_id: str, actor: str, reason: str, now: datetime
) -> None:
    """Accept a difference with a reason, in one's own name; audited. Raises NotFound where nothing lasts."""
    row = reconciliation.load(connection, tenant_id, difference_id)
    if row is None or row[4] == "settled":
        raise NotFound(f"There is no open difference {difference_id}")
    reconciliation.settle(connection, [("accepted", to_micros(now), actor, reason, tenant_id, difference_id)])
    audit.append(
        connection,
        tenant_id,
        actor=actor,
        action="reconciliation.accept",
        object=difference_id,
        reason=reason,
        at=now,
    )


def difference_of(row: Any) -> Difference:
    """Return the difference in a stored row (store.reconciliation.DIFFERENCE_COLUMNS)."""
    return msgspec.json.decode(bytes(row[5]), type=Difference)
