"""How every state is shown: icon, word and tone, always all three, so that colour never speaks alone.

Tones: ok, info, warn, bad, purple (no news from outside, which is not "late"), idle. One row for each state of
messages, documents, outbound messages, orders, issues, circuits and health; an unknown one is shown as it is, idle.
"""

from __future__ import annotations

import msgspec


class Look(msgspec.Struct, frozen=True):
    """Icon (a name in icons.json), word and tone of a state."""

    icon: str
    word: str
    tone: str


def _rows(tone: str, *rows: tuple[str, str, str]) -> dict[str, Look]:
    return {state: Look(icon, word, tone) for state, icon, word in rows}


LOOKS: dict[str, Look] = {
    **_rows(
        "ok",
        ("applied", "circle-check", "Applied"),
        ("processed", "circle-check", "Processed"),
        ("sent", "circle-check", "Sent"),
        ("done", "circle-check", "Done"),
        ("accepted", "circle-check", "Accepted"),
        ("delivered", "package-check", "Delivered"),
        ("completed", "package-check", "Completed"),
        ("resolved", "circle-check", "Resolved"),
        ("healthy", "circle-check", "Healthy"),
        ("good", "circle-check", "Good"),
        ("on_time", "circle-check", "On time"),
        ("ok", "circle-check", "OK"),
        ("ready", "circle-check", "Ready"),
        ("closed", "circle-check", "Closed"),
        ("closed_by_desk", "circle-check", "Closed by the desk"),
        ("recovered", "circle-check", "Recovered"),
        ("agrees", "circle-check", "Agrees"),
        ("settled", "circle-check", "Settled"),
        ("complete", "circle-check", "Complete"),
        ("approved", "circle-check", "Approved"),
        ("confirmed", "circle-check", "Confirmed"),
        ("posted", "receipt", "Posted"),
        ("paid", "badge-dollar-sign", "Paid"),
        ("authorized", "circle-check", "Authorized"),
    ),
    **_rows(
        "info",
        ("received", "inbox", "Received"),
        ("pending", "clock", "Pending"),
        ("sending", "send", "Sending"),
        ("awaited", "hourglass", "Awaited"),
        ("released", "circle-dot", "Released"),
        ("created", "circle-dot", "Created"),
        ("sourced", "route", "Sourced"),
        ("requested", "send", "Requested"),
        ("timing", "clock", "On its way"),
        ("new", "circle-dot", "New"),
        ("open", "circle-dot", "Open"),
        ("picked", "package-open", "Picked"),
        ("packed", "package", "Packed"),
        ("partly_shipped", "truck", "Partly shipped"),
        ("in_fulfillment", "package-open", "In fulfillment"),
        ("shipped", "truck", "Shipped"),
        ("in_transit", "truck", "In transit"),
        ("in_progress", "circle-dot", "In progress"),
        ("acknowledged", "eye", "Acknowledged"),
        ("probing", "refresh-cw", "Probing"),
        ("running", "refresh-cw", "Running"),
        ("invoiced", "receipt", "Invoiced"),
        ("partly_received", "package-open", "Partly received"),
        ("tendering", "send", "Tendering"),
        ("offered", "badge-dollar-sign", "Offered"),
        ("filed", "file-check", "Filed"),
        ("labelled", "file-text", "Labelled"),
        ("arrived", "warehouse", "Arrived"),
        ("inspected", "eye", "Inspected"),
        ("credit_pending", "receipt", "Credit pending"),
        ("partly_returned", "rotate-ccw", "Partly returned"),
        ("returned", "rotate-ccw", "Returned"),
        ("ordered", "package", "Ordered"),
    ),
    **_rows(
        "warn",
        ("held", "hand", "Held"),
        ("parked", "hourglass", "Parked"),
        ("unknown", "circle-help", "Unknown"),
        ("accepted_with_errors", "triangle-alert", "Accepted with errors"),
        ("overdue", "timer", "Overdue"),
        ("at_risk", "timer", "At risk"),
        ("trending_late", "timer", "Trending late"),
        ("backordered", "hourglass", "Backordered"),
        ("degraded", "triangle-alert", "Degraded"),
        ("short", "triangle-alert", "Short"),
        ("warning", "triangle-alert", "Warning"),
        ("differs", "triangle-alert", "Differs"),
        ("partial", "triangle-alert", "Partial"),
        ("missing", "circle-help", "Missing"),
        ("cancelling", "ban", "Cancelling"),
        ("on_hold", "hand", "On hold"),
        ("in_review", "hand", "In review"),
        ("disputed", "triangle-alert", "Disputed"),
        ("crediting", "rotate-ccw", "Being credited"),
        ("unasked", "circle-help", "Not asked for"),
        ("snoozed", "clock", "Snoozed"),
        ("short_paid", "triangle-alert", "Short paid"),
        ("disputed", "triangle-alert", "Disputed"),
        ("not_on_tool", "headset", "Call the facility"),
        ("expired", "timer", "No answer in time"),
        ("given_back", "rotate-ccw", "Given back"),
        ("waiting", "clock", "Waiting"),
        ("warned", "triangle-alert", "Warned"),
        ("suppressed", "hand", "Kept back"),
    ),
    **_rows(
        "bad",
        ("failed", "circle-x", "Failed"),
        ("rejected", "circle-x", "Rejected"),
        ("refused", "circle-x", "Refused"),
        ("breached", "circle-alert", "Late"),
        ("dead", "circle-x", "Dead letter"),
        ("late", "circle-alert", "Late"),
        ("no_carrier", "circle-alert", "No carrier"),
        ("declined", "circle-x", "Declined"),
        ("denied", "circle-x", "Denied"),
        ("refused", "circle-x", "Refused"),
        ("down", "circle-x", "Down"),
        ("error", "circle-x", "Error"),
        ("critical", "circle-alert", "Critical"),
        ("contradicts", "circle-alert", "Contradicts"),
        ("partner_fault", "circle-alert", "Partner"),
    ),
    **_rows(
        "purple",
        ("silent", "wifi-off", "No update"),
        ("offline", "wifi-off", "Offline"),
        ("stale", "wifi-off", "Stale"),
    ),
    **_rows(
        "idle",
        ("duplicate", "copy", "Duplicate"),
        ("ignored", "eye", "Ignored"),
        ("superseded", "history", "Superseded"),
        ("discarded", "ban", "Discarded"),
        ("cancelled", "ban", "Cancelled"),
        ("withdrawn", "ban", "Withdrawn"),
        ("written_off", "ban", "Written off"),
        ("expired", "timer", "Expired"),
        ("credited", "receipt", "Credited"),
        ("none", "circle-dashed", "None"),
        ("paused", "pause", "Paused"),
        ("no_eta", "circle-dashed", "No ETA"),
        ("not_expected", "circle-dashed", "Not expected"),
        ("idle", "circle-dashed", "Idle"),
        ("info", "info", "Note"),
        ("never_seen", "circle-dashed", "Not seen yet"),
        ("planned", "circle-dashed", "Planned"),
        ("superseded_by_replay", "history", "Replayed"),
    ),
}


def look_of(state: str) -> Look:
    """Return how a state is shown."""
    known = LOOKS.get(state)
    if known is not None:
        return known
    words = state.replace("_", " ").strip()
    return Look("circle-dashed", words[:1].upper() + words[1:] if words else "None", "idle")
