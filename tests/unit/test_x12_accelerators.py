"""The X12 maps of packs/accelerators/x12: they fit our objects, read the golden documents, write what is sendable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock import edi, mapping
from crossdock.canonical.catalog import EVENT_TYPES, OBJECTS, faults_of
from crossdock.flow.render import decode_numbers
from crossdock.mapping.yaml_source import load

ROOT = Path(__file__).parents[2]
PACK = ROOT / "packs/accelerators/x12"
MAPS = sorted((PACK / "maps").glob("*.yaml"))
SETS = ("180", "204", "210", "214", "810", "846", "850", "855", "856", "860", "861", "865", "944", "990")
PARTNER = {"timezone": "America/Los_Angeles"}


def compiled(name: str) -> mapping.CompiledMap:
    path = PACK / "maps" / f"{name}.yaml"
    return mapping.compile_map(path.read_text(), file=str(path))


def tables() -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted((PACK / "lookups").glob("*.yaml")):
        located, faults = load(path.read_text())
        assert located is not None
        assert [] == faults
        table = located.plain()
        found[table["table"]] = {str(code): str(value) for code, value in table["rows"].items()}
    return found


def context(**more: Any) -> mapping.MapContext:
    return mapping.MapContext(lookups=tables(), partner=PARTNER, **more)


def golden(code: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document of a golden interchange, and what a map knows of its envelope."""
    (interchange,) = edi.read_all((ROOT / f"tests/documents/x12/{code}/{name}.edi").read_bytes()).interchanges
    (one,) = interchange.sets
    return edi.set_to_document(one), {"date": interchange.date, "time": interchange.time}


def read(name: str, document: dict[str, Any], envelope: dict[str, Any] | None = None) -> list[Any]:
    """Run a reading map and return the objects it makes, converted and judged as the hub does."""
    reader = compiled(name)
    objects = []
    for piece in reader.split(document):
        made = context(envelope=envelope or {}, root=document)
        if reader.applies(piece, made):
            shape = OBJECTS[str(reader.target.object)]
            objects.append(msgspec.convert(reader.run(piece, made), shape, strict=False))
    assert [] == [fault for each in objects for fault in faults_of(each)]
    return objects


def written(name: str, value: Any) -> dict[str, Any]:
    """Run a writing map on an object as the hub hands it over, through the set and back: the document as read."""
    writer = compiled(name)
    handed = decode_numbers(msgspec.json.Encoder(decimal_format="number").encode(value))
    rendered = edi.document_to_set(writer.run(handed, context()), str(writer.target.options["set"]))
    assert rendered.sendable, [(one.message, one.pointer) for one in rendered.findings]
    assert [] == [one.message for one in rendered.findings if one.code != "code-not-interpreted"]
    one = edi.TransactionSet(rendered.code, "0001", rendered.segments, release="004010")
    return edi.set_to_document(one)


def test_every_set_has_a_map() -> None:
    """Each set of the processes is read or written by at least one map, and most of them both ways."""
    read_sets = {str(compiled(path.stem).source.options.get("set")) for path in MAPS if "read" in path.stem}
    written_sets = {str(compiled(path.stem).target.options.get("set")) for path in MAPS if "write" in path.stem}

    assert set(SETS) == read_sets | written_sets
    assert {"865"} == set(SETS) - written_sets
    assert {"861"} == set(SETS) - read_sets


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_a_map_fits_its_object_and_passes_its_tests(path: Path) -> None:
    """Lint against the schema of the object finds nothing, and the map's own tests hold."""
    text = path.read_text()
    made = compiled(path.stem)
    name = made.source.object or made.target.object
    assert name in OBJECTS, f"{name} is no object of the catalogue"
    source, target = (
        msgspec.json.schema(OBJECTS[side.object]) if side.object else None for side in (made.source, made.target)
    )
    event = made.target.event if made.target.object else None

    found = mapping.lint(text, file=str(path), source_schema=source, target_schema=target, lookups=frozenset(tables()))
    results = mapping.run_tests(made)

    assert [] == [f"{one.line}: {one.message}" for one in found if one.severity != "info"]
    assert results
    assert [] == [f"{one.name}: {one}" for one in results if not one.passed]
    assert event is None or EVENT_TYPES[event].data is OBJECTS[str(made.target.object)]


