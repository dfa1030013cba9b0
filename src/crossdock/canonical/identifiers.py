"""Identifiers of the field (GTIN, GLN, SSCC, references) and of the hub (prefixed ULIDs).

Everything here is pure. `Ids`, which makes new ids from a clock and randomness, lives in `durable/identity.py`.
Original ids are kept as they came; check digits are findings, never failures.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

ReferenceType = Literal[
    "order",
    "po",
    "so",
    "shop_order",
    "depositor_order",
    "fulfillment",
    "shipment",
    "bol",
    "master_bol",
    "pro",
    "load",
    "appointment",
    "container",
    "seal",
    "lot",
    "rma",
    "return",
    "return_label",
    "credit_request",
    "credit",
    "exchange_request",
    "exchange_order",
    "receipt",
    "release",
    "asn",
    "tracking",
    "sscc",
    "invoice",
    "case",
    "control_number",
    "customer",
]

ID_PREFIXES = {
    "message": "msg",
    "document": "doc",
    "event": "evt",
    "order": "ord",
    "fulfillment": "ful",
    "purchase": "pur",
    "load": "lod",
    "claim": "clm",
    "shipment": "shp",
    "attempt": "att",
    "issue": "iss",
    "exception": "exc",
    "partner": "ptr",
    "connection": "con",
    "tenant": "tnt",
    "release": "rel",
    "timer": "tmr",
    "case": "cas",
    "job": "job",
    "trace": "trc",
    "request": "req",
    "key": "key",
}

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name that somebody gives to a thing: `type` says what kind, `issuer` who gave it.

    Unknown qualifiers survive as their own type, such as `x12:REF:ZZ`.
    """

    type: str
    value: str
    issuer: str = ""


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a canonical object came from."""

    partner: str = ""
    message_id: str = ""
    document: str = ""
    interchange: str = ""


def ulid(milliseconds: int, randomness: int) -> str:
    """Return the 26 characters of a ULID: 48 bits of time, 80 bits of randomness, sortable as text.

    >>> ulid(0, 0)
    '00000000000000000000000000'
    """
    number = ((milliseconds & 0xFFFFFFFFFFFF) << 80) | (randomness & ((1 << 80) - 1))
    return "".join([CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5)])


_NOISE = re.compile(r"[^0-9a-z]+")


def search_key(value: str) -> str:
    """Return the form under which an identifier is found: lower case, without spaces, dashes and leading zeros.

    >>> search_key(" SO-000 123 ")
    'so000123'
    >>> search_key("00042")
    '42'
    """
    folded = _NOISE.sub("", value.lower())
    return folded.lstrip("0") or folded


def match_key(value: str) -> str:
    """Return the form under which two identifiers are the same one: case and spaces do not count, all else does.

    People search more loosely (`search_key`); what is applied to an order must not be: A-1 and A1 are two orders.

    >>> match_key(" so-0001 ") == match_key("SO-0001"), match_key("A-1") == match_key("A1")
    (True, False)
    """
    return "".join(value.split()).lower()


def check_digit_is_right(digits: str) -> bool:
    """Tell whether a GTIN, GLN, GSIN or SSCC ends in its GS1 check digit.

    >>> check_digit_is_right("00012345600012")
    True
    >>> check_digit_is_right("00012345600013")
    False
    """
    if not (digits.isascii() and digits.isdigit()) or len(digits) < 8:
        return False
    weights = [3 if position % 2 == 0 else 1 for position in range(len(digits) - 1)]
    total = sum(int(digit) * weight for digit, weight in zip(reversed(digits[:-1]), weights, strict=True))
    return (10 - total % 10) % 10 == int(digits[-1])


def gtin14(value: str) -> str:
    """Return a GTIN padded to the 14 digits under which GTINs compare; other text comes back unchanged."""
    digits = value.strip()
    return digits.zfill(14) if digits.isascii() and digits.isdigit() and 8 <= len(digits) <= 14 else digits
