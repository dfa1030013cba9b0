"""django-helpdesk over its REST API: open, update and close one ticket for each case, and read tickets back.

Its API searches by nothing but the state, so tickets are looked for from the newest page backwards, `look_back` tickets
at most; a ticket whose number the hub knows is asked for directly. What a step shares with other desks stands in
`../service_desk.py`.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from ...errors import ConfigurationError, Finding, TransientError
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ..egress import MalformedAddress, parse_url
from ..rest import Refused, RestClient, checked, required_secret
from ..service_desk import Case, Changes, Ticket, find_case, push_case, reference_of, subject_of

PAGE = 50
_PRIORITIES = {"urgent": 1, "high": 2, "normal": 3, "low": 4}
_OPEN_STATES = (1, 2)
_NAMES = {1: "open", 2: "reopened", 3: "resolved", 4: "closed", 5: "duplicate"}
_TRAILER = "\n\nCrossdock message "


class HelpdeskSettings(msgspec.Struct, frozen=True):
    """What `manifest.toml` describes, with its types."""

    url: str
    username: str
    queue: int = 1
    submitter_email: str = ""
    close_status: int = 4
    look_back: int = 500


def create(context: ConnectorContext) -> DjangoHelpdesk:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    return DjangoHelpdesk(context)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    del secrets
    findings = []
    try:
        parse_url(str(settings.get("url", "")))
    except MalformedAddress as error:
        findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/url"))
    if settings.get("close_status", 4) not in (3, 4):
        findings.append(
            Finding("XD-CFG-003", "close_status is neither 3 (resolved) nor 4", pointer="/settings/close_status")
        )
    return findings


class DjangoHelpdesk:
    """One queue of one django-helpdesk."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        try:
            self._settings = msgspec.convert(dict(context.settings), HelpdeskSettings)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the settings cannot be read: {error}") from error
        pair = f"{self._settings.username}:{required_secret(context, 'password')}".encode()
        headers = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        self._api = RestClient(context, self._settings.url, headers)
        self._changes = Changes()

    async def check(self) -> CheckResult:
        """Ask for one ticket with the connection's own credentials."""

        async def ask() -> str:
            answer = await self._page(1, size=1)
            return f"{self._api.authority} holds {answer['count']} tickets"

        return await checked(ask)

    async def push(self, outbound: Outbound) -> PushResult:
        """Do what a case asks for, once."""
        return await push_case(self._context, self, outbound)

    async def find(self, outbound: Outbound) -> FindResult:
        """Tell whether the desk has done what a case asks for."""
        return await find_case(self, outbound)

    async def pull(self) -> AsyncIterator[Pulled]:
        """Yield our tickets that are new or changed. With the desk's webhooks on, a poll is only the safety net."""
        async for pulled in self._changes.pull(self):
            yield pulled

    # -- what ../service_desk.py asks for

    async def of(self, case: Case) -> Ticket | None:
        if case.ticket and case.ticket.isascii() and case.ticket.isdigit():
            try:
                ticket = _ticket(await self._api.ask(f"/api/tickets/{case.ticket}/"))
            except Refused as error:
                if error.status != 404:
                    raise
            else:
                if ticket.reference == case.reference:
                    return ticket
        async for ticket in self.changed():
            if ticket.reference == case.reference:
                return ticket
        return None

    async def open(self, case: Case, identity: str) -> Ticket:
        body = {
            "queue": self._settings.queue,
            "title": subject_of(case),
            "description": (case.detail or subject_of(case)) + _TRAILER + identity,
            "priority": _PRIORITIES[case.priority],
            "due_date": case.due,
            "submitter_email": self._settings.submitter_email or None,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return _ticket(await self._api.tell("POST", "/api/tickets/", given))

    async def has_said(self, ticket: Ticket, identity: str) -> bool:
        row = await self._api.ask(f"/api/tickets/{ticket.id}/")
        return any(_identity_in(followup.get("comment")) == identity for followup in row["followup_set"])

    async def say(self, ticket: Ticket, text: str, identity: str) -> None:
        # A follow-up's title becomes the ticket's: it must be the one the ticket has.
        body = {
            "ticket": int(ticket.id),
            "title": ticket.subject,
            "comment": text + _TRAILER + identity,
            "public": False,
        }
        await self._api.tell("POST", "/api/followups/", body)

    async def close_ticket(self, ticket: Ticket) -> None:
        body = {
            "ticket": int(ticket.id),
            "title": ticket.subject,
            "comment": "Closed: the reason for this case is gone.",
            "public": False,
            "new_status": self._settings.close_status,
        }
        await self._api.tell("POST", "/api/followups/", body)

    async def changed(self) -> AsyncIterator[Ticket]:
        count = int((await self._page(1, size=1))["count"])
        page = (count + PAGE - 1) // PAGE
        last = max(1, page - self._settings.look_back // PAGE)
        while page >= last:
            for row in reversed((await self._page(page))["results"]):
                ticket = _ticket(row)
                if ticket.reference:
                    yield ticket
            page -= 1

    async def _page(self, number: int, *, size: int = PAGE) -> dict[str, Any]:
        answer = await self._api.ask(f"/api/tickets/?page={number}&page_size={size}")
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise TransientError("the desk answered a list of tickets with something else", code="XD-PTR-008")
        return answer

    async def close(self) -> None:
        """Close the kept connections."""
        await self._api.close()


def _ticket(row: Mapping[str, Any]) -> Ticket:
    status = int(row["status"])
    last = max((followup["id"] for followup in row.get("followup_set") or ()), default=0)
    return Ticket(
        id=str(row["id"]),
        reference=reference_of(row["title"]),
        is_open=status in _OPEN_STATES,
        status=_NAMES.get(status, str(status)),
        subject=row["title"],
        opened_by=_identity_in(row.get("description")),
        version=f"{status}.{last}",
    )


def _identity_in(text: Any) -> str:
    return text.rpartition(_TRAILER)[2].strip() if isinstance(text, str) and _TRAILER in text else ""
