"""An order confirmed in a real Tryton is shipped by a 3PL on X12, and Tryton posts the invoice: one command.

    python examples/tryton/story.py [--report FILE]

Starts a Tryton server on a copy of a prepared database, Swift Logistics with its SFTP mailbox (the simulator's, speaking
X12), and a hub with the pack beside this file. Somebody confirms two sales in Tryton. Swift has less of one article
than it was asked for: that sale is shipped short, and the invoice must hold what was shipped.
At the end Tryton's own records are compared with Swift's own ledger; 0 when they agree, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from crossdock.bootstrap import Hub  # noqa: E402
from crossdock.config import load_settings  # noqa: E402
from crossdock.durable.identity import ManualClock  # noqa: E402
from crossdock.simulator.carrier import Carrier, Parcel  # noqa: E402
from crossdock.simulator.clock import Timeline  # noqa: E402
from crossdock.simulator.dock import Dock, Ticket, TicketLine  # noqa: E402
from crossdock.simulator.pack_source import with_addresses  # noqa: E402
from crossdock.simulator.threepl_swift import ThreePlSwift  # noqa: E402
from tests.support.peers import PEERS  # noqa: E402
from tests.support.tryton import TrytonServer  # noqa: E402

TENANT = "fern"
PACK = Path(__file__).with_name("pack")
PASSWORD = "swift-password-of-the-story"
# What Swift has. Of the milk jugs it believes to have more than it then finds on the shelf.
ON_THE_SHELF = {"NG-1001": 500, "NG-1105": 200, "NG-1301": 7}
BELIEVED = {**ON_THE_SHELF, "NG-1301": 40}
SALES: dict[str, list[tuple[str, int, str]]] = {
    "PO-7788": [("NG-1001", 3, "18.90"), ("NG-1105", 2, "46.00")],
    "PO-7789": [("NG-1301", 10, "17.50")],
}
HOURS = 2.25


class Handed:
    """The carrier takes parcels and says nothing: this story ends at the dock."""

    def hand_over(self, parcel: Parcel) -> None:
        del parcel


class HonestDock(Dock):
    """Picks what is on the shelf, which may be less than what the computer says."""

    def take(self, ticket: Ticket) -> None:
        lines = []
        for line in ticket.lines:
            quantity = min(line.quantity, Decimal(ON_THE_SHELF[line.sku]))
            lines.append(TicketLine(line.line, line.sku, quantity))
        super().take(Ticket(ticket.number, ticket.order_number, tuple(lines), ticket.service, ticket.name))


async def play(tryton: TrytonServer, folder: Path) -> dict[str, Any]:
    """Play the story against a running Tryton; return the report."""
    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    timeline = Timeline(clock)
    swift = ThreePlSwift(1, timeline, cast(Carrier, Handed()), folder / "swift", PASSWORD)
    swift.dock = HonestDock(swift.site, 1, timeline, swift.ledger, cast(Carrier, Handed()))
    swift.dock.stock = {sku: Decimal(quantity) for sku, quantity in BELIEVED.items()}
    settings = load_settings(
        environment={},
        overrides={
            "store.url": f"sqlite:///{folder.absolute()}/hub.db",
            "security.root_key_file": str(folder / "root.key"),
            "security.allow_private_networks": ("127.0.0.0/8",),
            "log.level": "error",
        },
    )
    hub = await Hub.start(settings, clock=clock, ids_seed=1)
    try:
        await swift.start()
        for name, value in (("tryton-key", tryton.seed["key"]), ("swift-password", PASSWORD)):
            await hub.set_secret(TENANT, name, value)
        await hub.apply_pack(TENANT, pack_files(tryton, swift), "story")
        until = clock.now() + timedelta(hours=HOURS)
        swift.open(clock.now() + timedelta(minutes=1), until)
        sold: dict[str, dict[str, Any]] = {}

        async def sell() -> None:
            for reference, lines in SALES.items():
                sold[reference] = await asyncio.to_thread(tryton.sell, reference, lines)

        # After Swift has told its stock.
        timeline.after(timedelta(minutes=10), "tryton:sell", sell)
        await timeline.run(hub, until)
        open_issues = hub.store.read_now(
            lambda connection: connection.query(
                "select code from issues where tenant_id = ? and state = 'open'", (TENANT,)
            )
        )
        return await asyncio.to_thread(compare, tryton, swift, sold, sorted(row[0] for row in open_issues))
    finally:
        await hub.stop()
        await swift.stop()


def pack_files(tryton: TrytonServer, swift: ThreePlSwift) -> dict[str, str]:
    """Return the pack with the addresses of the story's servers."""
    files = {path.relative_to(PACK).as_posix(): path.read_text("utf-8") for path in sorted(PACK.rglob("*.yaml"))}
    return with_addresses(
        files,
        {
            "https://erp.fern.example": tryton.url,
            "host: sftp.swift.example": "host: 127.0.0.1",
            "port: 22": f"port: {swift.port}",
            "SWIFT_HOST_KEY": swift.host_key,
        },
    )