GOLDEN: list[tuple[str, str, str, Any]] = [
    ("x12-850-read", "850", "purchase_order", {
        "number": "PO-7001", "supplier": "HILL", "site": "RENO", "currency": "USD", "due_on": "2026-12-02",
        "ordered_at": "2026-11-23T08:00:00Z", "note": "Label every carton",
        "lines": [
            {"line_no": "1", "sku": "NG-1001", "quantity": "120", "unit_price": "8.25", "due_on": "2026-11-28",
             "description": "Espresso beans 1 kg"},
            {"line_no": "2", "sku": "NG-1105", "quantity": "40", "uom": "CS", "unit_price": "31.5"},
        ],
    }),
    ("x12-855-read", "855", "acknowledgment", {
        "number": "PO-7001", "ack_number": "HO-5512", "at": "2026-11-24T19:00:00Z",
        "lines": [
            {"line_no": "1", "outcome": "accepted", "quantity": "100"},
            {"line_no": "1", "outcome": "backordered", "quantity": "20", "due_on": "2026-12-04"},
            {"line_no": "2", "outcome": "changed", "quantity": "40", "unit_price": "32.1"},
        ],
    }),
    ("x12-865-read", "865", "change_acknowledgment", {
        "number": "PO-7001", "at": "2026-11-24T22:05:00Z",
        "lines": [{"line_no": "1", "outcome": "changed", "quantity": "100"},
                  {"line_no": "2", "outcome": "rejected", "quantity": "0"}],
    }),
    ("x12-856-read", "856", "pallets", {
        "number": "ASN-880", "po_number": "PO-7001", "supplier": "HILL", "site": "RENO", "carrier": "CGLN",
        "shipped_at": "2026-11-27T23:00:00Z", "tracking": ["CL-900117"],
        "units": [
            {"sscc": "006141411234567890", "kind": "pallet"},
            {"sscc": "006141411234567913", "kind": "carton"},
            {"sscc": "006141411234567906", "kind": "carton", "parent": "006141411234567890"},
        ],
        "lines": [
            {"line_no": "1", "sku": "NG-1001", "quantity": "40", "lot": "L2612", "sscc": "006141411234567890"},
            {"line_no": "1", "sku": "NG-1001", "quantity": "60", "lot": "L2611", "sscc": "006141411234567906"},
            {"line_no": "2", "sku": "NG-1105", "quantity": "40", "uom": "CS", "sscc": "006141411234567913"},
        ],
    }),
    ("x12-856-read", "856", "flat", {
        "number": "ASN-881", "po_number": "PO-7002", "site": "RENO",
        "lines": [{"line_no": "", "sku": "NG-1001", "quantity": "12"},
                  {"line_no": "", "sku": "NG-1105", "quantity": "3"}],
    }),
    ("x12-810-read", "810", "invoice", {
        "number": "INV-4410", "order_number": "PO-7001", "amount": {"amount": "2132", "currency": "USD"},
        "due_on": "2026-12-30",
        "lines": [{"line_no": "1", "sku": "NG-1001", "quantity": "100", "unit_price": "8.25"},
                  {"line_no": "2", "sku": "NG-1105", "quantity": "40", "uom": "CS", "unit_price": "31.5"}],
    }),
    ("x12-810-credit-read", "810", "credit", {
        "number": "CM-221", "invoice_number": "INV-4410", "amount": {"amount": "33", "currency": "USD"},
    }),
    ("x12-846-read", "846", "stock", {
        "site": "SWIFT-KC", "as_of": "2026-11-24T05:00:00Z", "complete": True,
        "lines": [
            {"sku": "NG-1001", "quantity": "412", "lot": "L2611"},
            {"sku": "NG-1001", "quantity": "8", "status": "hold", "lot": "L2611"},
            {"sku": "NG-1105", "quantity": "0", "uom": "CS"},
            {"sku": "NG-1105", "quantity": "40", "status": "in_transit", "uom": "CS"},
        ],
    }),
    ("x12-944-read", "944", "receipt", {
        "number": "RC-5501", "po_number": "PO-7001", "asn_number": "ASN-880", "site": "SWIFT-KC", "seals": ["SEAL-17"],
        "lines": [
            {"line_no": "1", "sku": "NG-1001", "quantity": "96", "lot": "L2611"},
            {"line_no": "2", "sku": "NG-1105", "quantity": "40", "uom": "CS"},
            {"line_no": "1", "sku": "NG-1001", "quantity": "4", "condition": "damaged", "reason": "wet carton"},
        ],
    }),
    ("x12-180-read", "180", "request", {
        "number": "BF-17", "order_number": "SO-1001",
        "lines": [{"sku": "NG-1001", "quantity": "2", "reason": "Bag torn"}],
    }),
    ("x12-204-read", "204", "tender", {
        "number": "LOAD-501", "weight_kg": "187.107",
        "stops": [
            {"seq": 0, "type": "pickup", "location": "RENO", "window_from": "2026-11-25T16:00:00Z",
             "window_to": "2026-11-26T00:00:00Z"},
            {"seq": 1, "type": "delivery", "location": "0614141000012", "window_to": "2026-11-27T18:00:00Z"},
        ],
    }),
    ("x12-990-read", "990", "acceptance", {
        "carrier": "CGLN", "outcome": "accepted", "load_number": "LOAD-501", "pro": "CL-900200",
        "at": "2026-11-24T00:10:00Z",
    }),
    ("x12-990-read", "990", "decline", {"outcome": "declined", "load_number": "LOAD-502",
                                       "reason": "No capacity on this lane"}),
    ("x12-214-read", "214", "status", [
        {"code": "departed_pickup", "at": "2026-11-25T18:12:00Z", "load_number": "LOAD-501", "stop_seq": 0},
        {"code": "in_transit", "at": "2026-11-26T12:15:00Z", "location": "Cheyenne, WY"},
        {"code": "delayed", "at": "2026-11-26T13:00:00Z", "reason": "AO"},
        {"code": "delivered", "kind": "estimated", "at": "2026-11-27T17:00:00Z"},
    ]),
    ("x12-210-read", "210", "invoice", {
        "number": "FI-6601", "carrier": "CGLN", "load_number": "LOAD-501", "pro": "CL-900200", "total": "982.5",
        "lines": [{"code": "LINEHAUL", "amount": "845"}, {"code": "FUEL", "amount": "84.5"},
                  {"code": "LIFTGATE", "amount": "53"}],
    }),
]  # fmt: skip


