"""Periods of retention: what they may be, and what of a message they reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossdock.durable.identity import Ids, ManualClock, to_micros
from crossdock.durable.retention import SETTLED_INBOUND, RetentionSpec, faults_of, first_id, periods_of


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (RetentionSpec(payloads="30d", messages="400d", receipts="90d"), []),
        (RetentionSpec(receipts="89d"), ["receipts"]),
        (RetentionSpec(payloads="31d", messages="30d"), ["payloads"]),
        (RetentionSpec(messages="30d", orders="29d"), ["orders"]),
        (RetentionSpec(payloads="a month", messages="0d"), ["payloads", "messages"]),
    ],
)
def test_periods_must_fit_each_other(spec: RetentionSpec, fields: list[str]) -> None:
    """Each fault names its field."""
    assert fields == [field for field, _ in faults_of(spec)]


def test_a_connection_keeps_for_its_own_time_and_bytes_never_longer_than_rows() -> None:
    """What a connection does not say is the tenant's."""
    periods = periods_of(
        RetentionSpec(payloads="30d", messages="400d"),
        {"quick": RetentionSpec(payloads="7d"), "short": RetentionSpec(messages="10d"), "plain": RetentionSpec()},
    )

    assert [7, 10, 30] == [periods.payload_days(one) for one in ("quick", "short", "plain")]
    assert [400, 10, 400] == [periods.message_days(one) for one in ("quick", "short", "plain")]
    assert (7, 10) == (periods.shortest("payloads"), periods.shortest("messages"))


def test_an_instant_parts_ids_made_before_from_ids_made_after() -> None:
    """The bound stands between the ids of one millisecond and the next."""
    start = datetime(2026, 11, 23, tzinfo=UTC)
    clock = ManualClock(start)
    ids = Ids(clock, 1)
    before = ids.new("msg")
    clock.move_to(start + timedelta(milliseconds=1))
    bound = first_id("msg", to_micros(clock.now()))

    assert before < bound <= ids.new("msg")


@pytest.mark.parametrize("state", ["superseded", "discarded"])
def test_what_was_amended_or_given_up_may_go(state: str) -> None:
    """Nothing more happens to it: it is not kept for ever. What still waits is."""
    assert state in SETTLED_INBOUND
    assert "received" not in SETTLED_INBOUND
