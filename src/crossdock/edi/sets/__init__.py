"""The sets this house holds a schema for, by release.

A document type is one file of grammar here and one line in `_TEXTS`; `schema_for` finds it by GS08.
Compiled when first asked for and kept; nothing is read from disk.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from crossdock.edi.schema import SegmentRule, SetSchema, compile_codes, compile_segments, compile_sets, patch
from crossdock.edi.sets import (
    acknowledgments,
    freight,
    inventory,
    invoice,
    purchase_orders,
    receipts,
    releases,
    returns,
    segments,
    segments_freight,
    segments_trade,
    ship_notice,
    shipping_advice,
    shipping_order,
)

_SEGMENTS = compile_segments(
    "\n".join((segments.GRAMMAR, segments_trade.GRAMMAR, segments_freight.GRAMMAR, acknowledgments.SEGMENTS))
)
_CODED = (purchase_orders, ship_notice, invoice, inventory, receipts, returns, freight)
_TEXTS = (shipping_order.GRAMMAR, shipping_advice.GRAMMAR, acknowledgments.GRAMMAR, *(one.GRAMMAR for one in _CODED))
_TEXT_OF = {code: text for text in _TEXTS for code in re.findall(r"^(\d{3}) ", text, flags=re.MULTILINE)}

# Our words for the codes we interpret: set -> `TAG.NN` -> code -> words.
CODE_MEANINGS = compile_codes("\n".join(one.CODES for one in _CODED))


KNOWN_TAGS = frozenset(_SEGMENTS)

# What each set is, in our own words.
TITLES = {
    "180": "return authorization", "204": "load tender", "210": "freight invoice", "214": "carrier status",
    "810": "invoice", "846": "stock report", "850": "purchase order", "855": "purchase order acknowledgment",
    "856": "ship notice", "860": "purchase order change", "861": "receiving advice",
    "865": "purchase order change acknowledgment", "940": "warehouse shipping order", "944": "warehouse stock receipt",
    "945": "warehouse shipping advice", "990": "answer to a load tender", "997": "functional acknowledgment",
    "999": "implementation acknowledgment",
}  # fmt: skip

# GS01 of each set, for the writer and for the check of a group's type; more sets than we hold schemas for.
FUNCTIONAL_IDS = {
    "180": "AN", "204": "SM", "210": "IM", "214": "QM", "810": "IN", "820": "RA", "846": "IB", "850": "PO",
    "855": "PR", "856": "SH", "860": "PC", "865": "CA", "861": "RC", "940": "OW", "943": "AR", "944": "RE",
    "945": "SW", "947": "AW", "990": "GF", "997": "FA", "999": "FA", "824": "AG",
}  # fmt: skip


def segment_rule(tag: str) -> SegmentRule | None:
    """Return the base rule of a segment, or None when the tag is not known here."""
    return _SEGMENTS.get(tag)


def known_sets() -> list[str]:
    """Return the codes of all sets with a schema."""
    return sorted(_TEXT_OF)


@cache
def _compiled(text: str) -> dict[str, SetSchema]:
    return compile_sets(text, _SEGMENTS, CODE_MEANINGS)


@lru_cache(maxsize=512)
def schema_for(code: str, release: str = "004010", overlay: str = "") -> SetSchema | None:
    """Return the schema of a set under a release (GS08) and a partner's overlay text, or None when none is held."""
    text = _TEXT_OF.get(code)
    if text is None:
        return None
    schema = _compiled(text)[code]
    for since, text in releases.PATCHES:
        if release[:6] >= since:
            schema = patch(schema, text)
    return patch(schema, overlay) if overlay else schema
