"""What the other side said of a document we sent: 997, 999, TA1, CONTRL, MDN, an HTTP answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..errors import Finding

AckOutcome = Literal["accepted", "accepted_with_errors", "rejected", "partially_accepted"]


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """One acknowledgment of one transaction set, group or interchange.

    `sender` and `receiver` are those of the document that is acknowledged (ours), so that they match the outbound row.
    """

    outcome: AckOutcome
    level: Literal["interchange", "group", "set", "message"] = "set"
    set_code: str = ""
    functional_id: str = ""
    sender: str = ""
    receiver: str = ""
    interchange_control_number: str = ""
    group_control_number: str = ""
    set_control_number: str = ""
    findings: tuple[Finding, ...] = ()
