"""A disk in memory that loses what was not synced, and breaks when told to.

`Disk` holds files as SQLite sees them and as they would be found after a power cut: writes since the last sync of a
file may be kept, dropped or torn, each by itself. `MemoryVfs` is the door through which the real store uses it.
What was opened in an earlier life (before a cut) can change nothing any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import apsw

from crossdock.store import under_way

SECTOR = 512

# One thing that happened: ("write", file, offset, bytes), ("cut", file, size), ("sync", file), ("gone", file),
# ("mark", anything).
Operation = tuple[Any, ...]


class Inode:
    """One file: `content` is what reads return, `durable` what a cut leaves for sure, `pending` lies between."""

    __slots__ = ("content", "durable", "pending", "synced")

    def __init__(self, content: bytes = b"", *, synced: bool = False) -> None:
        self.content = bytearray(content)
        self.durable = bytearray(content)
        self.pending: list[tuple[int, bytes]] = []
        self.synced = synced

    def sync(self) -> None:
        for offset, data in self.pending:
            put(self.durable, offset, data)
        self.pending.clear()
        self.synced = True


def put(target: bytearray, offset: int, data: bytes) -> None:
    """Write into a file's bytes; `offset` below zero cuts it to `-1 - offset` bytes."""
    if offset < 0:
        del target[-1 - offset :]
        return
    if offset > len(target):
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


def survive(target: bytearray, pending: list[tuple[int, bytes]], chance: random.Random) -> None:
    """Apply what a power cut leaves of writes that were not synced: some, torn at sectors, in any order."""
    keep = chance.choice((0.0, 0.5, 0.9, 1.0))
    kept = [one for one in pending if chance.random() < keep]
    if chance.random() < 0.3:
        chance.shuffle(kept)
    for offset, data in kept:
        if offset >= 0 and len(data) > SECTOR and chance.random() < 0.3:
            first = chance.randrange(0, len(data), SECTOR)
            offset, data = (offset, data[:first]) if chance.random() < 0.5 else (offset + first, data[first:])
        if data or offset < 0:
            put(target, offset, data)


class Disk:
    """All files of one machine, with counters and the faults that are armed."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files: dict[str, Inode] = {name: Inode(data, synced=True) for name, data in (files or {}).items()}
        # What a process maps into its memory beside the files, and never syncs.
        self.beside = bytearray(under_way.SIZE)
        self.life = 0
        self.writes = 0
        self.log: list[Operation] | None = None
        # Asked before each write and sync; raises what the disk answers instead, or kills the machine.
        self.on_write: Callable[[str, int], None] | None = None
        self.on_sync: Callable[[str], None] | None = None

    def cut(self) -> None:
        """The machine ends now: nothing of this life reaches the files any more."""
        self.life += 1

    def restart(self, chance: random.Random, *, power: bool) -> None:
        """Leave what a kill (everything written) or a power cut (what was synced, and some more) leaves."""
        for name, inode in list(self.files.items()):
            if power:
                survive(inode.durable, inode.pending, chance)
                if not inode.synced and chance.random() < 0.5:
                    del self.files[name]
                    continue
                self.files[name] = Inode(bytes(inode.durable), synced=True)

    def image(self) -> dict[str, bytes]:
        """Return the files as they are read now."""
        return {name: bytes(inode.content) for name, inode in self.files.items()}


class _File:
    """An open file, as SQLite uses it."""

    def __init__(self, disk: Disk, name: str, inode: Inode) -> None:
        self._disk, self._name, self._inode, self._life = disk, name, inode, disk.life

    def _alive(self) -> None:
        if self._life != self._disk.life:
            raise apsw.IOError("this machine has ended")

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._inode.content[offset : offset + amount])

    def xWrite(self, data: Any, offset: int) -> None:
        disk = self._disk
        if self._life != disk.life:
            raise apsw.IOError("this machine has ended")
        disk.writes += 1
        if disk.on_write is not None:
            disk.on_write(self._name, disk.writes)
            self._alive()
        data = bytes(data)
        inode = self._inode
        end = offset + len(data)
        if offset <= len(inode.content):
            inode.content[offset:end] = data
        else:
            put(inode.content, offset, data)
        inode.pending.append((offset, data))
        if disk.log is not None:
            disk.log.append(("write", self._name, offset, data))

    def xTruncate(self, size: int) -> None:
        self._alive()
        put(self._inode.content, -1 - size, b"")
        self._inode.pending.append((-1 - size, b""))
        if self._disk.log is not None:
            self._disk.log.append(("write", self._name, -1 - size, b""))

    def xSync(self, flags: int) -> None:
        self._alive()
        if self._disk.on_sync is not None:
            self._disk.on_sync(self._name)
            self._alive()
        self._inode.sync()
        if self._disk.log is not None:
            self._disk.log.append(("sync", self._name))

    def xFileSize(self) -> int:
        return len(self._inode.content)

    def xClose(self) -> None: ...

    def xLock(self, level: int) -> None: ...

    def xUnlock(self, level: int) -> None: ...

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0


class Mapped:
    """The memory a process maps beside the files, in one life: after a cut it changes nothing any more."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._life = disk.life

    def __getitem__(self, key: Any) -> Any:
        return self._disk.beside[key]

    def __setitem__(self, key: Any, value: bytes) -> None:
        if self._disk.life == self._life:
            self._disk.beside[key] = value


class MemoryVfs(apsw.VFS):
    """The VFS over one disk. Registered under `name` until it is unregistered."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self.disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        flags[1] = flags[0]
        if name is None:
            return _File(self.disk, "", Inode())
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        inode = self.disk.files.get(path)
        if inode is None:
            inode = self.disk.files[path] = Inode()
        return _File(self.disk, path, inode)

    def xDelete(self, path: str, sync: bool) -> None:
        self.disk.files.pop(path, None)
        if self.disk.log is not None:
            self.disk.log.append(("gone", path))

    def xAccess(self, path: str, flags: int) -> bool:
        return path in self.disk.files

    def xFullPathname(self, path: str) -> str:
        return path
