"""What follows from the state of a return, whatever brought it there: credits, words to others, clocks.

`settle` compares the state with what was asked and told already, so what was told once is not told again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ...canonical.returns import DisposedLine, Disposition, ReturnedLine, ReturnProgress
from ..ledger import ZERO, quantity_text
from ..outcome import Tell, TimerChange
from .draft import Draft
from .settling import ask
from .state import ENDED, OVER, ReturnState, is_complete, value_of

SHORT = "XD-RET-010"
# Clock → code of what is raised when it has run out; an unused label raises nothing, it ends the return.
CLOCKS = {"parcel": "XD-RET-011", "inspection": "XD-RET-012", "credit": "XD-RET-013"}


def settle(draft: Draft) -> None:
    """Add everything that follows from the changed state to the draft."""
    ask(draft)
    _instruct_site(draft)
    _watch_shortage(draft)
    _run_clocks(draft)
    state = draft.current()
    _tell(draft, state)
    if state.status in ENDED and state.status != draft.before.status:
        draft.emit("return.ended", {"number": state.number, "status": state.status, "reason": state.ended_why})


def _instruct_site(draft: Draft) -> None:
    """Tell the site what to do with what it found and did not settle itself; once for each receipt."""
    if not draft.rules.instruct_site:
        return
    known = {(one.site, one.number) for one in draft.before.receipts}
    for place, receipt in draft.receipts.items():
        lines = tuple(
            DisposedLine(one.sku, one.quantity, one.disposition, one.line_no)  # type: ignore[arg-type]
            for one in receipt.lines
            if not one.settled
        )
        if place not in known and lines:
            paper = Disposition(draft.number, receipt.number, lines, receipt.site)
            draft.request("return_disposition", f"{draft.number}:{receipt.site}:{receipt.number}", paper)


def _watch_shortage(draft: Draft) -> None:
    """A last receipt with less than was authorized is for a person, until the rest comes after all."""
    state = draft.current()
    complete = is_complete(state) and not state.ended
    for line in draft.lines.values():
        cause = f"short:{line.line_no}"
        if complete and line.received < line.allowed:
            message = (
                f"return {draft.number} line {line.line_no}: {quantity_text(line.received)} of "
                f"{quantity_text(line.allowed)} came, and the site expects no more"
            )
            draft.raise_condition(SHORT, cause, message)
        elif line.received >= line.allowed:
            draft.take_back(SHORT, cause)


def _run_clocks(draft: Draft) -> None:
    """Look which clocks run, which have run out, and which are no longer needed."""
    running = _running(draft)
    unused = running.get("label")
    if unused is not None and unused <= draft.now:
        draft.put(ended="expired", ended_why="nobody sent the goods in time")
        running = {}
    wanted: dict[str, datetime] = {}
    for name, due_at in running.items():
        if due_at > draft.now:
            wanted[name] = due_at
        elif name in CLOCKS:
            draft.raise_condition(CLOCKS[name], name, _overdue(draft, name, due_at))
    for name, code in CLOCKS.items():
        if name not in running or name in wanted:
            draft.take_back(code, name)
    for name in draft.timers:
        if name not in wanted:
            draft.timer_changes.append(TimerChange(name))
    for name, due_at in wanted.items():
        if draft.timers.get(name) != due_at:
            draft.timer_changes.append(TimerChange(name, due_at))
    draft.timers = wanted


def _running(draft: Draft) -> dict[str, datetime]:
    state, rules = draft.current(), draft.rules
    found: dict[str, datetime] = {}
    if state.status in ("authorized", "labelled") and state.expires_at is not None:
        found["label"] = state.expires_at
    if state.status == "in_transit" and state.moved_at is not None and rules.transit_days:
        found["parcel"] = state.moved_at + timedelta(days=rules.transit_days)
    if state.status == "arrived" and state.arrived_at is not None and rules.inspection_hours:
        found["inspection"] = state.arrived_at + timedelta(hours=rules.inspection_hours)
    asked = [one.requested_at for one in state.credits if one.state != "posted" and one.requested_at is not None]
    if state.exchange is not None and state.exchange.state == "requested" and state.exchange.requested_at is not None:
        asked.append(state.exchange.requested_at)
    if asked and rules.credit_hours:
        found["credit"] = min(asked) + timedelta(hours=rules.credit_hours)
    return found


def _overdue(draft: Draft, name: str, due_at: datetime) -> str:
    what = {
        "parcel": f"was scanned by the carrier and has not arrived at {draft.state.site}",
        "inspection": f"lies at {draft.state.site} and is not inspected",
        "credit": "waits for the ERP's answer to its credit",
    }[name]
    return f"return {draft.number} {what}; due was {due_at:%Y-%m-%d %H:%M} UTC"


def progress_of(state: ReturnState) -> ReturnProgress:
    """Return what others know of a return. A return that is over claims nothing any more; what came stays."""
    over = state.status in OVER or bool(state.ended) or state.status == "closed"
    return ReturnProgress(
        number=state.number,
        order_number=state.order_number,
        status=state.status,
        lines=tuple(
            ReturnedLine(
                line.line_no,
                line.sku,
                ZERO if over or is_complete(state) else line.allowed,
                line.received,
                line.creditable,
                line.credited,
            )
            for line in state.lines
            if line.allowed
        ),
        resolution=state.request.resolution,
        site=state.site,
        tracking=state.tracking,
        label=state.label,
        refusals=tuple(f"{line.sku or line.line_no}: {line.refusal}" for line in state.lines if line.refusal),
        credits=tuple(credit.memo or credit.number for credit in state.credits),
        credited=value_of(state) if any(credit.state == "posted" for credit in state.credits) else None,
        exchange_order=state.exchange.order_number if state.exchange is not None else "",
        refs=state.request.refs,
    )


def _tell(draft: Draft, state: ReturnState) -> None:
    """Tell the order, and the partners who want to hear it, what has changed for them."""
    progress = progress_of(state)
    if progress == state.told:
        return
    word_changed = state.told is None or state.told.status != progress.status
    draft.put(told=progress, told_count=state.told_count + 1)
    draft.tells.append(Tell(f"order/{state.order_number}", "crossdock.return.changed.v1", progress))
    if draft.rules.tell_status and word_changed:
        draft.request("return_status", f"{state.number}:{state.told_count + 1}:{state.status}", progress)
