"""Secrets of a running hub: what was removed or replaced works no longer, and packs do not read the operator's own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crossdock.governance import secrets
from crossdock.store.engine import open_store
from tests.scenarios.flow.world import World, order, pack_files, with_line


def files_with_hook(reference: str) -> dict[str, str]:
    """Return the pack in which Reno's files prove themselves with a secret."""
    line = f"partner: reno\nauthentication: {{kind: hmac, secrets: ['{reference}']}}"
    return with_line(pack_files(), "connections/reno-files.yaml", "partner: reno", line)


async def test_a_removed_secret_works_no_longer(world: World) -> None:
    """A secret that another process removed is forgotten with the next tick, without a restart."""
    await world.hub.set_secret("acme", "HOOK", "first")
    await world.apply(files=files_with_hook("secret:HOOK"))
    assert ("first",) == world.hub.inbound_secrets("acme", ["secret:HOOK"])
    await world.later(seconds=1)

    store = open_store(world.url)
    store.write_now(lambda connection: secrets.remove(connection, "acme", "HOOK"))
    store.close()
    await world.later(seconds=1)

    assert () == world.hub.inbound_secrets("acme", ["secret:HOOK"])


async def test_a_rotated_secret_replaces_the_connector(world: World) -> None:
    """A secret stored by another process is taken over with the next tick; the connection gets a new connector."""
    files = with_line(
        pack_files(), "connections/reno.yaml", "partner: reno", "partner: reno\nsecrets: {token: secret:T}"
    )
    await world.hub.set_secret("acme", "T", "first")
    await world.apply(files=files)
    before = await world.hub.sender.partner("acme", "reno")

    store = open_store(world.url)
    key, at = world.hub._root_key, world.clock.now()
    store.write_now(lambda connection: secrets.put(connection, "acme", "OTHER", "x", root_key=key, at=at))
    await world.later(seconds=1)
    unrelated = await world.hub.sender.partner("acme", "reno")
    at = world.clock.now()
    store.write_now(lambda connection: secrets.put(connection, "acme", "T", "second", root_key=key, at=at))
    store.close()
    await world.later(seconds=1)

    assert before is unrelated
    assert before is not await world.hub.sender.partner("acme", "reno")


@pytest.mark.parametrize(("may_read", "expected"), [(False, ()), (True, ("the operator's own",))])
async def test_packs_read_the_process_only_where_the_operator_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_read: bool, expected: tuple[str, ...]
) -> None:
    """`env:` and `file:` of a pack lead nowhere unless `security.packs_may_read_process` is on."""
    world = World(f"sqlite:///{tmp_path / 'crossdock.db'}", tmp_path, monkeypatch)
    security = msgspec.structs.replace(world.settings.security, packs_may_read_process=may_read)
    world.settings = msgspec.structs.replace(world.settings, security=security)
    (tmp_path / "own").write_text("the operator's own")
    monkeypatch.setenv("OPERATORS_OWN", "the operator's own")
    await world.start()

    for reference in (f"file:{tmp_path / 'own'}", "env:OPERATORS_OWN"):
        await world.apply(files=files_with_hook(reference))
        assert expected == world.hub.inbound_secrets("acme", [reference])
    await world.stop()


async def test_a_connection_says_why_it_has_no_secret(world: World) -> None:
    """A connection that names the operator's environment sends nothing and says what to write instead."""
    files = with_line(
        pack_files(), "connections/reno.yaml", "partner: reno", "partner: reno\nsecrets: {token: env:HOME}"
    )
    await world.apply(files=files)

    await world.hand_in("erp", order("SO-1"))

    (detail,) = world.column("select error from outbound_messages where connection_id = 'reno'")
    assert "env: is not open to this tenant's packs" in detail and "Use secret:NAME" in detail
    assert [] == world.partner("reno").pushed
