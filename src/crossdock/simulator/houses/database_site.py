"""A warehouse that is reached by procedures of its PostgreSQL alone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg

from ..clock import Timeline
from ..ledger import Entry, Ledger, lines_of
from ..world import clock_time

PICKING = timedelta(minutes=30)
PROCEDURES = """
create table tickets (
  id bigserial, identity text primary key, document_type text, content text, picked bool default false
);
create table events (place bigserial primary key, identity text, content text);
create table told (place bigint);
insert into told values (0);
create procedure hub_put(identity text, document_type text, content text) language sql as $$
  insert into tickets (identity, document_type, content) values ($1, $2, $3) on conflict do nothing
$$;
create function hub_get(after bigint, how_many integer) returns table (place bigint, identity text, content text)
language sql as $$
  select e.place, e.identity, e.content from events e
  where e.place > greatest(after, (select t.place from told t)) order by 1 limit how_many
$$;
create procedure hub_taken(up_to bigint) language sql as $$ update told set place = greatest(place, up_to) $$;
create function hub_known(name text) returns text language sql as $$
  select 'T-' || id from tickets where identity = name
$$;
"""


class DatabaseSite:
    """One site with ample stock of some articles. Its floor looks into its own tables; the hub calls procedures."""

    def __init__(self, name: str, skus: tuple[str, ...], timeline: Timeline, dsn: str) -> None:
        self.ledger = Ledger(name)
        self._name = name
        self._skus = skus
        self._timeline = timeline
        self._database = psycopg.connect(dsn, autocommit=True)
        self._database.execute(PROCEDURES)

    async def open(self) -> None:
        """Tell the stock, and look for tickets every five minutes from now on."""
        self._tell("stock", {"event": "stock", "lines": [{"sku": sku, "qty": 1000} for sku in self._skus]})
        first = self._timeline.clock.now()
        self._timeline.every(first, timedelta(minutes=5), clock_time("18:00"), f"{self._name}:read", self.read)

    async def read(self) -> None:
        """Take the new tickets."""
        rows = self._database.execute(
            "update tickets set picked = true where not picked returning identity, content"
        ).fetchall()
        for identity, content in sorted(rows):
            body = json.loads(content)
            self._book("request", str(body["ref"]), body, identity)
            self._timeline.after(PICKING, f"{self._name}:{body['ref']}", self._shipping(body))

    def close(self) -> None:
        """Let the database go."""
        self._database.close()

    def _shipping(self, body: dict[str, Any]) -> Any:
        async def ship() -> None:
            reference, order = str(body["ref"]), str(body["order"])
            shipment, tracking = f"{self._name[0].upper()}-{reference}", f"T{reference.replace('-', '')}"
            self._book("shipment", shipment, body, tracking)
            paper = {"event": "shipped", "shipment": shipment, "ref": reference, "order": order, "tracking": tracking}
            self._tell(shipment, {**paper, "lines": body["lines"]})

        return ship

    def _book(self, kind: str, business: str, body: dict[str, Any], key: str) -> None:
        lines = lines_of((line["sku"], line["qty"]) for line in body["lines"])
        self.ledger.book(Entry(self._timeline.clock.now(), kind, business, key, str(body["order"]), lines))

    def _tell(self, identity: str, document: dict[str, Any]) -> None:
        now = self._timeline.clock.now()
        content = json.dumps({**document, "at": now.isoformat()})
        self._database.execute("insert into events (identity, content) values (%s, %s)", (identity, content))
        self.ledger.book(Entry(now, "told", identity))
