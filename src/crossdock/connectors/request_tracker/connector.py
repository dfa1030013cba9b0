"""Request Tracker 5 over REST 2: open, update and close one ticket for each case, and read tickets back by polling.

Tickets are found by their subject; what our messages have said stands in the attachments, which is what Request Tracker
calls everything that is written into a ticket. What a step shares with other desks stands in `../service_desk.py`.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from ...errors import ConfigurationError, Finding, TransientError
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ..egress import MalformedAddress, parse_url
from ..rest import Refused, RestClient, checked, required_secret
from ..service_desk import Case, Changes, Ticket, find_case, newest, push_case, reference_of, subject_of

PAGE = 100
PAGES_MAX = 20
_FIELDS = "Subject,Status,LastUpdated"
_PRIORITIES = {"urgent": 90, "high": 70, "normal": 50, "low": 20}
_TRAILER = "\n\nCrossdock message "


class RequestTrackerSettings(msgspec.Struct, frozen=True):
    """What `manifest.toml` describes, with its types."""

    url: str
    username: str = ""
    auth: str = "basic"
    queue: str = "General"
    requestor: str = ""
    close_status: str = "resolved"
    open_statuses: tuple[str, ...] = ("new", "open", "stalled")
    look_back: int = 200


def create(context: ConnectorContext) -> RequestTracker:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    return RequestTracker(context)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    findings = []
    try:
        parse_url(str(settings.get("url", "")))
    except MalformedAddress as error:
        findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/url"))
    wanted = "token" if settings.get("auth") == "token" else "password"
    if not secrets.get(wanted):
        findings.append(Finding("XD-CFG-014", f"the secret {wanted} is missing", pointer=f"/secrets/{wanted}"))
    if wanted == "password" and not settings.get("username"):
        findings.append(Finding("XD-CFG-001", "the setting username is missing", pointer="/settings/username"))
    return findings


class RequestTracker:
    """One queue of one Request Tracker."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        try:
            self._settings = settings = msgspec.convert(dict(context.settings), RequestTrackerSettings)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the settings cannot be read: {error}") from error
        if settings.auth == "token":
            proof = f"token {required_secret(context, 'token')}"
        else:
            pair = f"{settings.username}:{required_secret(context, 'password')}".encode()
            proof = f"Basic {base64.b64encode(pair).decode()}"
        self._api = RestClient(context, settings.url.rstrip("/") + "/REST/2.0", {"authorization": proof})
        self._changes = Changes()

    async def check(self) -> CheckResult:
        """Ask for the queue with the connection's own credentials."""

        async def ask() -> str:
            queue = await self._api.ask(f"/queue/{quote(self._settings.queue, safe='')}")
            return f"{self._api.authority} has the queue {queue.get('Name')}"

        return await checked(ask)

    async def push(self, outbound: Outbound) -> PushResult:
        """Do what a case asks for, once."""
        return await push_case(self._context, self, outbound)

    async def find(self, outbound: Outbound) -> FindResult:
        """Tell whether the desk has done what a case asks for."""
        return await find_case(self, outbound)

    async def pull(self) -> AsyncIterator[Pulled]:
        """Yield our tickets that are new or changed, among the `look_back` that were changed last."""
        async for pulled in self._changes.pull(self):
            yield pulled

    # -- what ../service_desk.py asks for

    async def of(self, case: Case) -> Ticket | None:
        if case.ticket and case.ticket.isascii() and case.ticket.isdigit():
            try:
                row = await self._api.ask(f"/ticket/{case.ticket}")
            except Refused as error:
                if error.status != 404:
                    raise
            else:
                ticket = self._ticket({**row, "id": case.ticket})
                if ticket.reference == case.reference:
                    return await self._with_opener(ticket)
        rows = await self._search(f"Subject LIKE '[{_quoted(case.reference)}] '", order="id", limit=PAGE)
        # LIKE knows wildcards that may stand in a reference: what only looks like it is left out here.
        ticket_found = newest(one for one in map(self._ticket, rows) if one.reference == case.reference)
        return None if ticket_found is None else await self._with_opener(ticket_found)

    async def _with_opener(self, ticket: Ticket) -> Ticket:
        said = await self._said(ticket.id)
        return msgspec.structs.replace(ticket, opened_by=said[0] if said else "")

    async def open(self, case: Case, identity: str) -> Ticket:
        settings = self._settings
        body = {
            "Queue": settings.queue,
            "Subject": subject_of(case),
            "Content": (case.detail or subject_of(case)) + _TRAILER + identity,
            "ContentType": "text/plain",
            "Priority": str(_PRIORITIES[case.priority]),
            "Requestor": settings.requestor or None,
            "Due": _utc(case.due),
        }
        given = {name: value for name, value in body.items() if value is not None}
        made = await self._api.tell("POST", "/ticket", given)
        return Ticket(str(made["id"]), case.reference, True, "new", subject_of(case), identity)

    async def has_said(self, ticket: Ticket, identity: str) -> bool:
        return identity in await self._said(ticket.id)

    async def say(self, ticket: Ticket, text: str, identity: str) -> None:
        body = {"Content": text + _TRAILER + identity, "ContentType": "text/plain"}
        await self._api.tell("POST", f"/ticket/{ticket.id}/comment", body)

    async def close_ticket(self, ticket: Ticket) -> None:
        answer = await self._api.tell("PUT", f"/ticket/{ticket.id}", {"Status": self._settings.close_status})
        row = self._ticket({**await self._api.ask(f"/ticket/{ticket.id}"), "id": ticket.id})
        if row.is_open:
            # It answers 200 to a change its lifecycle forbids, and says no in words.
            words = "; ".join(str(word) for word in answer) if isinstance(answer, list) else str(answer)
            raise Refused(f"ticket {ticket.id} stays {row.status}: {words}"[:500], code="XD-PTR-016")

    async def changed(self) -> AsyncIterator[Ticket]:
        query = f"Queue = '{_quoted(self._settings.queue)}' AND Subject LIKE '['"
        for row in await self._search(query, order="LastUpdated", limit=self._settings.look_back):
            ticket = self._ticket(row)
            if ticket.reference:
                yield ticket

    async def _search(self, query: str, *, order: str, limit: int) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for page in range(1, PAGES_MAX + 1):
            parts = {
                "query": query,
                "fields": _FIELDS,
                "orderby": order,
                "order": "DESC",
                "per_page": min(PAGE, limit),
                "page": page,
            }
            answer = await self._api.ask(f"/tickets?{urlencode(parts)}")
            if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
                raise TransientError("the desk answered a search with something else", code="XD-PTR-008")
            rows += answer["items"]
            if page >= int(answer.get("pages") or 1) or len(rows) >= limit:
                break
        return rows[:limit]

    async def _said(self, ticket_id: str) -> list[str]:
        """Return the identities of the messages that were written into a ticket, in their order."""
        identities: list[str] = []
        for page in range(1, PAGES_MAX + 1):
            parts = urlencode({"fields": "Content", "per_page": PAGE, "page": page})
            answer = await self._api.ask(f"/ticket/{ticket_id}/attachments?{parts}")
            contents = [item.get("Content") for item in sorted(answer["items"], key=lambda item: int(item["id"]))]
            identities += [_identity_in(text) for text in contents if isinstance(text, str) and _TRAILER in text]
            if page >= int(answer.get("pages") or 1):
                break
        return identities

    def _ticket(self, row: Mapping[str, Any]) -> Ticket:
        status = str(row["Status"])
        return Ticket(
            id=str(row["id"]),
            reference=reference_of(row["Subject"]),
            is_open=status in self._settings.open_statuses,
            status=status,
            subject=str(row["Subject"]),
            version=f"{status}.{row.get('LastUpdated', '')}",
        )

    async def close(self) -> None:
        """Close the kept connections."""
        await self._api.close()


def _utc(due: str | None) -> str | None:
    """Return an instant as Request Tracker reads it: with any other offset than Z it would make it 1970."""
    if due is None:
        return None
    try:
        moment = datetime.fromisoformat(due.replace("Z", "+00:00"))
    except ValueError as error:
        raise Refused(f"{due[:40]!r} is no instant", code="XD-PTR-042") from error
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _identity_in(text: str) -> str:
    return text.rpartition(_TRAILER)[2].strip()
