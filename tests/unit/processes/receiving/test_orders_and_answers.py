"""The buyer's and the supplier's words on a purchase order."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from tests.unit.processes.purchases import NOW, Story, acked, announced, changed, deadline, received, released


def test_a_new_order_is_sent_once():
    """The supplier is asked once, however often the ERP sends the order."""
    story = Story().run(released(), released())

    assert ["purchase_order:PO-1"] == story.keys()
    assert ("sent", True) == (story.it.status, story.outcomes[-1].duplicate)


def test_another_content_under_the_same_number_changes_nothing():
    """A second release with other lines is reported: what changes an order is a change."""
    story = Story().run(released(), released(("SAW", 5)))

    assert (Decimal(100), ["XD-SUP-006"]) == (story.book().ordered, story.codes())


def test_the_answer_is_booked_by_line():
    """Accepted, backordered and rejected quantities stand in their buckets; the ERP hears of it."""
    story = Story().run(released(), acked(("1", "accepted", 60), ("1", "backordered", 40), ("2", "accepted", 200)))

    book = story.book()
    assert (Decimal(60), Decimal(40), Decimal(0)) == (book.confirmed, book.backordered, book.open)
    assert ("acknowledged", []) == (story.it.status, story.codes())
    assert 1 == len(story.documents("purchase_confirmation"))


def test_a_changed_quantity_rejects_the_rest():
    """80 of 100 with the word `changed` means that 20 will not come, which is reported until the buyer agrees."""
    story = Story().run(released(("SAW", 100)), acked(("1", "changed", 80)))
    assert (Decimal(80), Decimal(20), ["XD-SUP-003"]) == (
        story.book().confirmed,
        story.book().rejected,
        story.codes(),
    )

    story.run(changed(1, ("1", "SAW", 80)), acked(("1", "accepted", 80), hours=3))

    assert (Decimal(80), "acknowledged", []) == (story.book().ordered, story.it.status, story.codes())


def test_prices_and_days_within_tolerance_pass():
    """Two percent and two days are nobody's business, three are."""
    fine = Story().run(released(("SAW", 100)), acked(("1", "accepted", 100, "10.20", date(2026, 12, 2))))
    dear = Story().run(released(("SAW", 100)), acked(("1", "accepted", 100, "10.30")))
    late = Story().run(released(("SAW", 100)), acked(("1", "accepted", 100, None, date(2026, 12, 3))))

    assert [[], ["XD-SUP-003"], ["XD-SUP-003"]] == [fine.codes(), dear.codes(), late.codes()]


def test_the_latest_word_counts_whenever_it_comes():
    """An acknowledgment that was spoken earlier and comes later changes nothing."""
    story = Story().run(
        released(("SAW", 100)), acked(("1", "accepted", 100), hours=5), acked(("1", "rejected", 100), hours=1)
    )

    assert (Decimal(100), True) == (story.book().confirmed, story.outcomes[-1].duplicate)


def test_an_answer_older_than_the_change_does_not_answer_it():
    """After a change the supplier's earlier word is no word on the new quantity."""
    story = Story().run(released(("SAW", 100)), changed(1, ("1", "SAW", 120), hours=2))
    story.run(acked(("1", "accepted", 100), hours=1))
    assert (Decimal(120), "sent") == (story.book().open, story.it.status)

    story.run(acked(("1", "accepted", 120), hours=3))

    assert "acknowledged" == story.it.status


def test_a_foreign_partner_has_no_say():
    """Who does not speak for the supplier can neither acknowledge nor announce."""
    story = Story().run(
        released(("SAW", 100)),
        acked(("1", "rejected", 100), partner="brisk"),
        announced("A-1", ("1", "SAW", 100), partner="brisk"),
    )

    assert (Decimal(100), Decimal(0)) == (story.book().open, story.book().shipped)
    assert ["XD-SUP-005", "XD-SUP-005"] == story.codes()


def test_what_is_on_its_way_cannot_be_cancelled():
    """A cancel takes back what has not left; the rest stands and is reported."""
    story = Story().run(released(("SAW", 100)), announced("A-1", ("1", "SAW", 30)), changed(1, action="cancel"))

    assert (Decimal(30), Decimal(70), ["XD-SUP-007"]) == (story.book().wanted, story.book().cancelled, story.codes())
    assert ["purchase_change:PO-1:1"] == story.keys("purchase_change")


def test_a_change_below_what_came_in_is_refused():
    """The order cannot become smaller than what is here."""
    story = Story().run(
        released(("SAW", 100)), received("R-1", ("1", "SAW", 60), final=False), changed(1, ("1", "SAW", 50))
    )

    assert (Decimal(100), ["XD-SUP-007"]) == (story.book().ordered, story.codes())


def test_a_cancelled_order_asks_for_nothing_more():
    """Cancelled before anything left: no clock runs."""
    story = Story().run(released(), changed(1, action="cancel"))

    assert ("cancelled", ()) == (story.it.status, story.it.timers)


def test_silence_is_reported_and_forgotten():
    """After a day without an answer there is a fault; the answer takes it back."""
    story = Story().run(released(("SAW", 100))).later(hours=23)
    assert [] == story.codes()
    story.later(hours=1)
    assert ["XD-SUP-001"] == story.codes()

    story.run(acked())

    assert [] == story.codes()


def test_missing_notice_and_missing_goods_are_reported():
    """A notice must come a day before the due day ends, goods within a day after it."""
    story = Story().run(released(("SAW", 100)), acked()).later(days=6, hours=9)
    assert [] == story.codes()
    story.later(hours=1)
    assert ["XD-SUP-002"] == story.codes()
    story.later(days=2)
    assert ["XD-SUP-002", "XD-SUP-004"] == story.codes()

    story.run(received("R-1", ("1", "SAW", 100)))

    assert ("closed", [], ()) == (story.it.status, story.codes(), story.it.timers)


def test_a_timer_that_was_moved_does_nothing():
    """A deadline that comes although it is not due tells nothing new."""
    story = Story().run(released(), deadline("ack"), deadline("nothing"))

    assert [True, True] == [outcome.duplicate for outcome in story.outcomes[1:]]
    assert NOW + timedelta(hours=24) == {one.name: one.due_at for one in story.it.timers}["ack"]


def test_papers_before_the_order_wait_for_it():
    """An answer to an order nobody knows is parked under its number."""
    story = Story().run(acked())

    assert "purchase:PO-1" == story.outcomes[0].parked_until
