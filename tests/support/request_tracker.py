"""A real Request Tracker 5 for the tests: Debian's package with a SQLite database of its own."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import PeerServer

USERNAME, PASSWORD = "root", "password"
SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
SETUP = Path("/usr/sbin/rt-setup-database-5")


class RequestTrackerServer(PeerServer):
    """Request Tracker, with the hands of an agent who works in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.folder / "empty").mkdir()

    def _environment(self, port: int) -> dict[str, str]:
        configuration = self.folder / "RT_SiteConfig.pm"
        values = {
            "rtname": "desk",
            "Organization": "desk.example",
            "WebDomain": "127.0.0.1",
            "WebPort": str(port),
            "WebPath": "",
            "WebBaseURL": f"http://127.0.0.1:{port}",
            "DatabaseType": "SQLite",
            "DatabaseName": str(self.folder / "rt.sqlite"),
            "LogToSyslog": "",
            "LogToSTDERR": "warning",
            "MailCommand": "testfile",
        }
        configuration.write_text("".join(f"Set(${name}, '{value}');\n" for name, value in values.items()) + "1;\n")
        # Without an empty folder of snippets Debian's own win, and the machine's database is used.
        return {"RT_SITE_CONFIG": str(configuration), "RT_SITE_CONFIG_DIR": str(self.folder / "empty")}

    def command(self, port: int) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        environment = self._environment(port)
        if not (self.folder / "rt.sqlite").exists():
            import os

            subprocess.run(
                [SETUP, "--action", "init", "--datadir", "/usr/share/request-tracker5/etc"],
                env={**os.environ, **environment},
                check=True,
                capture_output=True,
                cwd=self.folder,
            )
        return ("perl", SERVER, "--host", "127.0.0.1", "--port", str(port)), environment

    def answers(self) -> bool:
        return self.status("GET", "/REST/2.0/rt", headers=self._headers()) == 200

    @staticmethod
    def _headers() -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of one request to REST 2."""
        request = urllib.request.Request(
            f"{self.url}/REST/2.0/{path}",
            None if body is None else json.dumps(body).encode(),
            {**self._headers(), "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def tickets(self, mark: str = "") -> list[dict[str, Any]]:
        """Return the tickets whose subject holds a text, oldest first: title, status, and what was written first."""
        query = urllib.parse.quote(f"Subject LIKE '{mark or '['}'")
        fields = "fields=Subject,Status&orderby=id&per_page=100"
        found = []
        for row in self.call("GET", f"tickets?query={query}&{fields}")["items"]:
            said = self.call("GET", f"ticket/{row['id']}/attachments?fields=Content&per_page=100")["items"]
            texts = [one["Content"] for one in sorted(said, key=lambda one: int(one["id"]))]
            found.append(
                {
                    "id": int(row["id"]),
                    "title": row["Subject"],
                    "status": row["Status"],
                    "description": texts[0] if texts else "",
                    "texts": texts,
                }
            )
        return found

    def write_ticket(self, title: str) -> dict[str, Any]:
        """Have somebody write a ticket."""
        body = {"Queue": "General", "Subject": title, "Content": title, "ContentType": "text/plain"}
        return dict(self.call("POST", "ticket", body))

    def close_by_hand(self, ticket: dict[str, Any]) -> None:
        """Have an agent close a ticket."""
        self.call("PUT", f"ticket/{ticket['id']}", {"Status": "resolved"})


@pytest.fixture(scope="session")
def request_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTrackerServer]:
    """One running Request Tracker for this worker."""
    if not SERVER.exists():
        pytest.skip("NOT RUN: no Request Tracker 5 on this machine (scripts/ensure_request_tracker.sh could get none)")
    server = RequestTrackerServer(tmp_path_factory.mktemp("rt"))
    server.start()
    yield server
    server.stop()
