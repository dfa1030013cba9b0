"""One ticket for one case, whatever the desk: what the connectors of service desks share.

A case is known by its reference (`SO-1/ship_by`: order and cause), which stands in brackets before the ticket's
subject, so people see it and the ticket is found by it. Every step leaves the message's identity in the ticket: what
was said once is not said again, and a crash between the creation of a ticket and its booking makes no second one.

    {"action": "open", "reference": "SO-1/ship_by", "subject": "SO-1 may leave too late", "detail": "…",
     "priority": "high", "due": "2026-11-23T16:15:00Z", "ticket": ""}

What the desk tells of its tickets comes back as

    {"reference": "SO-1/ship_by", "ticket": "17", "state": "closed", "status": "resolved", "subject": "…"}
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Annotated, Any, Literal, Protocol

import msgspec

from ..sdk import ConnectorContext, FindResult, Outbound, Pulled, PushResult
from .rest import Refused, decode_payload, found, pushed

CONTRADICTION = "XD-PTR-041"
SEEN_MAX = 10_000
Priority = Literal["low", "normal", "high", "urgent"]
_MARK = re.compile(r"\[([^\[\]\s]{1,100})\] ")


class Case(msgspec.Struct, frozen=True):
    """What the hub wants done about one case. `ticket` is the desk's own number, when the hub has heard of it."""

    action: Literal["open", "update", "close"]
    reference: Annotated[str, msgspec.Meta(pattern=r"^[^\[\]\s]{1,100}$")]
    subject: Annotated[str, msgspec.Meta(max_length=150)] = ""
    detail: Annotated[str, msgspec.Meta(max_length=20_000)] = ""
    priority: Priority = "normal"
    due: str | None = None
    ticket: str | None = None


class Ticket(msgspec.Struct, frozen=True):
    """A ticket as the desk has it: `opened_by` is the identity of the message that made it, `version` its state."""

    id: str
    reference: str
    is_open: bool
    status: str
    subject: str
    opened_by: str = ""
    version: str = ""


class Desk(Protocol):
    """The few things a desk has to be able to do."""

    async def of(self, case: Case) -> Ticket | None:
        """Return the newest ticket that bears the case's reference."""

    async def open(self, case: Case, identity: str) -> Ticket:
        """Make a ticket that bears reference and identity."""

    async def has_said(self, ticket: Ticket, identity: str) -> bool:
        """Tell whether the ticket holds what the message of this identity says."""

    async def say(self, ticket: Ticket, text: str, identity: str) -> None:
        """Write something into a ticket, with the identity."""

    async def close_ticket(self, ticket: Ticket) -> None:
        """Close a ticket; one that is closed stays as it is."""

    def changed(self) -> AsyncIterator[Ticket]:
        """Return the tickets that bear a reference, the newest first, as far back as one poll looks."""


def subject_of(case: Case) -> str:
    """Return a ticket's subject: the reference in brackets, then the words.

    >>> subject_of(Case("open", "SO-1/ship_by", "SO-1 may leave too late"))
    '[SO-1/ship_by] SO-1 may leave too late'
    """
    return f"[{case.reference}] {case.subject or case.reference}"


def reference_of(subject: Any) -> str:
    """Return the reference at the beginning of a subject; empty for a ticket that is none of ours.

    >>> reference_of("[SO-1/ship_by] late"), reference_of("Where is my parcel?"), reference_of(None)
    ('SO-1/ship_by', '', '')
    """
    match = _MARK.match(subject) if isinstance(subject, str) else None
    return match[1] if match else ""


async def push_case(context: ConnectorContext, desk: Desk, outbound: Outbound) -> PushResult:
    """Do what a case asks for, once."""

    async def effect() -> PushResult:
        case: Case = decode_payload(outbound.content, Case)
        return await _carry_out(desk, case, outbound.identity)

    return await pushed(context, effect)


async def _carry_out(desk: Desk, case: Case, identity: str) -> PushResult:
    if not identity.isprintable() or " " in identity:
        raise Refused(f"{identity[:80]!r} cannot be written into a ticket", code="XD-PTR-019")
    ticket = await desk.of(case)
    if case.action == "open" or (ticket is None and case.action == "update"):
        if ticket is not None and (ticket.is_open or ticket.opened_by == identity):
            return PushResult("done", reference=ticket.id, detail="there is a ticket already")
        return PushResult("done", reference=(await desk.open(case, identity)).id)
    if ticket is None:
        return PushResult("done", detail=f"no ticket bears {case.reference}: nothing to close")
    if not await desk.has_said(ticket, identity):
        await desk.say(ticket, case.detail or case.subject or "The reason for this case is gone.", identity)
    if case.action == "close" and ticket.is_open:
        await desk.close_ticket(ticket)
    return PushResult("done", reference=ticket.id)


async def find_case(desk: Desk, outbound: Outbound) -> FindResult:
    """Tell whether everything a case asks for has been done."""

    async def question() -> FindResult:
        case: Case = decode_payload(outbound.content, Case)
        ticket = await desk.of(case)
        if ticket is None:
            return FindResult("absent", detail=f"no ticket bears {case.reference}")
        if case.action == "open":
            there = ticket.is_open or ticket.opened_by == outbound.identity
        else:
            there = ticket.opened_by == outbound.identity or await desk.has_said(ticket, outbound.identity)
            there = there and not (case.action == "close" and ticket.is_open)
        return FindResult("found" if there else "absent", reference=ticket.id if there else "")

    return await found(question)


class Changes:
    """Yields a ticket when it is new or has changed since it was last safe in the hub."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    async def pull(self, desk: Desk) -> AsyncIterator[Pulled]:
        """Yield what has changed, oldest first."""
        changed = [ticket async for ticket in desk.changed() if self._seen.get(ticket.id) != ticket.version]
        for ticket in reversed(changed):
            document = {
                "reference": ticket.reference,
                "ticket": ticket.id,
                "state": "open" if ticket.is_open else "closed",
                "status": ticket.status,
                "subject": ticket.subject,
            }
            yield Pulled(
                msgspec.json.encode(document),
                f"ticket-{ticket.id}.json",
                "application/json",
                self._acknowledgment(ticket),
                receipt_key=f"ticket:{ticket.id}:{ticket.version}",
            )

    def _acknowledgment(self, ticket: Ticket) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self._seen.pop(ticket.id, None)
            self._seen[ticket.id] = ticket.version
            while len(self._seen) > SEEN_MAX:
                del self._seen[next(iter(self._seen))]

        return acknowledge


def newest(tickets: Iterable[Ticket]) -> Ticket | None:
    """Return the ticket that was made last."""
    return max(tickets, key=lambda ticket: int(ticket.id), default=None)
