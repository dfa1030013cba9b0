"""What the process was working on when it ended: the digests of messages that are run before they are durable.

A message may be translated in the transaction that stores it. Should it end the process, nothing of it is in the
record, and its sender, who got no answer, offers it again, for ever. So the digests of what is being run stand in a
small file that outlives the process (memory that is mapped, not synced: it has to survive a kill, not a power cut).
What is found there at the start is `suspected`: when it comes again it is stored first, by a transaction of its own,
and from then on its runs are counted like those of any stored message.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

_DIGEST_BYTES = 32
RUNNING_MAX = 512
SUSPECTED_MAX = 1024
SIZE = (2 + RUNNING_MAX + SUSPECTED_MAX) * _DIGEST_BYTES
_RUNNING, _SUSPECTED = 0, (1 + RUNNING_MAX) * _DIGEST_BYTES


class Memory(Protocol):
    """Bytes that can be read and written in place."""

    def __getitem__(self, place: slice, /) -> bytes | bytearray: ...

    def __setitem__(self, place: slice, content: bytes, /) -> None: ...


class UnderWay:
    """The file of one worker. `memory` has SIZE bytes and outlives the process, if it can."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        found = list(dict.fromkeys([*self._read(_SUSPECTED), *self._read(_RUNNING)]))
        self._suspected = dict.fromkeys(found[-SUSPECTED_MAX:])
        self._write(_SUSPECTED, list(self._suspected))
        self.ended()

    @classmethod
    def at(cls, path: Path) -> UnderWay:
        """Open the file, made on first use. Raises OSError when the disk has no room for it.

        Its blocks are taken here and now: writing a mapped page for which a full disk has no block ends the process.
        """
        path.touch()
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, SIZE)
            return cls(mmap.mmap(file.fileno(), SIZE))

    def began(self, digests: Sequence[bytes]) -> None:
        """Note what is run now: no more than RUNNING_MAX SHA-256 digests."""
        self._write(_RUNNING, digests)

    def ended(self) -> None:
        """Note that nothing is run any more."""
        self._memory[:4] = bytes(4)

    @property
    def suspects(self) -> bool:
        """Tell whether anything is suspected."""
        return bool(self._suspected)

    def release(self, digest: bytes) -> bool:
        """Tell whether a message is suspected; from now on it is not, because it is being stored by itself."""
        if digest not in self._suspected:
            return False
        del self._suspected[digest]
        self._write(_SUSPECTED, list(self._suspected))
        return True

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._memory, mmap.mmap):
            self._memory.close()

    def _read(self, start: int) -> list[bytes]:
        count = int.from_bytes(self._memory[start : start + 4], "little")
        if count > max(RUNNING_MAX, SUSPECTED_MAX):
            return []
        first = start + _DIGEST_BYTES
        return [
            bytes(self._memory[at : at + _DIGEST_BYTES])
            for at in range(first, first + count * _DIGEST_BYTES, _DIGEST_BYTES)
        ]

    def _write(self, start: int, digests: Sequence[bytes]) -> None:
        # The digests first, their number last: a kill in between leaves the old number, or none.
        self._memory[start : start + 4] = bytes(4)
        content = b"".join(digests)
        first = start + _DIGEST_BYTES
        self._memory[first : first + len(content)] = content
        self._memory[start : start + 4] = len(digests).to_bytes(4, "little")
