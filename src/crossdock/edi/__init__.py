"""Crossdock's own X12 codec; EDIFACT is read by structure. Pure: no file, clock, network or randomness.

Bytes become interchanges, groups and sets with findings (`read`, `read_all`, `read_sets`); a set becomes a plain
document and back (`set_to_document`, `document_to_set`); sets become bytes (`write_interchange`); findings become
acknowledgments (`acknowledge`), and acknowledgments outcomes (`read_acknowledgment`).
"""

from crossdock.edi.acks import (
    Acknowledgment,
    AckNumbers,
    InterchangeAcknowledgment,
    SetOutcome,
    acknowledge,
    acknowledgment_sets,
    read_acknowledgment,
    read_interchange_acknowledgments,
    technical_acknowledgment,
    wants_technical_acknowledgment,
)
from crossdock.edi.documents import Position, SetDocument, qualified, set_to_document, set_with_positions
from crossdock.edi.interchange_keys import (
    InterchangeKey,
    SeenInterchange,
    digest,
    interchange_key,
    judge_duplicate,
    next_control_number,
)
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
from crossdock.edi.rendering import RenderedSet, document_to_set
from crossdock.edi.sets import FUNCTIONAL_IDS, known_sets, schema_for
from crossdock.edi.writer import write, write_interchange

__all__ = [
    "read", "read_all", "read_sets",
    "Interchange", "Group", "TransactionSet", "Segment", "ReadResult", "EdiFinding", "Delimiters", "PartnerOverlay",
    "set_to_document", "set_with_positions", "document_to_set", "qualified",
    "SetDocument", "Position", "RenderedSet",
    "write", "write_interchange", "Envelope", "GroupEnvelope",
    "acknowledge", "acknowledgment_sets", "technical_acknowledgment", "wants_technical_acknowledgment",
    "read_acknowledgment",
    "read_interchange_acknowledgments", "AckNumbers", "Acknowledgment", "SetOutcome", "InterchangeAcknowledgment",
    "interchange_key", "digest", "judge_duplicate", "next_control_number", "SeenInterchange", "InterchangeKey",
    "known_sets", "schema_for", "FUNCTIONAL_IDS",
]  # fmt: skip
