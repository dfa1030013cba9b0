"""Mutants of translate, orchestrate and what is kept for later; and of the queries they ask."""

from __future__ import annotations

from .patching import mutant

MUTANTS = (
    mutant(
        "effects asked for without tenant",
        "an effect of one tenant counts for another",
        (
            "store.outbound:known_requests",
            "from outbound_messages where tenant_id = ?",
            "from outbound_messages where ? <> ''",
        ),
    ),
    mutant(
        "effects not asked for",
        "nothing looks whether an effect exists already",
        (
            "store.outbound:known_requests",
            "return {(row[0], row[1]) for row in rows}",
            "return set()",
        ),
    ),
    mutant(
        "orders without tenant",
        "the state of another tenant's order is loaded",
        ("store.aggregates:load", "from aggregates where tenant_id = ? and", "from aggregates where ? <> '' and"),
    ),
    mutant(
        "names without tenant",
        "a shipment or tracking number is looked up among all tenants",
        ("store.aggregates:resolve", "from identifiers where tenant_id = ? and", "from identifiers where ? <> '' and"),
    ),
    mutant(
        "stock without tenant",
        "positions of another tenant are loaded",
        ("store.stock:load", "from inventory where tenant_id = ? and", "from inventory where ? <> '' and"),
    ),
    mutant(
        "stock reports without tenant",
        "an adjustment counts as applied because another tenant had one of that number",
        ("store.stock:reports_of", "where tenant_id = ? and report", "where ? <> '' and report"),
    ),
    mutant(
        "waiting papers without tenant",
        "what another tenant parked is taken up",
        ("store.messages:documents_awaiting", "where tenant_id = ? and state in", "where ? <> '' and state in"),
    ),
    mutant(
        "parked never released",
        "what came before its order waits for ever",
        ("flow.orchestrate:Orchestration._set_free", "self.freed += freed\n        items += freed", "pass"),
        ("flow.orchestrate:Orchestration._set_free", "items += self._taken_up(tenant_id, name)", "pass"),
    ),
    mutant(
        "parked dropped",
        "what waits for its order is booked as applied",
        ("flow.orchestrate:Orchestration._park", "parked", "applied"),
    ),
    mutant(
        "held never released",
        "a code that was missing sets nothing free",
        ("bootstrap.tenancy:Tenancy._release_held", "self.pipeline.resume(stored)", "pass"),
    ),
    mutant(
        "released twice",
        "a held paper that two releases set free is applied twice",
        ("flow.ingest:still_to_run", "    return kept[::-1]", "    return stored"),
    ),
    mutant(
        "adjustments applied again",
        "a stock report is applied whenever it comes",
        ("flow.inventory:apply_stock", "if known is not None:", "if False:"),
        ("store.stock:insert_reports", '"insert into stock_reports', '"insert or replace into stock_reports'),
    ),
    mutant(
        "snapshots taken for adjustments",
        "an adjustment replaces what it should add to",
        ("flow.batch:Batch.move", "position.on_hand += delta", "position.on_hand = delta"),
    ),
    mutant(
        "acknowledgments not owed",
        "an interchange gets no 997",
        ("flow.acknowledge:owed", "if spec.x12 is None:", "if True:"),
    ),
    mutant(
        "commitments not booked",
        "what leaves is not taken off the stock",
        ("flow.inventory:commitments", "shipped + line.shipped)", "shipped)"),
    ),
)
