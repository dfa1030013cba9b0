"""Settings of the process that connections stand on where their pack does not say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crossdock.sdk import ConnectorContext
from tests.scenarios.flow.world import ScriptedPartner, World, pack_files, with_line


class Contexts(World):
    """A world that keeps what its connectors were made with."""

    seen: dict[str, ConnectorContext]

    def _create(self, kind: str, context: ConnectorContext) -> ScriptedPartner:
        self.seen[context.connection_id] = context
        return super()._create(kind, context)


async def test_connections_take_their_bounds_from_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without `in_flight_max` sends as many at once as `flow.in_flight_per_connection` says; every
    connector is told how much of an answer to keep.
    """
    world = Contexts(f"sqlite:///{tmp_path / 'crossdock.db'}", tmp_path, monkeypatch)
    world.seen = {}
    flow = msgspec.structs.replace(world.settings.flow, in_flight_per_connection=3)
    limits = msgspec.structs.replace(world.settings.limits, partner_answer_bytes_max=1_000)
    world.settings = msgspec.structs.replace(world.settings, flow=flow, limits=limits)
    await world.start()
    own = with_line(pack_files(), "connections/kc.yaml", "partner: kc", "partner: kc\nin_flight_max: 1")
    await world.apply(files=own)

    told = {name: world.hub.tenancy.sending("acme", name).in_flight_max for name in ("reno", "kc")}
    kept = {context.answer_bytes_max for context in world.seen.values()}
    await world.stop()

    assert ({"reno": 3, "kc": 1}, {1_000}) == (told, kept)
