"""`crossdock demo`: a hub, all its partners and a distributor's day, in one process and without any set-up.

Interactive, it shows where to look and goes on serving after 18:00 until Ctrl-C. With `--headless` it plays the day,
prints the report and ends: 0 when nothing was lost and nothing happened twice, else 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..bootstrap import Hub
from ..config import Settings, load_settings
from ..durable.identity import ManualClock
from ..errors import ConfigurationError, Conflict
from ..governance import access
from ..simulator.day import STARTS, Day, DayOptions
from ..simulator.report import is_clean, render_report
from ..simulator.world import ORDERS_MIN, ORDERS_OF_THE_DAY, wall
from ..web.server import open_doors
from .running_hub import Announcement

FOLDER = Path("var/demo")
DEFAULT_PORT = 8600
LINK_MINUTES = 24 * 60
KEY_LABEL = "made for you by the demo"
SIGN_INS = (
    ("northgate", "operations"),
    ("northgate", "integrator"),
    ("northgate", "agent"),
    ("lakeside", "operations"),
)


def command(
    seed: Annotated[int, typer.Option(help="The day is a function of the seed: same seed, same bytes.")] = 1,
    speed: Annotated[str, typer.Option(help="Simulated seconds in a real second, or max.")] = "60",
    headless: Annotated[bool, typer.Option("--headless", help="Play the day, report, end (see --speed).")] = False,
    report: Annotated[str, typer.Option(help="Where the report goes: a file, or - for standard output.")] = "",
    orders: Annotated[int, typer.Option(min=ORDERS_MIN, help="Orders of the day, at least 60.")] = ORDERS_OF_THE_DAY,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the console; 0 takes a free one.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Remove what an earlier demo left, and end.")] = False,
) -> None:
    """Play the Northgate day: a distributor's day of orders, with faults.

    A second, small tenant (Lakeside Parts, 5 orders) runs beside it, and the report counts its orders too.
    """
    options = DayOptions(seed=seed, orders=orders, speed=_speed(speed), hands_on=not headless)
    check_report_place(report)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with _folder(headless, reset) as folder:
        if reset:
            typer.echo(f"{FOLDER} is removed.", err=True)
            return
        settings = demo_settings(folder, 0 if headless else port if port is not None else DEFAULT_PORT)
        run = (
            _headless(options, settings, folder, report)
            if headless
            else _interactive(options, settings, folder, report, browser=not no_browser and sys.stdout.isatty())
        )
        clean = asyncio.run(_until_stopped(run))
    raise typer.Exit(0 if clean else 1)


@contextlib.asynccontextmanager
async def running_day(options: DayOptions, settings: Settings, folder: Path) -> AsyncIterator[tuple[Hub, Day]]:
    """Start a hub under the day's own clock, open its doors and set the stage; everything is closed at the end."""
    clock = ManualClock(STARTS)
    hub = await Hub.start(settings, clock=clock, ids_seed=options.seed)
    try:
        await open_doors(hub)
        async with Day(options, hub, clock, folder / "world") as day:
            yield hub, day
    finally:
        await hub.stop()


async def _headless(options: DayOptions, settings: Settings, folder: Path, report: str) -> bool:
    async with running_day(options, settings, folder) as (_, day):
        result = await day.run()
        # Before anything is closed: the report is what the day was for.
        _write(report or "-", result)
    return is_clean(result)


async def _interactive(options: DayOptions, settings: Settings, folder: Path, report: str, *, browser: bool) -> bool:
    talk = Console(stderr=True, highlight=False, soft_wrap=True)
    async with running_day(options, settings, folder) as (hub, day):
        links = [(tenant, role, await _login_link(hub, tenant, role)) for tenant, role in SIGN_INS]
        _greet(talk, hub.url, links, day)
        key = await hub.create_key("northgate", "operator", label=KEY_LABEL)
        talk.print("An API key of northgate, to ask and to hand in documents:")
        talk.print(f"  export CROSSDOCK_KEY={key}\n")
        announcement = Announcement(hub)
        await announcement.refresh()
        try:
            if browser:
                webbrowser.open(links[0][2])
            with _clock_line(talk, day, hub.url) as show:
                result = await day.run(show)
            _tell_report(talk, result)
            if report:
                _write(report, result)
            talk.print("\nThe hub goes on serving. Ctrl-C ends it.")
            await _serve_on(hub, day)
        finally:
            await announcement.withdraw()
    return is_clean(result)


async def _serve_on(hub: Hub, day: Day) -> None:
    """Keep the hub alive after the day, its clock at the pace of the person who looks around."""
    while True:
        await asyncio.sleep(1.0)
        day.timeline.clock.move_to(day.timeline.clock.now() + timedelta(seconds=1))
        await hub.advance()


async def _until_stopped(run: Any) -> bool:
    """Run to the end, or until Ctrl-C or a TERM signal; either way everything is closed before this returns."""
    task = asyncio.ensure_future(run)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, task.cancel)
    try:
        return bool(await task)
    except asyncio.CancelledError:
        return True


