"""A backup is whole and made while the hub works; a restore goes where nothing is and sends nothing twice."""

from __future__ import annotations

import pytest

from crossdock.bootstrap import backups
from crossdock.config import Settings, load_settings
from crossdock.sdk import FindResult
from crossdock.store import restores
from crossdock.store.backup import RestoreRefused
from crossdock.store.engine import Connection, open_store
from crossdock.views import restore_list
from tests.scenarios.flow.world import BUSY, World, order, x12_945
from tests.support.postgres import PostgresCluster


@pytest.fixture
def empty_url(url: str, request: pytest.FixtureRequest) -> str:
    """The address of a second record that does not exist yet, on the same engine."""
    if url.startswith("sqlite"):
        return url.replace("crossdock.db", "restored.db")
    return str(request.getfixturevalue("second_database"))


@pytest.fixture
def second_database(postgres_cluster: PostgresCluster) -> str:
    """An empty database beside the first. It goes with the cluster: the hub stays connected to it until the end."""
    return postgres_cluster.dsn(postgres_cluster.create_database())


def aimed(settings: Settings, url: str) -> Settings:
    key = settings.security.root_key_file
    return load_settings(environment={}, overrides={"store.url": url, "security.root_key_file": key})


async def test_what_was_told_after_the_backup_is_asked_for_and_listed(world: World, empty_url: str) -> None:
    """The order that came after the backup is offered again: its effects keep their identity, numbers are new."""
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)), headers={"idempotency-key": "o-1"})
    before = await world.hand_in("kc", x12_945(("S1", "SO-1-1"), control_number=7))
    directory, manifest = backups.make_backup(world.settings, world.directory / "backups", clock=world.clock)
    await world.hand_in("erp", order("SO-2", ("HAMMER", 5)), headers={"idempotency-key": "o-2"})
    await world.hand_in("erp", order("SO-3", ("DRILL", 5)), headers={"idempotency-key": "o-3"})
    numbers = {one.identity for one in world.partner("kc").pushed}
    effects = {name: {key: len(acts) for key, acts in world.partner(name).effects.items()} for name in ("reno", "erp")}
    await world.kill()

    done = backups.restore(world.settings, directory, empty_url, clock=world.clock)
    world.settings = aimed(world.settings, empty_url)
    await world.start()

    assert manifest.payloads_checked > 0 and not manifest.damaged
    assert done.tenants["acme"].control_numbers > 0
    (listed,) = world.hub.store.read_now(lambda connection: restore_list.load(connection, "acme"))
    asked = {one.connection_id: one for one in listed.ask_senders}
    assert {"erp", "kc", "reno", "reno-files"} == set(asked)
    assert before.message_id == asked["kc"].last_message_id
    assert "" == asked["reno"].last_message_id
    assert [7] == [gap.last_number for gap in listed.interchanges]

    await world.hand_in("erp", order("SO-2", ("HAMMER", 5)), headers={"idempotency-key": "o-2"})
    await world.hand_in("erp", order("SO-3", ("DRILL", 5)), headers={"idempotency-key": "o-3"})
    after = {name: {key: len(acts) for key, acts in world.partner(name).effects.items()} for name in ("reno", "erp")}
    assert effects["reno"].keys() == after["reno"].keys()
    assert effects["erp"].keys() == after["erp"].keys()
    # kc knows interchanges by their number only: SO-3 went out before, so its new one waits for a person.
    assert numbers == {one.identity for one in world.partner("kc").pushed}
    (made,) = world.query(
        "select identity, state, error_class, error_code from outbound_messages where request_key like '%SO-3-1%'"
        " and connection_id = 'kc'"
    )
    assert int(made[0]) > restores.JUMP and ("dead", "unknown", "XD-SYS-061") == made[1:]
    assert "XD-SYS-061" in world.issues()

    # Settled: what is made from now on is sent as always.
    await world.hub.store.write(lambda connection: restores.close(connection, "acme", "", 1, "tester"))
    await world.later(seconds=1)
    await world.hand_in("erp", order("SO-4", ("DRILL", 5)), headers={"idempotency-key": "o-4"})
    assert "SO-4" in world.partner("kc").pushed[-1].content.decode()


async def test_a_send_that_was_open_at_the_backup_is_asked_for(world: World, empty_url: str) -> None:
    """Open at the backup, sent afterwards: the partner is asked and says that it has it; it is not sent again."""
    kc = world.partner("kc")
    kc.answer(BUSY)
    await world.hand_in("erp", order("SO-1", ("DRILL", 5)))
    directory, _ = backups.make_backup(world.settings, world.directory / "backups", clock=world.clock)
    await world.later(minutes=2)
    pushed = len(kc.pushed)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")
    await world.kill()

    backups.restore(world.settings, directory, empty_url, clock=world.clock)
    world.settings = aimed(world.settings, empty_url)
    kc.find_answers.append(FindResult("found", "ref"))
    await world.start()
    await world.later(minutes=2)

    assert pushed == len(kc.pushed)
    assert [("fulfillment_request", "sent")] == world.outbound("kc")


async def test_a_restore_replaces_nothing_and_takes_nothing_damaged(world: World, empty_url: str) -> None:
    """The place is taken, the file was changed, the key is another: each is refused, and nothing appears."""
    await world.hand_in("erp", order("SO-1"))
    directory, manifest = backups.make_backup(world.settings, world.directory / "backups", clock=world.clock)
    with pytest.raises(RestoreRefused, match=r"there already|not empty|works on"):
        backups.restore(world.settings, directory, world.url)

    other = load_settings(
        environment={},
        overrides={"store.url": empty_url, "security.root_key": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="},
    )
    with pytest.raises(RestoreRefused, match="root key"):
        backups.restore(other, directory, empty_url)

    file = directory / manifest.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RestoreRefused, match="not the file"):
        backups.restore(aimed(world.settings, empty_url), directory, empty_url)
    if empty_url.startswith("sqlite"):
        assert not list(world.directory.glob("restored.db*"))


async def test_a_payload_that_was_damaged_before_is_named(world: World) -> None:
    """The backup is made all the same, and says which bytes were bad already."""
    answer = await world.hand_in("erp", order("SO-1"))
    await world.hub.store.write(
        lambda connection: connection.execute(
            "update payloads set content = ? where message_id = ?", (b"changed", answer.message_id)
        )
    )
    _, manifest = backups.make_backup(world.settings, world.directory / "backups", clock=world.clock)

    assert (answer.message_id,) == manifest.damaged


def test_control_numbers_go_round() -> None:
    """The jump stays within nine digits."""
    store = open_store("sqlite:///:memory:")

    def run(connection: Connection) -> int:
        connection.execute("insert into control_numbers values ('acme', 'a', 'b', 'interchange', 999999990)")
        restores.mark(
            connection,
            "acme",
            restore_id="rst_1",
            backup_id="bak_1",
            connections=(),
            backed_up_at=0,
            restored_at=1,
        )
        (row,) = connection.query("select last_number from control_numbers")
        return int(row[0])

    assert restores.JUMP - 9 == store.write_now(run)
    store.close()
