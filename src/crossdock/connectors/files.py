"""Exchange files with a partner over a directory, wherever the directory is.

    taking    inbox/name → read whole, unchanged while reading → hub stores it → archive/name (or removed)
    giving    outbox/name.tmp → complete → renamed to outbox/name, which never replaces a file

A file is taken out of the inbox only after its bytes are durable in the hub. Links are never followed, names that
could leave the directory are refused. `sftp/` and `folder/` supply the directory (`Directory`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from ..errors import ConfigurationError, CrossdockError, Finding, PermanentError, TransientError
from ..sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult

NAME_BYTES_MAX = 200
PARTIAL_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp")
FILES_PER_PULL_MAX = 1_000
ARCHIVE_ATTEMPTS_MAX = 100
_CONTENT_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".edi": "application/edi-x12",
    ".x12": "application/edi-x12",
}


class FileSettings(msgspec.Struct, frozen=True):
    """The settings that every exchange of files has."""

    inbox: str = ""
    outbox: str = ""
    archive: str = ""
    outbox_archive: str = ""
    patterns: tuple[str, ...] = ("*",)
    done: Literal["archive", "delete"] = "archive"
    ready: Literal["stable", "done_file", "rename"] = "stable"
    stable_seconds: float = 5.0
    done_suffix: str = ".done"
    file_bytes_max: int = 52_428_800


class Entry(msgspec.Struct, frozen=True):
    """One entry of a directory. `modified` is seconds since 1970 by the clock of the machine that holds it."""

    name: str
    kind: Literal["file", "directory", "link", "other"]
    size: int = 0
    modified: float = 0.0


class Directory(Protocol):
    """What `FileExchange` needs of a place with directories. Paths are the configured ones.

    Raises FileNotFoundError, FileExistsError, PermissionError; TransientError when the place cannot be reached.
    No call follows a link in its last component. `rename` never replaces a file.
    """

    async def scan(self, path: str) -> list[Entry]: ...

    async def stat(self, path: str, name: str) -> Entry | None: ...

    async def read(self, path: str, name: str, limit: int) -> bytes: ...

    async def write(self, path: str, name: str, content: bytes) -> None: ...

    async def rename(self, path: str, name: str, to_path: str, to_name: str) -> None: ...

    async def remove(self, path: str, name: str) -> None: ...

    async def make(self, path: str) -> None: ...

    async def close(self) -> None: ...


def is_safe_name(name: str) -> bool:
    """Tell whether a name stays in its directory and shows what it is."""
    return (
        0 < len(name.encode(errors="replace")) <= NAME_BYTES_MAX
        and name.isprintable()
        and not name.startswith(".")
        and not any(character in name for character in "/\\")
    )


def content_type_of(name: str) -> str:
    """Return the content type that a file name promises."""
    return _CONTENT_TYPES.get("." + name.lower().rpartition(".")[2], "application/octet-stream")


def archive_names(name: str) -> list[str]:
    """Return the names to try in the archive, so that an old file of the same name is never replaced.

    >>> archive_names("a.csv")[:3]
    ['a.csv', 'a~2.csv', 'a~3.csv']
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    return [name, *(f"{stem}~{number}{dot}{suffix}" for number in range(2, ARCHIVE_ATTEMPTS_MAX))]


