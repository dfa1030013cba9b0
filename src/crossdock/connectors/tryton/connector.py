"""Tryton 8 over its REST interface: pull confirmed sales; ship, invoice and count what the warehouses report.

Tryton has no idempotency keys and no call that does several things at once. So every telling is a short walk of small
steps, each of which Tryton commits: our reference is written into the record with the first one, and whoever comes
again (a retry, or `find`) looks the record up by it and goes on from the state it finds. A step is never done twice,
because the state of the record says that it has been done.

    ship      waiting → (reference and quantities written) → assigned → picked → packed → done
    invoice   draft → (reference written) → validated → posted
    count     draft → (reference noted) → done
    note      (written with our reference)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from ...errors import ConfigurationError, Finding, PermanentError, TransientError
from ...sdk import CheckResult, ConnectorContext, FindResult, Outbound, Pulled, PushResult
from ..egress import MalformedAddress, parse_url
from ..rest import NotYet, Refused, RestClient, checked, decode_payload, found, pushed, required_secret
from .documents import (
    SALE_FIELDS,
    Count,
    Invoice,
    Note,
    Quantity,
    Ship,
    Telling,
    is_marked,
    mark_of,
    plain,
    quantity_text,
    sale_document,
    typed_instant,
)

SALES_PER_PAGE = 50
SEEN_MAX = 10_000
COUNTS_LOOKED_AT = 40
CONTRADICTION = "XD-PTR-041"
_SHIPMENT_FIELDS = (
    "number",
    "reference",
    "state",
    "warehouse.code",
    *(
        f"{kind}_moves.{name}"
        for kind in ("outgoing", "inventory")
        for name in ("quantity", "product.code", "origin", "state")
    ),
)
_INVOICE_FIELDS = ("number", "reference", "state", "lines.quantity", "lines.origin", "lines.product.code")
# What comes next in each state of a shipment that is ours.
_NEXT = {"waiting": "assign_try", "assigned": "pick", "picked": "pack", "packed": "do", "shipped": "do"}
_STEPS_MAX = 8
_LAST_STATES = ("done", "posted", "paid")


class TrytonSettings(msgspec.Struct, frozen=True):
    """What `manifest.toml` describes, with its types."""

    url: str
    database: str
    company: int = 1
    states: tuple[str, ...] = ("confirmed", "processing")
    warehouses: tuple[str, ...] = ()
    overlap_seconds: float = 60.0
    poll_start: str = ""
    force_assignment: bool = True


def create(context: ConnectorContext) -> Tryton:
    """Return the connector of one connection; raises ConfigurationError for settings that cannot work."""
    return Tryton(context)


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what the manifest's types alone cannot see."""
    del secrets
    findings = []
    try:
        parse_url(str(settings.get("url", "")))
    except MalformedAddress as error:
        findings.append(Finding("XD-CFG-003", str(error), pointer="/settings/url"))
    unknown = [one for one in settings.get("states", ()) if one not in ("confirmed", "processing", "done", "cancelled")]
    if unknown:
        findings.append(
            Finding("XD-CFG-003", f"{unknown[0]!r} is no state of a released sale", pointer="/settings/states")
        )
    return findings