def compare(
    tryton: TrytonServer, swift: ThreePlSwift, sold: dict[str, dict[str, Any]], open_issues: list[str]
) -> dict[str, Any]:
    """Compare what Swift wrote down as shipped with what Tryton wrote down as shipped and invoiced."""
    lost: list[str] = []
    double: list[str] = []
    orders = []
    for reference, sale in sold.items():
        number = sale["number"]
        left = [entry for entry in swift.ledger.of("shipment") if entry.about == number]
        shipped = _sum(row for entry in left for row in entry.lines)
        booked = [one for one in tryton.shipments(sale["id"]) if one["state"] == "done"]
        posted = [one for one in tryton.invoices(sale["id"]) if one["state"] in ("posted", "paid")]
        in_books = _sum((m["product"]["code"], m["quantity"]) for one in booked for m in one["outgoing_moves"])
        invoiced = _sum((row["product"]["code"], row["quantity"]) for one in posted for row in one["lines"])
        for what, quantities in (("booked as shipped", in_books), ("invoiced", invoiced)):
            for sku in sorted({*shipped, *quantities}):
                difference = quantities.get(sku, Decimal(0)) - shipped.get(sku, Decimal(0))
                if difference:
                    (lost if difference < 0 else double).append(f"sale {number}: {difference} of {sku} {what}")
        asked = [entry for entry in swift.ledger.of("request") if entry.about == number]
        double += [f"sale {number}: Swift was asked {len(asked)} times"] if len(asked) > 1 else []
        if not left:
            lost.append(f"sale {number}: never left")
        orders.append(
            {
                "sale": number,
                "reference": reference,
                "ordered": {sku: str(quantity) for sku, quantity, _ in SALES[reference]},
                "shipped_by_swift": _texts(shipped),
                "shipped_in_tryton": _texts(in_books),
                "invoiced_in_tryton": _texts(invoiced),
                "shipment_references": [one["reference"] for one in booked],
                "invoice_numbers": [one["number"] for one in posted],
                "sale_state": tryton.sale(sale["id"])["state"],
            }
        )
    # The first count is the one the company started with.
    counts = tryton.rows("stock.inventory", [["state", "=", "done"]], "number")[1:]
    if not counts:
        lost.append("Swift's stock was never counted in Tryton")
    return {
        "orders": orders,
        "stock_counts": len(counts),
        "lost": lost,
        "double_effects": double,
        "open_issues": open_issues,
    }


def _sum(rows: Any) -> dict[str, Decimal]:
    result: dict[str, Decimal] = {}
    for sku, quantity in rows:
        result[sku] = result.get(sku, Decimal(0)) + Decimal(str(quantity))
    return result


def _texts(quantities: dict[str, Decimal]) -> dict[str, str]:
    return {sku: format(quantity.normalize(), "f") for sku, quantity in sorted(quantities.items())}


def main() -> int:
    """Prepare what is needed, play, print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--report", default="-", help="where the report goes: a file, or - for standard output")
    options = parser.parse_args()
    subprocess.run([ROOT / "scripts/ensure_tryton.sh"], check=True)
    if not (PEERS / "tryton/erp.sqlite").exists():
        print("There is no Tryton server here; see the warning above.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="crossdock-tryton-") as name:
        server = TrytonServer(PEERS / "tryton", Path(name) / "tryton")
        server.start()
        try:
            report = asyncio.run(play(server, Path(name)))
        finally:
            server.stop()
    text = json.dumps(report, indent=2) + "\n"
    if options.report == "-":
        sys.stdout.write(text)
    else:
        Path(options.report).write_text(text, encoding="utf-8")
    return 1 if report["lost"] or report["double_effects"] else 0


if __name__ == "__main__":
    sys.exit(main())
