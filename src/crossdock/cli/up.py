"""`crossdock up`: start the hub with its doors and workers, until Ctrl-C or TERM.

On SQLite, and with one worker, it is one process. On PostgreSQL `--workers N` puts the doors into this process and
starts N others that work; `--role` takes one side only, for processes on several machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated, Literal

import typer
from rich.console import Console

from crossdock.bootstrap import Hub, collector
from crossdock.bootstrap.cluster import Role
from crossdock.bootstrap.supervisor import Supervisor, command_of_worker, follow_parent
from crossdock.cli.running_hub import Announcement
from crossdock.config import Settings, load_settings
from crossdock.durable.identity import SystemClock
from crossdock.governance import tenants
from crossdock.store.engine import one_process_only
from crossdock.web.console.sign_in import login_address
from crossdock.web.server import open_doors

ANNOUNCE_SECONDS = 2.0


def command(
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    links: Annotated[bool, typer.Option("--links/--no-links", help="Print one-click sign-in links.")] = True,
    role: Annotated[
        Literal["all", "web", "worker"],
        typer.Option(help="What this process does (PostgreSQL): take in and show, work, or both."),
    ] = "all",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes work (PostgreSQL); more than one are children.")
    ] = 1,
    follow: Annotated[bool, typer.Option("--follow-parent", hidden=True)] = False,
) -> None:
    """Start the hub: doors, console, portal and workers."""
    overrides: dict[str, object] = {}
    if port is not None:
        overrides["web.port"] = port
    if host:
        overrides["web.host"] = host
    settings = load_settings(overrides=overrides)
    if role == "web" and workers > 1:
        raise typer.BadParameter("a web process has no workers; start them with --role worker", param_hint="--workers")
    if settings.store.sqlite_path is not None and (role != "all" or workers > 1):
        raise one_process_only()
    asyncio.run(_serve(settings, role, workers, links=links, follow=follow))


def _roles(settings: Settings, role: Role, workers: int) -> tuple[Role, int]:
    """Return what this process is, and how many children it has."""
    if settings.store.sqlite_path is not None:
        return "alone", 0
    if role == "worker":
        return "worker", workers - 1
    return ("web", workers) if role == "all" and workers > 1 else (role, 0)


async def _serve(settings: Settings, role: Role, workers: int, *, links: bool, follow: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stopped.set)
    if follow:
        follow_parent(stopped.set)
    own_role, children = _roles(settings, role, workers)
    supervisor = Supervisor(command_of_worker(), children)
    hub = await Hub.start(settings, role=own_role)
    try:
        supervisor.start()
        if own_role == "worker":
            collector.settle()
            Console(stderr=True, highlight=False).print("A worker works on the record; Ctrl-C ends it in order.")
            await stopped.wait()
        else:
            await _open(hub, stopped, links=links, workers=children)
    finally:
        # The children first: they give their slots back in order.
        await supervisor.stop()
        await hub.stop()


async def _open(hub: Hub, stopped: asyncio.Event, *, links: bool, workers: int) -> None:
    talk = Console(stderr=True, highlight=False)
    url = await open_doors(hub)
    collector.settle()
    talk.print(f"Crossdock listens on {url}  (console {url}/console, API {url}/v1/openapi.json)", soft_wrap=True)
    if workers:
        talk.print(f"{workers} workers of their own work on what comes in.")
    known = await hub.store.read(tenants.listed)
    if not known:
        talk.print("There is no tenant yet. In another terminal: crossdock apply packs/northgate")
    if links:
        for tenant in known:
            address = await login_address(hub, SystemClock(), tenant.tenant_id, "operator", "operator")
            talk.print(f"  {tenant.tenant_id:<16} {address}", soft_wrap=True)
    talk.print("Ctrl-C ends it; everything accepted is kept.")
    announcement = Announcement(hub)
    try:
        while not stopped.is_set():
            # A tenant that was applied meanwhile is announced too.
            await announcement.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), ANNOUNCE_SECONDS)
    finally:
        await announcement.withdraw()
    talk.print("Closing the doors …")
