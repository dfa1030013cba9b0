"""Tenders down the routing guide, where a load is and will be, and appointments at its docks."""

from __future__ import annotations

from datetime import timedelta

from crossdock.processes.freight.state import etas
from tests.unit.processes.loads import NOW, Story, answered, booked, changed, deadline, moved, planned, wish


def test_the_first_carrier_is_asked_and_takes_it():
    """One tender goes out; the yes awards the load."""
    story = Story().run(planned(), answered("ridge", pro="PRO-1"))

    assert (["tender:L-1:1"], [("RDGT", "accepted")]) == (story.keys("tender"), story.offers())
    assert ("accepted", "PRO-1") == (story.it.status, story.it.pro)


def test_a_no_goes_on_to_the_next():
    """After a decline the second carrier is asked; nobody need be told that the first offer is over."""
    story = Story().run(planned(), answered("ridge", "declined"))

    assert [("RDGT", "declined"), ("SWFT", "offered")] == story.offers()
    assert [] == story.keys("tender_withdrawal")


def test_silence_goes_on_to_the_next_and_a_late_yes_does_not_count():
    """After its minutes the offer is withdrawn; the late yes is reported and the load has one carrier."""
    story = Story().run(planned()).later(minutes=60)
    assert [("RDGT", "expired"), ("SWFT", "offered")] == story.offers()

    story.run(answered("ridge"), answered("swift"))

    assert ([("RDGT", "expired"), ("SWFT", "accepted")], ["XD-FRT-002"]) == (story.offers(), story.codes())
    assert ["tender_withdrawal:L-1:1"] == story.keys("tender_withdrawal")


def test_at_the_end_of_the_guide_a_person_is_told():
    """Nobody took it: a fault until the guide is begun anew."""
    story = Story().run(planned(), answered("ridge", "declined"), answered("swift", "declined"))
    assert ("no_carrier", ["XD-FRT-001"]) == (story.it.status, story.codes())

    story.run(changed("tender"))

    assert (("RDGT", "offered"), []) == (story.offers()[-1], story.codes())


def test_a_carrier_may_give_a_load_back_before_it_left():
    """The next one is asked; after the departure it is too late."""
    early = Story().run(planned(), answered("ridge"), answered("ridge", "declined"))
    late = Story().run(
        planned(), answered("ridge"), moved("ridge", "departed_pickup", 5), answered("ridge", "declined")
    )

    assert [("RDGT", "given_back"), ("SWFT", "offered")] == early.offers()
    assert ([("RDGT", "accepted")], ["XD-FRT-007"]) == (late.offers(), late.codes())


def test_strangers_have_no_say():
    """Neither a carrier that was not asked nor one whose turn has not come can answer or report."""
    story = Story().run(planned(), answered("swift"), answered("stranger"), moved("swift", "delivered", 5))

    assert ([("RDGT", "offered")], ["XD-FRT-008"] * 3) == (story.offers(), story.codes())


def test_a_cancelled_load_takes_everything_back():
    """The carrier and the dock are told."""
    story = Story().run(planned(), answered("ridge"), booked("confirmed"), changed("cancel"))

    assert "cancelled" == story.it.status
    assert ["tender_withdrawal:L-1:1", "appointment_cancel:L-1:1:2"] == story.keys()[-2:]


def test_the_latest_estimate_counts_and_the_classes_stand_beside_one_another():
    """The carrier's later word wins whenever it comes; the hub's own estimate is departure and transit time."""
    story = Story().run(
        planned(),
        answered("ridge"),
        moved("ridge", "delivered", 19, kind="estimated", said=8),
        moved("ridge", "delivered", 21, kind="estimated", said=6),
        moved("ridge", "departed_pickup", 5),
    )

    assert {
        "planned": NOW + timedelta(hours=22),
        "carrier": NOW + timedelta(hours=19),
        "hub": NOW + timedelta(hours=15),
    } == etas(story.it)
    assert "in_transit" == story.it.status


def test_an_estimate_beyond_the_window_warns_before_it_is_late():
    """27 hours against a window that ends at 22 and 4 of grace: a fault, which a better estimate takes back."""
    story = Story().run(planned(), answered("ridge"), moved("ridge", "delivered", 27, kind="estimated", said=6))
    assert ["XD-FRT-004"] == story.codes()

    story.run(moved("ridge", "delivered", 20, kind="estimated", said=7))

    assert [] == story.codes()


def test_a_missing_pickup_is_reported_and_forgotten():
    """Six hours and four of grace; the departure takes it back."""
    story = Story().run(planned(), answered("ridge")).later(hours=10)
    assert ["XD-FRT-003"] == story.codes()

    story.run(moved("ridge", "departed_pickup", 10))

    assert [] == story.codes()


def test_an_appointment_is_asked_for_when_a_carrier_has_the_load():
    """Only the stop that needs one is asked for, once."""
    story = Story().run(planned(), answered("ridge"), booked("confirmed", confirmation="C-1", id="A-1"))

    assert ["appointment_schedule:L-1:1:1"] == story.keys("appointment")
    assert ("confirmed", "C-1") == (story.it.bookings[0].state, story.it.bookings[0].confirmation)


def test_what_is_confirmed_stands_until_the_move_is():
    """A move that is refused leaves the appointment; one that is confirmed replaces it."""
    story = Story().run(planned(), answered("ridge"), booked("confirmed", id="A-1"), wish("reschedule"))
    assert ("confirmed", "reschedule") == (story.it.bookings[0].state, story.it.bookings[0].pending)

    story.run(booked("refused", hours=2, reason="full"))
    assert ("confirmed", "", ["XD-FRT-006"]) == (
        story.it.bookings[0].state,
        story.it.bookings[0].pending,
        story.codes(),
    )

    story.run(wish("reschedule"), booked("confirmed", hours=3, id="A-2"))
    assert "A-2" == story.it.bookings[0].id


def test_a_facility_that_is_not_on_the_tool_is_called():
    """The fault stands until a person enters what was said on the phone."""
    story = Story().run(planned(), answered("ridge"), booked("not_on_tool", reason="call 801-555-0100"))
    assert ["XD-FRT-005"] == story.codes()

    story.run(booked("confirmed", hours=2, confirmation="by phone"))

    assert [] == story.codes()


def test_an_older_word_of_the_facility_does_not_count():
    """What was said at two o'clock stands against what was said at one."""
    story = Story().run(planned(), answered("ridge"), booked("confirmed", hours=2), booked("refused", hours=1))

    assert ("confirmed", True) == (story.it.bookings[0].state, story.outcomes[-1].duplicate)


def test_papers_before_the_load_wait_and_moved_timers_do_nothing():
    """A yes for a load nobody knows is parked; a deadline that is not due changes nothing."""
    assert "load:L-1" == Story().run(answered("ridge")).outcomes[0].parked_until
    assert Story().run(planned(), deadline("tender")).outcomes[-1].duplicate
