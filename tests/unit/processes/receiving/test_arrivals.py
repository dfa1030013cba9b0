"""Goods announced and received: short, over, damaged, each judged and told once."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tests.unit.processes.purchases import RULES, Story, acked, announced, changed, received, released

ORDERED = released(("SAW", 100), ("BOLT", 200))
NOTICE = announced("A-1", ("1", "SAW", 100), ("2", "BOLT", 200))


def kinds(story: Story) -> list[tuple[str, str, Decimal, bool]]:
    return [(one.kind, one.sku, one.quantity, one.tolerated) for one in story.facts("receipt.discrepancy")]


def test_all_is_well():
    """What was announced came in: one posting, nothing to tell, the order is closed."""
    story = Story().run(ORDERED, acked(), NOTICE, received("R-1", ("1", "SAW", 100), ("2", "BOLT", 200), asn="A-1"))

    (posting,) = story.documents("receipt_posting")
    assert [("1", Decimal(100)), ("2", Decimal(200))] == [(line.line_no, line.accepted) for line in posting.lines]
    assert ("closed", [], []) == (story.it.status, kinds(story), story.codes())


def test_short_and_damaged_are_told_and_the_rest_is_posted():
    """92 good, 5 damaged of 100: three are missing, five are broken, 92 are booked."""
    receipt = received("R-1", ("1", "SAW", 92), ("1", "SAW", 5, "damaged"), ("2", "BOLT", 200), asn="A-1")
    story = Story().run(ORDERED, acked(), NOTICE, receipt)

    assert [("damaged", "SAW", Decimal(5), False), ("short", "SAW", Decimal(3), False)] == kinds(story)
    (posting,) = story.documents("receipt_posting")
    assert (Decimal(92), Decimal(5)) == (posting.lines[0].accepted, posting.lines[0].damaged)
    assert "partly_received" == story.it.status
    assert 2 == len(set(story.keys("discrepancy")))


def test_a_shortage_within_tolerance_passes():
    """Five percent of the bolts may be missing: written down, told to nobody, and the order is complete."""
    story = Story().run(ORDERED, NOTICE, received("R-1", ("1", "SAW", 100), ("2", "BOLT", 190), asn="A-1"))

    assert [("short", "BOLT", Decimal(10), True)] == kinds(story)
    assert ("closed", []) == (story.it.status, story.keys("discrepancy"))


def test_more_than_the_tolerance_is_surplus():
    """Ten percent more bolts are accepted and the rest is not; no more saws at all."""
    story = Story().run(ORDERED, NOTICE, received("R-1", ("1", "SAW", 101), ("2", "BOLT", 230), asn="A-1"))

    assert [(Decimal(100), Decimal(1)), (Decimal(220), Decimal(10))] == [
        (story.book(line).accepted, story.book(line).surplus) for line in ("1", "2")
    ]
    assert [("over", "SAW", Decimal(1), False), ("over", "BOLT", Decimal(10), False)] == kinds(story)


def test_a_receipt_is_posted_once():
    """The same receipt again tells nothing; another content under its number is reported."""
    story = Story().run(
        ORDERED, received("R-1", ("1", "SAW", 10)), received("R-1", ("1", "SAW", 10)), received("R-1", ("1", "SAW", 11))
    )

    assert (["receipt_posting:PO-1:RENO:R-1"], Decimal(10)) == (story.keys("receipt_posting"), story.book().accepted)
    assert (True, ["XD-SUP-006"]) == (story.outcomes[2].duplicate, story.codes())


def test_an_item_nobody_ordered():
    """It is told as unexpected, and nothing is posted for it."""
    story = Story().run(ORDERED, received("R-1", ("", "GLUE", 3)))

    assert ([("unexpected", "GLUE", Decimal(3), False)], []) == (kinds(story), story.keys("receipt_posting"))


def test_a_late_notice_is_judged_against_the_receipt_that_came_before():
    """The order of the papers does not matter: the shortage is found when the second of the two is there."""
    story = Story().run(ORDERED, received("R-1", ("1", "SAW", 90), ("2", "BOLT", 200), asn="A-1"))
    assert [] == kinds(story)

    story.run(NOTICE)

    assert [("short", "SAW", Decimal(10), False)] == kinds(story)


def test_a_receipt_that_is_not_final_leaves_the_rest_on_its_way():
    """Half a truck today, half tomorrow: nothing is short until the receipt says it is all."""
    story = Story().run(ORDERED, NOTICE, received("R-1", ("1", "SAW", 40), asn="A-1", final=False))
    assert ("in_transit", []) == (story.it.status, kinds(story))

    story.run(received("R-2", ("1", "SAW", 60), ("2", "BOLT", 200), asn="A-1"))

    assert ("closed", []) == (story.it.status, kinds(story))


def test_the_buyer_closes_what_will_not_come():
    """After a shortage the buyer says that it is enough; more goods later are still booked."""
    story = Story().run(ORDERED, received("R-1", ("1", "SAW", 90), ("2", "BOLT", 200)), changed(1, action="close"))
    assert ("closed", ()) == (story.it.status, story.it.timers)

    story.run(received("R-2", ("1", "SAW", 10)))

    assert ("closed", Decimal(100), 2) == (story.it.status, story.book().accepted, len(story.keys("receipt_posting")))


def test_the_warehouse_hears_of_a_notice_once():
    """The notice goes to the warehouse with its site; the same again goes nowhere."""
    story = Story().run(ORDERED, NOTICE, NOTICE)

    assert (["receipt_advice:PO-1:A-1"], "RENO") == (
        story.keys("receipt_advice"),
        story.documents("receipt_advice")[0].site,
    )


def test_damage_is_claimed_from_the_carrier_once():
    """Five broken saws at ten dollars: a claim of fifty, when notice and receipt are both there, in either order."""
    rules = msgspec.structs.replace(RULES, claim_damage=True)
    notice = announced("A-1", ("1", "SAW", 100), carrier="RDGT", load_number="L-1")
    receipt = received("R-1", ("1", "SAW", 95), ("1", "SAW", 5, "damaged"), asn="A-1")
    for papers in ([notice, receipt, receipt], [receipt, notice, notice]):
        story = Story(rules).run(ORDERED, *papers)

        (told,) = [one for outcome in story.outcomes for one in outcome.tells]
        assert ("claim/CL-PO-1-RENO-R-1", "RDGT", "L-1") == (told.subject, told.data.carrier, told.data.load_number)
        assert Decimal(50) == told.data.lines[0].amount


def test_two_sites_claim_each_for_itself():
    """Both number their receipts alike; each damage is a claim of its own."""
    rules = msgspec.structs.replace(RULES, claim_damage=True)
    papers = [
        paper
        for number, site in (("A-1", "RENO"), ("A-2", "SLC"))
        for paper in (
            announced(number, ("1", "SAW", 50), carrier="RDGT"),
            received("R-1", ("1", "SAW", 5, "damaged"), asn=number, site=site),
        )
    ]
    story = Story(rules).run(ORDERED, *papers)

    assert ["claim/CL-PO-1-RENO-R-1", "claim/CL-PO-1-SLC-R-1"] == [
        one.subject for outcome in story.outcomes for one in outcome.tells
    ]
