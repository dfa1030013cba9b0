"""The sets this house holds a schema for, by release.

A document type is one file of grammar here and one line in `_TEXTS`; `schema_for` finds it by GS08.
Compiled when first asked for and kept; nothing is read from disk.
"""

from __future__ import annotations

from functools import lru_cache

from crossdock.edi.schema import SegmentRule, SetSchema, compile_segments, compile_sets, patch
from crossdock.edi.sets import acknowledgments, releases, segments, shipping_advice, shipping_order

_SEGMENTS = compile_segments(segments.GRAMMAR + acknowledgments.SEGMENTS)
_TEXTS = (shipping_order.GRAMMAR, shipping_advice.GRAMMAR, acknowledgments.GRAMMAR)
_BASE: dict[str, SetSchema] = {}
for _text in _TEXTS:
    _BASE.update(compile_sets(_text, _SEGMENTS))

KNOWN_TAGS = frozenset(_SEGMENTS)

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
    return sorted(_BASE)


@lru_cache(maxsize=512)
def schema_for(code: str, release: str = "004010", overlay: str = "") -> SetSchema | None:
    """Return the schema of a set under a release (GS08) and a partner's overlay text, or None when none is held."""
    base = _BASE.get(code)
    if base is None:
        return None
    schema = base
    for since, text in releases.PATCHES:
        if release[:6] >= since:
            schema = patch(schema, text)
    return patch(schema, overlay) if overlay else schema
