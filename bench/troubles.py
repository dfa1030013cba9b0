"""What a hub meets besides load: W4 files, W5 one partner of twenty slow or down, W6 a partner away, W7 a kill, W8 hours.

Each takes a folder, the sink and a number of events, runs the hub on SQLite and returns what it found, words first.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

from bench import files_job
from bench.figures import flat
from crossdock.cli.bench import HubProcess, hub_process
from crossdock.simulator.load import job, measuring, processes
from crossdock.simulator.load.measuring import Sink, quantile

PARTNERS = 20
TROUBLED = 7
KILLS = 5
SOAK_SLICE_SECONDS = 60.0


@contextlib.contextmanager
def _hub(scratch: Path, sink_url: str, pack: dict[str, str] | None = None) -> Iterator[HubProcess]:
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        if pack is not None:
            (folder / "pack.json").write_text(json.dumps(pack))
        with hub_process(f"sqlite:///{folder}/hub.db", folder, sink_url) as hub:
            yield hub


# -- W4


def files(scratch: Path, sink: Sink, events: int) -> dict[str, Any]:
    """Take 945s of 200 segments in through the door, four at a time; wait for every shipment to be confirmed."""
    count = max(20, events // 200)
    with _hub(scratch, sink.url, files_job.pack(sink.url)) as hub:
        _post_all(hub, "erp", "application/json", [files_job.order(number) for number in range(count)])
        bodies = [files_job.file(number) for number in range(count)]
        time.sleep(0.5)
        sink.ask("/reset")
        cpu, began = processes.cpu_seconds(hub.process.pid), time.monotonic_ns()
        _post_all(hub, "swift", "application/edi-x12", bodies)
        stats = measuring.wait_for(sink, count)
        cpu = processes.cpu_seconds(hub.process.pid) - cpu
        seconds = max(1e-9, (stats["last_ns"] - began) / 1e9)
    segments = bodies[0].count(b"~")
    return {
        "title": f"W4: {count} files, one 945 of {segments - 4} segments each, in over HTTP; shipment and 997 out",
        "files_per_second": count / seconds,
        "segments_per_second": count * segments / seconds,
        "hub_CPU_ms_a_file": cpu / count * 1000,
        "lost": count - stats["unique"],
    }


def _post_all(hub: HubProcess, door: str, content_type: str, bodies: list[bytes]) -> None:
    shares = [bodies[number::4] for number in range(4)]

    def work(mine: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        headers = {"authorization": f"Bearer {hub.token}", "content-type": content_type}
        for body in mine:
            connection.request("POST", f"/v1/ingest/{job.TENANT}/{door}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"the door answered {answer.status}: {text[:200]!r}")
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, shares))


# -- W5


def one_partner_in_trouble(scratch: Path, sink: Sink, events: int) -> dict[str, Any]:
    """Twenty partners share the load; one answers after a second, then one is down. The others must not notice."""
    rate, count = 300.0, max(500, min(3_000, events // 10))
    forms = {"all well": sink.url, "one slow": f"http://127.0.0.1:{sink.port}/slow/x", "one down": _nowhere()}
    found: dict[str, Any] = {"title": f"W5: one of {PARTNERS} partners slow, or down, at {rate:.0f} events/s"}
    for name, url in forms.items():
        with _hub(scratch, sink.url, _twenty_partners(sink.url, url)) as hub:
            measuring.release_orders(hub, 0, 500)
            measuring.generate(hub, first=0, count=500, connections=16)
            first = 10_000
            measuring.release_orders(hub, first, count)
            sink.ask("/reset")
            result = measuring.generate(hub, first=first, count=count, connections=32, rate=rate)
            others = [event for event in result.sent_ns if _partner_of(event) != TROUBLED]
            measuring.wait_for(sink, len(others), 30)
            arrivals = sink.ask("/arrivals")
        latencies = sorted((arrivals[event] - result.sent_ns[event]) / 1e6 for event in others if event in arrivals)
        key = name.replace(" ", "_")
        found[f"{key}_p50_ms"] = quantile(latencies, 0.5)
        found[f"{key}_p99_ms_of_the_others"] = quantile(latencies, 0.99)
        found[f"{key}_missing_of_the_others"] = len(others) - len(latencies)
    base = found["all_well_p99_ms_of_the_others"]
    found["p99_slow_over_well"] = found["one_slow_p99_ms_of_the_others"] / base
    found["p99_down_over_well"] = found["one_down_p99_ms_of_the_others"] / base
    return found


def _nowhere() -> str:
    """Return an address where nobody listens."""
    return f"http://127.0.0.1:{processes.free_port()}/events"


def _partner_of(event_id: str) -> int:
    return int(event_id.removeprefix("ev-")) // job.EVENTS_PER_ORDER % PARTNERS


def _twenty_partners(sink_url: str, troubled_url: str) -> dict[str, str]:
    """Return the job's pack with its one ERP taken twenty times, each with its share of the orders."""
    files_ = job.pack(sink_url)
    erp = files_.pop("connections/erp.yaml")
    del files_["partners/erp.yaml"], files_["partners/wms.yaml"]
    partners, routes = ["- {partner: wms, name: Warehouse, role: wms}\n"], []
    for number in range(PARTNERS):
        name = f"erp{number:02d}"
        url = troubled_url if number == TROUBLED else sink_url
        partners.append(f"- {{partner: {name}, name: {name}, role: erp}}\n")
        files_[f"connections/{name}.yaml"] = (
            erp.replace("connection: erp", f"connection: {name}").replace("partner: erp", f"partner: {name}")
        ).replace(f'"{sink_url}"', f'"{url}"')
        endings = ", ".join(f'"{ending:02d}"' for ending in range(number, 100, PARTNERS))
        routes.append(
            f'- {{document: "event:crossdock.milestone.recorded.v1", connection: {name}, map: erp-event,'
            f" when: 'right(order_number, 2) in [{endings}]'}}\n"
        )
    files_["partners/all.yaml"] = "".join(partners)
    files_["routes.yaml"] = "".join(routes)
    return files_


