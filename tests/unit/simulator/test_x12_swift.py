"""Swift's own X12 and the hub's codec understand each other, though neither knows the other's code."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossdock import edi
from crossdock.simulator import x12_swift

NOW = datetime(2026, 11, 23, 15, 40, tzinfo=UTC)
ADVICE = x12_swift.Advice(
    depositor_order="SO-1-1",
    order_number="SO-1",
    shipment="SS1-1",
    warehouse="SWIFT-KC",
    sscc="006141400000000018",
    scac="CGLN",
    tracking="CL9",
    lines=(
        x12_swift.AdviceLine("10", "NG-1001", Decimal(5), Decimal(3)),
        x12_swift.AdviceLine("20", "NG-1105", Decimal(1), Decimal(1)),
    ),
)


def an_advice() -> str:
    return x12_swift.Writer("SWIFT3PL", "NORTHGATE").interchange(
        "SW", "945", x12_swift.shipping_advice(ADVICE, NOW), NOW
    )[1]


def test_the_hub_reads_an_advice_without_a_finding():
    """A 945 by Swift's writer is accepted by the hub's reader, with every value in its place."""
    (interchange,) = edi.read(an_advice().encode("latin-1"))

    (group,) = interchange.groups
    (item,) = group.sets
    document = edi.set_to_document(item)
    assert [] == [one for one in (*interchange.findings, *item.findings) if one.severity != "info"]
    assert "A" == item.acceptance
    assert "SO-1-1" == document["w06"]["depositor_order"]
    assert "CL9" == document["references"]["CN"]["value"]
    assert ["3", "1"] == [line["items"][0]["shipped"] for line in document["lines"]]


def test_swift_reads_its_own_advice_back():
    """The tiny reader takes apart what the tiny writer wrote, counts included."""
    interchange = x12_swift.read(an_advice())

    ((item,),) = (group.sets for group in interchange.groups)
    assert ("945", "0001") == (item.code, item.control_number)
    assert 2 == sum(1 for _ in item.all("W12"))


@pytest.mark.parametrize("change", [("SE*", "SE*9"), ("GE*1*", "GE*2*"), ("IEA*1*000000001", "IEA*1*000000002")])
def test_a_wrong_count_or_control_number_is_not_taken(change):
    """Swift refuses an interchange whose trailers do not fit, as strict translators do."""
    with pytest.raises(x12_swift.Unreadable):
        x12_swift.read(an_advice().replace(*change))


def test_an_acknowledgment_counts_what_was_taken():
    """A 997 for a group with one refused set says P and names the refused one."""
    group = x12_swift.ReadGroup(
        "OW", "17", (x12_swift.ReadSet("940", "0001", ()), x12_swift.ReadSet("940", "0002", ()))
    )

    body = x12_swift.functional_acknowledgment(group, refused=["0002"])

    assert ["AK9", "P", "2", "2", "1"] == body[-1]
    assert ["AK5", "R", "5"] in body
