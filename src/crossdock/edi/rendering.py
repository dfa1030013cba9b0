"""Turn a document that a map has built into the segments of a set, and judge them as if they had been received.

Fields are taken in the order of the schema. Nothing is passed over in silence: a field the layout does not know
is a finding, and the result is validated like a set that came in.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.edi import hierarchy
from crossdock.edi.documents import CHILDREN, document_finding, plain_key
from crossdock.edi.model import Delimiters, EdiFinding, PartnerOverlay, Segment, is_number
from crossdock.edi.schema import ElementRule, Loop, SegmentRule, SetSchema, Use
from crossdock.edi.sets import schema_for
from crossdock.edi.validation import DEFAULT_OVERLAY, validate
from crossdock.errors import ConfigurationError


class RenderedSet(msgspec.Struct, frozen=True):
    """The segments from ST to SE, and what is wrong with them; send only when `sendable`."""

    code: str
    control_number: str
    segments: list[Segment]
    findings: tuple[EdiFinding, ...] = ()

    @property
    def sendable(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


def document_to_set(
    document: Mapping[str, Any],
    code: str | None = None,
    *,
    release: str = "004010",
    control_number: str | None = None,
    delimiters: Delimiters = Delimiters(),  # noqa: B008 - frozen
    partner_overlay: PartnerOverlay | None = None,
) -> RenderedSet:
    """Return the set of a document in the layout of docs/reference/edi.md.

    `code` and `control_number` (four to nine characters) default to the document's own `set` and `control_number`.
    Raises ConfigurationError when no schema is held for the set.
    """
    overlay = partner_overlay or DEFAULT_OVERLAY
    code = code or str(document.get("set", ""))
    schema = schema_for(code, release, overlay.schema)
    if schema is None:
        raise ConfigurationError(f"No schema is held for set {code or '(none)'}", hint="Use one of edi.known_sets().")
    control_number = control_number or str(document.get("control_number") or "0001")
    renderer = _Renderer(schema, delimiters)
    body = dict(document)
    body.update(set=code, control_number=control_number)
    unplaced = body.pop("unplaced", None) or []
    renderer.loop(schema.root, body, "")
    segments = renderer.segments
    for each in unplaced:
        at = each.get("after", len(segments))
        segments.insert(max(1, at), Segment([each["tag"], *each["elements"]]))
    segments.append(Segment(["SE", str(len(segments) + 1), control_number]))
    segments = _placed(segments)
    findings = renderer.findings + validate(code, release, segments, delimiters, f"ST {control_number}", overlay)
    return RenderedSet(code, control_number, segments, tuple(findings))


def _placed(segments: list[Segment]) -> list[Segment]:
    """Give segments the offsets they have when written one after the other."""
    offset, placed = 0, []
    for segment in segments:
        placed.append(Segment(segment.elements, offset))
        offset += len("*".join(segment.elements).encode()) + 1
    return placed


class _Renderer:
    """Writes records loop by loop."""

    def __init__(self, schema: SetSchema, delimiters: Delimiters) -> None:
        self._schema = schema
        self._signs = delimiters
        self._names: dict[str, tuple[tuple[str, ElementRule | None], ...]] = {}
        self._levels = hierarchy.Levels()
        self.segments: list[Segment] = []
        self.findings: list[EdiFinding] = []

    def loop(self, loop: Loop, record: Mapping[str, Any], path: str) -> None:
        """Write one round of a loop, its opening segment first."""
        used: set[str] = set()
        for index, child in enumerate(loop.children):
            if child.tag == "SE":
                continue
            if isinstance(child, Use) and (index == 0 or child.name == "&"):
                self._segment(child.tag, record, path, used, always=index == 0)
            elif child.name in record:
                used.add(child.name)
                self._child(child, record[child.name], f"{path}/{child.name}")
        self._report_unused(record, used, path)

    def _child(self, child: Use | Loop, value: Any, path: str) -> None:
        if value is None:
            return
        single = isinstance(child, Use) and child.max == 1
        if single:
            self._one(child, value, path, "")
        elif child.key:
            if not isinstance(value, Mapping):
                self._wrong_shape(path, "records keyed by qualifier", value)
                return
            for key, record in value.items():
                self._one(child, record, f"{path}/{key}", plain_key(str(key)))
        elif isinstance(value, list | tuple):
            for at, record in enumerate(value):
                if child.tag == hierarchy.TAG and isinstance(child, Loop) and isinstance(record, Mapping):
                    self._level(child, record, f"{path}/{at}", "")
                else:
                    self._one(child, record, f"{path}/{at}", "")
        else:
            self._wrong_shape(path, "a list", value)

    def _one(self, child: Use | Loop, record: Any, path: str, qualifier: str) -> None:
        if record is None:
            return
        if not isinstance(record, Mapping):
            self._wrong_shape(path, "a record", record)
            return
        if child.key and qualifier and not record.get(child.key):
            names = {name: sent for sent, name in self._schema.key_names.get(child.tag, {}).items()}
            record = {**record, child.key: names.get(qualifier, qualifier)}
        if isinstance(child, Loop):
            self.loop(child, record, path)
            return
        used: set[str] = set()
        self._segment(child.tag, record, path, used, always=False)
        self._report_unused(record, used, path)

    def _level(self, loop: Loop, record: Mapping[str, Any], path: str, above: str) -> None:
        """Write a level and those below it; their numbers come from the order they stand in."""
        number = str(len(self._levels.parents) + 1)
        read_under, _ = self._levels.place(number, above, str(record.get("level", "")))
        if not above and read_under is not None:
            message = f"{path} would be read as a level below another: give all top levels one kind of their own."
            self.findings.append(document_finding("document-level-number", message, path))
        below = record.get(CHILDREN) or []
        numbers = {"number": number, "parent": above, "has_children": "1" if below else "0"}
        for name, value in numbers.items():
            given = record.get(name)
            if given is not None and given != value:
                place = f"{path}/{name}"
                message = f"{place} is {given}; the level's place makes it {value or 'empty'}."
                self.findings.append(document_finding("document-level-number", message, place, given))
        own = {name: value for name, value in record.items() if name != CHILDREN}
        self.loop(loop, {**own, **numbers}, path)
        if not isinstance(below, list | tuple):
            self._wrong_shape(f"{path}/{CHILDREN}", "a list", below)
            return
        for at, child in enumerate(below):
            place = f"{path}/{CHILDREN}/{at}"
            if isinstance(child, Mapping):
                self._level(loop, child, place, number)
            else:
                self._wrong_shape(place, "a record", child)

    def _segment(self, tag: str, record: Mapping[str, Any], path: str, used: set[str], *, always: bool) -> None:
        rule = self._schema.segments[tag]
        names = self._names.get(tag)
        if names is None:
            merged = any(element.name == "&" for element in rule.elements)
            fields = tuple((one.name, one if one.components else None) for one in rule.elements)
            names = self._names[tag] = () if merged else fields
        elements = [tag]
        if names:
            for name, composite in names:
                used.add(name)
                value = record.get(name)
                if composite is not None:
                    elements.append(self._element(composite, record, path, used) if value else "")
                else:
                    elements.append(value if type(value) is str else self._text(value, path, name))
        else:
            elements += [self._element(element, record, path, used) for element in rule.elements]
        self._unknown_elements(rule, record, path, used, elements)
        while len(elements) > 1 and not elements[-1]:
            elements.pop()
        if always or len(elements) > 1:
            self.segments.append(Segment(elements))

    def _element(self, element: ElementRule, record: Mapping[str, Any], path: str, used: set[str]) -> str:
        if not element.components:
            used.add(element.name)
            return self._text(record.get(element.name), path, element.name)
        inner = record
        if element.name != "&":
            used.add(element.name)
            inner = record.get(element.name) or {}
            if not isinstance(inner, Mapping):
                self._wrong_shape(f"{path}/{element.name}", "a record", inner)
                return ""
        parts = []
        for component in element.components:
            if element.name == "&":
                used.add(component.name)
            parts.append(self._text(inner.get(component.name), path, component.name))
        while parts and not parts[-1]:
            parts.pop()
        return self._signs.component.join(parts)

    def _unknown_elements(
        self, rule: SegmentRule, record: Mapping[str, Any], path: str, used: set[str], elements: list[str]
    ) -> None:
        """Put back elements that were kept as `tag_NN` because the rule does not know them."""
        prefix = rule.tag.lower() + "_"
        for name, value in record.items():
            number = name.removeprefix(prefix) if name not in used and str(name).startswith(prefix) else ""
            if len(number) == 2 and is_number(number) and number != "00":
                at = int(number)
                used.add(name)
                elements += [""] * (at + 1 - len(elements))
                elements[at] = self._text(value, path, name)

    def _text(self, value: Any, path: str, name: str) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        place = f"{path}/{name}"
        message = f"{place} is {type(value).__name__}, not text."
        self.findings.append(document_finding("document-value-not-text", message, place, value))
        return ""

    def _report_unused(self, record: Mapping[str, Any], used: set[str], path: str) -> None:
        for name in record:
            if name not in used:
                place = f"{path}/{name}"
                self.findings.append(
                    document_finding("document-field-unknown", f"{place} is no field of this layout.", place)
                )

    def _wrong_shape(self, path: str, expected: str, value: Any) -> None:
        message = f"{path} must hold {expected}, not {type(value).__name__}."
        self.findings.append(document_finding("document-field-unknown", message, path))
