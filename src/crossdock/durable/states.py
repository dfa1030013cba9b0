"""The states of a message, a document and an outbound message, and the arrows between them.

`docs/why/message-lifecycle.md` draws the same arrows; a test compares the two.
"""

from __future__ import annotations

from typing import Literal

# An inbound message: the bytes that came through a door.
#   received    stored and answered for; nothing has looked at the content yet
#   processed   every document of it is applied, held or rejected; the documents tell which
#   failed      it could not even be taken apart (unknown partner, unreadable); an issue says why
#   superseded  an amended version of it runs in its place
#   discarded   a person set it aside, with a reason
#   duplicate   the same paper came before; linked, answered as the first was, never run
#   ignored     read on purpose without effect (filtered by a map's `when`)
MessageState = Literal["received", "processed", "failed", "duplicate", "ignored", "superseded", "discarded"]

# A document: one business paper inside a message.
#   applied     its events are in the journal
#   held        it waits for a code or a record; released by itself when that appears
#   parked      its events wait for an order that is not known yet
#   rejected    it breaks the agreement; a person or a corrected paper must settle it
#   superseded  a replay of it was applied in its place
#   discarded   a person set it aside, with a reason
DocumentState = Literal["applied", "held", "parked", "rejected", "superseded", "discarded"]

# An outbound message: one effect at a partner, with one stable identity over all its attempts.
#   pending     waits for its turn: behind an earlier one of its lane, for a retry time, or for a closed circuit
#   sending     reserved in the ledger; the next thing that happens is the send
#   sent        the partner took it (done)
#   unknown     nobody knows whether it took effect; resolved by asking or by the same identity again, and pending only
#               after the partner said that it is absent and then did not take it either; sending again when the process
#               ended during it before, so that the attempt is counted before it runs
#   dead        given up: the partner refused it or every attempt failed; an issue says why
#   discarded   a person gave it up, with a reason
OutboundState = Literal["pending", "sending", "sent", "unknown", "dead", "discarded"]

AckState = Literal["none", "awaited", "accepted", "accepted_with_errors", "rejected", "overdue"]
AttemptOutcome = Literal["done", "failed", "unknown"]

MESSAGE_ARROWS: dict[str, tuple[str, ...]] = {
    "received": ("processed", "failed", "ignored", "duplicate"),
    "failed": ("processed", "failed", "ignored", "superseded", "discarded"),
    "processed": ("processed",),
    "duplicate": (),
    "ignored": ("processed",),
    "superseded": (),
    "discarded": ("processed", "failed", "ignored"),
}

DOCUMENT_ARROWS: dict[str, tuple[str, ...]] = {
    "applied": ("superseded",),
    "held": ("applied", "parked", "rejected", "held", "discarded"),
    "parked": ("applied", "discarded"),
    "rejected": ("applied", "held", "parked", "superseded", "discarded"),
    "superseded": (),
    "discarded": ("applied", "held", "rejected"),
}

OUTBOUND_ARROWS: dict[str, tuple[str, ...]] = {
    # pending → unknown: only by a restore, which cannot know what was sent since the backup.
    "pending": ("sending", "unknown", "dead", "discarded"),
    "sending": ("sent", "pending", "unknown", "dead"),
    "unknown": ("sent", "pending", "sending", "dead", "discarded"),
    "dead": ("pending", "unknown", "discarded"),
    "sent": (),
    "discarded": (),
}


def may_go(arrows: dict[str, tuple[str, ...]], before: str, after: str) -> bool:
    """Tell whether an arrow leads from one state to the other."""
    return after in arrows.get(before, ())
