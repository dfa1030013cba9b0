"""SFTP against a real OpenSSH server: what the promises of the suite do not cover."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncssh
import pytest

from crossdock.connectors import registry
from crossdock.connectors.egress import Egress
from crossdock.errors import ConfigurationError, PermanentError, TransientError
from crossdock.sdk import Connector, ConnectorContext
from crossdock.sdk.conformance import Inbox, an_order
from tests.conformance.connectors.harnesses import LOOPBACK, START, MovingClock
from tests.conformance.connectors.trap_proxy import TrapProxy
from tests.support.openssh import OpenSshServer, SftpAccount

Make = Callable[..., Connector]


@pytest.fixture
async def make(sftp_account: SftpAccount) -> AsyncIterator[Make]:
    made: list[Connector] = []
    for name in ("in", "out"):
        (sftp_account.directory / name).mkdir()

    def build(egress: Egress | None = None, secrets: dict[str, str] | None = None, **settings: Any) -> Connector:
        full = {
            "host": sftp_account.host,
            "port": sftp_account.port,
            "username": sftp_account.username,
            "host_key": sftp_account.host_public_key,
            "inbox": f"{sftp_account.directory}/in",
            "outbox": f"{sftp_account.directory}/out",
            "ready": "rename",
            **settings,
        }
        key = {"private_key": sftp_account.client_key_path.read_text()}
        egress = egress or Egress(allow_networks=LOOPBACK)
        context = ConnectorContext("con_1", "tnt_1", full, secrets or key, egress, MovingClock(START), 5.0)
        made.append(registry.create("sftp", context))
        return made[-1]

    yield build
    for connector in made:
        await connector.close()


async def test_another_host_key_is_refused_before_the_login(make: Make) -> None:
    """A server that shows a key that is not pinned gets neither name nor content."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    connector = make(host_key=other)

    checked, sent = await connector.check(), await connector.push(an_order(1))

    assert (False, "another host key") == (checked.ok, checked.detail.partition(" shows ")[2][:16])
    assert ("failed", True, "XD-SEC-024") == (sent.outcome, sent.permanent, sent.code)


async def test_second_pinned_key_serves_a_change(make: Make, sftp_account: SftpAccount) -> None:
    """Two keys may be pinned while the partner changes its own."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    assert (await make(host_key=f"{other}\n{sftp_account.host_public_key}\n").check()).ok


async def test_policy_holds_for_sftp(make: Make) -> None:
    """The SFTP door obeys the egress policy like every other."""
    sent = await make(egress=Egress()).push(an_order(1))

    assert ("failed", True, "XD-SEC-020") == (sent.outcome, sent.permanent, sent.code)


async def test_one_connection_is_kept_and_opened_again(make: Make, sftp_account: SftpAccount) -> None:
    """Calls share one connection; after it is lost the next call opens another."""
    proxy = await TrapProxy(sftp_account.port).start()
    opened: list[int] = []
    egress = Egress(allow_networks=LOOPBACK)
    plain = egress.connect

    async def connect(*arguments: Any, **options: Any) -> Any:
        opened.append(1)
        return await plain(*arguments, **options)

    egress.connect = connect  # type: ignore[method-assign]
    connector = make(egress=egress, port=proxy.port)
    assert ["done", "done"] == [(await connector.push(an_order(number))).outcome for number in (1, 2)]
    assert 1 == len(opened)
    proxy.trap = lambda: True
    assert "failed" == (await connector.push(an_order(3))).outcome
    proxy.trap = lambda: False

    assert "done" == (await connector.push(an_order(3, attempt=2))).outcome
    assert 2 == len(opened)
    await connector.close()
    await proxy.stop()


async def test_outage_of_the_server_is_ridden_out(make: Make, openssh_server: OpenSshServer) -> None:
    """A server that was restarted is reached again without a new connector."""
    connector = make()
    openssh_server.stop()
    during = await connector.push(an_order(2))
    openssh_server.start()

    assert ("failed", False) == (during.outcome, during.permanent)
    assert "done" == (await connector.push(an_order(2, attempt=2))).outcome


async def test_planted_link_is_not_written_through(make: Make, sftp_account: SftpAccount) -> None:
    """A link under the temporary name is replaced, not followed."""
    outside = sftp_account.directory / "outside.txt"
    outside.write_bytes(b"untouched")
    (sftp_account.directory / "out" / f"{an_order(1).name}.tmp").symlink_to(outside)

    assert "done" == (await make().push(an_order(1))).outcome
    assert b"untouched" == outside.read_bytes()
    assert an_order(1).content == (sftp_account.directory / "out" / an_order(1).name).read_bytes()


async def test_archive_never_replaces(make: Make, sftp_account: SftpAccount) -> None:
    """Two files of one name are two files in the archive."""
    connector, inbox = make(), Inbox()
    for content in (b"mon", b"tuesday"):
        (sftp_account.directory / "in" / "stock.csv").write_bytes(content)
        await inbox.drain(connector)

    archived = {path.name: path.read_bytes() for path in (sftp_account.directory / "in/archive").iterdir()}
    assert {"stock.csv": b"mon", "stock~2.csv": b"tuesday"} == archived


async def test_binary_and_large_content_survives(make: Make, sftp_account: SftpAccount) -> None:
    """Bytes are bytes: no line ending is touched, several packets are one file."""
    content = bytes(range(256)) * 4096 + b"\r\n\n\r"
    connector, inbox = make(), Inbox()
    (sftp_account.directory / "in" / "a.bin").write_bytes(content)
    await inbox.drain(connector)
    await connector.push(an_order(1, content=content))

    assert [content] == inbox.contents()
    assert content == (sftp_account.directory / "out" / an_order(1).name).read_bytes()


async def test_missing_inbox_is_named(make: Make) -> None:
    """A directory that is not there is said to be missing, on check and on pull."""
    connector = make(inbox="/no/such/directory")

    assert "there is no directory /no/such/directory" == (await connector.check()).detail
    with pytest.raises(PermanentError):
        await anext(aiter(connector.pull()))


async def test_lost_server_is_transient_for_a_pull(make: Make, openssh_server: OpenSshServer) -> None:
    """A pull from a server that is away may succeed later."""
    openssh_server.stop()
    try:
        with pytest.raises(TransientError):
            await anext(aiter(make().pull()))
    finally:
        openssh_server.start()


@pytest.mark.parametrize(
    "settings, secrets",
    [
        ({"host_key": "ssh-ed25519 nonsense"}, {}),
        ({"host_key": ""}, {}),
        ({}, {"private_key": "nonsense"}),
        ({}, {"other": "x"}),
        ({"port": "22"}, {}),
    ],
)
def test_unusable_settings_are_refused_at_once(make: Make, settings: dict[str, Any], secrets: dict[str, str]) -> None:
    """Without a readable host key and a credential no connection is ever tried."""
    with pytest.raises(ConfigurationError):
        make(secrets=secrets or None, **settings)
