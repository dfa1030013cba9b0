"""A real OpenSSH server for the SFTP tests, on a free loopback port, with keys made for the run.

It serves the user who runs the tests and starts every session in that test's own directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests.support.processes import end, free_port, spawn

START_SECONDS_MAX = 15.0
ATTEMPTS_MAX = 5


@dataclasses.dataclass(frozen=True)
class SftpAccount:
    """How to log in, and where the test's files are: `directory` is absolute and empty at the start."""

    host: str
    port: int
    username: str
    host_public_key: str
    client_key_path: Path
    directory: Path


class OpenSshServer:
    """One running `sshd` that offers SFTP and nothing else."""

    host = "127.0.0.1"

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self.directory = Path(tempfile.mkdtemp(prefix="xd-ssh-"))
        self.root = self.directory / "files"
        self.root.mkdir()
        self.log = self.directory / "sshd.log"
        self.username = pwd.getpwuid(os.geteuid()).pw_name
        host_key = self._make_key("host_key")
        self.host_public_key = host_key.export_public_key().decode().strip()
        client_key = self._make_key("client_key")
        (self.directory / "authorized_keys").write_bytes(client_key.export_public_key())
        self.client_key_path = self.directory / "client_key"
        if os.geteuid() == 0:
            # Without its privilege separation directory sshd refuses to start; the init script makes it otherwise.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.start()
            undo.pop_all()

    def start(self) -> None:
        """Start the server (again, on its old port once it has one) and return when it answers."""
        for _ in range(ATTEMPTS_MAX):
            port = self.port or free_port()
            configuration = self.directory / "sshd_config"
            configuration.write_text(self._configuration(port))
            command: list[str | Path] = [self._executable, "-D", "-e", "-f", configuration]
            self._process = spawn(command, log=self.log)
            if self._answers(port):
                self.port = port
                return
            self.stop()
        raise RuntimeError(f"sshd did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Stop the server and cut every session, as a partner's outage does."""
        if self._process is not None:
            end(self._process, signal.SIGTERM)
            self._process = None

    def close(self) -> None:
        """Stop the server and remove every trace of it."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self, port: int) -> bool:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                with socket.create_connection((self.host, port), timeout=1) as connection:
                    return connection.recv(4) == b"SSH-"
            except OSError:
                time.sleep(0.02)
        return False

    def _make_key(self, name: str) -> asyncssh.SSHKey:
        key = asyncssh.generate_private_key("ssh-ed25519")
        path = self.directory / name
        path.write_bytes(key.export_private_key())
        path.chmod(0o600)
        return key

    def _configuration(self, port: int) -> str:
        lines = (
            f"Port {port}",
            f"ListenAddress {self.host}",
            f"HostKey {self.directory / 'host_key'}",
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
            f"PidFile {self.directory / 'sshd.pid'}",
            f"AllowUsers {self.username}",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UsePAM no",
            "MaxStartups 200",
            "MaxSessions 100",
            "LogLevel ERROR",
            "Subsystem sftp internal-sftp",
            f"ForceCommand internal-sftp -d {self.root}",
        )
        return "\n".join(lines) + "\n"


def find_sshd() -> Path | None:
    """Return the OpenSSH server's absolute path (it insists on one), or None when the machine has none."""
    found = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    return None if found is None else Path(found).resolve()


@pytest.fixture(scope="session")
def openssh_server() -> Iterator[OpenSshServer]:
    """One running OpenSSH server for this worker; skips loudly where there is none."""
    executable = find_sshd()
    if executable is None:
        pytest.skip("NOT RUN: no OpenSSH server on this machine (scripts/ensure_openssh.sh could get none)")
    server = OpenSshServer(executable)
    yield server
    server.close()


@pytest.fixture
def sftp_account(openssh_server: OpenSshServer) -> SftpAccount:
    """A login on a real SFTP server with an empty directory that is this test's own."""
    return SftpAccount(
        host=openssh_server.host,
        port=openssh_server.port,
        username=openssh_server.username,
        host_public_key=openssh_server.host_public_key,
        client_key_path=openssh_server.client_key_path,
        directory=Path(tempfile.mkdtemp(dir=openssh_server.root)),
    )
