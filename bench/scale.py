"""Past one machine, on paper: where one PostgreSQL saturates, and what lies beyond, reckoned with measured constants.

    python -m bench.scale

Prints the tables of docs/why/scale.md; a test holds the two together. Tenants of very unequal size are placed on
clusters, largest first, each where most room is left; the journal is cut by month and by hash of the tenant; what is
older than the hot months lies in Parquet. Pure: the same constants always give the same page.
"""

from __future__ import annotations

import math

import msgspec

# Of a day's load in its busiest hour, and how full a cluster may be in it, so that losing a peer can be borne.
PEAK_HOUR_SHARE = 0.12
FILL_MAX = 0.6


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """What one order costs from release to invoice on PostgreSQL, measured, and what a server of one core gives."""

    app_cpu_ms: float
    database_cpu_ms: float
    rows: int
    kilobytes: float
    log_kilobytes: float
    journal_events: int
    documents_in: int
    documents_out: int
    commits_side_by_side: float
    durable_appends_per_second: float


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was NOT measured here and must be replaced by a reader's own figures."""

    database_cores: int = 16
    log_megabytes_per_second: float = 200.0
    standby_slows_commits: float = 3.0
    parquet_share: float = 0.15
    hot_months: int = 3
    disk_gigabytes: float = 8_000.0
    partition_gigabytes_max: float = 100.0


# Measured with `python -m bench.cost` on PostgreSQL 15 (3,000 orders; a loaded machine of two cores, so costs are
# rather too high) and, for the server's own CPU, `python -m bench --quick` (640 µs for one document in and one out).
MEASURED = Constants(
    app_cpu_ms=8.3,
    database_cpu_ms=5.8,
    rows=91,
    kilobytes=46.1,
    log_kilobytes=80.7,
    journal_events=18,
    documents_in=9,
    documents_out=9,
    commits_side_by_side=0.211,
    durable_appends_per_second=3_520,
)
ASSUMED = Assumptions()


class Saturation(msgspec.Struct, frozen=True, kw_only=True):
    """How many order lifecycles a second one PostgreSQL carries, by what binds it; the least one does."""

    by_cpu: float
    by_log: float
    by_commits: float

    @property
    def most(self) -> float:
        """The binding one."""
        return min(self.by_cpu, self.by_log, self.by_commits)


def saturation(measured: Constants, assumed: Assumptions) -> Saturation:
    """Return at which load one PostgreSQL with a synchronous standby is full."""
    return Saturation(
        by_cpu=assumed.database_cores * 1000 / measured.database_cpu_ms,
        by_log=assumed.log_megabytes_per_second * 1000 / measured.log_kilobytes,
        by_commits=measured.durable_appends_per_second / assumed.standby_slows_commits / measured.commits_side_by_side,
    )


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Tenants on clusters: each cluster's peak load, and the load of those too large for any one cluster."""

    loads: tuple[float, ...]
    too_large: int


def tenant_loads(total: float, tenants: int) -> list[float]:
    """Return the loads of tenants by Zipf's law: the second has half of the first, the third a third."""
    weights = [1 / rank for rank in range(1, tenants + 1)]
    whole = sum(weights)
    return [total * weight / whole for weight in weights]


