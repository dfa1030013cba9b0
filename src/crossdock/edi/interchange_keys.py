"""Tell a new interchange from a duplicate, a conflicting one and a probable resend.

The key is who sent to whom under which number; the digest is what was sent. Both are needed: the same key with
other bytes is a fault, and the same bytes under a new key may be a resend. The ledger of what was seen is the
store's; this decides. A first attempt that failed does not count as seen, so a corrected resend is never refused.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, NamedTuple

from crossdock.edi.model import Interchange

InterchangeKey = tuple[str, str, str, str, str, str]
Verdict = Literal["new", "duplicate", "conflicting", "probable_resend"]

DUPLICATE_WINDOW_DAYS = 180
CONTROL_NUMBER_MAX = 999_999_999


class SeenInterchange(NamedTuple):
    """What the ledger remembers of an interchange that was taken in successfully."""

    key: InterchangeKey
    digest: str


def interchange_key(interchange: Interchange) -> InterchangeKey:
    """Return ISA05-08, ISA13 (without leading zeros) and ISA15; usage keeps tests and production apart."""
    return (
        interchange.sender_qualifier.strip(),
        interchange.sender,
        interchange.receiver_qualifier.strip(),
        interchange.receiver,
        interchange.control_number.lstrip("0"),
        interchange.usage,
    )


def digest(interchange: Interchange) -> str:
    """Return the SHA-256 of the interchange's bytes without the blanks around it."""
    return sha256(interchange.raw.strip(b" \t\r\n\x00")).hexdigest()


def judge_duplicate(key: InterchangeKey, content: str, seen: list[SeenInterchange]) -> Verdict:
    """Decide what an arriving interchange is, given the seen ones that share its key or its digest.

    duplicate: drop the payload and send the stored acknowledgment again. conflicting: quarantine, TA1 025.
    probable_resend: deliver and mark. The caller looks up `seen` within the duplicate window.
    """
    same_key = [one for one in seen if one.key == key]
    if any(one.digest == content for one in same_key):
        return "duplicate"
    if same_key:
        return "conflicting"
    return "probable_resend" if any(one.digest == content for one in seen) else "new"


def next_control_number(last: int) -> int:
    """Return the control number after `last`; 999999999 is followed by 1."""
    return 1 if last >= CONTROL_NUMBER_MAX else last + 1