class Tryton:
    """One database of one Tryton server."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        try:
            self._settings = settings = msgspec.convert(dict(context.settings), TrytonSettings)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the settings cannot be read: {error}") from error
        headers = {
            "authorization": f"bearer {required_secret(context, 'key')}",
            # Without its company in the context Tryton refuses to make anything.
            "x-tryton-context": _base64({"company": settings.company}),
        }
        self._api = RestClient(context, f"{settings.url.rstrip('/')}/{quote(settings.database, safe='')}/rest", headers)
        self._since = settings.poll_start
        self._seen: dict[int, str] = {}
        self._posting = asyncio.Lock()

    async def check(self) -> CheckResult:
        """Ask for one sale and one shipment with the connection's own key."""

        async def ask() -> str:
            for model in ("sale.sale", "stock.shipment.out", "account.invoice"):
                await self._search(model, [], ("id",), limit=1)
            return f"{self._api.authority} answers for {self._settings.database}"

        return await checked(ask)

    # -- sales out

    async def pull(self) -> AsyncIterator[Pulled]:
        """Yield every sale that is new or was changed, oldest first, in pages.

        A new record has no `write_date`, so `create_date` is looked at as well. Transactions commit in another order
        than they were stamped in: the cursor stays `overlap_seconds` behind the newest stamp that is safe in the hub,
        and what was taken under the same stamp before is passed over. The cursor lives in memory; after a restart the
        hub's own receipt keys tell what it has.
        """
        since, last_id = self._since, 0
        stamps: list[str] = []
        safe: list[bool] = []
        complete = False

        def acknowledgment(index: int, sale_id: int) -> Callable[[], Awaitable[None]]:
            async def acknowledge() -> None:
                safe[index] = True
                self._seen[sale_id] = stamps[index]
                # Pages come by id, not by stamp: only the whole poll says that nothing older is left.
                if complete and all(safe):
                    self._advance(max(stamps))

            return acknowledge

        while True:
            page = await self._sales(since, last_id)
            for sale in page:
                last_id = sale["id"]
                stamp = plain(sale.get("write_date")) or plain(sale.get("create_date")) or ""
                if self._seen.get(last_id) == stamp:
                    continue
                document = sale_document(sale)
                content = msgspec.json.encode(document)
                stamps.append(stamp)
                safe.append(False)
                yield Pulled(
                    content,
                    f"sale-{last_id}.json",
                    "application/json",
                    acknowledgment(len(stamps) - 1, last_id),
                    receipt_key=f"{document['kind']}:{last_id}:{hashlib.sha256(content).hexdigest()[:20]}",
                )
            if len(page) < SALES_PER_PAGE:
                break
        complete = True
        if stamps and all(safe):
            self._advance(max(stamps))

    async def _sales(self, since: str, after_id: int) -> list[dict[str, Any]]:
        settings = self._settings
        domain: list[Any] = [
            ["id", ">", after_id],
            ["state", "in", list(settings.states)],
            ["company", "=", settings.company],
        ]
        if settings.warehouses:
            domain.append(["warehouse.code", "in", list(settings.warehouses)])
        if since:
            after = typed_instant(since)
            domain.append(["OR", ["write_date", ">=", after], ["create_date", ">=", after]])
        return await self._search("sale.sale", domain, SALE_FIELDS, limit=SALES_PER_PAGE)

    def _advance(self, newest: str) -> None:
        moment = datetime.fromisoformat(newest.replace("Z", "+00:00"))
        behind = moment - timedelta(seconds=self._settings.overlap_seconds)
        self._since = max(self._since, behind.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        if len(self._seen) > SEEN_MAX:
            self._seen = {sale: stamp for sale, stamp in self._seen.items() if stamp >= self._since}

    # -- shipments, invoices and stock back

    async def push(self, outbound: Outbound) -> PushResult:
        """Carry one telling through, from wherever an earlier attempt left it."""

        async def effect() -> PushResult:
            telling: Telling = decode_payload(outbound.content, Telling)
            if isinstance(telling, Ship):
                return await self._ship(telling)
            if isinstance(telling, Invoice):
                # One at a time: Tryton on SQLite gives one number to two invoices that are posted at once.
                async with self._posting:
                    return await self._invoice(telling)
            if isinstance(telling, Note):
                return await self._note(telling)
            return await self._count(telling)

        return await pushed(self._context, effect)

    async def find(self, outbound: Outbound) -> FindResult:
        """Look the record up by our reference. One that is not in its last state yet counts as absent: push goes on."""

        async def question() -> FindResult:
            telling: Telling = decode_payload(outbound.content, Telling)
            if isinstance(telling, Note):
                there = await self._is_noted(telling)
                return FindResult("found" if there else "absent", reference=telling.reference if there else "")
            if isinstance(telling, Ship):
                record = await self._marked("stock.shipment.out", telling.reference, ("state",))
            elif isinstance(telling, Invoice):
                record = await self._marked("account.invoice", telling.reference, ("state",))
            else:
                record = await self._inventory(telling)
            if record is None:
                return FindResult("absent", detail=f"nothing in Tryton bears {telling.reference}")
            if record["state"] in _LAST_STATES:
                return FindResult("found", reference=str(record.get("number") or record["id"]))
            return FindResult("absent", detail=f"{telling.reference} is begun and {record['state']}")

        return await found(question)

    async def _ship(self, ship: Ship) -> PushResult:
        shipment = await self._marked("stock.shipment.out", ship.reference, _SHIPMENT_FIELDS)
        if shipment is not None and shipment["state"] == "done":
            return _done(shipment, "it was booked already")
        if shipment is None:
            shipment = await self._begin(ship)
        for _ in range(_STEPS_MAX):
            state = shipment["state"]
            if state == "done":
                return _done(shipment)
            if state == "assigned" and not shipment["inventory_moves"]:
                action = "pack"  # a warehouse that ships from where it stores knows no picking
            elif state in _NEXT:
                action = _NEXT[state]
            else:
                raise Refused(f"shipment {shipment['number']} is {state} in Tryton", code=CONTRADICTION)
            await self._act("stock.shipment.out", shipment["id"], action)
            shipment = await self._read("stock.shipment.out", shipment["id"], _SHIPMENT_FIELDS)
            if shipment["state"] == state == "waiting":
                if not self._settings.force_assignment:
                    raise Refused(
                        f"Tryton has not enough stock for shipment {shipment['number']}",
                        code=CONTRADICTION,
                        hint="Correct the stock in Tryton, or set force_assignment.",
                    )
                await self._act("stock.shipment.out", shipment["id"], "assign_force")
                shipment = await self._read("stock.shipment.out", shipment["id"], _SHIPMENT_FIELDS)
        raise Refused(f"shipment {shipment['number']} does not get on in Tryton", code=CONTRADICTION)

    async def _begin(self, ship: Ship) -> dict[str, Any]:
        """Choose the open shipment of the sale that holds what was shipped, and write reference and quantities."""
        sale = await self._sale(ship.sale)
        shipments = await self._search(
            "stock.shipment.out",
            [
                ["moves.origin.sale", "=", sale["id"], "sale.line"],
                ["state", "in", ["draft", "waiting", "assigned"]],
            ],
            _SHIPMENT_FIELDS,
        )
        open_ones = [
            one
            for one in shipments
            if not one["reference"] and ship.warehouse in ("", (one.get("warehouse") or {}).get("code"))
        ]
        problem = f"sale {ship.sale} has no open shipment"
        for shipment in open_ones:
            problem = _misfit(shipment, ship.lines)
            if problem:
                continue
            if shipment["state"] != "waiting":
                await self._act("stock.shipment.out", shipment["id"], "wait")
                shipment = await self._read("stock.shipment.out", shipment["id"], _SHIPMENT_FIELDS)
            body: dict[str, Any] = {"reference": mark_of(ship)}
            writes = [
                part for move, quantity in _portions(shipment, ship.lines) for part in ([move], {"quantity": quantity})
            ]
            kind = "inventory_moves" if shipment["inventory_moves"] else "outgoing_moves"
            if writes:
                body[kind] = [["write", *writes]]
            await self._api.tell("PUT", f"/model/stock.shipment.out/{shipment['id']}?f=state", body)
            return await self._read("stock.shipment.out", shipment["id"], _SHIPMENT_FIELDS)
        raise Refused(problem, code=CONTRADICTION, hint="Compare the shipments of the sale in Tryton with the order.")

    async def _invoice(self, release: Invoice) -> PushResult:
        invoice = await self._marked("account.invoice", release.reference, _INVOICE_FIELDS)
        if invoice is None:
            invoice = await self._draft_for(release)
            await self._api.tell(
                "PUT", f"/model/account.invoice/{invoice['id']}?f=state", {"reference": release.reference}
            )
        elif invoice["state"] in ("posted", "paid"):
            return _done(invoice, "it was posted already")
        if invoice["state"] == "draft":
            await self._act("account.invoice", invoice["id"], "validate_invoice")
        elif invoice["state"] != "validated":
            raise Refused(f"the invoice of sale {release.sale} is {invoice['state']} in Tryton", code=CONTRADICTION)
        await self._act("account.invoice", invoice["id"], "post")
        return _done(await self._read("account.invoice", invoice["id"], _INVOICE_FIELDS))

    async def _draft_for(self, release: Invoice) -> dict[str, Any]:
        """Return the draft that Tryton itself has drawn up for exactly the released quantities."""
        sale = await self._sale(release.sale)
        drafts = [
            one
            for one in await self._search(
                "account.invoice",
                [["lines.origin.sale", "=", sale["id"], "sale.line"], ["state", "=", "draft"]],
                _INVOICE_FIELDS,
            )
            if not one["reference"]
        ]
        if not drafts:
            raise NotYet(f"Tryton has no draft invoice for sale {release.sale}")
        wanted = {line.line: line.quantity for line in release.lines if line.quantity}
        for draft in drafts:
            if _invoiced(draft) == wanted:
                return draft
        raise Refused(
            f"Tryton would invoice {_words(_invoiced(drafts[0]))} of sale {release.sale}; released is {_words(wanted)}",
            code=CONTRADICTION,
        )

    async def _count(self, count: Count) -> PushResult:
        record = await self._inventory(count)
        if record is not None and record["state"] == "done":
            return _done(record, "it was booked already")
        if record is None:
            record = await self._draw_up(count)
        await self._act("stock.inventory", record["id"], "confirm")
        return _done(record)

    async def _draw_up(self, count: Count) -> dict[str, Any]:
        """Make a draft of the count, then write our reference as a note onto it: the record itself has no room for it.

        A draft that an earlier attempt left without its note does nothing by itself; it stays for a person to delete.
        """
        items = [line.item for line in count.lines]
        rows = await self._search("product.product", [["code", "in", items]], ("code",))
        products = {one["code"]: one["id"] for one in rows}
        unknown = [item for item in items if item not in products]
        if unknown:
            raise Refused(f"Tryton knows no article {', '.join(unknown[:5])}", code=CONTRADICTION)
        lines = [{"product": products[line.item], "quantity": float(line.quantity)} for line in count.lines]
        body = {"location": await self._location(count.location), "lines": [["create", lines]]}
        made = dict(await self._api.tell("POST", "/model/stock.inventory?f=state&f=number", body))
        note = {"resource": f"stock.inventory,{made['id']}", "message": count.reference}
        await self._api.tell("POST", "/model/ir.note?f=message", note)
        return made

    async def _inventory(self, count: Count) -> dict[str, Any] | None:
        """Return the count that bears our reference, among the newest of its location."""
        domain = [["location", "=", await self._location(count.location)], ["state", "!=", "cancelled"]]
        rows = await self._search("stock.inventory", domain, ("number", "state"), limit=COUNTS_LOOKED_AT, newest=True)
        if not rows:
            return None
        resources = [f"stock.inventory,{row['id']}" for row in rows]
        notes = await self._search("ir.note", [["resource", "in", resources]], ("message", "resource"))
        marked = {note["resource"] for note in notes if str(note["message"]).strip() == count.reference}
        return next((row for row in rows if f"stock.inventory,{row['id']}" in marked), None)

    async def _location(self, code: str) -> int:
        locations = await self._search("stock.location", [["code", "=", code]], ("id",), limit=2)
        if len(locations) != 1:
            raise Refused(f"Tryton has {len(locations)} locations {code!r}", code=CONTRADICTION)
        return int(locations[0]["id"])

    async def _note(self, note: Note) -> PushResult:
        if not await self._is_noted(note):
            sale = await self._sale(note.sale)
            body = {"resource": f"sale.sale,{sale['id']}", "message": f"{note.reference} {note.text}"}
            await self._api.tell("POST", "/model/ir.note?f=message", body)
        return PushResult("done", reference=note.reference)

    async def _is_noted(self, note: Note) -> bool:
        sale = await self._sale(note.sale)
        notes = await self._search("ir.note", [["resource", "=", f"sale.sale,{sale['id']}"]], ("message",))
        return any(is_marked(one["message"], note.reference) for one in notes)

    # -- Tryton's words

    async def _sale(self, number: str) -> dict[str, Any]:
        rows = await self._search("sale.sale", [["number", "=", number]], ("id",), limit=2)
        if len(rows) != 1:
            raise Refused(f"Tryton has {len(rows)} sales {number!r}", code=CONTRADICTION)
        return rows[0]

    async def _marked(self, model: str, reference: str, fields: Iterable[str]) -> dict[str, Any] | None:
        """Return the record that bears our reference; a cancelled one no longer does."""
        domain = ["OR", ["reference", "=", reference], ["reference", "like", f"{reference} %"]]
        rows = await self._search(model, [domain, ["state", "!=", "cancelled"]], {"reference", "number", *fields})
        # `like` knows wildcards that may stand in our reference: what only looks like it is left out here.
        return next((row for row in rows if is_marked(row["reference"], reference)), None)

    async def _search(
        self, model: str, domain: list[Any], fields: Iterable[str], *, limit: int = 0, newest: bool = False
    ) -> list[dict[str, Any]]:
        query = [
            ("d", _base64(domain)),
            ("o", _base64([["id", "DESC" if newest else "ASC"]])),
            *(("f", field) for field in fields),
        ]
        if limit:
            query.append(("s", str(limit)))
        rows = await self._api.ask(f"/model/{model}?{urlencode(query)}")
        if not isinstance(rows, list):
            raise TransientError(f"Tryton answered a search for {model} with no list", code="XD-PTR-008")
        return rows

    async def _read(self, model: str, record: int, fields: Iterable[str]) -> dict[str, Any]:
        row = await self._api.ask(f"/model/{model}/{record}?{urlencode([('f', field) for field in fields])}")
        if not isinstance(row, dict):
            raise PermanentError(f"Tryton answered for {model} {record} with no record", code="XD-PTR-008")
        return row

    async def _act(self, model: str, record: int, action: str) -> None:
        await self._api.tell("POST", f"/model/{model}/{record}/{action}?f=state", {})

    async def close(self) -> None:
        """Close the kept connections."""
        await self._api.close()


def _done(record: Mapping[str, Any], detail: str = "") -> PushResult:
    return PushResult("done", reference=str(record.get("number") or record["id"]), detail=detail)


def _outgoing_of(shipment: Mapping[str, Any], line: Quantity) -> dict[str, Any] | None:
    wanted = f"sale.line,{line.line}"
    return next((move for move in shipment["outgoing_moves"] if move["origin"] == wanted), None)


def _misfit(shipment: Mapping[str, Any], lines: Iterable[Quantity]) -> str:
    """Say why what was shipped cannot be of this shipment; empty when it can."""
    for line in lines:
        move = _outgoing_of(shipment, line)
        if move is None:
            return f"shipment {shipment['number']} has no open line {line.line} ({line.item})"
        if line.quantity > Decimal(str(move["quantity"])):
            planned = quantity_text(move["quantity"])
            return f"shipment {shipment['number']} plans {planned} of line {line.line}, shipped were {line.quantity}"
    return ""


def _portions(shipment: Mapping[str, Any], lines: Iterable[Quantity]) -> list[tuple[int, float]]:
    """Return (move, quantity) for every move whose quantity is not what was shipped; what was not named is zero."""
    shipped = {line.line: line.quantity for line in lines}
    result: list[tuple[int, float]] = []
    for outgoing in shipment["outgoing_moves"]:
        left = shipped.get(str(outgoing["origin"]).removeprefix("sale.line,"), Decimal(0))
        inventory = [m for m in shipment["inventory_moves"] if m["origin"] == f"stock.move,{outgoing['id']}"]
        for move in inventory or [outgoing]:
            planned = Decimal(str(move["quantity"]))
            portion = min(planned, left)
            left -= portion
            if portion != planned:
                result.append((move["id"], float(portion)))
    return result


def _invoiced(invoice: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what an invoice holds, by sale line."""
    quantities: dict[str, Decimal] = {}
    for line in invoice["lines"]:
        if str(line.get("origin") or "").startswith("sale.line,") and line.get("quantity"):
            key = str(line["origin"]).removeprefix("sale.line,")
            quantities[key] = quantities.get(key, Decimal(0)) + Decimal(quantity_text(line["quantity"]))
    return quantities


def _words(quantities: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{quantity} of line {line}" for line, quantity in sorted(quantities.items())) or "nothing"


def _base64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