# -- W6


def partner_away(scratch: Path, sink: Sink, events: int) -> dict[str, Any]:
    """The partner answers 503 while a backlog is taken in; then it is back. How fast does it drain, and from where?"""
    count = events * 5 - events * 5 % 50
    # Retried every second or so: what is measured is the hub, not a patience that a pack may set as it likes.
    pack = job.pack(sink.url)
    pack["connections/erp.yaml"] += (
        "retry: {attempts_max: 1000, first_delay_seconds: 1, delay_seconds_max: 1, probe_delay_seconds: 1}\n"
    )
    with _hub(scratch, sink.url, pack) as hub:
        measuring.run(hub, sink, "warm-up", 0, 1_000, {"connections": 16})
        measuring.release_orders(hub, 10_000, count)
        before = processes.resident_megabytes(hub.process.pid)
        sink.ask("/reset")
        sink.ask("/refuse")
        result = measuring.generate(hub, first=10_000, count=count, connections=8, batch=50)
        held = processes.resident_megabytes(hub.process.pid)
        accepted_per_second = result.accepted / ((result.ended_ns - result.began_ns) / 1e9)
        sink.ask("/accept")
        back = time.monotonic_ns()
        first = _first_arrival(sink, 60)
        peak = held
        deadline = time.monotonic() + 300
        while (stats := sink.ask("/stats"))["unique"] < count and time.monotonic() < deadline:
            peak = max(peak, processes.resident_megabytes(hub.process.pid))
            time.sleep(0.1)
    return {
        "title": f"W6: the partner away for a backlog of {count:,}, then back",
        "accepted_per_second_meanwhile": accepted_per_second,
        "seconds_to_the_first_send_after_it_is_back": (first - back) / 1e9 if first else float("nan"),
        "drained_per_second": stats["unique"] / max(1e-9, (stats["last_ns"] - (first or back)) / 1e9),
        "MB_before": before,
        "MB_with_the_backlog": held,
        "MB_at_most": peak,
        "lost": count - stats["unique"],
        "doubled_at_the_partner": stats["duplicates"],
        "out_of_order": stats["order_violations"],
    }


