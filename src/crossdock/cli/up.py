"""`crossdock up`: start the hub with its doors and workers, in this process, until Ctrl-C or TERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated

import typer
from rich.console import Console

from crossdock.bootstrap import Hub, collector
from crossdock.cli.running_hub import Announcement
from crossdock.config import Settings, load_settings
from crossdock.durable.identity import SystemClock
from crossdock.governance import tenants
from crossdock.web.console.sign_in import login_address
from crossdock.web.server import open_doors

ANNOUNCE_SECONDS = 2.0


def command(
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    links: Annotated[bool, typer.Option("--links/--no-links", help="Print one-click sign-in links.")] = True,
) -> None:
    """Start the hub: doors, console, portal and workers."""
    overrides: dict[str, object] = {}
    if port is not None:
        overrides["web.port"] = port
    if host:
        overrides["web.host"] = host
    asyncio.run(_serve(load_settings(overrides=overrides), links=links))


async def _serve(settings: Settings, *, links: bool) -> None:
    talk = Console(stderr=True, highlight=False)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stopped.set)
    hub = await Hub.start(settings)
    try:
        url = await open_doors(hub)
        collector.settle()
        talk.print(f"Crossdock listens on {url}  (console {url}/console, API {url}/v1/openapi.json)", soft_wrap=True)
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
    finally:
        await hub.stop()
