"""Mutants of the sender, the ledger of attempts and the retry policy."""

from __future__ import annotations

from .patching import mutant

MUTANTS = (
    mutant(
        "retry under a new identity",
        "every attempt is another effect for the partner",
        (
            "flow.send:Sender._attempt",
            "        ready.identity,\n",
            "        ready.identity + (f'/{ready.attempts}' if ready.attempts else ''),\n",
        ),
    ),
    mutant(
        "unknown is not asked for",
        "an unknown outcome is sent again without asking",
        (
            "flow.send:Sender._attempt",
            "found, pushed_is_final = await self._ask(partner, outbound)",
            "found, pushed_is_final = None, True",
        ),
    ),
    mutant(
        "unknown taken for failed",
        "the retry policy forgets that an outcome is unknown",
        (
            "durable.retry:next_step",
            'NextStep("resolve" if outcome == "unknown" else "retry", delay)',
            'NextStep("retry", delay)',
        ),
        ("flow.send:Sender._settle", '"unknown" if step.action == "resolve" else "pending"', '"pending"'),
    ),
    mutant(
        "time-out taken for done",
        "no answer is taken for a good one",
        (
            "flow.send:Sender._attempt",
            '"unknown", error_class="unknown", code="XD-PTR-003", detail="no answer within the time allowed"',
            '"done"',
        ),
    ),
    mutant(
        "unknown taken for done",
        "whatever is not a failure is booked as sent",
        (
            "flow.bookings:sound",
            'outcome=_KNOWN.get(result.outcome, "unknown")',
            'outcome={"failed": "failed"}.get(result.outcome, "done")',
        ),
    ),
    mutant(
        "found although absent",
        "any answer of a partner that is asked is taken for a yes",
        ("flow.send:Sender._ask", 'if answer.answer == "found":', 'if answer.answer != "cannot_tell":'),
    ),
    mutant(
        "cannot tell taken for absent",
        "a partner that cannot be asked gets it again",
        ("flow.send:Sender._ask", "if partner.idempotent:", "if True:"),
    ),
    mutant(
        "not reserved before sending",
        "a send is not entered in the ledger before it happens",
        ("flow.bookings:reserve_sends", "outbound.reserve(connection, ", "(lambda *nothing: None)(connection, "),
        ("flow.send:Sender.dispatch", "if one.refused:", "if False:"),
    ),
    mutant(
        "reserved is sent again",
        "after a crash what was being sent is sent again without asking",
        ("flow.recovery:_taken_up", 'if one.state == "sending":', "if False:"),
    ),
    mutant(
        "lanes ignored",
        "effects of one order overtake each other",
        (
            "flow.send:Sender.dispatch",
            "        place = (one.tenant_id, one.connection_id)",
            "        one.lane = one.message_id\n        place = (one.tenant_id, one.connection_id)",
        ),
    ),
    mutant(
        "one gate for all orders",
        "an order that a partner refuses for now holds all others",
        (
            "flow.send:Sender.dispatch",
            "        place = (one.tenant_id, one.connection_id)",
            "        one.lane = 'all'\n        place = (one.tenant_id, one.connection_id)",
        ),
    ),
    mutant(
        "last made goes first",
        "what waits in a lane is taken from its end",
        ("flow.send:Sender.dispatch", "lane.append(one)", "lane.insert(1, one)"),
    ),
    mutant(
        "dead letters dropped",
        "what is given up is booked as sent",
        ("flow.bookings:book_outcomes", "_STATES[step.action],", '_STATES[step.action].replace("dead", "sent"),'),
    ),
    mutant(
        "retries never due",
        "what waits for its retry time is not taken up",
        ("flow.send:Sender.tick", "while queue.blocked and queue.blocked[0][0] <= now:", "while False:"),
        ("flow.send:Sender._drain", "for _, message_id, lane in queue.blocked:", "for _, message_id, lane in ():"),
        ("flow.send:Sender._drain", "queue.blocked.clear()", "pass"),
    ),
    mutant(
        "an open circuit stays open",
        "no probe is ever sent",
        ("durable.retry:Circuit.allows", 'if self.state == "open" and now >= self.probe_at:', "if False:"),
    ),
    mutant(
        "never forgotten by the sender",
        "what was given up once is taken for still waiting",
        ("flow.send:Sender._next_in_lane", "queue.known.discard(ready.message_id)", "pass"),
    ),
    mutant(
        "in flight for ever",
        "a send that ended still counts",
        ("flow.send:Sender._land", "queue.in_flight -= 1", "pass"),
    ),
    mutant(
        "connectors without tenant",
        "the sender keeps one connector per connection name",
        (
            "flow.send:Sender.partner",
            "place = (tenant_id, connection_id)\n    if",
            "place = ('', connection_id)\n    if",
        ),
        (
            "flow.send:Sender.remember",
            "self._partners[(tenant_id, connection_id)] = partner",
            "self._partners.setdefault(('', connection_id), partner)",
        ),
    ),
    mutant(
        "control numbers used again",
        "an interchange gets a number that another had",
        (
            "store.outbound:next_control_numbers",
            "return int(row[0]) - count + 1",
            "return 1 + (int(row[0]) - count) % 3",
        ),
    ),
    mutant(
        "control numbers of another tenant",
        "numbers are counted without regard to the tenant's own row",
        ("store.outbound:next_control_numbers", "last_number + ? end", "last_number end"),
    ),
    mutant(
        "late outcome takes back",
        "an outcome that comes late changes what is settled",
        (
            "flow.bookings:book_outcomes",
            "_STATES[step.action],",
            '"pending" if outcome.number > 1 else _STATES[step.action],',
        ),
    ),
)
