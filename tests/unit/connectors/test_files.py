"""Files: taken whole or not at all, given once, and never outside of the directory."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.connectors import registry
from crossdock.connectors.files import archive_names, is_safe_name
from crossdock.connectors.folder.connector import LocalDirectory
from crossdock.errors import ConfigurationError, PermanentError
from crossdock.sdk import Connector, Outbound
from tests.conformance.connectors.harnesses import START, MovingClock, a_context


class Place:
    """A directory with an inbox and an outbox, and a folder connector on it."""

    def __init__(self, root: Path) -> None:
        self.root, self.clock = root, MovingClock(START)
        self.inbox, self.outbox = root / "in", root / "out"
        for path in (self.inbox, self.outbox):
            path.mkdir(parents=True)

    def connector(self, **settings: Any) -> Connector:
        full = {"root": str(self.root), "inbox": "in", "outbox": "out", **settings}
        return registry.create("folder", a_context(full, {}, self.clock))

    def names(self, path: str) -> list[str]:
        return sorted(entry.name for entry in (self.root / path).iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "root")


async def take(connector: Connector, *, acknowledge: bool = True) -> list[str]:
    taken = []
    async for pulled in connector.pull():
        taken.append(pulled.name)
        if acknowledge:
            await pulled.acknowledge()
    return taken


def an_order(content: bytes = b"940", name: str = "SO-1-1.edi") -> Outbound:
    return Outbound("msg_1", "SO-1-1", "940", content, "application/edi-x12", name=name)


async def test_stable_means_unchanged_for_a_while(place: Place) -> None:
    """A file that grows is left alone until size and time have stood still for the given seconds."""
    connector = place.connector(stable_seconds=10)
    for content in (b"a", b"ab", b"abc"):
        (place.inbox / "a.csv").write_bytes(content)
        assert [] == await take(connector)
        place.clock.move(9)
    assert [] == await take(connector)
    place.clock.move(1)

    assert ["a.csv"] == await take(connector)


async def test_done_file_releases_its_file(place: Place) -> None:
    """With a done file the data file is taken when, and only when, its companion is there; both go."""
    connector = place.connector(ready="done_file")
    (place.inbox / "a.csv").write_bytes(b"x")
    assert [] == await take(connector)
    (place.inbox / "a.csv.done").write_bytes(b"")

    assert ["a.csv"] == await take(connector)
    assert (["archive"], ["a.csv"]) == (place.names("in"), place.names("in/archive"))


async def test_partial_and_hidden_names_are_left_alone(place: Place) -> None:
    """Names that say "not finished" are never taken, and only the wanted patterns are."""
    for name in ("a.csv.tmp", "b.filepart", ".hidden.csv", "c.txt", "d.csv"):
        (place.inbox / name).write_bytes(b"x")

    assert ["d.csv"] == await take(place.connector(ready="rename", patterns=["*.csv", "*.part", "*.filepart"]))


async def test_archive_never_replaces(place: Place) -> None:
    """Three files of one name on three days are three files in the archive."""
    connector = place.connector(ready="rename")
    for content in (b"mon", b"tue", b"wed"):
        (place.inbox / "stock.csv").write_bytes(content)
        await take(connector)

    archive = place.inbox / "archive"
    assert ["stock.csv", "stock~2.csv", "stock~3.csv"] == place.names("in/archive")
    assert {b"mon", b"tue", b"wed"} == {path.read_bytes() for path in archive.iterdir()}


async def test_acknowledgment_spares_a_file_that_has_changed(place: Place) -> None:
    """A new file that took the name between pull and acknowledgment is not put away unread."""
    connector = place.connector(ready="rename")
    (place.inbox / "a.csv").write_bytes(b"old")
    async for pulled in connector.pull():
        (place.inbox / "a.csv").write_bytes(b"newer")
        await pulled.acknowledge()
        await pulled.acknowledge()

    assert b"newer" == (place.inbox / "a.csv").read_bytes()
    assert ["a.csv"] == await take(connector)


async def test_delete_policy_removes(place: Place) -> None:
    """With done = delete nothing stays."""
    (place.inbox / "a.csv").write_bytes(b"x")

    assert ["a.csv"] == await take(place.connector(ready="rename", done="delete"))
    assert [] == place.names("in")


async def test_bad_entries_do_not_stop_the_others(place: Place) -> None:
    """Links, pipes and giants are named in one typed error, once the good files are taken."""
    (place.inbox / "good.csv").write_bytes(b"x")
    (place.inbox / "giant.csv").write_bytes(b"x" * 11)
    (place.inbox / "link.csv").symlink_to("/etc/passwd")
    os.mkfifo(place.inbox / "pipe.csv")
    connector = place.connector(ready="rename", file_bytes_max=10)
    taken = await take(connector)
    with pytest.raises(PermanentError) as refusal:
        await take(connector)

    assert ["good.csv"] == taken
    assert ["giant.csv", "link.csv", "pipe.csv"] == sorted(finding.pointer for finding in refusal.value.findings)


@pytest.mark.parametrize("what", ["in", "out", "in/archive"])
async def test_linked_directories_are_not_entered(place: Place, tmp_path: Path, what: str) -> None:
    """A directory that is a link leads nowhere, even when it is configured."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.inbox / "a.csv").write_bytes(b"x")
    target = place.root / what
    if target.exists():
        target.rename(tmp_path / "moved")
    target.symlink_to(outside)
    if what == "in":
        (outside / "b.csv").write_bytes(b"secret")
    connector = place.connector(ready="rename")

    taken: list[str] = []
    try:
        async for pulled in connector.pull():
            taken.append(pulled.name)
            await pulled.acknowledge()
    except PermanentError:
        pass
    sent = await connector.push(an_order())

    assert "b.csv" not in taken
    assert (["b.csv"] if what == "in" else []) == sorted(path.name for path in outside.iterdir())
    assert ("failed" if what == "out" else "done") == sent.outcome


