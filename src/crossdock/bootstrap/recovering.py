"""How a hub that is alone takes up, at its start, what waits in the record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from ..flow import recovery
from ..store import connections, outbound

if TYPE_CHECKING:
    from .hub import Hub

log = structlog.get_logger()


async def go_on_behind_the_newest(hub: Hub) -> None:
    """Have what is made from now on sent behind what was made before, whatever became of the clock."""
    newest = await hub.store.read(outbound.newest_id)
    if newest:
        hub.writer_ids.go_on_behind(newest)


async def recover(hub: Hub) -> None:
    """Find in the record what an earlier run left open, and go on with it; suspects of a crash run in small groups."""
    now = hub.clock.now()
    await hub.pipeline.write(connections.reset_circuits)
    await go_on_behind_the_newest(hub)
    sends = await hub.pipeline.write(lambda connection: recovery.open_sends(connection, ids=hub.writer_ids, now=now))
    hub.sender.dispatch(sends)
    waiting = await hub.pipeline.write(
        lambda connection: recovery.waiting_messages(connection, ids=hub.writer_ids, now=now)
    )
    for group in waiting.suspects:
        await hub.pipeline.write(partial(recovery.count_runs, stored=group))
        hub.pipeline.resume(group)
        await hub.pipeline.drained()
    hub.pipeline.resume(waiting.fresh)
    if sends or waiting.fresh or waiting.suspects:
        suspects = sum(map(len, waiting.suspects))
        log.info("hub.recovered", messages=len(waiting.fresh) + suspects, suspects=suspects, sends=len(sends))
