"""The disk in memory forgets what it should, and the record survives that: the smallest forms of what seeds found."""

from __future__ import annotations

import random

import apsw
import pytest

from crossdock.durable.identity import Ids, ManualClock
from crossdock.store.engine import CommitUnknown

from .clockwork import START
from .disk import Disk
from .record import FILE, InlineStore


def insert(store: InlineStore, name: str) -> None:
    store.write_now(lambda connection: connection.execute("insert into tenants values (?, '', '', 0)", (name,)))


def names(store: InlineStore) -> list[str]:
    return [row[0] for row in store.read_now(lambda connection: connection.query("select tenant_id from tenants"))]


def cut(disk: Disk, store: InlineStore) -> None:
    disk.cut()
    store.close()
    for inode in disk.files.values():
        inode.pending = []
    disk.restart(random.Random(1), power=True)


def test_what_was_committed_survives_a_cut_and_what_was_not_synced_does_not() -> None:
    """The disk's own positive control."""
    disk = Disk()
    store = InlineStore(disk)
    insert(store, "kept")
    store._connection.raw.execute("pragma synchronous=off")
    insert(store, "never synced")

    cut(disk, store)

    assert ["kept"] == names(InlineStore(disk))


def test_a_start_does_not_trust_a_log_whose_fsync_failed() -> None:
    """What reads well after a failed fsync may not be on the disk; the next worker writes it to the file first."""
    disk = Disk()
    store = InlineStore(disk)

    def fail(file: str) -> None:
        disk.files[file].pending.clear()
        raise apsw.IOError("fsync failed")

    disk.on_sync = fail
    with pytest.raises(CommitUnknown):
        insert(store, "in doubt")
    disk.on_sync = None
    disk.cut()
    store.close()
    # The process starts again; the machine did not stop, so the log still reads well.
    second = InlineStore(disk)
    assert ["in doubt"] == names(second)

    second.claim()
    cut(disk, second)

    assert ["in doubt"] == names(InlineStore(disk))


def test_ids_go_on_behind_what_is_known_although_the_clock_was_set_back() -> None:
    """Effects of one order are sent in the order of their ids."""
    before = Ids(ManualClock(START.replace(hour=20)), 1).new("msg")
    ids = Ids(ManualClock(START), 2)
    assert ids.new("msg") < before

    ids.go_on_behind(before)

    assert before < ids.new("msg") < ids.new("msg")


def test_a_torn_write_keeps_whole_sectors() -> None:
    """Sectors of the old bytes stay where the new ones did not arrive."""
    disk = Disk({FILE: bytes(4096)})
    for seed in range(50):
        inode = disk.files[FILE] = type(disk.files[FILE])(bytes(4096), synced=True)
        inode.pending = [(0, b"x" * 4096)]
        disk.restart(random.Random(seed), power=True)
        left = bytes(disk.files[FILE].content)
        assert left.count(b"x") % 512 == 0