def _first_arrival(sink: Sink, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stats = sink.ask("/stats")
        if stats["unique"]:
            return int(stats["last_ns"])
        time.sleep(0.01)
    return 0


# -- W7


def kill(scratch: Path, sink: Sink, events: int) -> dict[str, Any]:
    """Kill the hub without warning at random moments under W1, start it again each time; then look for every event."""
    chance, count = random.Random(7), max(2_000, events - events % 5)
    port = processes.free_port()
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder, recoveries = Path(name), []
        url = f"sqlite:///{folder}/hub.db"
        with contextlib.ExitStack() as stack:
            hub = stack.enter_context(hub_process(url, folder, sink.url, port))
            measuring.release_orders(hub, 0, count)
            sink.ask("/reset")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                loading = pool.submit(measuring.generate, hub, first=0, count=count, connections=16, patient=True)
                kills = 0
                for number in range(KILLS):
                    goal = int(count * (number + chance.uniform(0.2, 0.8)) / KILLS)
                    _wait_until(sink, goal, loading)
                    os.kill(hub.process.pid, signal.SIGKILL)
                    hub.process.wait()
                    kills += 1
                    at_kill, began = sink.ask("/stats")["posts"], time.monotonic()
                    hub = stack.enter_context(hub_process(url, folder, sink.url, port))
                    recoveries.append(_until_more(sink, at_kill, began))
                result = loading.result()
            stats = measuring.wait_for(sink, count, 60)
            time.sleep(1.0)
            stats = sink.ask("/stats")
        told = _told_by_the_record(folder / "hub.db")
    return {
        "title": f"W7: killed {kills} times (SIGKILL) at random moments under W1",
        "accepted": result.accepted,
        "lost": count - stats["unique"],
        "state_doubled": told["milestones"] - count,
        "sent_again_after_a_kill": stats["duplicates"],
        "bound_of_those": kills * 32,
        "out_of_order": stats["order_violations"],
        "seconds_to_the_next_send_median": sorted(recoveries)[len(recoveries) // 2],
        "seconds_to_the_next_send_at_most": max(recoveries),
    }


def _wait_until(sink: Sink, unique: int, loading: concurrent.futures.Future[Any]) -> None:
    while sink.ask("/stats")["unique"] < unique and not loading.done():
        time.sleep(0.01)


def _until_more(sink: Sink, posts: int, began: float) -> float:
    while sink.ask("/stats")["posts"] <= posts and time.monotonic() - began < 60:
        time.sleep(0.01)
    return time.monotonic() - began


def _told_by_the_record(path: Path) -> dict[str, int]:
    """Count the milestones in the journal: more of them than events are effects that happened twice."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("select count(*) from events where type = 'crossdock.milestone.recorded.v1'")
        return {"milestones": int(found.fetchone()[0])}
    finally:
        connection.close()


# -- W8


def soak(scratch: Path, sink: Sink, seconds: float) -> dict[str, Any]:
    """Run at half of the rate for long; rate, latency and memory of the last slice against those of the first."""
    slices: list[tuple[float, float, float, float]] = []
    lost = 0
    with _hub(scratch, sink.url) as hub:
        rate = measuring.run(hub, sink, "warm-up", 0, 5_000, {"connections": 16}).per_second / 2
        length = min(SOAK_SLICE_SECONDS, max(5.0, seconds / 6))
        deadline = time.monotonic() + seconds
        first = 10_000
        for number in itertools.count():
            if time.monotonic() > deadline:
                break
            count = int(rate * length) // 5 * 5
            one = measuring.run(hub, sink, f"slice {number}", first, count, {"connections": 32, "rate": rate})
            first += count
            lost += one.lost
            slices.append((one.per_second, one.p99_ms, one.resident_mb, one.cpu_microseconds))
    megabytes = [one[2] for one in slices[1:]] or [slices[0][2]]
    return {
        "title": f"W8: {seconds / 60:.0f} minutes at half of the rate ({rate:.0f} events/s)",
        "events": first - 10_000,
        "lost": lost,
        "p99_ms_first_and_last": f"{slices[0][1]:.1f}, {slices[-1][1]:.1f}",
        "CPU_first_and_last": f"{slices[0][3]:.0f}, {slices[-1][3]:.0f}",
        "MB_first_and_last": f"{megabytes[0]:.0f}, {megabytes[-1]:.0f}",
        "memory_flat": flat(megabytes),
        "CPU_flat": flat([one[3] for one in slices]),
    }


ALL: dict[str, Callable[[Path, Sink, int], dict[str, Any]]] = {
    "files": files,
    "one partner in trouble": one_partner_in_trouble,
    "partner away": partner_away,
    "kill": kill,
}

__all__ = ["ALL", "soak"]
