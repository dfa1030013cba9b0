"""Exchange files over SFTP with a pinned host key, on one kept connection.

The socket comes from the egress; nothing of the machine's own SSH (configuration, keys, agent) is used.
A lost connection is opened again at the next call; whether the call that lost it took effect is told by `files.py`.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar, cast

import asyncssh
import msgspec

from ...errors import ConfigurationError, CrossdockError, Finding, PermanentError, TransientError
from ...sdk import ConnectorContext
from ..egress import MalformedAddress, parse_host
from ..files import Entry, FileExchange, lint_files, read_file_settings

T = TypeVar("T")
KEEPALIVE_SECONDS = 30
BYTES_PER_SECOND_MIN = 65_536  # a large file gets the time that this rate needs, beyond the timeout of the connection


class SftpSettings(msgspec.Struct, frozen=True):
    """Where the server is and how it is recognized."""

    host: str
    username: str
    host_key: str
    port: int = 22


def create(context: ConnectorContext) -> FileExchange:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    try:
        settings = msgspec.convert(dict(context.settings), SftpSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from error
    return FileExchange(context, read_file_settings(context.settings), SftpDirectory(context, settings))


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    findings = lint_files(settings)
    host, host_key = settings.get("host"), settings.get("host_key")
    if isinstance(host, str) and host:
        try:
            parse_host(host)
        except MalformedAddress as error:
            findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/host"))
    if isinstance(host_key, str) and host_key:
        try:
            read_host_keys(host_key)
        except ConfigurationError as error:
            findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/host_key"))
    if not secrets.get("password") and not secrets.get("private_key"):
        findings.append(
            Finding("XD-CFG-014", "neither the secret private_key nor password is set", pointer="/secrets/private_key")
        )
    return findings


def read_host_keys(text: str) -> list[asyncssh.SSHKey]:
    """Return the pinned keys, one a line as in `known_hosts` without the host; two lines serve a change of keys."""
    try:
        keys = [asyncssh.import_public_key(line.strip()) for line in text.splitlines() if line.strip()]
    except asyncssh.KeyImportError as error:
        raise ConfigurationError(
            f"the host key cannot be read: {error}",
            code="XD-CFG-003",
            hint="Paste the server's public key, such as `ssh-ed25519 AAAA…` from `ssh-keyscan`, after comparing it.",
        ) from error
    if not keys:
        raise ConfigurationError("the host key is missing", code="XD-CFG-001")
    return keys


class SftpDirectory:
    """A `Directory` on an SFTP server."""

    def __init__(self, context: ConnectorContext, settings: SftpSettings) -> None:
        self._context = context
        self._settings = settings
        self._host = parse_host(settings.host)
        self._host_keys = read_host_keys(settings.host_key)
        self._client_keys = _client_keys(context.secrets)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._connecting = asyncio.Lock()

    async def scan(self, path: str) -> list[Entry]:
        async def work(sftp: asyncssh.SFTPClient) -> list[Entry]:
            return [
                _entry(str(found.filename), found.attrs)
                for found in await sftp.readdir(path)
                if found.filename not in (".", "..")
            ]

        return await self._run(work)

    async def stat(self, path: str, name: str) -> Entry | None:
        async def work(sftp: asyncssh.SFTPClient) -> Entry | None:
            try:
                return _entry(name, await sftp.lstat(f"{path}/{name}"))
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None

        return await self._run(work)

    async def read(self, path: str, name: str, limit: int) -> bytes:
        async def work(sftp: asyncssh.SFTPClient) -> bytes:
            if _kind(await sftp.lstat(f"{path}/{name}")) != "file":
                raise PermissionError(f"{name} is no plain file")
            async with sftp.open(f"{path}/{name}", "rb") as file:
                return cast(bytes, await file.read(limit))

        return await self._run(work, limit)

    async def write(self, path: str, name: str, content: bytes) -> None:
        async def work(sftp: asyncssh.SFTPClient) -> None:
            # An earlier attempt may have left its beginning, and a link there would lead the bytes elsewhere.
            try:
                await sftp.remove(f"{path}/{name}")
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                pass
            async with sftp.open(f"{path}/{name}", "xb") as file:
                await file.write(content)
                try:
                    await file.fsync()
                except asyncssh.SFTPOpUnsupported:
                    pass

        await self._run(work, len(content))

    async def rename(self, path: str, name: str, to_path: str, to_name: str) -> None:
        async def work(sftp: asyncssh.SFTPClient) -> None:
            try:
                # Not posix_rename: that one replaces what is there.
                await sftp.rename(f"{path}/{name}", f"{to_path}/{to_name}")
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists) as error:
                # Version 3 of the protocol has one word for every refusal; look what the reason was.
                if await sftp.lexists(f"{to_path}/{to_name}"):
                    raise FileExistsError(to_name) from error
                if not await sftp.lexists(f"{path}/{name}"):
                    raise FileNotFoundError(name) from error
                raise

        await self._run(work)

    async def remove(self, path: str, name: str) -> None:
        await self._run(lambda sftp: sftp.remove(f"{path}/{name}"))

    async def make(self, path: str) -> None:
        await self._run(lambda sftp: sftp.makedirs(path, exist_ok=True))

    async def close(self) -> None:
        """Close the kept connection."""
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    async def _run(self, work: Callable[[asyncssh.SFTPClient], Awaitable[T]], size: int = 0) -> T:
        try:
            async with asyncio.timeout(self._context.timeout_seconds + size / BYTES_PER_SECOND_MIN):
                return await work(await self._session())
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
            raise FileNotFoundError(2, str(error.reason)) from error
        except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as error:
            raise PermissionError(1, str(error.reason)) from error
        except asyncssh.SFTPFileAlreadyExists as error:
            raise FileExistsError(17, str(error.reason)) from error
        except TimeoutError as error:
            self._forget()
            raise TransientError(f"{self._host} did not answer in time", code="XD-PTR-011") from error
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.DisconnectError) as error:
            self._forget()
            raise TransientError(f"the connection to {self._host} was lost: {error}", code="XD-PTR-010") from error
        except asyncssh.SFTPError as error:
            raise TransientError(f"{self._host} answered: {error.reason or error}", code="XD-PTR-013") from error
        except (FileNotFoundError, FileExistsError, PermissionError, CrossdockError):
            raise
        except (OSError, asyncssh.Error) as error:
            self._forget()
            raise TransientError(f"the connection to {self._host} was lost: {error}", code="XD-PTR-010") from error

    async def _session(self) -> asyncssh.SFTPClient:
        if self._sftp is not None and self._connection is not None and not self._connection.is_closed():
            return self._sftp
        async with self._connecting:
            if self._sftp is None or self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
                self._sftp = await self._connection.start_sftp_client()
            return self._sftp

    async def _connect(self) -> asyncssh.SSHClientConnection:
        settings = self._settings
        opened = await self._context.egress.connect(self._host, settings.port, encrypted=True)
        try:
            return await asyncssh.connect(
                self._host,
                settings.port,
                sock=opened,
                username=settings.username,
                password=self._context.secrets.get("password") or None,
                client_keys=self._client_keys or None,
                known_hosts=(self._host_keys, [], []),
                config=None,
                agent_path=None,
                gss_auth=False,
                gss_kex=False,
                host_based_auth=False,
                compression_algs=None,
                keepalive_interval=KEEPALIVE_SECONDS,
            )
        except asyncssh.PermissionDenied as error:
            raise PermanentError(
                f"{self._host} refused the login of {settings.username}",
                code="XD-PTR-017",
                hint="Compare user, key and password with what the partner has on file.",
            ) from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise PermanentError(
                f"{self._host} shows another host key than the one that is pinned",
                code="XD-SEC-024",
                hint="Ask the partner, by another way than this connection, whether the key was changed.",
            ) from error
        except BaseException:
            opened.close()
            raise

    def _forget(self) -> None:
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.abort()


def _client_keys(secrets: Mapping[str, str]) -> list[asyncssh.SSHKey]:
    text = secrets.get("private_key", "")
    if not text:
        if not secrets.get("password"):
            raise ConfigurationError("neither private_key nor password is set", code="XD-CFG-014")
        return []
    try:
        return [asyncssh.import_private_key(text, secrets.get("passphrase") or None)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        # The text of these errors does not hold the key.
        raise ConfigurationError(f"the private key cannot be read: {error}", code="XD-CFG-014") from error


def _kind(attributes: asyncssh.SFTPAttrs) -> Literal["file", "directory", "link", "other"]:
    mode = attributes.permissions
    if mode is not None and stat.S_IFMT(mode):
        if stat.S_ISREG(mode):
            return "file"
        if stat.S_ISDIR(mode):
            return "directory"
        return "link" if stat.S_ISLNK(mode) else "other"
    return {1: "file", 2: "directory", 3: "link"}.get(attributes.type, "other")  # type: ignore[return-value]


def _entry(name: str, attributes: asyncssh.SFTPAttrs) -> Entry:
    kind = _kind(attributes)
    if kind != "file":
        return Entry(name, kind)
    return Entry(name, kind, attributes.size or 0, float(attributes.mtime or 0))
