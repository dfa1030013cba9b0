"""Exchange files over a local directory, confined to its root, and that to the operator's `security.folder_root`.

Every component is opened without following links, so nothing outside of `root` can be read or written,
whatever somebody puts into the directories. File work runs in threads of its own: a mount that hangs holds up nobody
else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ...errors import ConfigurationError, Finding, TransientError
from ...sdk import ConnectorContext
from ..files import Entry, FileExchange, lint_files, read_file_settings

T = TypeVar("T")

# One to fetch and one to send; both may hang with the mount.
THREADS = 2


def create(context: ConnectorContext) -> FileExchange:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    root = str(context.settings.get("root", ""))
    if not root:
        raise ConfigurationError("the setting root is missing", code="XD-CFG-001")
    settings = read_file_settings(context.settings)
    return FileExchange(context, settings, _directory(root, context.folder_root))


def _directory(root: str, allowed: str | None) -> LocalDirectory:
    """Return the directory at `root`, a path below `allowed`; relative ones start there."""
    if not allowed:
        raise ConfigurationError(
            f"the folder {root} may not be used: this installation opens none to packs",
            code="XD-CFG-017",
            hint="The operator names the directory for exchange in security.folder_root.",
            pointer="/settings/root",
        )
    if allowed == "/":
        return LocalDirectory(Path(root))
    below = Path(os.path.normpath(allowed))
    path = below / root
    if ".." in path.parts or not path.is_relative_to(below):
        raise ConfigurationError(
            f"the folder {root} is outside of {below}",
            code="XD-CFG-017",
            hint=f"Use a directory below {below}, or ask the operator to change security.folder_root.",
            pointer="/settings/root",
        )
    return LocalDirectory(below, path.relative_to(below).parts)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    del secrets
    findings = lint_files(settings)
    for name in ("inbox", "outbox", "archive", "outbox_archive"):
        if isinstance(settings.get(name), str) and settings[name].startswith("/"):
            findings.append(
                Finding("XD-CFG-003", f"{name} is relative to root, not absolute", pointer=f"/settings/{name}")
            )
    return findings


class LocalDirectory:
    """A `Directory` below `base`; paths are relative to `inner` in it. Only `base` itself may be reached by links."""

    def __init__(self, base: Path, inner: tuple[str, ...] = ()) -> None:
        self._base = base
        self._inner = inner
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="folder")

    async def scan(self, path: str) -> list[Entry]:
        return await self._run(self._scan, path)

    async def stat(self, path: str, name: str) -> Entry | None:
        return await self._run(self._stat, path, name)

    async def read(self, path: str, name: str, limit: int) -> bytes:
        return await self._run(self._read, path, name, limit)

    async def write(self, path: str, name: str, content: bytes) -> None:
        await self._run(self._write, path, name, content)

    async def rename(self, path: str, name: str, to_path: str, to_name: str) -> None:
        await self._run(self._rename, path, name, to_path, to_name)

    async def remove(self, path: str, name: str) -> None:
        await self._run(self._remove, path, name)

    async def make(self, path: str) -> None:
        await self._run(self._make, path)

    async def close(self) -> None:
        """Let the threads go, without waiting for one that hangs."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        except (FileNotFoundError, FileExistsError, PermissionError):
            raise
        except OSError as error:
            raise TransientError(
                f"{self._base.joinpath(*self._inner)}: {error.strerror or error}", code="XD-PTR-010"
            ) from error

    @contextlib.contextmanager
    def _opened(self, path: str, *, make: bool = False) -> Iterator[int]:
        """Open a directory component by component, refusing links, and yield its descriptor."""
        descriptor = os.open(self._base, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in (*self._inner, *Path(path).parts):
                if part in ("/", ".."):
                    raise PermissionError(errno.EPERM, "the path leaves the root")
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o770, dir_fd=descriptor)
                try:
                    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                except OSError as error:
                    if error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise PermissionError(errno.EPERM, f"{part} is a link or no directory") from error
                    raise
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _scan(self, path: str) -> list[Entry]:
        with self._opened(path) as directory, os.scandir(directory) as entries:
            return [_entry(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]

    def _stat(self, path: str, name: str) -> Entry | None:
        try:
            with self._opened(path) as directory:
                return _entry(name, os.stat(name, dir_fd=directory, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def _read(self, path: str, name: str, limit: int) -> bytes:
        with self._opened(path) as directory:
            with _file(name, os.O_RDONLY, directory) as descriptor, open(descriptor, "rb", closefd=False) as file:
                return file.read(limit)

    def _write(self, path: str, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with self._opened(path) as directory, _file(name, flags, directory) as descriptor:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)

    def _rename(self, path: str, name: str, to_path: str, to_name: str) -> None:
        with self._opened(path) as source, self._opened(to_path) as target:
            # A link and an unlink never replace what is there; a rename would.
            try:
                os.link(name, to_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
                os.unlink(name, dir_fd=source)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK):
                    raise
                if self._stat(to_path, to_name) is not None:
                    raise FileExistsError(errno.EEXIST, "exists", to_name) from error
                os.rename(name, to_name, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(target)
            os.fsync(source)

    def _remove(self, path: str, name: str) -> None:
        with self._opened(path) as directory:
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)

    def _make(self, path: str) -> None:
        with self._opened(path, make=True):
            pass


@contextlib.contextmanager
def _file(name: str, flags: int, directory: int) -> Iterator[int]:
    try:
        # Without O_NONBLOCK a named pipe in the directory would hold the thread for ever.
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o660, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise PermissionError(errno.EPERM, f"{name} is a link or no plain file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(errno.EPERM, f"{name} is no plain file")
        yield descriptor
    finally:
        os.close(descriptor)


def _entry(name: str, found: os.stat_result) -> Entry:
    mode = found.st_mode
    if stat.S_ISREG(mode):
        return Entry(name, "file", found.st_size, found.st_mtime)
    if stat.S_ISDIR(mode):
        return Entry(name, "directory")
    return Entry(name, "link" if stat.S_ISLNK(mode) else "other")