def demo_settings(folder: Path, port: int) -> Settings:
    """Return settings for a hub whose partners all live on this machine; port 0 takes a free one."""
    return load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{folder.absolute()}/hub.db",
            "web.port": port,
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            # The partners' folders are the demo's own.
            "security.packs_may_read_process": True,
            "log.level": "error",
        },
    )


@contextlib.contextmanager
def _folder(headless: bool, reset: bool) -> Iterator[Path]:
    """Give an empty folder: a temporary one for a headless day, else `var/demo`, which stays to be looked at."""
    if headless and not reset:
        with tempfile.TemporaryDirectory(prefix="crossdock-demo-") as name:
            yield Path(name)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                "A demo runs here already", hint="End it with Ctrl-C, or use --headless beside it"
            ) from error
        shutil.rmtree(FOLDER)
        if not reset:
            FOLDER.mkdir()
        yield FOLDER


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ConfigurationError(f"--speed {text} is no speed", hint="A number such as 60, or max")
    return value


async def _login_link(hub: Hub, tenant: str, role: str) -> str:
    # Sign-ins live on the machine's clock, not on the day's.
    now = datetime.now(UTC)
    token = await hub.store.write(
        lambda connection: access.create_login_link(
            connection, tenant, f"{role}@{tenant}.example", role, at=now, minutes=LINK_MINUTES
        )
    )
    return f"{hub.url}/login/{token}"


def _greet(talk: Console, url: str, links: list[tuple[str, str, str]], day: Day) -> None:
    options = day.options
    example = next(order for order in day.orders if order.origin == "shop")
    pace = "as fast as this machine can" if options.speed is None else f"{options.speed:g} times faster than life"
    talk.print(f"\n[bold]The Northgate day[/], 2026-11-23, {options.orders:,} orders, {pace} (seed {options.seed})\n")
    talk.print(f"Console   {url}/console")
    talk.print(f"Portal    {url}/p/northgate   (try order {example.number}, postcode {example.place.postcode})")
    talk.print("Sign in with one click:")
    for tenant, role, link in links:
        talk.print(f"  {tenant:<10} {role:<11} {link}")
    talk.print()


@contextlib.contextmanager
def _clock_line(talk: Console, day: Day, url: str) -> Iterator[Any]:
    """Show the day's clock: one live line on a terminal, a line for each row of the day elsewhere."""
    told: set[tuple[str, str]] = set()

    def news() -> Iterator[str]:
        for fault in day.faults:
            for word, at in (
                ("begins", fault.injected_at),
                ("is seen", fault.detected_at),
                ("is over", fault.ended_at),
            ):
                if at is not None and (fault.name, word) not in told:
                    told.add((fault.name, word))
                    yield f"{wall(at)}  {fault.name.replace('_', ' ')} {word}"
                    if word == "is seen" and fault.invitation and fault.ended_at is None:
                        yield f"       {fault.invitation.format(url=url)}"

    if not talk.is_terminal:

        def say() -> None:
            for line in news():
                talk.print(line)

        yield say
        return
    with Live(Text("07:45"), console=talk, refresh_per_second=8, transient=True) as live:

        def show() -> None:
            for line in news():
                live.console.print(line)
            now = day.timeline.clock.now()
            placed = sum(1 for order in day.orders if order.at <= now)
            live.update(Text(f"{wall(now)}  {placed:,} of {len(day.orders):,} orders released"))

        yield show


def _tell_report(talk: Console, result: dict[str, Any]) -> None:
    talk.print("\n[bold]18:00, the books are compared[/]")
    for name in (
        "orders",
        "messages_in",
        "messages_out",
        "duplicates_ignored",
        "lost",
        "double_effects",
        "open_issues",
    ):
        talk.print(f"  {name.replace('_', ' '):<20} {result[name]:>8,}")
    for row in result["faults"]:
        name, times = row["name"].replace("_", " "), (row["injected_at"], row["detected_at"], row["ended_at"])
        begun, seen, ended = (time or "never" for time in times)
        talk.print(f"  {name:<30} begun {begun}  seen {seen}  over {ended}  {row['screen']}")
    for finding in result["findings"]:
        talk.print(f"  [red]{finding}[/]")


def check_report_place(where: str) -> None:
    """Refuse a place where the report could not be written, before the day is played for nothing."""
    if where in ("", "-"):
        return
    file = Path(where)
    reason = ""
    if file.is_dir():
        reason = "is a directory"
    elif not file.absolute().parent.is_dir():
        reason = f"cannot be written: there is no directory {file.absolute().parent}"
    elif not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        reason = "cannot be written"
    if reason:
        raise ConfigurationError(
            f"--report {where} {reason}", hint="Name a file in a directory you may write to, or -", pointer="--report"
        )


def _write(where: str, result: dict[str, Any]) -> None:
    text = render_report(result)
    if where == "-":
        sys.stdout.write(text)
    else:
        Path(where).write_text(text, encoding="utf-8")
