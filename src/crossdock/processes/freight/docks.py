"""When a load may come to a dock: appointments by stop, asked of the facility and answered by it.

As the Scheduling Standards Consortium says, what was confirmed stands until a move of it is confirmed. A facility that
is not on the scheduling tool says so, and somebody calls it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ...canonical.events import Event
from ...canonical.freight import Appointment, AppointmentRequest, Stop
from .draft import Draft
from .state import Booking

NOT_ON_TOOL, REFUSED = "XD-FRT-005", "XD-FRT-006"
MINUTES = 60

Action = Literal["schedule", "reschedule", "cancel"]


def _stop(draft: Draft, seq: int) -> Stop | None:
    return next((stop for stop in draft.load.stops if stop.seq == seq), None)


def ask_for_appointments(draft: Draft) -> None:
    """Ask for an appointment at every stop that needs one and has none."""
    for stop in draft.load.stops:
        if stop.appointment and stop.seq not in draft.bookings:
            _ask(draft, stop, "schedule", stop.window_from, MINUTES, "")


def _ask(draft: Draft, stop: Stop, action: Action, window_from: datetime | None, minutes: int, reason: str) -> None:
    booking = draft.bookings.get(stop.seq) or Booking(stop.seq, "requested")
    asked = booking.asked + 1
    state = booking.state if booking.state == "confirmed" else "requested"
    draft.bookings[stop.seq] = msgspec.structs.replace(booking, state=state, pending=action, asked=asked)
    request = AppointmentRequest(
        draft.number,
        stop.seq,
        action,
        stop.location,
        window_from,
        minutes,
        reason,
    )
    draft.request(f"appointment_{action}", f"{stop.seq}:{asked}", request, site=stop.location)


def wanted(draft: Draft, _event: Event, wish: AppointmentRequest) -> bool:
    """Pass the shipper's wish on; what is confirmed stands until the facility answers."""
    stop, booking = _stop(draft, wish.stop_seq), draft.bookings.get(wish.stop_seq)
    if stop is None or draft.cancelled or (booking is not None and booking.pending) or _is_full(booking):
        return False
    if wish.action == "schedule":
        if booking is not None and booking.state == "confirmed":
            return False
    elif booking is None or booking.state != "confirmed":
        return False
    _ask(draft, stop, wish.action, wish.window_from or stop.window_from, wish.minutes, wish.reason)
    return True


def _is_full(booking: Booking | None) -> bool:
    return booking is not None and booking.asked >= 50


def cancel_appointments(draft: Draft) -> None:
    """Ask to cancel every appointment that stands or was asked for."""
    for stop in draft.load.stops:
        booking = draft.bookings.get(stop.seq)
        if booking is not None and booking.state in ("confirmed", "requested") and booking.pending != "cancel":
            _ask(draft, stop, "cancel", booking.window_from, booking.minutes, draft.cancelled)


def answered(draft: Draft, event: Event, word: Appointment) -> bool:
    """Take a facility's word; what it said earlier and comes later does not count."""
    stop = _stop(draft, word.stop_seq)
    booking = draft.bookings.get(word.stop_seq) or Booking(word.stop_seq, "requested")
    said_at = word.at or event.occurred_at
    if stop is None or (booking.said_at is not None and said_at < booking.said_at):
        return False
    if word.state == "requested":
        return False
    keeps = booking.state == "confirmed" and word.state in ("refused", "not_on_tool")
    if keeps:
        updated = msgspec.structs.replace(booking, pending="", reason=word.reason, said_at=said_at)
    else:
        updated = Booking(
            word.stop_seq,
            word.state,
            word.window_from or (booking.window_from if word.state == "confirmed" else None),
            word.minutes,
            word.id or booking.id,
            word.confirmation or booking.confirmation,
            word.reason,
            "",
            booking.asked,
            said_at,
        )
    if updated == booking:
        return False
    draft.bookings[word.stop_seq] = updated
    if word.state == "refused" and not (booking.state == "refused" and not booking.pending):
        message = (
            f"{word.facility or stop.location} refuses the appointment of {draft.number}: {word.reason or 'no reason'}"
        )
        draft.fault(REFUSED, f"appointment:{stop.location}", message)
    return True


def watch_docks(draft: Draft) -> None:
    """Keep a fault open for each stop that a person must call about."""
    for stop in draft.load.stops:
        booking = draft.bookings.get(stop.seq)
        cause = f"tool:{stop.location}:{stop.seq}"
        if booking is not None and booking.state == "not_on_tool" and not draft.cancelled:
            message = (
                f"{stop.location} is not on the scheduling tool: call it for {draft.number}. {booking.reason}".strip()
            )
            draft.raise_condition(NOT_ON_TOOL, cause, message)
        else:
            draft.take_back(NOT_ON_TOOL, cause)
