"""The real SQLite store on the disk in memory, with nothing left out but its threads.

`InlineStore` runs the store's own transactions, savepoints, error paths and group commit where they are asked for, on
the event loop. It reads on the writing connection, between transactions: one connection needs no shared memory, which a
disk in memory has not. `template` is a migrated record with the packs applied, so that a run starts in milliseconds.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import apsw

from crossdock.store.sqlite import SqliteConnection, SqliteStore
from crossdock.store.under_way import UnderWay

from .disk import Disk, Mapped, MemoryVfs

T = TypeVar("T")
FILE = "/hub.db"
_names = itertools.count(1)


class InlineStore(SqliteStore):
    """See above. `before_commit` and `after_commit` are the two named crash points of a transaction."""

    PRAGMAS: ClassVar[tuple[str, ...]] = ("locking_mode=exclusive", *SqliteStore.PRAGMAS)

    def __init__(self, disk: Disk) -> None:
        name = f"memory{next(_names)}"
        self._registered = MemoryVfs(name, disk)
        self._mapped = Mapped(disk)
        self.before_commit: Callable[[], None] | None = None
        self.after_commit: Callable[[], None] | None = None
        super().__init__(FILE, readers=1, vfs=name)

    def _start(self, readers: int) -> None:
        self._asked = False

    def _open_under_way(self) -> UnderWay:
        return UnderWay(self._mapped)

    async def write(self, function: Callable[[SqliteConnection], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append((function, future, loop))
        if not self._asked:
            self._asked = True
            loop.call_soon(self._run_waiting)
        return await future

    async def write_here(self, function: Callable[[SqliteConnection], T]) -> T:
        """Where a cycle is written depends on how quick the disk is; nothing here may depend on real time."""
        return await self.write(function)

    def _run_waiting(self) -> None:
        self._asked = False
        if self._closing:
            return
        batch = list(self._jobs)
        self._jobs.clear()
        self._settle(batch, self._commit(batch))

    def _commit(self, batch: Any) -> Any:
        if self.before_commit is not None:
            self.before_commit()
        results = super()._commit(batch)
        if self.after_commit is not None:
            self.after_commit()
        return results

    async def read(self, function: Callable[[SqliteConnection], T]) -> T:
        await asyncio.sleep(0)
        return self.read_now(function)

    def read_now(self, function: Callable[[SqliteConnection], T]) -> T:
        raw = self._connection.raw
        raw.execute("begin")
        try:
            return function(self._connection)
        finally:
            raw.execute("rollback")

    def write_now(self, function: Callable[[SqliteConnection], T]) -> T:
        ((result, error),) = self._commit([(function, None, None)])
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        self._closing = True
        try:
            self._connection.raw.close(True)
        except apsw.Error:
            """The disk is gone; so is the connection."""
        self._registered.unregister()
        # The VFS object is not seen by the garbage collector: what it holds would stay for ever.
        self._registered.disk = Disk()
        self.before_commit = self.after_commit = None
