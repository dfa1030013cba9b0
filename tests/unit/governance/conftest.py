# ruff: noqa: E501 - tables of cases and rows read better in one line
"""A record with two tenants, on SQLite and where asked on PostgreSQL, and a small pack that compiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossdock.durable.identity import Ids, ManualClock
from crossdock.governance import releases, tenants
from crossdock.store.engine import Store, open_store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

MAP_IN = """\
map: erp-order
from: {format: json}
to: {object: order, event: crossdock.order.released.v1}
lookups: [services]
set:
  number: required(no)
  service_level: lookup("services", service, "standard")
  lines:
    each: lines as line
    set: {line_no: line.n, sku: line.sku, quantity: number(line.qty)}
tests:
  - name: one line
    given: {no: SO-1, service: X, lines: [{n: "1", sku: A, qty: "2"}]}
    lookups: {services: {X: express}}
    expect: {number: SO-1, service_level: express}
"""

MAP_OUT = """\
map: reno-order
from: {object: fulfillment_request}
to: {format: json}
set:
  order: order_number
  lines:
    each: lines as line
    set: {sku: line.sku, qty: line.quantity}
tests:
  - name: the order's number
    given: {order_number: SO-1, lines: [{sku: A, quantity: 2}]}
    expect: {order: SO-1}
"""

PACK = {
    "pack.yaml": "tenant: northgate\nname: Northgate\ntimezone: America/Los_Angeles\n",
    "partners/erp.yaml": "partner: erp\nname: Northgate ERP\nrole: erp\n",
    "partners/reno.yaml": "partner: reno\nname: Reno warehouse\nrole: wms\n",
    "connections/erp.yaml": (
        "connection: erp-in\npartner: erp\nconnector: http_json\nauthentication: {kind: api_key}\n"
        "inbound:\n  - {map: erp-order, when: 'kind == \"order\"'}\n  - {map: erp-order, name_glob: 'orders-*.json'}\n"
    ),
    "connections/reno.yaml": (
        "connection: reno-out\npartner: reno\nconnector: http_json\nsecrets: {token: 'secret:reno-token'}\n"
    ),
    "maps/erp-order.yaml": MAP_IN,
    "maps/reno-order.yaml": MAP_OUT,
    "lookups/services.yaml": "table: services\n# what the ERP calls our service levels\nrows:\n  X: express\n  N: standard\n",
    "routes.yaml": (
        "- {document: fulfillment_request, connection: reno-out, map: reno-order, when: 'site == \"reno\"'}\n"
        "- {document: fulfillment_request, connection: reno-out, map: reno-order, when: 'service_level == \"express\"'}\n"
    ),
    "sites.yaml": "sites:\n  - {site: reno, partner: reno, timezone: America/Los_Angeles}\n",
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ids(clock: ManualClock) -> Ids:
    return Ids(clock, seed=7)


def _with_tenants(store: Store) -> Store:
    for tenant_id in ("northgate", "southgate"):
        store.write_now(lambda c, name=tenant_id: tenants.create(c, name, name.title(), at=NOW, operator="beacon"))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An SQLite record with two tenants."""
    opened = open_store(f"sqlite:///{tmp_path / 'record.db'}")
    yield _with_tenants(opened)
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The same record on each engine."""
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("database") if postgres else f"sqlite:///{tmp_path / 'record.db'}"
    opened = open_store(url)
    yield _with_tenants(opened)
    opened.close()


@pytest.fixture
def pack() -> dict[str, str]:
    return dict(PACK)


@pytest.fixture
def applied(store: Store, ids: Ids) -> Callable[..., Any]:
    """Apply a pack for Northgate and return the release."""

    def run(files: dict[str, str], note: str = "") -> Any:
        return store.write_now(
            lambda c: releases.apply(c, "northgate", files, author="ann", note=note, at=NOW, ids=ids)
        )

    return run