def read_file_settings(settings: Mapping[str, Any]) -> FileSettings:
    """Return the settings with their types, or raise ConfigurationError."""
    try:
        read = msgspec.convert(dict(settings), FileSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from error
    findings = lint_files(settings)
    if findings:
        raise ConfigurationError(findings[0].message, code=findings[0].code, findings=tuple(findings))
    return read


def lint_files(settings: Mapping[str, Any]) -> list[Finding]:
    """Return what contradicts itself among the settings of a file exchange."""
    findings = []
    if not settings.get("inbox") and not settings.get("outbox"):
        findings.append(
            Finding("XD-CFG-001", "neither inbox (to fetch) nor outbox (to send) is set", pointer="/settings/inbox")
        )
    for name in ("inbox", "outbox", "archive", "outbox_archive"):
        value = settings.get(name)
        if isinstance(value, str) and (".." in value.split("/") or "\0" in value):
            findings.append(Finding("XD-CFG-003", f"{value!r} steps out of its directory", pointer=f"/settings/{name}"))
    if settings.get("done_suffix") == "":
        findings.append(Finding("XD-CFG-003", "done_suffix is empty", pointer="/settings/done_suffix"))
    inbox = settings.get("inbox")
    if inbox and settings.get("done", "archive") == "archive" and inbox == settings.get("archive"):
        findings.append(Finding("XD-CFG-015", "inbox and archive are the same directory", pointer="/settings/archive"))
    if inbox and inbox == settings.get("outbox"):
        findings.append(Finding("XD-CFG-015", "inbox and outbox are the same directory", pointer="/settings/outbox"))
    return findings


class FileExchange:
    """A connector over a `Directory`: check, pull, push, find."""

    def __init__(self, context: ConnectorContext, settings: FileSettings, directory: Directory) -> None:
        self._context = context
        self._settings = settings
        self._directory = directory
        self._archive = settings.archive or (f"{settings.inbox.rstrip('/')}/archive" if settings.inbox else "")
        self._seen: dict[str, tuple[Entry, float]] = {}

    async def check(self) -> CheckResult:
        """Log in and list every configured directory."""
        counts = []
        for path in (self._settings.inbox, self._settings.outbox, self._settings.outbox_archive):
            if not path:
                continue
            try:
                counts.append(f"{path}: {len(await self._directory.scan(path))} entries")
            except FileNotFoundError:
                return CheckResult(False, f"there is no directory {path}", "Create it, or correct the setting.")
            except PermissionError:
                return CheckResult(False, f"the directory {path} may not be read", "Ask for read and write access.")
            except CrossdockError as error:
                return CheckResult(False, str(error), error.hint[0] if error.hint else "")
        return CheckResult(True, "; ".join(counts))

    async def pull(self) -> AsyncIterator[Pulled]:
        """Yield every file that is complete, oldest first.

        Files that may not be taken (links, unsafe names, too large) do not stop the others: a pull that finds no good
        file left names them all in one PermanentError.
        """
        settings = self._settings
        if not settings.inbox:
            return
        try:
            entries = await self._directory.scan(settings.inbox)
        except (FileNotFoundError, PermissionError) as error:
            raise PermanentError(
                f"the directory {settings.inbox} cannot be read", code="XD-PTR-021", hint="Create it and give access."
            ) from error
        refused: list[Finding] = []
        wanted = [entry for entry in entries if self._is_wanted(entry, refused)]
        self._seen = {name: seen for name, seen in self._seen.items() if any(name == entry.name for entry in wanted)}
        names = {entry.name for entry in entries}
        ready = [entry for entry in wanted if self._is_ready(entry, names)]
        yielded = False
        for entry in sorted(ready, key=lambda entry: (entry.modified, entry.name))[:FILES_PER_PULL_MAX]:
            content = await self._read(entry)
            if content is not None:
                yielded = True
                yield Pulled(
                    content,
                    entry.name,
                    content_type_of(entry.name),
                    self._acknowledgment(entry),
                    headers={"path": f"{settings.inbox}/{entry.name}", "size": str(entry.size)},
                )
        # Not beside good files: whoever stores in batches must not lose the batch to the error behind it.
        if refused and not yielded:
            raise PermanentError(
                f"{len(refused)} entries of {settings.inbox} cannot be taken: {refused[0].message}",
                code="XD-PTR-022",
                findings=tuple(refused),
                hint="Ask the partner to remove or rename them.",
            )

    def _is_wanted(self, entry: Entry, refused: list[Finding]) -> bool:
        settings, name = self._settings, entry.name
        if entry.kind == "directory" or not any(fnmatch.fnmatchcase(name, pattern) for pattern in settings.patterns):
            return False
        if name.startswith(".") or name.endswith(PARTIAL_SUFFIXES):
            return False
        if settings.ready == "done_file" and name.endswith(settings.done_suffix):
            return False
        reason = ""
        if entry.kind != "file":
            reason = "is a link" if entry.kind == "link" else "is not a plain file"
        elif not is_safe_name(name):
            reason = "has a name that cannot be used"
        elif entry.size > settings.file_bytes_max:
            reason = f"has {entry.size} bytes, more than {settings.file_bytes_max}"
        if reason:
            refused.append(Finding("XD-PTR-022", f"{name[:120]!r} {reason}", pointer=name[:120]))
        return not reason

    def _is_ready(self, entry: Entry, names: set[str]) -> bool:
        settings = self._settings
        if settings.ready == "rename":
            return True
        if settings.ready == "done_file":
            return entry.name + settings.done_suffix in names
        now = self._context.clock.monotonic()
        seen = self._seen.get(entry.name)
        if seen is None or seen[0] != entry:
            self._seen[entry.name] = seen = (entry, now)
        return now - seen[1] >= settings.stable_seconds

    async def _read(self, entry: Entry) -> bytes | None:
        inbox = self._settings.inbox
        try:
            content = await self._directory.read(inbox, entry.name, entry.size + 1)
            after = await self._directory.stat(inbox, entry.name)
        except (FileNotFoundError, PermissionError):
            return None  # taken back by the partner, or not ours to read yet
        # Still being written: come again. Half an order is worse than a late one.
        return content if after == entry and len(content) == entry.size else None

    def _acknowledgment(self, entry: Entry) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            try:
                await self._put_away(entry)
            except OSError as error:
                raise PermanentError(
                    f"{entry.name} may not be put away: {error.strerror or error}",
                    code="XD-PTR-021",
                    hint=f"Give write access to {self._settings.inbox} and {self._archive}.",
                ) from error

        return acknowledge

    async def _put_away(self, entry: Entry) -> None:
        settings = self._settings
        if await self._directory.stat(settings.inbox, entry.name) != entry:
            return  # gone already, or another file under the same name: that one has not been taken
        if settings.done == "delete":
            await self._directory.remove(settings.inbox, entry.name)
        else:
            await self._move_to_archive(entry.name)
        self._seen.pop(entry.name, None)
        if settings.ready == "done_file":
            try:
                await self._directory.remove(settings.inbox, entry.name + settings.done_suffix)
            except FileNotFoundError:
                pass

    async def _move_to_archive(self, name: str) -> None:
        await self._directory.make(self._archive)
        for candidate in archive_names(name):
            try:
                await self._directory.rename(self._settings.inbox, name, self._archive, candidate)
                return
            except FileExistsError:
                continue
        raise PermanentError(f"the archive holds too many files named {name}", code="XD-PTR-023")

    async def push(self, outbound: Outbound) -> PushResult:
        """Write one file under its deterministic name; a file with other content is never replaced."""
        clock = self._context.clock
        started = clock.monotonic()
        name = outbound.name or outbound.identity
        if not self._settings.outbox or not is_safe_name(name):
            detail = f"{name[:80]!r} cannot be a file name" if self._settings.outbox else "no outbox is configured"
            result = PushResult("failed", permanent=True, error_class="system", code="XD-PTR-019", detail=detail)
        else:
            result = await self._give(name, outbound.content)
        return msgspec.structs.replace(result, duration_ms=(clock.monotonic() - started) * 1000)

    async def _give(self, name: str, content: bytes) -> PushResult:
        outbox, renaming = self._settings.outbox, False
        try:
            present = await self._present(name, content)
            if present is not None:
                return present
            await self._directory.write(outbox, name + ".tmp", content)
            renaming = True
            await self._directory.rename(outbox, name + ".tmp", outbox, name)
        except FileExistsError:
            return await self._collision(name, content)
        except (FileNotFoundError, PermissionError) as error:
            # Not for good: a share that is not mounted or a right that is missing is put right by a person.
            return PushResult(
                "failed",
                error_class="system",
                code="XD-PTR-021",
                detail=f"{outbox}/{name} cannot be written: {error.strerror or type(error).__name__}",
            )
        except PermanentError as error:
            return PushResult("failed", permanent=True, error_class="system", code=error.code, detail=str(error))
        except TransientError as error:
            if renaming:
                return PushResult("unknown", error_class="unknown", code=error.code, detail=str(error))
            return PushResult("failed", error_class="partner", code=error.code, detail=str(error))
        return PushResult("done", reference=name)

    async def _collision(self, name: str, content: bytes) -> PushResult:
        try:
            present = await self._present(name, content)
        except CrossdockError as error:
            return PushResult("unknown", error_class="unknown", code=error.code, detail=str(error))
        return present or PushResult(
            "failed", error_class="partner", code="XD-PTR-013", detail=f"{name} appeared and went while it was written"
        )

    async def _present(self, name: str, content: bytes) -> PushResult | None:
        outbox = self._settings.outbox
        entry = await self._directory.stat(outbox, name)
        if entry is None:
            return None
        same_size = entry.kind == "file" and entry.size == len(content)
        if same_size and await self._directory.read(outbox, name, entry.size + 1) == content:
            return PushResult("done", reference=name, detail="the file was there already")
        return PushResult(
            "failed",
            permanent=True,
            error_class="data",
            code="XD-PTR-023",
            detail=f"{outbox}/{name} exists with other content; nothing was replaced",
        )

    async def find(self, outbound: Outbound) -> FindResult:
        """Look for the file in the outbox and, when configured, where the partner puts what it has read.

        Only with `outbox_archive` is its absence certain: else the partner may have taken it away.
        The outbox is looked at first, so a file that moves meanwhile is seen in one place or the other.
        """
        name = outbound.name or outbound.identity
        if not self._settings.outbox or not is_safe_name(name):
            return FindResult("absent", detail="it cannot have been written")
        try:
            for path in (self._settings.outbox, self._settings.outbox_archive):
                if path and (entry := await self._directory.stat(path, name)) is not None:
                    if entry.kind == "file" and entry.size == len(outbound.content):
                        return FindResult("found", reference=name, detail=f"{path}/{name}")
                    return FindResult("cannot_tell", detail=f"{path}/{name} has another size")
            if await self._directory.stat(self._settings.outbox, name + ".tmp") is not None:
                return FindResult("absent", detail="the file was not renamed to its final name")
            if self._settings.outbox_archive:
                # A directory that is not there proves nothing: this raises for one.
                await self._directory.scan(self._settings.outbox_archive)
                return FindResult("absent", detail="neither in the outbox nor among what the partner has read")
        except (CrossdockError, OSError) as error:
            return FindResult("cannot_tell", detail=str(error))
        return FindResult(
            "cannot_tell", detail="neither there nor begun: it was never written, or it was taken already"
        )

    async def close(self) -> None:
        """Free what the directory holds."""
        await self._directory.close()
