"""Outages: what is detected, what is stale, what may take another way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crossdock.durable.outage import OutagePolicy, Waiting, detected, divertible, stale


def test_an_open_circuit_is_an_outage_after_its_time() -> None:
    """Ten minutes are set: not at 9:59, at 10:00; without a setting never."""
    policy = OutagePolicy(detect_after_minutes=10)

    assert "" == detected(policy, open_since=0, heard_at=None, now=599)
    assert "10 minutes" in detected(policy, open_since=0, heard_at=None, now=600)
    assert "" == detected(policy, open_since=None, heard_at=None, now=1e9)
    assert "" == detected(OutagePolicy(), open_since=0, heard_at=0, now=1e9)


def test_silence_is_an_outage_only_of_who_has_spoken() -> None:
    """A partner that has never said anything is not silent."""
    policy = OutagePolicy(silence_minutes=30)

    assert "30 minutes" in detected(policy, open_since=None, heard_at=0, now=1800)
    assert "" == detected(policy, open_since=None, heard_at=1, now=1800)
    assert "" == detected(policy, open_since=None, heard_at=None, now=1800)


PAPERS = st.lists(
    st.tuples(st.sampled_from(("a", "b")), st.sampled_from(("order_status", "invoice")), st.booleans()), max_size=30
)


@given(PAPERS)
def test_the_newest_of_each_stays_and_nothing_else_is_touched(papers: list[tuple[str, str, bool]]) -> None:
    """Of the declared type the newest per lane stays; other types and what may have arrived stay too."""
    waiting = [Waiting(f"m{place}", *paper) for place, paper in enumerate(papers)]
    gone = stale(waiting, ["order_status"])

    for one in waiting:
        newer = [
            other.message_id for other in waiting if (other.lane, other.document_type) == (one.lane, one.document_type)
        ]
        expected = one.document_type == "order_status" and one.certain and newer[-1] != one.message_id
        assert expected == (one.message_id in gone)
        assert not expected or gone[one.message_id] == newer[-1]
    assert {} == stale(waiting, [])


def test_nothing_overtakes_what_may_have_arrived() -> None:
    """A lane whose head is of unknown outcome stays; one that only waits goes as a whole, in its order."""
    certain = [Waiting(f"m{place}", "a", "t", True) for place in range(3)]

    assert ["m0", "m1", "m2"] == divertible(certain)
    assert [] == divertible([Waiting("m9", "a", "t", False), *certain])