def place(loads: list[float], room: float) -> Placement:
    """Put every tenant on one cluster: largest first, where most room is left; open a cluster when none has room.

    A tenant larger than a cluster gets clusters of its own, its orders spread by hash: it is counted in `too_large`.
    """
    clusters: list[float] = []
    own: list[float] = []
    too_large = 0
    for load in sorted(loads, reverse=True):
        if load > room:
            too_large += 1
            parts = math.ceil(load / room)
            own += [load / parts] * parts
            continue
        least = min(range(len(clusters)), key=clusters.__getitem__, default=None)
        if least is None or clusters[least] + load > room:
            clusters.append(load)
        else:
            clusters[least] += load
    return Placement(loads=tuple(own + clusters), too_large=too_large)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of orders a day needs."""

    orders_a_day: int
    peak_per_second: float
    worker_cores: int
    database_share: float
    clusters: int
    fullest: float
    gigabytes_a_month: float
    hot_gigabytes: float
    journal_partitions_a_month: int
    parquet_gigabytes_a_year: float
    jetstream_messages_per_second: float


def plan(orders_a_day: int, tenants: int, measured: Constants = MEASURED, assumed: Assumptions = ASSUMED) -> Plan:
    """Return what is needed in the busiest hour, and what a month and a year leave."""
    peak = orders_a_day * PEAK_HOUR_SHARE / 3600
    most = saturation(measured, assumed).most
    month = orders_a_day * 30 * measured.kilobytes / 1e6
    # What the hot months weigh binds before the load does: both are given in orders a second of the busiest hour.
    room_on_disk = assumed.disk_gigabytes / (month * assumed.hot_months / peak)
    placed = place(tenant_loads(peak, tenants), min(most * FILL_MAX, room_on_disk))
    # The journal is about a third of a record: its share by rows.
    journal = month * measured.journal_events / measured.rows
    return Plan(
        orders_a_day=orders_a_day,
        peak_per_second=peak,
        worker_cores=max(1, math.ceil(peak * measured.app_cpu_ms / 1000 / FILL_MAX)),
        database_share=peak / most,
        clusters=len(placed.loads),
        fullest=max(placed.loads) / most,
        gigabytes_a_month=month,
        hot_gigabytes=month * assumed.hot_months,
        journal_partitions_a_month=max(1, math.ceil(journal / assumed.partition_gigabytes_max)),
        parquet_gigabytes_a_year=month * 12 * assumed.parquet_share,
        jetstream_messages_per_second=peak * measured.journal_events,
    )


_COLUMNS = (
    *("orders a day", "tenants", "peak, orders/s", "worker cores", "share of one PostgreSQL", "clusters"),
    *("the fullest", "GB a month", "hot GB", "journal partitions a month", "Parquet GB a year", "JetStream messages/s"),
)
SIZES = ((10_000, 20), (100_000, 50), (1_000_000, 200), (10_000_000, 500), (50_000_000, 1_000))


def tables() -> str:
    """Return the figures of the page, as it holds them."""
    found = saturation(MEASURED, ASSUMED)
    lines = [
        "| one order, release to invoice | measured |",
        "|---|---:|",
        f"| documents in and out | {MEASURED.documents_in} + {MEASURED.documents_out} |",
        f"| rows, bytes with indexes | {MEASURED.rows}, {MEASURED.kilobytes:g} KB |",
        f"| write-ahead log | {MEASURED.log_kilobytes:g} KB |",
        f"| CPU of the worker, of PostgreSQL | {MEASURED.app_cpu_ms:g} ms, {MEASURED.database_cpu_ms:g} ms |",
        f"| commits, 64 orders side by side | {MEASURED.commits_side_by_side:g} |",
        f"| orders a second for each core of workers | {1000 / MEASURED.app_cpu_ms:.0f} |",
        "",
        "| one PostgreSQL is full at, orders a second | |",
        "|---|---:|",
        f"| by CPU, {ASSUMED.database_cores} cores | {found.by_cpu:,.0f} |",
        f"| by its log, {ASSUMED.log_megabytes_per_second:g} MB/s | {found.by_log:,.0f} |",
        f"| by durable commits, {ASSUMED.standby_slows_commits:g}× slower with a standby | {found.by_commits:,.0f} |",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for orders, tenants in SIZES:
        one = plan(orders, tenants)
        lines.append(
            f"| {orders:,} | {tenants:,} | {one.peak_per_second:,.1f} | {one.worker_cores:,} | {one.database_share:.2%}"
            f" | {one.clusters} | {one.fullest:.1%} | {one.gigabytes_a_month:,.0f} | {one.hot_gigabytes:,.0f}"
            f" | {one.journal_partitions_a_month} | {one.parquet_gigabytes_a_year:,.0f}"
            f" | {one.jetstream_messages_per_second:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
