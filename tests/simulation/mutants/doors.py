"""Mutants of the doors, the cycle and the record."""

from __future__ import annotations

from .patching import mutant

_NO_SWEEP = ("flow.pipeline:Pipeline.sweep", "self._sweep_due = True", "pass")

MUTANTS = (
    mutant(
        "acknowledge early",
        "the sender is answered inside the transaction, before the commit",
        (
            "flow.pipeline:Pipeline._store_offers",
            "    cycle.answers += answers",
            (
                "    for (_, future), answer in zip(part, answers):\n"
                "        future.done() or future.set_result(answer)\n    cycle.answers += answers"
            ),
        ),
    ),
    mutant(
        "swallow disk full",
        "a commit that failed for want of space is taken for one that went through",
        (
            "store.sqlite:SqliteStore._commit",
            "return [(None, refusal if old is None else old) for _, old in results]",
            "return results",
        ),
    ),
    mutant(
        "disk full leaves the offer",
        "an offer whose cycle failed is answered as taken",
        ("flow.troubles:Troubles.failed", "else:\n        refuse(cycle.offers, error)", "else:\n        pass"),
    ),
    mutant(
        "no dedupe",
        "every message is a new one, whatever its identity",
        (
            "flow.ingest:store_offers",
            "receipt = (offer.tenant_id, offer.connection_id, key)",
            "receipt = (offer.tenant_id, offer.connection_id, key + message_id)",
        ),
    ),
    mutant(
        "dedupe for five minutes",
        "a receipt is forgotten after five minutes",
        (
            "store.messages:receipts_of",
            '" and receipt_key in ({})"',
            '" and receipt_key in ({}) and received_at > (select max(received_at) from receipts) - 300000000"',
        ),
        ("store.messages:insert_receipts", '"insert into receipts', '"insert or replace into receipts'),
    ),
    mutant(
        "receipts without tenant",
        "a receipt of one tenant answers for another",
        ("store.messages:receipts_of", "where tenant_id = ? and connection_id", "where ? <> '' and connection_id"),
    ),
    mutant(
        "receipts without connection",
        "a receipt of one door answers for another",
        ("store.messages:receipts_of", "and connection_id = ?", "and ? <> ''"),
    ),
    mutant(
        "bytes not stored",
        "the payload is kept in memory only",
        ("flow.ingest:store_offers", "payloads.save(connection, contents)", "pass"),
    ),
    mutant(
        "failed work forgotten",
        "what a failed cycle took is not put back, and nothing sweeps",
        ("flow.backlog:Backlog.put_back", "self.work.put_back(cycle.work)", "pass"),
        _NO_SWEEP,
    ),
    mutant(
        "outcomes forgotten",
        "outcomes of a failed cycle are not put back, and nothing sweeps",
        ("flow.backlog:Backlog.put_back", "self.outcomes.extendleft(reversed(cycle.outcomes))", "pass"),
        _NO_SWEEP,
    ),
    mutant(
        "reservations forgotten",
        "reservations of a failed cycle are not put back",
        ("flow.backlog:Backlog.put_back", "self.reservations.extendleft(reversed(cycle.reserved))", "pass"),
    ),
    mutant(
        "nothing is noted as under way",
        "a message that ends the process before it is durable does so each time it comes again",
        ("store.under_way:UnderWay.began", "self._write(_RUNNING, digests)", "pass"),
    ),
    mutant(
        "outbox not atomic",
        "what a cycle makes is sent before the cycle is committed",
        (
            "flow.pipeline:Pipeline._drain",
            "cycle.ready += worked.ready",
            "cycle.ready += worked.ready\n        self._dispatch(worked.ready)",
        ),
    ),
    mutant(
        "nothing sent after the commit",
        "what a cycle makes is left to a sweep that does not come",
        ("flow.pipeline:Pipeline._after_commit", "self._dispatch(self._mine(cycle.ready))", "pass"),
        _NO_SWEEP,
    ),
    mutant(
        "inbound not recovered",
        "a start does not take up what waits, and nothing sweeps",
        (
            "flow.recovery:waiting_messages",
            "while rows := messages.waiting_inbound(connection, PAGE, after):",
            "while rows := []:",
        ),
        _NO_SWEEP,
    ),
    mutant(
        "sends not recovered",
        "a start does not take up what was not sent, and nothing sweeps",
        (
            "flow.recovery:open_sends",
            "while rows := outbound.open_messages(connection, PAGE, after):",
            "while rows := []:",
        ),
        _NO_SWEEP,
    ),
    mutant(
        "runs not counted",
        "a message that ends the process is taken up for ever",
        ("flow.recovery:count_runs", "messages.count_run(", "(lambda *nothing: None)("),
    ),
    mutant(
        "bystanders suspected",
        "whatever waited beside a killer is set aside with it",
        ("flow.recovery:_sort_in", "if stored.runs == 1:", "if True:"),
    ),
    mutant(
        "set aside at once",
        "a message that was interrupted once is given up",
        ("flow.recovery:sort_waiting", "if row[18] >= RUNS_MAX:", "if row[18] >= 1:"),
    ),
    mutant(
        "bit rot not seen",
        "stored bytes are used without looking at their digest",
        ("store.payloads:_unpacked", "if digest_of(plain) != bytes(digest):", "if False:"),
    ),
    mutant(
        "goes on after a failed fsync",
        "the process keeps writing through a connection whose fsync failed",
        (
            "store.sqlite:SqliteStore._give_up",
            "        self._broken = error\n        return CommitUnknown",
            "        return CommitUnknown",
        ),
    ),
    mutant(
        "log not settled",
        "a start trusts a log whose fsync had failed",
        (
            "store.sqlite:SqliteStore._settle_log",
            "self._connection.raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)",
            "pass",
        ),
    ),
    mutant(
        "ids follow the wall clock",
        "after a clock was set back, new messages come before old ones",
        ("durable.identity:Ids.go_on_behind", "if milliseconds >= self._milliseconds:", "if False:"),
    ),
    mutant(
        "synchronous normal",
        "the log is not synced at each commit",
        (
            "store.sqlite:SqliteStore._migrate",
            'self._connection.execute("begin immediate")',
            'self._connection.execute("pragma synchronous=normal")\n    self._connection.execute("begin immediate")',
        ),
    ),
    mutant(
        "synchronous off",
        "nothing is ever synced",
        (
            "store.sqlite:SqliteStore._migrate",
            'self._connection.execute("begin immediate")',
            'self._connection.execute("pragma synchronous=off")\n    self._connection.execute("begin immediate")',
        ),
    ),
)
