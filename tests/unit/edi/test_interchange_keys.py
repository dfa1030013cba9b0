"""Duplicates: key and digest together decide."""

from __future__ import annotations

import pytest

from crossdock import edi
from tests.unit.edi.samples import advice, interchange

FIRST = interchange(advice("0001"))
OTHER_BYTES = interchange(advice("0002"))
OTHER_KEY = interchange(advice("0001"), number="000000118").replace(b"000000117*0*P", b"000000118*0*P")


def read(data: bytes) -> edi.Interchange:
    return next(edi.read(data))


def seen(data: bytes) -> edi.SeenInterchange:
    return edi.SeenInterchange(edi.interchange_key(read(data)), edi.digest(read(data)))


@pytest.mark.parametrize(
    "arriving, ledger, expected",
    [
        (FIRST, [], "new"),
        (FIRST, [FIRST], "duplicate"),
        (FIRST + b"\r\n", [FIRST], "duplicate"),
        (OTHER_BYTES, [FIRST], "conflicting"),
        (OTHER_BYTES, [FIRST, OTHER_BYTES], "duplicate"),
        (OTHER_KEY, [OTHER_BYTES], "new"),
        (FIRST.replace(b"*0*P*", b"*0*T*"), [FIRST], "new"),
        (FIRST.replace(b"*U*00401*000000117*", b"*U*00401*000000117*"), [FIRST], "duplicate"),
    ],
)
def test_the_duplicate_matrix(arriving: bytes, ledger: list[bytes], expected: str) -> None:
    """Same key, same bytes: duplicate. Same key, other bytes: conflicting. Test and production are apart."""
    key, content = edi.interchange_key(read(arriving)), edi.digest(read(arriving))

    assert expected == edi.judge_duplicate(key, content, [seen(one) for one in ledger])


def test_the_same_bytes_under_a_new_key_are_a_probable_resend() -> None:
    """They are delivered and marked; the order's own number decides, not the control number."""
    key = edi.interchange_key(read(OTHER_KEY))

    assert "probable_resend" == edi.judge_duplicate(key, edi.digest(read(FIRST)), [seen(FIRST)])


def test_leading_zeros_do_not_make_another_key() -> None:
    """ISA13 compares as a number."""
    assert "117" == edi.interchange_key(read(FIRST))[4]


def test_control_numbers_wrap() -> None:
    """After 999999999 comes 1."""
    assert (1, 8) == (edi.next_control_number(999_999_999), edi.next_control_number(7))