@pytest.mark.parametrize("name, code, document, expected", GOLDEN, ids=[f"{row[0]}-{row[2]}" for row in GOLDEN])
def test_a_golden_document_becomes_the_object(name: str, code: str, document: str, expected: Any) -> None:
    """The hand-made interchange, read by the codec and the map, is the object known beforehand."""
    found = read(name, *golden(code, document))
    wanted = expected if isinstance(expected, list) else [expected]

    assert len(wanted) == len(found)
    for one, each in zip(wanted, found, strict=True):
        assert differences(one, plain(each)) == []


def plain(value: Any) -> Any:
    """Return an object as JSON values, with numbers as text without zeros at the end."""
    return msgspec.json.decode(msgspec.json.encode(value))


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Compare what is named, as tests of maps do; fields at their default are absent from objects."""
    if isinstance(expected, dict):
        return [each for key, value in expected.items()
                for each in differences(value, (found or {}).get(key), f"{place}/{key}")]  # fmt: skip
    if isinstance(expected, list):
        if len(expected) != len(found or []):
            return [f"{place}: {len(expected)} elements expected, not {len(found or [])}"]
        return [each for at, value in enumerate(expected) for each in differences(value, found[at], f"{place}/{at}")]
    same = expected == found or (found is None and expected in DEFAULTS) or is_same_number(expected, found)
    return [] if same else [f"{place}: {expected!r} expected, not {found!r}"]


DEFAULTS = ("", "EA", "available", "carton", "good", "actual")


def is_same_number(one: Any, other: Any) -> bool:
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False


ROUND: list[tuple[str, str, str, dict[str, Any]]] = [
    ("purchase_order", "x12-850-write", "x12-850-read", {
        "number": "PO-1", "supplier": "HILL", "site": "RENO", "currency": "USD", "ordered_at": "2026-11-23T08:00:00Z",
        "due_on": "2026-12-02", "note": "Call first",
        "ship_to": {"name": "Northgate Reno", "street": "12 Harbor Road", "city": "Reno", "region": "NV",
                    "postcode": "89501", "country": "US"},
        "lines": [{"line_no": "10", "sku": "A", "quantity": "1.5", "unit_price": "8.25", "description": "Beans"},
                  {"line_no": "20", "sku": "B", "quantity": "3", "uom": "CS", "due_on": "2026-11-30"}],
    }),
    ("purchase_change", "x12-860-write", "x12-860-read", {
        "number": "PO-1", "change_no": 2, "at": "2026-11-24T08:00:00Z",
        "lines": [{"line_no": "10", "sku": "A", "quantity": "1", "unit_price": "8.5", "due_on": "2026-12-01"}],
    }),
    ("purchase_change", "x12-860-write", "x12-860-read", {
        "number": "PO-1", "change_no": 3, "action": "cancel", "at": "2026-11-24T08:00:00Z", "line_nos": ["10", "20"],
    }),
    ("advance_ship_notice", "x12-856-write", "x12-856-read", {
        "number": "A-1", "po_number": "PO-1", "supplier": "HILL", "site": "RENO", "carrier": "CGLN",
        "shipped_at": "2026-11-27T23:00:00Z", "expected_at": "2026-11-30T16:00:00Z", "tracking": ["T1"],
        "refs": [{"type": "bol", "value": "B1"}],
        "units": [{"sscc": "006141411234567890", "kind": "pallet"},
                  {"sscc": "006141411234567913"},
                  {"sscc": "006141411234567906", "parent": "006141411234567890"}],
        "lines": [{"line_no": "4", "sku": "D", "quantity": "7"},
                  {"line_no": "3", "sku": "C", "quantity": "3", "sscc": "006141411234567890"},
                  {"line_no": "1", "sku": "A", "quantity": "60", "lot": "L1", "sscc": "006141411234567906"},
                  {"line_no": "2", "sku": "B", "quantity": "4", "uom": "CS", "sscc": "006141411234567913"}],
    }),
    ("inventory_snapshot", "x12-846-write", "x12-846-read", {
        "site": "SWIFT", "as_of": "2026-11-24T05:00:30Z", "complete": True,
        "lines": [{"sku": "A", "quantity": "412", "lot": "L1"}, {"sku": "A", "quantity": "8", "status": "hold"},
                  {"sku": "B", "quantity": "0", "status": "damaged", "uom": "CS"},
                  {"sku": "C", "quantity": "2.5", "status": "in_transit"}],
    }),
    ("receipt", "x12-944-write", "x12-944-read", {
        "number": "RC-1", "po_number": "PO-1", "asn_number": "A-1", "site": "SWIFT",
        "received_at": "2026-11-29T15:40:00Z", "final": False, "seals": ["S1", "S2"],
        "lines": [{"line_no": "1", "sku": "A", "quantity": "96", "lot": "L1"},
                  {"line_no": "2", "sku": "B", "quantity": "40", "uom": "CS"},
                  {"line_no": "1", "sku": "A", "quantity": "4", "condition": "damaged", "lot": "L1"}],
    }),
    ("tender_response", "x12-990-write", "x12-990-read", {
        "carrier": "CGLN", "outcome": "declined", "load_number": "L-1", "number": "L-1-T1", "reason": "No capacity",
        "at": "2026-11-23T08:00:00Z",
    }),
    ("load_milestone", "x12-214-write", "x12-214-read", {
        "code": "delivered", "kind": "estimated", "at": "2026-11-27T17:00:00Z", "load_number": "L-1", "pro": "P-1",
        "carrier": "CGLN", "stop_seq": 1,
    }),
    ("freight_invoice", "x12-210-write", "x12-210-read", {
        "number": "FI-1", "carrier": "CGLN", "currency": "USD", "total": "929.5", "load_number": "L-1", "pro": "P-1",
        "invoiced_at": "2026-12-01T08:00:00Z",
        "lines": [{"code": "LINEHAUL", "amount": "845"}, {"code": "FUEL", "amount": "84.5", "description": "Fuel"}],
    }),
    ("invoice", "x12-810-write", "x12-810-read", {
        "number": "INV-1", "order_number": "SO-1", "amount": {"amount": "63", "currency": "EUR"},
        "issued_at": "2026-11-30T08:00:00Z", "due_on": "2026-12-30",
        "lines": [{"line_no": "10", "sku": "B", "quantity": "2", "uom": "CS", "unit_price": "31.5"}],
    }),
]  # fmt: skip


@pytest.mark.parametrize("kind, writer, reader, fields", ROUND, ids=[f"{row[1]}-{at}" for at, row in enumerate(ROUND)])
def test_what_one_map_writes_the_other_reads(kind: str, writer: str, reader: str, fields: dict[str, Any]) -> None:
    """An object goes through 004010 and comes back as itself."""
    value = msgspec.convert(fields, OBJECTS[kind], strict=False)

    (again,) = read(reader, written(writer, value))

    assert differences(plain(value), plain(again)) == []
    assert differences(plain(again), plain(value)) == []


WRITTEN: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("purchase_confirmation", "x12-855-write", {
        "number": "PO-1", "supplier": "HILL", "at": "2026-11-24T17:00:00Z",
        "lines": [{"line_no": "1", "outcome": "accepted", "quantity": "5", "due_on": "2026-11-27"},
                  {"line_no": "1", "outcome": "rejected", "quantity": "2"}],
    }, ["lines.0.acknowledged.0.status=IA", "lines.0.acknowledged.1.status=IR"]),
    ("receipt_posting", "x12-861-write", {
        "number": "RC-1", "po_number": "PO-1", "supplier": "HILL", "site": "RENO",
        "received_at": "2026-11-29T18:00:00Z",
        "lines": [{"line_no": "1", "sku": "A", "accepted": "96", "damaged": "4"}],
    }, ["lines.0.received=96", "lines.0.questioned_1=4", "lines.0.condition_1=01"]),
    ("return_authorization", "x12-180-write", {
        "number": "RMA-1", "order_number": "SO-1", "site": "SWIFT", "authorized_at": "2026-11-25T18:15:00Z",
        "expires_at": "2026-12-25T23:00:00Z", "ship_from": {"name": "Blue Fern Cafe", "city": "Omaha"},
        "lines": [{"line_no": "10", "sku": "A", "quantity": "2", "reason": "Bag torn"}],
    }, ["bgn.purpose=11", "lines.0.id=A", "lines.0.rdr.description=Bag torn", "parties.SF.city=Omaha"]),
    ("tender", "x12-204-write", {
        "number": "L-1-T1", "load_number": "L-1", "carrier": "CGLN", "sequence": 1, "weight_kg": "187.1",
        "respond_by_at": "2026-11-24T20:00:00Z", "charges": [{"code": "LINEHAUL", "amount": "845.5"}],
        "stops": [{"seq": 0, "type": "pickup", "location": "RENO", "window_from": "2026-11-25T16:00:00Z"},
                  {"seq": 1, "type": "delivery", "address": {"name": "Blue Fern Cafe", "city": "Omaha"}}],
    }, ["b2.shipment_id=L-1", "references.TN.value=L-1-T1", "stops.1.parties.ST.city=Omaha", "l3.charge=84550"]),
]  # fmt: skip


@pytest.mark.parametrize("kind, writer, fields, expected", WRITTEN, ids=[row[1] for row in WRITTEN])
def test_a_written_set_is_sendable_and_says_what_it_should(
    kind: str, writer: str, fields: dict[str, Any], expected: list[str]
) -> None:
    """Sets that no reading map answers are looked at in the document."""
    document = written(writer, msgspec.convert(fields, OBJECTS[kind], strict=False))

    for each in expected:
        path, _, value = each.partition("=")
        found: Any = document
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        assert found == value, path


def test_the_comparison_catches_a_lost_quantity() -> None:
    """Control: another quantity, a missing line and a missing field are differences."""
    value = {"lines": [{"sku": "A", "quantity": "3"}]}

    assert differences(value, {"lines": [{"sku": "A", "quantity": "2"}]})
    assert differences(value, {"lines": []})
    assert differences(value, {"lines": [{"quantity": "3"}]})
