"""A real django-helpdesk for the tests: a process of its own on a copy of the prepared SQLite database."""

from __future__ import annotations

import base64
import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import PeerServer, prepared

USERNAME, PASSWORD = "crossdock", "desk-password"
SETTINGS = Path(__file__).parents[2] / "scripts/peers/helpdesk"
CLOSED = 4


class HelpdeskServer(PeerServer):
    """django-helpdesk, with the hands of an agent who works in it. `webhook` is told of every change."""

    def __init__(self, prepared_at: Path, folder: Path, *, webhook: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self._bin = prepared_at / "venv/bin"
        self._webhook = webhook
        with (
            closing(sqlite3.connect(prepared_at / "desk.sqlite")) as source,
            closing(sqlite3.connect(self.folder / "desk.sqlite")) as target,
        ):
            source.backup(target)

    def command(self, port: int) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        environment = {
            "PYTHONPATH": str(SETTINGS),
            "DJANGO_SETTINGS_MODULE": "helpdesk_settings",
            "DESK_FOLDER": str(self.folder),
        }
        if self._webhook:
            environment["HELPDESK_NEW_TICKET_WEBHOOK_URLS"] = self._webhook
            environment["HELPDESK_FOLLOWUP_WEBHOOK_URLS"] = self._webhook
        return (self._bin / "django-admin", "runserver", "--noreload", f"127.0.0.1:{port}"), environment

    def answers(self) -> bool:
        return self.status("GET", "/api/tickets/", headers=self._headers()) == 200

    @staticmethod
    def _headers() -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of one request to the API."""
        request = urllib.request.Request(
            f"{self.url}/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {**self._headers(), "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    def tickets(self, mark: str = "") -> list[dict[str, Any]]:
        """Return the tickets whose title holds a text, oldest first."""
        rows = self.call("GET", "tickets/?page_size=1000")["results"]
        return [row for row in rows if mark in row["title"]]

    def write_ticket(self, title: str) -> dict[str, Any]:
        """Have somebody write a ticket."""
        return dict(self.call("POST", "tickets/", {"queue": 1, "title": title, "description": title, "priority": 3}))

    def close_by_hand(self, ticket: dict[str, Any]) -> None:
        """Have an agent close a ticket."""
        body = {"ticket": ticket["id"], "title": ticket["title"], "comment": "Settled.", "new_status": CLOSED}
        self.call("POST", "followups/", body)


@pytest.fixture(scope="session")
def helpdesk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelpdeskServer]:
    """One running desk for this worker; tests tell their tickets apart by references of their own."""
    server = HelpdeskServer(prepared("helpdesk", "django-helpdesk"), tmp_path_factory.mktemp("helpdesk"))
    server.start()
    yield server
    server.stop()
