"""The benchmark's own logic: medians, the refusal, goals, and the page that is made of a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import figures, goals, page, scale, yardsticks
from bench.campaign import Campaign, Options
from bench.goals import EMBEDDED
from bench.record import Calibration, Machine, Record, Round, read, write
from bench.workloads import W1_16, W1_64, W2
from crossdock.simulator.load.measuring import Measurement, median

ROOT = Path(__file__).resolve().parents[3]


def a_measurement(workload: str, per_second: float, **changed: object) -> Measurement:
    """Return one measurement."""
    fields: dict[str, object] = {
        **dict.fromkeys(("p50_ms", "p99_ms", "p999_ms", "accept_p50_ms", "accept_p99_ms", "accept_p999_ms"), 1.0),
        **dict.fromkeys(("order_violations", "duplicates", "lost", "refused"), 0),
        "events": 1000,
        "accepted_per_second": per_second,
        "resident_mb": 90.0,
        "commits": 0.1,
        "wal_bytes": 9e3,
        "cpu": {"app": 300.0, "sink": 20.0, "database": 500.0, "generator": 60.0},
        **changed,
    }
    return Measurement(workload=workload, per_second=per_second, **fields)  # type: ignore[arg-type]


def a_record(**rates: dict[str, list[float]]) -> Record:
    """Return a record of systems (`hub`, `SAQ`) with the rates of their rounds by workload."""
    record = Record(
        at="2026-11-28 12:00 UTC",
        commit="abc1234",
        command="python -m bench",
        machine=Machine(processor="x", cores=2, memory_gb=24.0, system="Linux", python="3.11", sqlite="3.54"),
        load_before=0.1,
        ceilings={W1_16: 20_000.0, W1_64: 24_000.0, W2: 60_000.0},
    )
    calibration = Calibration(appends=4_000.0, sqlite_rows=80_000.0, decodes=300.0)
    for name, workloads in rates.items():
        for number in range(max(map(len, workloads.values()))):
            rows = [a_measurement(workload, values[number]) for workload, values in workloads.items()]
            system = EMBEDDED if name == "hub" else name
            record.rounds.append(Round(system=system, number=number, calibration=calibration, measurements=rows))
    return record


def verdict(record: Record, name: str) -> goals.Verdict:
    return next(one for one in goals.judge(record) if one.goal.name.startswith(name))


def test_a_spread_is_the_median_with_its_least_and_most():
    """One round that a neighbor slowed moves the least, never the figure."""
    assert figures.Spread(100.0, 20.0, 110.0, 3) == figures.spread([110.0, 20.0, 100.0])
    with pytest.raises(ValueError, match="no rounds"):
        figures.spread([])


def test_a_ratio_is_one_of_medians():
    """The mean of ratios would let one bad round of a peer make us look good."""
    assert 4.0 == figures.ratio([400.0, 400.0, 4.0], [100.0, 1.0, 100.0])
    assert figures.ratio([], [1.0]) is None
    assert figures.ratio([1.0], [0.0]) is None


@pytest.mark.parametrize(("rate", "refused"), [(9_999.0, False), (10_001.0, True), (float("nan"), True)])
def test_a_rate_above_half_of_the_harness_is_refused(rate: float, refused: bool):
    """What the generator bounds says nothing of the system."""
    assert refused == figures.refused(rate, 20_000.0)


def test_a_batch_is_bound_by_the_sinks_single_posts_too():
    """What comes in by fifties goes out one by one."""
    assert 24_000.0 == figures.ceiling_of(8, 50, {W1_16: 20_000.0, W1_64: 24_000.0, W2: 60_000.0})
    assert 20_000.0 == figures.ceiling_of(16, 1, {W1_16: 20_000.0, W1_64: 24_000.0, W2: 60_000.0})


def test_a_cost_that_grows_is_not_flat():
    """Noise of a quarter passes, growth does not."""
    assert figures.flat([100.0, 110.0, 120.0])
    assert not figures.flat([100.0, 110.0, 150.0])


def test_of_what_must_never_happen_the_worst_round_counts():
    """A median of losses would hide one."""
    rows = [a_measurement(W1_16, 100.0), a_measurement(W1_16, 100.0, lost=3), a_measurement(W1_16, 100.0)]

    assert 3 == median(rows).lost
    assert 320.0 == median(rows).cpu_microseconds


def test_a_goal_against_a_peer_takes_the_peers_best_load():
    """The ratio is never better than the least favourable one."""
    record = a_record(
        hub={W1_16: [4_000.0], W1_64: [6_000.0], W2: [9_000.0]},
        SAQ={W1_16: [500.0], W1_64: [1_000.0], W2: [1_500.0]},
    )

    assert 6.0 == verdict(record, "64 connections / SAQ").value
    assert 6.0 == verdict(record, "batches of 50 / SAQ").value
    assert ("must", "missed") == (
        verdict(record, "64 connections / SAQ").word,
        verdict(record, "batches of 50 / SAQ").word,
    )


def test_a_goal_whose_parts_are_missing_says_so():
    """Nothing is guessed."""
    record = a_record(hub={W1_16: [4_000.0]})

    assert "not measured" == verdict(record, "16 connections / DBOS").word
    assert "| 16 connections / DBOS at its best |  |" in page.render(record)


def test_a_loss_or_a_doubled_effect_misses_the_goal():
    """The control of the goal that must be zero: a round that lost one event, a kill that doubled one effect."""
    record = a_record(hub={W1_16: [4_000.0]})
    assert "stretch" == verdict(record, "lost, doubled").word

    record.troubles["kill"] = {"lost": 0, "state_doubled": 1}
    assert "missed" == verdict(record, "lost, doubled").word

    del record.troubles["kill"]
    record.rounds[0].measurements[0].lost = 1
    assert "missed" == verdict(record, "lost, doubled").word


def test_the_page_refuses_a_rate_the_harness_made():
    """The table says refused instead of a number."""
    slow, fast = a_record(hub={W1_16: [4_000.0]}), a_record(hub={W1_16: [15_000.0]})

    assert "refused" not in page.render(slow).replace("is refused.", "")
    assert f"| {EMBEDDED} | {W1_16} | refused: the harness |" in page.render(fast)


def test_the_page_shows_median_and_spread_and_where_it_comes_from():
    """Every figure says how many rounds agree on it; the page says when, on what, at which commit."""
    text = page.render(a_record(hub={W1_16: [4_000.0, 3_000.0, 3_500.0]}))

    assert "3,500 (3,000-4,000)" in text
    assert "`abc1234`" in text
    assert "2026-11-28 12:00 UTC" in text


def test_a_record_is_read_as_it_was_written(tmp_path: Path):
    """The page can be made again from the file."""
    record = a_record(hub={W1_16: [4_000.0]})
    write(record, tmp_path / "record.json")

    assert page.render(record) == page.render(read(tmp_path / "record.json"))


def test_the_reference_page_is_the_one_its_record_makes():
    """Nobody edits a figure by hand."""
    folder = ROOT / "docs" / "reference"

    assert page.render(read(folder / "performance.json")) == (folder / "performance.md").read_text()


def test_what_cannot_be_measured_is_kept_with_its_reason(tmp_path: Path):
    """One part that fails stops no other."""
    record = a_record(hub={W1_16: [4_000.0]})
    campaign = Campaign(record, Options(parts=()), tmp_path, None, None)  # type: ignore[arg-type]

    def fail() -> None:
        raise RuntimeError("there is no such peer")

    campaign._try("Peer", fail)

    assert {"Peer": "there is no such peer"} == record.missing
    assert "- Peer: there is no such peer" in page.render(record)


def test_page_and_simulation_of_scale_agree():
    """docs/why/scale.md holds exactly what `python -m bench.scale` prints."""
    text = (ROOT / "docs" / "why" / "scale.md").read_text()
    shown = text.partition("<!-- figures -->\n")[2].partition("\n<!-- /figures -->")[0]

    assert scale.tables() == shown


def test_tenants_are_placed_whole_and_no_cluster_is_overfull():
    """Only a tenant larger than a cluster is spread, and nothing is lost on the way."""
    placed = scale.place([50.0, 40.0, 30.0, 30.0, 250.0], 100.0)

    assert 1 == placed.too_large
    assert max(placed.loads) <= 100.0
    assert 400.0 == pytest.approx(sum(placed.loads))


def test_a_dearer_order_fills_a_server_sooner():
    """The control of the simulation: it must answer to its constants."""
    import msgspec

    dear = msgspec.structs.replace(scale.MEASURED, database_cpu_ms=scale.MEASURED.database_cpu_ms * 4)

    assert scale.saturation(dear, scale.ASSUMED).most < scale.saturation(scale.MEASURED, scale.ASSUMED).most
    assert scale.plan(50_000_000, 1000, dear).database_share > scale.plan(50_000_000, 1000).database_share


def test_the_page_says_how_far_this_machine_is_from_that_of_the_goals():
    """Twice as slow in everything: a CPU of 640 µs is read as 320; the goal is still judged by 640."""
    record = a_record(hub={W1_16: [900.0]})
    record.rounds[0].measurements[0].cpu = {"app": 600.0, "sink": 40.0}
    assert "pace of the machine" not in page.render(record)
    record.yardsticks = {name: [2 * there] for name, there in yardsticks.THERE.items()}
    shown = page.render(record)

    assert "| one POST by aiohttp, 16 in flight, client | 82.0 | 164.0 | 2.00× |" in shown
    assert f"| {W1_16} | 640 µs | 320 µs |" in shown
    assert "missed" == verdict(record, "CPU of hub and sink, 16").word
