"""Crossdock's own X12 codec; EDIFACT is read by structure. Pure: no file, clock, network or randomness.

Bytes become interchanges, groups and sets with findings (`read`, `read_all`, `read_sets`); a set becomes a plain
document and back (`set_to_document`, `document_to_set`); sets become bytes (`write_interchange`); findings become
acknowledgments (`acknowledge`), and acknowledgments outcomes (`read_acknowledgment`).
"""

from crossdock.edi.interchange_keys import digest, interchange_key, judge_duplicate
from crossdock.edi.model import (
    Delimiters,
    EdiFinding,
    Envelope,
    Group,
    GroupEnvelope,
    Interchange,
    PartnerOverlay,
    ReadResult,
    Segment,
    TransactionSet,
)
from crossdock.edi.reader import read, read_all, read_sets

__all__ = [
    "read", "read_all", "read_sets",
    "Interchange", "Group", "TransactionSet", "Segment", "ReadResult", "EdiFinding",
    "Delimiters", "Envelope", "GroupEnvelope", "PartnerOverlay",
    "interchange_key", "digest", "judge_duplicate",
]  # fmt: skip
