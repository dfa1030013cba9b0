"""Every connector keeps every promise of its manifest; connectors that do not are caught."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.connectors import registry
from crossdock.sdk import Connector, Outbound, Pulled, PushResult
from crossdock.sdk.conformance import PROMISES, Harness, PromiseBroken, open_promises, run
from tests.conformance.connectors.harnesses import FolderHarness, HttpHarness, SftpHarness
from tests.support.openssh import SftpAccount

Make = Callable[[], Awaitable[Any]]


def done_promises(kind: str) -> list[str]:
    """Return the promises that a manifest marks as done."""
    return [promise for promise, state in registry.manifests()[kind].promises.items() if state == "done"]


@pytest.fixture
async def make_http() -> AsyncIterator[Make]:
    made: list[HttpHarness] = []

    async def make() -> HttpHarness:
        made.append(await HttpHarness().start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.fixture
async def make_folder(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[FolderHarness] = []

    async def make() -> FolderHarness:
        made.append(await FolderHarness(tmp_path / str(len(made))).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.fixture
async def make_sftp(sftp_account: SftpAccount) -> AsyncIterator[Make]:
    made: list[SftpHarness] = []

    async def make() -> SftpHarness:
        directory = sftp_account.directory / str(len(made))
        directory.mkdir()
        account = SftpAccount(**{**vars(sftp_account), "directory": directory})
        made.append(await SftpHarness(account).start())
        return made[-1]

    yield make
    for harness in made:
        await harness.stop()


@pytest.mark.parametrize("promise", done_promises("http_json"))
async def test_http_json_keeps(promise: str, make_http: Make) -> None:
    """The HTTP connector keeps the promise against a peer on a real socket."""
    await run(promise, make_http)


@pytest.mark.parametrize("promise", done_promises("folder"))
async def test_folder_keeps(promise: str, make_folder: Make) -> None:
    """The folder connector keeps the promise on a real directory."""
    await run(promise, make_folder)


@pytest.mark.parametrize("promise", done_promises("sftp"))
async def test_sftp_keeps(promise: str, make_sftp: Make) -> None:
    """The SFTP connector keeps the promise against a real OpenSSH server."""
    await run(promise, make_sftp)


@pytest.mark.parametrize("kind", registry.manifests())
def test_manifest_accounts_for_every_promise(kind: str) -> None:
    """A manifest mentions each promise as done, todo, or exempt with a reason."""
    assert [] == open_promises(registry.manifests()[kind])


def test_exempt_without_a_reason_is_caught() -> None:
    """A promise cannot be left out in silence."""
    manifest = registry.manifests()["folder"]
    promises = {**manifest.promises, "throttling": "exempt", "check_ok": "yes", "extra": "done"}
    del promises["pull_twice"]

    wrong = open_promises(msgspec.structs.replace(manifest, promises=promises))

    assert 4 == len(wrong)


class Bad:
    """A connector that passes everything on, for a flaw to be put in."""

    def __init__(self, good: Connector) -> None:
        self.good = good

    def __getattr__(self, name: str) -> Any:
        return getattr(self.good, name)


class AcknowledgesBeforeCommit(Bad):
    """Renames the file before the hub has stored it."""

    async def pull(self) -> AsyncIterator[Pulled]:
        async for pulled in self.good.pull():
            await pulled.acknowledge()
            yield pulled


class NewIdentityPerAttempt(Bad):
    """Makes up a new identity for each attempt."""

    async def push(self, outbound: Outbound) -> PushResult:
        new = f"{outbound.attempt}-{outbound.identity}"
        return await self.good.push(msgspec.structs.replace(outbound, identity=new, name=f"{new}.json"))


class TakesUnknownForFailed(Bad):
    """Calls a lost answer a failure."""

    async def push(self, outbound: Outbound) -> PushResult:
        result = await self.good.push(outbound)
        return msgspec.structs.replace(result, outcome="failed") if result.outcome == "unknown" else result


class TakesUnknownForDone(Bad):
    """Calls a lost answer a success."""

    async def push(self, outbound: Outbound) -> PushResult:
        result = await self.good.push(outbound)
        return msgspec.structs.replace(result, outcome="done") if result.outcome == "unknown" else result


class NeverAcknowledges(Bad):
    """Forgets to take the document away."""

    async def pull(self) -> AsyncIterator[Pulled]:
        number = 0
        async for pulled in self.good.pull():
            number += 1
            yield msgspec.structs.replace(pulled, acknowledge=_nothing, receipt_key=f"{id(pulled)}{number}")


async def _nothing() -> None:
    return None


FLAWS: list[tuple[type[Bad], str]] = [
    (AcknowledgesBeforeCommit, "crash_before_ack"),
    (NewIdentityPerAttempt, "stable_identity"),
    (TakesUnknownForFailed, "unknown_outcome"),
    (TakesUnknownForDone, "unknown_outcome"),
    (TakesUnknownForFailed, "find_before_resend"),
    (NeverAcknowledges, "pull_twice"),
]


@pytest.mark.parametrize("flaw, promise", FLAWS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("kind", ["http_json", "folder"])
async def test_bad_connector_is_caught(
    flaw: type[Bad], promise: str, kind: str, make_http: Make, make_folder: Make
) -> None:
    """A connector that breaks a promise fails the suite: the suite is able to fail."""
    make = make_http if kind == "http_json" else make_folder

    async def make_bad() -> Harness:
        harness: Any = await make()
        good = harness.connector

        async def connector(**options: Any) -> Any:
            return flaw(await good(**options))

        harness.connector = connector
        return harness  # type: ignore[no-any-return]

    with pytest.raises(PromiseBroken):
        await run(promise, make_bad)


def test_every_promise_has_a_flaw_or_is_plain() -> None:
    """The suite names its promises once."""
    assert sorted(PROMISES) == sorted(registry.manifests()["http_json"].promises)
