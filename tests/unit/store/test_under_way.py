"""What outlives a process that was ended by what it worked on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from crossdock.store.engine import open_store
from crossdock.store.under_way import RUNNING_MAX, SIZE, SUSPECTED_MAX, UnderWay


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_what_was_running_at_the_end_is_suspected_at_the_next_start(tmp_path: Path) -> None:
    """A worker that ends by itself has nothing running, and leaves nobody suspected."""
    path = tmp_path / "hub.db.running"
    first = UnderWay.at(path)
    first.began([digest(1), digest(2)])
    first.ended()
    first.began([digest(3), digest(4)])
    # No close: the process was killed.
    second = UnderWay.at(path)

    assert second.suspects
    assert [False, False, True, True] == [second.release(digest(n)) for n in (1, 2, 3, 4)]
    assert not second.suspects
    assert not UnderWay.at(path).suspects


def test_a_disk_without_room_gives_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks are taken at the start: a page without one would end the process when it is written."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    path = tmp_path / "hub.db.running"
    UnderWay.at(path).close()
    assert path.stat().st_blocks * 512 >= SIZE

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space"):
        UnderWay.at(path)
    store = open_store(f"sqlite:///{tmp_path / 'hub.db'}")
    assert store.under_way is None
    store.close()


def test_suspicion_lasts_until_the_message_comes_again(tmp_path: Path) -> None:
    """Over any number of starts and ends, whatever else was running; one that was stored by itself is let go."""
    path = tmp_path / "hub.db.running"
    for number in range(5):
        worker = UnderWay.at(path)
        worker.began([digest(number)])
    last = UnderWay.at(path)
    assert last.release(digest(2))
    last.ended()
    last.close()

    assert [True, True, False, True, True] == [UnderWay.at(path).release(digest(n)) for n in range(5)]


def test_no_more_is_kept_than_has_room(tmp_path: Path) -> None:
    """The newest are kept."""
    path = tmp_path / "hub.db.running"
    for start in range(0, SUSPECTED_MAX + RUNNING_MAX, RUNNING_MAX):
        UnderWay.at(path).began([digest(n) for n in range(start, start + RUNNING_MAX)])
    last = UnderWay.at(path)

    assert not last.release(digest(RUNNING_MAX - 1))
    assert last.release(digest(RUNNING_MAX))
    assert last.release(digest(SUSPECTED_MAX + RUNNING_MAX - 1))