@pytest.mark.parametrize("tmp_is", ["link", "directory", "pipe"])
async def test_planted_tmp_is_not_written_through(place: Place, tmp_path: Path, tmp_is: str) -> None:
    """A link, directory or pipe under the temporary name does not lead the bytes elsewhere, nor block."""
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"untouched")
    planted = place.outbox / "SO-1-1.edi.tmp"
    if tmp_is == "link":
        planted.symlink_to(outside)
    elif tmp_is == "directory":
        planted.mkdir()
    else:
        os.mkfifo(planted)

    sent = await place.connector().push(an_order())

    assert ("failed", b"untouched") == (sent.outcome, outside.read_bytes())


async def test_same_file_again_is_done_other_content_is_refused(place: Place) -> None:
    """The same identity and content is done already; other content under the name is never written over."""
    connector = place.connector()

    outcomes = [(await connector.push(an_order(content))).outcome for content in (b"940", b"940", b"941")]

    assert (["done", "done", "failed"], b"940") == (outcomes, (place.outbox / "SO-1-1.edi").read_bytes())


async def test_find_looks_where_the_partner_puts_what_it_has_read(place: Place) -> None:
    """Found in the outbox or in the partner's archive, absent when in neither; without an archive nobody can tell."""
    (place.root / "read").mkdir()
    connector = place.connector(outbox_archive="read")
    answers = [(await connector.find(an_order())).answer]
    (place.outbox / "SO-1-1.edi.tmp").write_bytes(b"94")
    answers.append((await connector.find(an_order())).answer)
    (place.outbox / "SO-1-1.edi").write_bytes(b"940")
    answers.append((await connector.find(an_order())).answer)
    (place.outbox / "SO-1-1.edi").rename(place.root / "read" / "SO-1-1.edi")
    answers.append((await connector.find(an_order())).answer)

    assert ["absent", "absent", "found", "found"] == answers
    (place.outbox / "SO-1-1.edi.tmp").unlink()
    for unsure in (place.connector(), place.connector(outbox_archive="not-there")):
        assert "cannot_tell" == (await unsure.find(an_order())).answer


NAMES = [
    "",
    ".",
    "..",
    "../a",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a\nb",
    ".hidden",
    "a" * 201,
    "é" * 101,
    "\u202ea",
    "\ud800",
]


