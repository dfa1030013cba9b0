"""The whole day, small: every partner on its real wire, every row of the day, graded by the partners' own books."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.cli.demo import demo_settings, running_day
from crossdock.config import StoreSettings
from crossdock.simulator.books import compare
from crossdock.simulator.day import Day, DayOptions
from crossdock.simulator.report import is_clean, render_report
from crossdock.simulator.world import clock_time

ORDERS = 60


class Played:
    """A day that is over: its report and, while the hub is still up, what the order pages said."""

    def __init__(self, day: Day, report: dict[str, Any], pages: dict[str, dict[str, Any]]) -> None:
        self.day = day
        self.report = report
        self.pages = pages


async def play(folder: Path, seed: int = 1, speed: float | None = None) -> Played:
    folder.mkdir()
    async with running_day(DayOptions(seed, ORDERS, speed), demo_settings(folder, 0), folder) as (_, day):
        report = await day.run()
        pages = {tenant: await api.order("SO-100001") for tenant, api in day.apis.items()}
    return Played(day, report, pages)


async def test_a_day_ends_with_nothing_lost_and_nothing_twice(tmp_path):
    """All rows of the day happen, are seen and end; the books agree; same seed, same bytes at any speed."""
    first = await play(tmp_path / "first")
    report = first.report

    assert [] == report["findings"]
    assert (0, 0, 0) == (report["lost"], report["double_effects"], report["open_issues"])
    assert is_clean(report)
    for row in report["faults"]:
        assert row["injected_at"] <= row["detected_at"] <= row["ended_at"], row
    for tenant in report["tenants"].values():
        assert tenant["told_by_partners"] == tenant["messages_in"]
    assert {"case_open": 1, "case_update": 1, "case_close": 1} == report["tenants"]["northgate"]["partners"][
        "service-desk"
    ]
    told_twice = [e for ledger in first.day.northgate.company().ledgers for e in ledger.of("told_twice")]
    assert len(told_twice) == report["duplicates_ignored"] > 0

    # Both companies have an order of this number, and each sees its own.
    assert {"SO-100001"} == {page["number"] for page in first.pages.values()}
    assert "Harbor Marine" == first.pages["lakeside"]["customer"] != first.pages["northgate"]["customer"]

    # The control: one line less in the ERP's books is seen.
    books = first.day.northgate.company()
    posting = next(books.finance.of("posting"))
    books.finance.entries.remove(posting)
    assert [f"shipment {posting.business}: never posted in erp"] == list(compare(books).lost)

    again = await play(tmp_path / "again", speed=20_000)
    assert render_report(report) == render_report(again.report)


@pytest.mark.slow
async def test_the_day_is_the_same_on_postgresql(tmp_path, postgres_database):
    """The other engine gives the same report, byte for byte."""
    settings = demo_settings(tmp_path, 0)
    settings = msgspec.structs.replace(settings, store=StoreSettings(url=postgres_database))
    async with running_day(DayOptions(1, ORDERS), settings, tmp_path) as (_, day):
        report = await day.run()

    expected = await play(tmp_path / "sqlite")
    for one in (expected.report, report):
        # Stock is watched beside the cycle: its look may come one step of the day later on a slower engine.
        (drift,) = [row for row in one["faults"] if row["name"] == "inventory_drift_on_three_articles"]
        assert "12:00" <= drift.pop("detected_at") <= drift.pop("ended_at") <= "12:45"
    assert render_report(expected.report) == render_report(report)


@pytest.mark.slow
async def test_every_kind_of_site_takes_an_order_back(tmp_path):
    """The ERP cancels one order at each site before it ships: the floor gives it back, and nothing is lost or twice."""
    async with running_day(DayOptions(1, ORDERS), demo_settings(tmp_path, 0), tmp_path) as (_, day):
        world, numbers = day.northgate, []

        async def cancel() -> None:
            for site in (world.reno, world.swift, world.harbor):
                numbers.append(next(e.about for e in site.ledger.of("request") if e.about.startswith("SO-")))
                await world.erp.cancel(numbers[-1], "changed their mind")

        day.timeline.at(clock_time("08:06"), "0:cancel", cancel)
        report = await day.run()
        statuses = [(await day.apis["northgate"].order(number))["status"] for number in numbers]

    assert is_clean(report), report["findings"]
    assert ["cancelled"] * 3 == statuses
    for site in (world.reno, world.swift, world.harbor):
        assert 1 == site.ledger.counts()["cancelled"]
    assert not {e.about for e in world.erp.ledger.of("posting", "invoice")} & set(numbers)


@pytest.mark.slow
async def test_another_seed_is_another_day_and_as_clean(tmp_path):
    """A second seed gives other orders and ends as well."""
    played = await play(tmp_path / "day", seed=2)

    assert is_clean(played.report), played.report["findings"]
    assert 0 == played.report["open_issues"]
    assert all(row["ended_at"] for row in played.report["faults"])


@pytest.mark.slow
def test_the_example_grades_a_seed(tmp_path):
    """`examples/northgate-day/grade_seeds.py` prints one line for each seed and ends with 0."""
    script = Path(__file__).parents[2] / "examples/northgate-day/grade_seeds.py"

    done = subprocess.run(
        [sys.executable, str(script), "--orders", str(ORDERS), "1"], cwd=tmp_path, capture_output=True, timeout=120
    )

    assert 0 == done.returncode, done.stderr.decode()
    assert 2 == len(done.stdout.splitlines())


@pytest.mark.slow
def test_the_headless_command_ends_by_itself_with_the_report(tmp_path):
    """`crossdock demo --headless --speed max --report -` prints JSON to standard output and ends with 0."""
    words = ["demo", "--headless", "--speed", "max", "--orders", str(ORDERS), "--report", "-"]

    done = subprocess.run([sys.executable, "-m", "crossdock", *words], cwd=tmp_path, capture_output=True, timeout=120)

    assert 0 == done.returncode, done.stderr.decode()
    wanted = {"orders", "messages_in", "messages_out", "duplicates_ignored", "lost", "double_effects", "open_issues"}
    assert wanted < set(json.loads(done.stdout))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_demo_shows_where_to_look_and_ends_with_ctrl_c(tmp_path):
    """Interactive, it prints the console's address and sign-in links; Ctrl-C ends it and leaves no process."""
    words = ["demo", "--no-browser", "--port", "0", "--speed", "60", "--orders", str(ORDERS)]
    process = subprocess.Popen(
        [sys.executable, "-m", "crossdock", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        until = time.monotonic() + 60
        while time.monotonic() < until and not any(line.strip().startswith("lakeside") for line in lines):
            lines.append(process.stderr.readline())
        console = next(line.split()[1] for line in lines if line.startswith("Console"))
        link = next(line.split()[2] for line in lines if line.strip().startswith("northgate"))
        for address in (console, link):
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert 200 == answer.status
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
