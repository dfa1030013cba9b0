"""Timers that ran out, and what the service desk says of its cases.

Timers: `at_risk` looks at ship-by and promise again, `confirmation` at goods that move unconfirmed,
`backorder` looks for stock again (also for an order that is held
whole for lack of it), `hold` tries a held order again.
A person who lets a held order go, or wants a backorder sourced now, sends the same deadline with `override`.
"""

from __future__ import annotations

import msgspec

from ...canonical.events import Event
from ...canonical.orders import ServiceCase
from .draft import Draft
from .release import place, waits_for_stock

CASE_STATES = {"open": "open", "opened": "open", "update": "open", "updated": "open", "closed": "closed_by_desk"}


class Deadline(msgspec.Struct, frozen=True):
    """The data of `crossdock.deadline.passed.v1`: which timer. `override` runs it although it is not due."""

    name: str
    override: bool = False


def passed(draft: Draft, _event: Event, deadline: Deadline) -> bool:
    """Run a timer's work. A timer that was moved or cancelled meanwhile does nothing."""
    due_at = draft.timers.get(deadline.name)
    if not deadline.override and (due_at is None or due_at > draft.now):
        return False
    draft.timers.pop(deadline.name, None)
    if deadline.name == "backorder":
        place(draft, "backordered", why="looked for stock again")
        if waits_for_stock(draft):
            place(draft, "open", why="looked for stock again")
        return True
    if deadline.name == "hold":
        place(draft, "open", why="tried again", ignore_holds=deadline.override)
        return True
    return deadline.name in ("at_risk", "confirmation")


def case_changed(draft: Draft, event: Event, case: ServiceCase) -> bool:
    """Keep what the desk says of a case: its reference, who has it, its status and a note.

    A case the desk closed is not opened again while the risk lasts. An older word never replaces a newer one.
    """
    known = draft.cases.get(case.cause)
    state = CASE_STATES.get(case.action)
    if known is None or state is None:
        return False
    if known.state != "open":
        state = known.state
    at = case.changed_at or event.occurred_at
    if known.changed_at is not None and at < known.changed_at:
        return False
    updated = msgspec.structs.replace(
        known,
        state=state,
        ref=case.case_ref or known.ref,
        owner=case.owner or known.owner,
        status=case.status or known.status,
        note=case.note or known.note,
    )
    if updated == known:
        return False
    draft.cases[case.cause] = msgspec.structs.replace(updated, changed_at=at)
    draft.name("case", case.case_ref)
    return True
