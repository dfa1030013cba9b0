"""Everything one cycle is going to write, gathered in memory and saved with one statement per table.

The stages fill a `Batch`; `save` writes it. No stage writes a row by itself, so a cycle costs the same few statements
whether it carries one message or five hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..canonical.events import Event
from ..canonical.inventory import AVAILABLE
from ..durable.identity import Ids, to_micros
from ..store import (
    aggregates,
    case_counts,
    drifts,
    issues,
    journal,
    messages,
    outbound,
    own_words,
    payloads,
    shapes,
    statements,
    stock,
)
from ..store.engine import Connection, Row


class Ready(msgspec.Struct):
    """An outbound message that may be sent as soon as the cycle is committed, with its bytes still in memory.

    One that waits in a long queue is not `loaded`: its bytes and headers are in the record until its turn comes.
    """

    tenant_id: str
    message_id: str
    connection_id: str
    lane: str
    identity: str
    document_type: str
    content: bytes
    content_type: str
    headers: Mapping[str, str]
    name: str
    attempts: int = 0
    state: str = "sending"
    due_at: float = 0.0
    loaded: bool = True
    # How many attempts ended in each class of error; made with the first that failed.
    tries: dict[str, int] | None = None
    # The process ended during its last attempt: it may be what ended it.
    cut_off: bool = False
    # The ledger did not take its reservation: in the record it is another connection's, or settled.
    refused: bool = False

    def tried(self, error_class: str) -> None:
        """Count an attempt that ended in a class of error."""
        # A new one each time: an outcome that is being booked keeps the old.
        tries = self.tries or {}
        self.tries = {**tries, error_class: tries.get(error_class, 0) + 1}


def ready_of_row(row: Row, content: bytes) -> Ready:
    """Return a stored outbound message (store.outbound.OUTBOUND_COLUMNS) as it goes to the sender."""
    return Ready(
        tenant_id=row[31],
        message_id=row[0],
        connection_id=row[1],
        lane=row[6],
        identity=row[8],
        document_type=row[3],
        content=content,
        content_type=row[16],
        headers=msgspec.json.decode(row[18], type=dict[str, str]) if row[18] else {},
        name=row[17],
        attempts=row[12],
        state=row[9],
        due_at=0.0 if row[13] is None else row[13] / 1e6,
    )


class Position:
    """A stock position while a batch works on it."""

    __slots__ = ("as_of", "fresh", "on_hand", "reserved")

    def __init__(self, on_hand: Decimal, reserved: Decimal, as_of: int | None, *, fresh: bool = False) -> None:
        self.fresh = fresh
        self.on_hand = on_hand
        self.reserved = reserved
        self.as_of = as_of


class Batch:
    """The writes of one cycle."""

    def __init__(
        self,
        connection: Connection,
        ids: Ids,
        now: datetime,
        unwritten: Mapping[str, messages.InboundRow] | None = None,
    ) -> None:
        self.connection = connection
        # Rows of messages that are stored and settled in one transaction.
        self._unwritten = unwritten or {}
        self.ids = ids
        self.now = now
        self.now_micros = to_micros(now)
        self.events: list[Event] = []
        self.encoded: list[bytes | None] = []
        self.inbound_settled: list[tuple[str, int, int, str, str, str, str, str]] = []
        self.documents: list[messages.DocumentRow] = []
        self.documents_settled: list[tuple[Any, ...]] = []
        self.aggregates: list[aggregates.AggregateRow] = []
        self.created: list[aggregates.AggregateRow] = []
        self.states: list[aggregates.AggregateRow] = []
        self.names: list[tuple[str, str, str, str]] = []
        self.timers_set: dict[tuple[str, str, str], int] = {}
        self.timers_cancelled: set[tuple[str, str, str]] = set()
        self.contents: list[tuple[str, str, bytes, bytes]] = []
        self.outbound: list[outbound.OutboundRow] = []
        self.sets: list[tuple[str, str, str, str, str, str, str]] = []
        self.ready: list[Ready] = []
        self.faults: list[issues.Fault] = []
        self.resolved: dict[tuple[str, str], dict[str, None]] = {}
        self.judged_again: list[tuple[str, str, str]] = []
        self.positions: dict[tuple[str, str, str], Position] = {}
        self.positions_changed: set[tuple[str, str, str]] = set()
        self.loads: dict[tuple[str, str, str], int] = {}
        self.loads_added: dict[tuple[str, str, str], int] = {}
        self.reports_known: dict[tuple[str, str, str], bytes] = {}
        self.reports: list[tuple[str, str, str, bytes, str, int]] = []
        # (tenant_id, site, moved_at, movement_id, sku, lot, status, kind, delta, reference, subject, recorded_at)
        self.movements: list[tuple[Any, ...]] = []
        # What sites last said, loaded with their first snapshot: (tenant, site) → shelf → (quantity, as_of)
        self.shelves: dict[tuple[str, str], dict[tuple[str, str, str], tuple[Decimal, int]]] = {}
        self.shelves_changed: set[tuple[str, str, str, str, str]] = set()
        self.drifts: list[tuple[Any, ...]] = []
        self.statements: list[tuple[Any, ...]] = []
        self.acknowledged: list[tuple[str, str, str]] = []
        self.interchange_rows: list[tuple[Any, ...]] = []
        self.shapes: list[shapes.ShapeRow] = []
        # What we told connections that may tell it back: (tenant, connection, object, key) → digest; see ownership.py.
        self.own_changes: dict[tuple[str, str, str, str], bytes] = {}
        self.own_known: dict[tuple[str, str, str, str], set[bytes]] = {}
        self.own_forgotten: list[tuple[str, str, str, str]] = []
        self.cases_opened: dict[tuple[str, str], int] = {}

    def event(
        self,
        tenant_id: str,
        kind: str,
        subject: str,
        data: Any,
        *,
        occurred_at: datetime | None = None,
        correlation_id: str = "",
        causation_id: str = "",
        message_id: str = "",
        partner: str = "",
        release_id: str = "",
        traceparent: str = "",
    ) -> Event:
        """Make an event of this cycle; the caller decides when it joins the journal (`record`)."""
        return Event(
            id=self.ids.new("evt", self.now),
            tenant_id=tenant_id,
            type=kind,
            subject=subject,
            data=data,
            occurred_at=occurred_at or self.now,
            recorded_at=self.now,
            correlation_id=correlation_id,
            causation_id=causation_id,
            message_id=message_id,
            partner=partner,
            release_id=release_id,
            traceparent=traceparent,
        )

    def record(self, event: Event, encoded: bytes | None = None) -> None:
        """Add an event to the journal; `encoded` spares writing its data once more."""
        self.events.append(event)
        self.encoded.append(encoded)

    def resolve(self, tenant_id: str, object_id: str, resolution: str) -> None:
        """Take back the open faults of an object."""
        self.resolved.setdefault((tenant_id, resolution), {})[object_id] = None

    def set_timer(self, tenant_id: str, subject: str, name: str, due_at: datetime | None) -> None:
        """Set a deadline, or cancel it with None; the last word of the cycle counts."""
        key = (tenant_id, subject, name)
        if due_at is None:
            self.timers_set.pop(key, None)
            self.timers_cancelled.add(key)
        else:
            self.timers_cancelled.discard(key)
            self.timers_set[key] = to_micros(due_at)

    def load_stock(self, tenant_id: str, skus: set[str]) -> None:
        """Bring the positions of some SKUs into memory, once per cycle."""
        wanted = sorted(sku for sku in skus if (tenant_id, "", sku) not in self.positions)
        if not wanted:
            return
        for (site, sku), (on_hand, reserved, as_of) in stock.load(self.connection, tenant_id, wanted).items():
            self.positions.setdefault((tenant_id, site, sku), Position(on_hand, reserved, as_of))
        for sku in wanted:
            # A marker that this SKU was looked up, so that an unknown SKU is not asked for again.
            self.positions[(tenant_id, "", sku)] = Position(Decimal(0), Decimal(0), None)

    def requests_of(self, tenant_id: str, days: Mapping[str, str]) -> dict[str, int]:
        """Return how many requests some sites were given on a day each; read once a cycle."""
        missing = [(site, day) for site, day in days.items() if (tenant_id, site, day) not in self.loads]
        if missing:
            found = stock.site_loads(self.connection, tenant_id, missing)
            for place in missing:
                self.loads[(tenant_id, *place)] = found.get(place, 0)
        return {site: self.loads[(tenant_id, site, day)] for site, day in days.items()}

    def count_request(self, tenant_id: str, site: str, day: str) -> None:
        """Count a request that a site is given on a day of its own calendar."""
        place = (tenant_id, site, day)
        self.requests_of(tenant_id, {site: day})
        self.loads[place] += 1
        self.loads_added[place] = self.loads_added.get(place, 0) + 1

    def load_reports(self, tenant_id: str, reports: set[str]) -> None:
        """Bring into memory which of some stock reports were applied before."""
        for (report, site), digest in stock.reports_of(self.connection, tenant_id, sorted(reports)).items():
            self.reports_known.setdefault((tenant_id, report, site), digest)

    def move(
        self,
        place: tuple[str, str, str, str, str],
        delta: Decimal,
        kind: str,
        moved_at: int,
        *,
        movement_id: str,
        reference: str = "",
        subject: str = "",
    ) -> None:
        """Book a movement at (tenant_id, site, sku, lot, status); what can be promised follows.

        A movement that is not newer than the site's last word is in that word already: it is kept, and changes nothing.
        """
        tenant_id, site, sku, lot, status = place
        moved_at = min(moved_at, self.now_micros)
        self.movements.append(
            (
                tenant_id,
                site,
                moved_at,
                movement_id,
                sku,
                lot,
                status,
                kind,
                str(delta),
                reference,
                subject,
                self.now_micros,
            )
        )
        if status == AVAILABLE:
            position = self.position(tenant_id, site, sku)
            if position.as_of is None or moved_at > position.as_of:
                position.on_hand += delta

    def position(self, tenant_id: str, site: str, sku: str) -> Position:
        """Return a position to change; a new one starts at zero."""
        key = (tenant_id, site, sku)
        self.positions_changed.add(key)
        found = self.positions.get(key)
        if found is None:
            self.load_stock(tenant_id, {sku})
            found = self.positions.setdefault(key, Position(Decimal(0), Decimal(0), None, fresh=True))
        return found

    def save(self) -> None:
        """Write everything, one statement per table."""
        connection = self.connection
        if self.documents:
            messages.insert_documents(connection, self.documents)
        if self.documents_settled:
            messages.settle_documents(connection, self.documents_settled)
        if self.inbound_settled:
            self._save_inbound()
        if self.created:
            aggregates.create(connection, self.created)
        if self.aggregates:
            aggregates.save(connection, self.aggregates)
        if self.states:
            aggregates.save_states(connection, self.states)
        if self.names:
            aggregates.name(connection, self.names)
        if self.events:
            journal.append(connection, self.events, self.encoded)
        if self.contents:
            payloads.save(connection, self.contents)
        if self.outbound:
            outbound.insert(connection, self.outbound)
        if self.sets:
            outbound.remember_sets(connection, self.sets)
        self._save_rare()

    def _save_inbound(self) -> None:
        unwritten = self._unwritten
        if not unwritten:
            messages.settle_inbound(self.connection, self.inbound_settled)
            return
        written: list[messages.InboundRow] = []
        stored: list[Any] = []
        for settled in self.inbound_settled:
            row = unwritten.get(settled[-1])
            if row is None:
                stored.append(settled)
                continue
            (row.state, row.processed_at, row.document_count, row.error_code, row.error, row.release_id, *_) = settled
            written.append(row)
        messages.insert_inbound(self.connection, written)
        if stored:
            messages.settle_inbound(self.connection, stored)

    def _save_rare(self) -> None:
        connection = self.connection
        if self.timers_cancelled:
            aggregates.cancel_timers(connection, sorted(self.timers_cancelled))
        if self.timers_set:
            aggregates.set_timers(connection, [(*key, due) for key, due in self.timers_set.items()])
        if self.positions_changed:
            known: list[tuple[Any, ...]] = []
            fresh: list[tuple[Any, ...]] = []
            for key in sorted(self.positions_changed):
                found = self.positions[key]
                row = (*key, found.on_hand, found.reserved, found.as_of, self.now_micros)
                (fresh if found.fresh else known).append(row)
            stock.save(connection, known)
            stock.create(connection, fresh)
        if self.loads_added:
            stock.add_site_loads(connection, [(*place, count) for place, count in sorted(self.loads_added.items())])
        if self.movements:
            stock.add_movements(connection, self.movements)
        if self.reports:
            self._save_reports()
        if self.statements:
            statements.insert(connection, self.statements)
        if self.interchange_rows:
            connection.executemany(
                "insert into interchanges (tenant_id, sender, receiver, control_number, usage, digest, message_id,"
                " acknowledgment_id, received_at) values (?,?,?,?,?,?,?,?,?)",
                self.interchange_rows,
            )
        for tenant_id, message_id, ack_state in self.acknowledged:
            outbound.book_acknowledgment(connection, tenant_id, message_id, ack_state)
            if ack_state != "overdue":
                issues.resolve_objects(
                    connection, tenant_id, [message_id], "acknowledged after all", self.now_micros, code="XD-EDI-092"
                )
        for (tenant_id, resolution), objects in self.resolved.items():
            issues.resolve_objects(connection, tenant_id, list(objects), resolution, self.now_micros)
        for tenant_id, object_id, cause in self.judged_again:
            issues.resolve_other_causes(
                connection, tenant_id, object_id, cause, "fails for another reason now", self.now_micros
            )
        if self.own_forgotten:
            own_words.forget(connection, self.own_forgotten)
        if self.own_changes:
            own_words.remember(
                connection, [(*place, digest, self.now_micros) for place, digest in sorted(self.own_changes.items())]
            )
        if self.cases_opened:
            case_counts.count(connection, self.cases_opened)
        if self.shapes:
            shapes.save(connection, self.shapes)
        if self.faults:
            issues.raise_faults(connection, self.faults, ids=self.ids, now_micros=self.now_micros)

    def _save_reports(self) -> None:
        connection = self.connection
        stock.insert_reports(connection, self.reports)
        kept, gone = [], []
        for key in sorted(self.shelves_changed):
            found = self.shelves[key[:2]].get(key[2:])
            if found is None:
                gone.append(key)
            else:
                kept.append((*key, str(found[0]), found[1]))
        stock.remove_lots(connection, gone)
        stock.save_lots(connection, kept)
        if self.drifts:
            drifts.insert(connection, self.drifts)
