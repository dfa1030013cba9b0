"""Quotas of the spool, and the watermark of the disk."""

from __future__ import annotations

import pytest

from crossdock.durable.quotas import Held, Quota, Watermark, exceeded


@pytest.mark.parametrize(
    ("quota", "held", "asked", "broken"),
    [
        (Quota(), Held(10**9, 10**12), (10**6, 10**9), False),
        (Quota(messages_max=10), Held(9, 0), (1, 0), False),
        (Quota(messages_max=10), Held(9, 0), (2, 0), True),
        (Quota(bytes_max=100), Held(1, 60), (1, 40), False),
        (Quota(bytes_max=100), Held(1, 60), (1, 41), True),
    ],
)
def test_a_bound_is_kept_to_the_message_and_the_byte(
    quota: Quota, held: Held, asked: tuple[int, int], broken: bool
) -> None:
    """What would reach the bound is taken, what would pass it is not; 0 bounds nothing."""
    assert broken == bool(exceeded(quota, held, *asked))


def test_the_disk_stops_intake_and_resumes_only_with_room_to_spare() -> None:
    """Below the mark it stops; just above it stays stopped, so that it does not flap; half more, and it goes on."""
    mark = Watermark(100)

    assert [False, True, True, False, False] == [mark.judge(free) for free in (100, 99, 149, 150, 100)]
    assert not Watermark(0).judge(0)
