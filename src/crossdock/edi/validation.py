"""Judge one transaction set: its loops, its elements, and whether the partner's agreement lets it pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from crossdock.edi import hierarchy
from crossdock.edi.checks import ElementChecks
from crossdock.edi.codes import FINDINGS_PER_SET_MAX, make
from crossdock.edi.model import Acceptance, Delimiters, EdiFinding, PartnerOverlay, Segment
from crossdock.edi.schema import SetSchema
from crossdock.edi.sets import KNOWN_TAGS, schema_for
from crossdock.edi.walker import walk
from crossdock.errors import Severity

DEFAULT_OVERLAY = PartnerOverlay()

_UNKNOWN = ("segment-unrecognized", "segment-not-in-set")
_UNKNOWN_SEVERITY: dict[str, Severity] = {"warn": "warning", "reject": "error", "pass": "info"}

# A set that ends in the middle is never accepted, however lenient the agreement: what is missing is not known.
_NEVER_ACCEPTED = frozenset({"se-missing", "unt-missing", "set-control-number-duplicate"})


@lru_cache(maxsize=512)
def _prepared(code: str, release: str, overlay: str) -> tuple[SetSchema, ElementChecks] | None:
    schema = schema_for(code, release, overlay)
    return None if schema is None else (schema, ElementChecks(schema.segments))


def validate(
    code: str,
    release: str,
    segments: list[Segment],
    delimiters: Delimiters,
    pointer: str,
    overlay: PartnerOverlay = DEFAULT_OVERLAY,
) -> list[EdiFinding]:
    """Return the findings about the structure and the elements of a set that begins with ST."""
    prepared = _prepared(code, release, overlay.schema)
    if prepared is None:
        message = f"No schema is held for set {code or '(none)'}."
        return [make("set-without-schema", message, pointer=pointer, offset=segments[0].offset)]
    schema, checks = prepared
    _, findings = walk(schema, segments, KNOWN_TAGS, pointer)
    findings += checks.check(segments, delimiters, pointer)
    if hierarchy.TAG in schema.tags:
        findings += hierarchy.hierarchy_findings(segments, pointer)
    return findings


def judge(
    findings: Sequence[EdiFinding], overlay: PartnerOverlay, control_number: str, pointer: str
) -> tuple[tuple[EdiFinding, ...], Acceptance]:
    """Apply the partner's severities and return the findings, capped, with the set's acceptance."""
    if not findings:
        return (), "A"
    judged = [_with_severity(finding, overlay, control_number) for finding in findings]
    errors = [finding for finding in judged if finding.severity == "error"]
    if not errors:
        acceptance: Acceptance = "A"
    elif overlay.acceptance == "lenient" and not any(finding.code in _NEVER_ACCEPTED for finding in errors):
        acceptance = "E"
    else:
        acceptance = "R"
    if len(judged) > FINDINGS_PER_SET_MAX:
        left_out = len(judged) - FINDINGS_PER_SET_MAX
        # The set's own defects (counts, control numbers) come last and are what a sender needs most.
        judged.sort(key=lambda finding: finding.segment is not None)
        judged = judged[:FINDINGS_PER_SET_MAX]
        judged.append(make("too-many-findings", f"{left_out} further findings are left out.", pointer=pointer))
    judged.sort(key=lambda finding: finding.offset or 0)
    return tuple(judged), acceptance


def _with_severity(finding: EdiFinding, overlay: PartnerOverlay, control_number: str) -> EdiFinding:
    severity = overlay.severities.get(finding.code)
    if severity is None and finding.code in _UNKNOWN:
        severity = _UNKNOWN_SEVERITY[overlay.unknown_segments]
    return msgspec.structs.replace(finding, severity=severity or finding.severity, set_control_number=control_number)