@pytest.mark.parametrize("name", NAMES)
async def test_names_that_lead_elsewhere_are_refused(place: Place, name: str) -> None:
    """A name that could leave the directory or hide what it is is neither written nor looked for."""
    outbound = Outbound("m", name or "..", "940", b"x", "text/plain", name=name)
    connector = place.connector()
    sent = await connector.push(outbound)

    assert ("failed", True, "absent") == (sent.outcome, sent.permanent, (await connector.find(outbound)).answer)
    assert [] == place.names("out")


@given(st.text())
def test_safe_names_stay_in_their_directory(name: str) -> None:
    """A name that counts as safe is one component, whatever it is made of."""
    if is_safe_name(name):
        assert name == Path("/x", name).name
        assert Path("/x") == Path("/x", name).parent


def test_archive_names_are_distinct() -> None:
    """Each candidate is a name of its own."""
    for name in ("a", "a.csv", ".a", "a.b.c"):
        assert len(archive_names(name)) == len(set(archive_names(name)))


@pytest.mark.parametrize(
    "settings",
    [
        {"inbox": "../in"},
        {"inbox": "x", "archive": "x"},
        {"inbox": "x", "outbox": "x"},
        {"inbox": "", "outbox": ""},
        {"done": "burn"},
        {"done_suffix": ""},
    ],
)
def test_contradictions_are_refused(place: Place, settings: dict[str, Any]) -> None:
    """Settings that cannot work fail when the connector is made."""
    with pytest.raises(ConfigurationError):
        place.connector(**settings)


async def test_what_was_written_is_flushed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done means on the disk: file and directory are flushed before the send is booked."""
    flushed: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (flushed.append(descriptor), real(descriptor))[1])

    assert "done" == (await place.connector().push(an_order())).outcome
    assert len(flushed) >= 2


@pytest.mark.parametrize(
    ("root", "allowed"),
    [
        ("/srv/exchange", None),
        ("/etc", "/srv/exchange"),
        ("/srv/exchange/../other", "/srv/exchange"),
        ("../other", "/srv/exchange"),
        ("/srv/exchange-other", "/srv/exchange"),
    ],
)
def test_a_folder_outside_of_the_operators_is_refused(root: str, allowed: str | None) -> None:
    """A pack opens no directory outside of `security.folder_root`, and none at all where it is not set."""
    context = a_context({"root": root, "inbox": "in"}, {}, MovingClock(START), folder_root=allowed)

    with pytest.raises(ConfigurationError) as caught:
        registry.create("folder", context)

    assert ("XD-CFG-017", True) == (caught.value.code, "security.folder_root" in caught.value.hint[0])


@pytest.mark.parametrize("written", ["below", "absolute"])
async def test_a_folder_below_the_operators_is_opened_without_links(tmp_path: Path, written: str) -> None:
    """Below `security.folder_root` a folder works, written relative or absolute, and no link leads out of it."""
    (tmp_path / "exchange/reno/in").mkdir(parents=True)
    (tmp_path / "outside/in").mkdir(parents=True)
    (tmp_path / "exchange/way-out").symlink_to(tmp_path / "outside")
    base = tmp_path / "exchange"

    answers = []
    for name in ("reno", "way-out"):
        root = name if written == "below" else str(base / name)
        context = a_context({"root": root, "inbox": "in"}, {}, MovingClock(START), folder_root=str(base))
        connector = registry.create("folder", context)
        answers.append((await connector.check()).ok)
        await connector.close()

    assert [True, False] == answers


async def test_a_folder_that_hangs_holds_up_no_other(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every thread of one folder stuck, as on a mount that is away, another folder and other work go on."""
    hanging, other = place.connector(), place.connector()
    let_go = threading.Event()
    scan = LocalDirectory._scan
    stuck = hanging._directory  # type: ignore[attr-defined]
    monkeypatch.setattr(
        LocalDirectory, "_scan", lambda self, path: (let_go.wait(20) if self is stuck else None) or scan(self, path)
    )
    waiting = [asyncio.ensure_future(hanging.check()) for _ in range(40)]
    try:
        async with asyncio.timeout(10):
            assert (await other.check()).ok
            assert "free" == await asyncio.to_thread(lambda: "free")
    finally:
        let_go.set()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await hanging.close()
        await other.close()
