"""Is this NATS fit to carry? Asked by `crossdock doctor`; the hub itself runs without an answer."""

from __future__ import annotations

import msgspec

from ..config import BackboneSettings
from ..errors import CrossdockError
from .connection import BackboneRefused, Server
from .subjects import stream_of

# Earlier releases could forget acknowledged messages, or the whole stream, after a kill.
VERSION_MIN = (2, 12, 3)
SYNC_REMARK = "its sync_interval is not shown to clients: unless it is `always`, a power cut takes what it acknowledged"


class Report(msgspec.Struct, frozen=True):
    """What was found. `faults` is empty when all is well; each fault is (what, fix)."""

    version: str
    remarks: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


async def examine(settings: BackboneSettings) -> Report:
    """Ask the servers. Raises BackboneAway or BackboneRefused when no answer can be had."""
    server = Server(settings, name="crossdock doctor")
    await server.connect()
    try:
        return await _examine(server, settings)
    finally:
        await server.close()


async def _examine(server: Server, settings: BackboneSettings) -> Report:
    version = ".".join(map(str, server.version))
    faults = []
    if server.version < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        faults.append((f"NATS {version} may lose streams", f"Upgrade the servers to {wanted} or newer"))
    await server.account()
    remarks = [SYNC_REMARK]
    info = await server.stream(stream_of(settings.prefix))
    if info is None:
        remarks.append("the stream will be made at the first start")
        faults += await _placement(server, settings)
    else:
        replicas = info.cluster.replicas
        away = [one.name for one in replicas if one.offline or not one.current]
        if 1 + len(replicas) < settings.replicas:
            wanted = f"Start the missing servers; backbone.replicas is {settings.replicas}"
            faults.append((f"the stream has {1 + len(replicas)} replicas", wanted))
        if away:
            faults.append((f"replicas are not current: {', '.join(away)}", "Start these servers and let them catch up"))
        if settings.replicas == 1:
            remarks.append("one replica")
    return Report(version, tuple(remarks), tuple(faults))


async def _placement(server: Server, settings: BackboneSettings) -> list[tuple[str, str]]:
    """Try whether so many replicas can be placed, with a stream that is taken away again."""
    name = f"{stream_of(settings.prefix)}_PROBE"
    probe = {
        "name": name,
        "subjects": [f"{settings.prefix}.probe"],
        "storage": "memory",
        "num_replicas": settings.replicas,
    }
    try:
        await server.create_stream(probe)
    except BackboneRefused as refused:
        return [(str(refused), "; ".join(refused.hint) or "Start the missing servers")]
    try:
        await server.delete_stream(name)
    except CrossdockError as error:
        return [(f"the probe stream {name} is still there: {error}", f"nats stream rm {name}")]
    return []
