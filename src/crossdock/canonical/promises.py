"""Events of contracts with partners: a warning, a breach, an escalation, an answer after all.

Their data are plain values: `contract`, `title`, `partner`, `due_at`, `owner`, `keys`, `orders`. See
`processes/contracts.py`.
"""

from __future__ import annotations

from .nouns import EventType, Noun

NOUN = Noun(
    events=(
        EventType(
            "crossdock.contract.warned.v1", dict, "", False, "What a partner owes is not here yet, and soon late."
        ),
        EventType("crossdock.contract.breached.v1", dict, "", False, "What a partner owes is late."),
        EventType("crossdock.contract.silent.v1", dict, "", False, "A feed has been silent for longer than agreed."),
        EventType("crossdock.contract.escalated.v1", dict, "", False, "A breach lasts: the next person is told."),
        EventType("crossdock.contract.met.v1", dict, "", False, "What was warned of or late has come."),
    )
)
