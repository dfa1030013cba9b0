# ruff: noqa: E501 - tables of cases and rows read better in one line
"""A record for the views: two tenants, and a small shell that lets the real order process write an order's life."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.canonical.events import Event
from crossdock.canonical.orders import Order, OrderLine
from crossdock.canonical.parties import Address, Party
from crossdock.durable.identity import Ids, ManualClock, to_micros
from crossdock.governance import tenants
from crossdock.governance.configuration import Configuration, compile_pack
from crossdock.processes import order_fulfillment
from crossdock.processes.order_state import OrderState, summary
from crossdock.processes.outcome import DecisionContext, StockPosition
from crossdock.store import aggregates, issues, journal, messages, outbound, payloads
from crossdock.store.engine import Connection, Store, open_store

START = datetime.fromisoformat("2026-11-23T16:00:00+00:00")

PACK = {
    "pack.yaml": "tenant: northgate\nname: Northgate\ntimezone: America/Los_Angeles\ncurrency: USD\n",
    "partners/all.yaml": (
        "- {partner: erp, name: Northgate ERP, role: erp}\n- {partner: shop, name: Web shop, role: shop}\n"
        "- {partner: reno, name: Reno warehouse, role: wms, silent_after_minutes: 60}\n"
        "- {partner: swift, name: Swift, role: 3pl}\n- {partner: tms, name: Cargoline, role: carrier}\n"
        "- {partner: desk, name: Service desk, role: service_desk}\n"
    ),
    "connections/all.yaml": "".join(
        f"- connection: {name}\n  partner: {name}\n  connector: http_json\n  inbound: [{{map: erp-order}}]\n"
        for name in ("erp", "shop", "reno", "swift", "tms", "desk")
    ),
    "maps/erp-order.yaml": (
        "map: erp-order\nfrom: {format: json}\nto: {object: order, event: crossdock.order.released.v1}\nset:\n"
        "  number: required(no)\n  region: upper(state)\n  lines:\n    each: items as item, n\n"
        "    set: {line_no: text(n), sku: item.sku, quantity: number(item.qty)}\n"
    ),
    "sites.yaml": (
        "sites:\n  - {site: reno, partner: reno, timezone: America/Los_Angeles, cost_rank: 1}\n"
        "  - {site: swift, partner: swift, timezone: America/Chicago, cost_rank: 2}\n"
    ),
    "service_levels.yaml": "service_levels:\n  - {service_level: standard, ship_days: 1, transit_days: 3}\n",
    "rules/sourcing.yaml": (
        "rules:\n  - {rule: has stock, kind: stock}\n  - {rule: cheapest, kind: cost}\n"
        "  - {rule: split, kind: split_policy, split: quantities, sites_max: 2}\n"
    ),
    "rules/orders.yaml": "default_service_level: standard\n",
}

_encode = msgspec.json.Encoder(decimal_format="string").encode


class Hub:
    """Writes what the flow writes, one event at a time, so that a test can tell a story of its own."""

    def __init__(self, store: Store, configuration: Configuration, tenant_id: str = "northgate") -> None:
        self.store, self.configuration, self.tenant_id = store, configuration, tenant_id
        self.clock = ManualClock(START)
        self.ids = Ids(self.clock, seed=11)
        self.stock = {("reno", "A"): 40, ("swift", "A"): 60, ("reno", "B"): 100}
        self.sent_to = {
            "fulfillment_request": "", "fulfillment_cancel": "", "shipment_confirmation": "erp", "order_status": "shop",
            "invoice_release": "erp", "service_case": "desk",
        }  # fmt: skip
        self.hold_back: set[str] = set()
        self.states: dict[str, OrderState] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def later(self, minutes: float) -> None:
        self.clock.move_to(self.now + timedelta(minutes=minutes))

    def release(self, number: str = "SO-1001", quantity: int = 100, customer: str = "Ann Ames", **fields: Any) -> None:
        """Let the ERP release an order of SKU A, and two of SKU B."""
        order = Order(
            number=number,
            lines=(
                OrderLine("1", "A", Decimal(quantity), description="Anvil", unit_price=Decimal("10.00")),
                OrderLine("2", "B", Decimal(2), description="Bell", unit_price=Decimal("2.50")),
            ),
            customer=Party(name=customer),
            ship_to=Address(name=customer, city="Reno", region="NV", postcode="89 501", country="US"),
            currency="USD",
            **fields,
        )
        self.tell(number, "crossdock.order.released.v1", order, "erp")

    def tell(
        self, number: str, kind: str, data: Any, partner: str, *, message_id: str = "", at: datetime | None = None
    ) -> str:
        """Let a partner tell something about an order; return the id of the event."""
        plain = msgspec.json.decode(_encode(data))
        event = Event(
            self.ids.new("evt", self.now), self.tenant_id, kind, f"order/{number}", plain, at or self.now, self.now,
            message_id=message_id or self.ids.new("msg", self.now), partner=partner,
        )  # fmt: skip
        stock = {key: StockPosition(Decimal(value), self.now) for key, value in self.stock.items()}
        context = DecisionContext(self.configuration.compiled_policy, self.now, stock)
        outcome = order_fulfillment.decide(self.states.get(number), event, context)
        assert not outcome.parked_until, outcome
        self.states[number] = outcome.state
        self.store.write_now(lambda c: self._save(c, number, event, outcome))
        return event.id

    def _save(self, connection: Connection, number: str, event: Event, outcome: Any) -> None:
        subject, now = f"order/{number}", to_micros(self.now)
        facts = [
            Event(
                self.ids.new("evt", self.now), self.tenant_id, new.type, subject, msgspec.json.decode(_encode(new.data)),
                event.occurred_at, self.now, causation_id=event.id, message_id=event.message_id,
            )
            for new in outcome.events
        ]  # fmt: skip
        journal.append(connection, [event, *facts])
        shown = summary(outcome.state)
        row = aggregates.AggregateRow(
            self.tenant_id, "order", number, "ord_" + number, 1, shown.status, shown.customer, shown.region,
            to_micros(shown.due_at) if shown.due_at else None, int(shown.at_risk),
            int(shown.value.amount * 100) if shown.value else 0, now, now, _encode(outcome.state),
        )  # fmt: skip
        aggregates.save(connection, [row])
        sites = sorted({f.site for f in outcome.state.fulfillments})
        connection.execute(
            "update aggregates set sites = ? where tenant_id = ? and kind = 'order' and key = ?",
            ("," + ",".join(sites) + "," if sites else "", self.tenant_id, number),
        )
        names = [("order", number), *((ref.type, ref.value) for ref in outcome.references)]
        aggregates.name(connection, [(self.tenant_id, kind, subject, value) for kind, value in names])
        for request in outcome.requests:
            self._send(connection, subject, request, facts[-1].id if facts else event.id, event.message_id)

    def _send(self, connection: Connection, subject: str, request: Any, cause: str, message_id: str) -> None:
        partner = self.sent_to[request.kind] or self.configuration.sites[request.site].partner
        waits = partner in self.hold_back
        content = _encode(request.document)
        digest = payloads.digest_of(content)
        out = self.ids.new("msg", self.now)
        payloads.save(connection, [(self.tenant_id, out, digest, content)])
        outbound.insert(
            connection,
            [
                outbound.OutboundRow(
                    self.tenant_id, out, partner, partner, request.kind, request.kind, subject, f"{partner}/{subject}", request.key,
                    request.key, "pending", "none", None, digest, len(content), "application/json", f"{request.kind}.json", None,
                    content, "a-map", "rel_1", cause, message_id, to_micros(self.now), "", "", "", "",
                )
            ],
        )  # fmt: skip
        if not waits:
            sent = to_micros(self.now + timedelta(seconds=2))
            outbound.book(connection, [("sent", 1, None, sent, "", "", "", "ref-1", self.tenant_id, out)])
            outbound.insert_attempts(
                connection,
                [outbound.AttemptRow(self.tenant_id, out, 1, "done", sent, 12.5, 202, "", "", b'{"ok": true}')],
            )

    def receive(
        self,
        content: bytes,
        connection_id: str = "erp",
        *,
        state: str = "processed",
        name: str = "a.json",
        documents: Any = (),
        **fields: Any,
    ) -> str:
        """Store an inbound message with its documents as the doors and the translation do; return its id."""
        message_id = self.ids.new("msg", self.now)
        digest = hashlib.sha256(content).digest()
        row = messages.InboundRow(
            self.tenant_id, message_id, connection_id, connection_id, state, message_id, digest, len(content), "application/json",
            name, None, to_micros(self.now), "rel_1", fields.get("duplicate_of", ""), "",
        )  # fmt: skip
        rows = [
            messages.DocumentRow(
                self.tenant_id, self.ids.new("doc", self.now), message_id, place, d.get("pointer", ""), d.get("type", "json"),
                d.get("map", "erp-order"), d.get("object", "order"), d.get("event_type", ""), d.get("state", "applied"),
                d.get("awaits", ""), d.get("subject", ""), d.get("business_key", ""), d.get("canonical"), None, "rel_1",
                d.get("byte_offset", 0), d.get("byte_length", len(content)), "", to_micros(self.now),
            )
            for place, d in enumerate(documents)
        ]  # fmt: skip

        def write(connection: Connection) -> None:
            payloads.save(connection, [(self.tenant_id, message_id, digest, content)])
            messages.insert_inbound(connection, [row])
            messages.insert_documents(connection, rows)

        self.store.write_now(write)
        return message_id

    def fault(self, *, cause: str, object_id: str, subject: str = "", code: str = "XD-MAP-014", **fields: Any) -> str:
        """Open an exception; return the issue's id."""
        row = issues.Fault(
            self.tenant_id, code, cause, fields.pop("title", "A fault"), fields.pop("object_kind", "document"), object_id,
            subject=subject, **fields,
        )  # fmt: skip
        return self.store.write_now(
            lambda c: issues.raise_faults(c, [row], ids=self.ids, now_micros=to_micros(self.now))
        )[0]

    def read(self, view: Any, *arguments: Any, **named: Any) -> Any:
        """Ask a view as this tenant."""
        return self.store.read_now(lambda c: view(c, self.tenant_id, *arguments, **named))


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    return compile_pack(PACK, release_id="rel_1")


def _hub(store: Store, configuration: Configuration) -> Hub:
    for tenant_id in ("northgate", "southgate"):
        store.write_now(lambda c, name=tenant_id: tenants.create(c, name, name.title(), at=START))
    return Hub(store, configuration)


@pytest.fixture
def hub(tmp_path: Path, configuration: Configuration) -> Iterator[Hub]:
    """An SQLite record with two tenants, told from Northgate's side."""
    store = open_store(f"sqlite:///{tmp_path / 'record.db'}")
    yield _hub(store, configuration)
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_hub(request: pytest.FixtureRequest, tmp_path: Path, configuration: Configuration) -> Iterator[Hub]:
    """The same on each engine."""
    url = (
        request.getfixturevalue("database") if request.param == "postgresql" else f"sqlite:///{tmp_path / 'record.db'}"
    )
    store = open_store(url)
    yield _hub(store, configuration)
    store.close()


@pytest.fixture
def foreign(hub: Hub) -> Hub:
    """The same record seen by the other tenant."""
    other = Hub(hub.store, hub.configuration, "southgate")
    other.ids = hub.ids
    return other
