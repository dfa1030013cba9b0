"""Quiet hours and digests in the recipient's own zone; texts with placeholders; the identity of telling somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.processes.notices import NoticeRule, Recipient, digest_of, due_at, filled, once_key

CHICAGO = ZoneInfo("America/Chicago")


def chicago(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    "quiet, digest, now, due",
    [
        ("21:00-08:00", "", chicago(23, 22), chicago(24, 8)),
        ("21:00-08:00", "", chicago(24, 7, 59), chicago(24, 8)),
        ("21:00-08:00", "", chicago(24, 8), chicago(24, 8)),
        ("12:00-13:00", "", chicago(23, 12, 30), chicago(23, 13)),
        ("", "17:00", chicago(23, 9), chicago(23, 17)),
        ("", "17:00", chicago(23, 17), chicago(24, 17)),
    ],
)
def test_nobody_is_woken(quiet: str, digest: str, now: datetime, due: datetime) -> None:
    """Quiet hours end where the recipient lives; a digest waits for its time."""
    recipient = Recipient(quiet=quiet, digest=digest)

    assert due == due_at(recipient, CHICAGO, now, urgent=False)
    assert now == due_at(recipient, CHICAGO, now, urgent=True)


@given(
    minute=st.integers(0, 525_000),
    quiet=st.sampled_from(["", "21:00-08:00", "01:30-02:30", "00:00-23:59"]),
    zone=st.sampled_from(["America/Chicago", "Europe/Berlin", "Australia/Lord_Howe"]),
)
def test_what_is_put_off_is_told_outside_the_quiet_hours(minute: int, quiet: str, zone: str) -> None:
    """Never into the past, never by more than a day and an hour, and at a time that is itself not quiet."""
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    recipient = Recipient(quiet=quiet)

    due = due_at(recipient, ZoneInfo(zone), now, urgent=False)

    assert now <= due <= now + timedelta(hours=25)
    assert due == due_at(recipient, ZoneInfo(zone), due, urgent=False)


def test_texts_are_filled_and_unknown_braces_stay() -> None:
    """Only placeholders are filled; anything else a person wrote stays as it is."""
    assert "1 of 3 {Items} of SO-1" == filled(
        "{count} of {of} {Items} of {order}", {"count": 1, "of": 3, "order": "SO-1"}
    )


def test_one_matter_is_told_once_whatever_rule_says_it() -> None:
    """Two rules of one issue have one key for an order; two recipients or two orders have two."""
    first = NoticeRule("a", "x", "customer", "", "", issue="stock")
    second = NoticeRule("b", "y", "customer", "", "", issue="stock")

    assert once_key(first, "ada", "order/1", "e1", "") == once_key(second, "ada", "order/1", "e2", "")
    assert once_key(first, "ada", "order/1", "e1", "") != once_key(first, "ben", "order/1", "e1", "")
    assert once_key(first, "ada", "order/1", "e1", "") != once_key(first, "ada", "order/2", "e1", "")


def test_a_digest_says_everything_once() -> None:
    """Several notices are one message with a line for each."""
    assert ("2 messages", "- a: b\n- c") == digest_of([("a", "b"), ("c", "")])
    assert ("a", "b") == digest_of([("a", "b")])
