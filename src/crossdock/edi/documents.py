"""Turn a set into the plain document maps read, and remember where every value stood.

The layout is docs/reference/edi.md; `rendering.py` is the way back. Values stay strings; nothing is dropped:
what the schema does not place is kept under `unplaced`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crossdock.edi import hierarchy
from crossdock.edi.codes import make
from crossdock.edi.model import Delimiters, EdiFinding, PartnerOverlay, Segment, TransactionSet
from crossdock.edi.schema import Loop, SegmentRule, SetSchema
from crossdock.edi.sets import KNOWN_TAGS, schema_for
from crossdock.edi.validation import DEFAULT_OVERLAY
from crossdock.edi.walker import UNPLACED, Branch, walk

Document = dict[str, Any]

# The levels below a level of a ship notice.
CHILDREN = "children"

# Stands for a qualifier that was not sent, as a key.
NO_QUALIFIER = "_"


class Position(NamedTuple):
    """Where a value stood: segment number (ST = 1), element number (0 is the whole segment), byte offset."""

    segment: int
    element: int
    offset: int


class SetDocument(NamedTuple):
    """A document and, for each JSON pointer into it, the place in the message it came from."""

    document: Document
    positions: dict[str, Position]


def set_to_document(one: TransactionSet, *, partner_overlay: PartnerOverlay | None = None) -> Document:
    """Return the document of a set; a set without schema becomes a flat list of its segments."""
    return _build(one, partner_overlay or DEFAULT_OVERLAY, None)


def set_with_positions(one: TransactionSet, *, partner_overlay: PartnerOverlay | None = None) -> SetDocument:
    """Return the document of a set together with the source position of every value."""
    positions: dict[str, Position] = {}
    return SetDocument(_build(one, partner_overlay or DEFAULT_OVERLAY, positions), positions)


def qualified(records: Document | None, qualifier: str) -> list[Document]:
    """Return all records of one qualifier from a keyed field (`LV`, `LV#2`, ...), in the order sent."""
    return [record for key, record in (records or {}).items() if plain_key(key) == qualifier]


def plain_key(key: str) -> str:
    """Return the qualifier of a key: `LV` for `LV#2`, an empty string for `_`."""
    base, mark, number = key.rpartition("#")
    key = base if mark and number.isdigit() and base else key
    return "" if key == NO_QUALIFIER else key


def _build(one: TransactionSet, overlay: PartnerOverlay, positions: dict[str, Position] | None) -> Document:
    schema = schema_for(one.code, one.release or "004010", overlay.schema)
    if schema is None:
        return _flat(one, positions)
    branch, _ = walk(schema, one.segments, KNOWN_TAGS, "")
    builder = _Builder(schema, one.segments, one.delimiters, positions)
    document = builder.record(branch, "")
    if builder.unplaced:
        document["unplaced"] = builder.unplaced
    return document


def _flat(one: TransactionSet, positions: dict[str, Position] | None) -> Document:
    document: Document = {"set": one.code, "control_number": one.control_number, "segments": []}
    for number, segment in enumerate(one.segments, 1):
        if segment.tag in ("ST", "SE"):
            continue
        path = f"/segments/{len(document['segments'])}"
        document["segments"].append({"tag": segment.tag, "elements": segment.elements[1:]})
        if positions is not None:
            positions[path] = Position(number, 0, segment.offset)
            for at in range(1, len(segment.elements)):
                positions[f"{path}/elements/{at - 1}"] = Position(number, at, segment.element_offset(at))
    return document


class _Builder:
    """Builds records from the branches of one set."""

    def __init__(
        self,
        schema: SetSchema,
        segments: list[Segment],
        delimiters: Delimiters,
        positions: dict[str, Position] | None,
    ) -> None:
        self._schema = schema
        self._segments = segments
        self._signs = delimiters
        self._positions = positions
        self.unplaced: list[Document] = []
        self._levels: hierarchy.Levels | None = None
        self._placed: list[tuple[Document, str]] = []

    def record(self, branch: Branch, path: str) -> Document:
        record: Document = {}
        merged: set[int] = set()
        for index, item in branch.items:
            if isinstance(item, Branch):
                loop = branch.loop.children[index]
                assert isinstance(loop, Loop)
                self._attach(record, loop.name, loop.key, loop.tag, path, branch=item)
                continue
            if index == UNPLACED:
                self._set_aside(item, path)
                continue
            child = branch.loop.children[index]
            if child.tag == "SE":
                continue
            if index == 0 or child.name == "&":
                if index in merged:
                    self._set_aside(item, path)
                    continue
                merged.add(index)
                self._fields(record, item, path)
            elif child.max == 1:
                if child.name in record:
                    self._set_aside(item, path)
                    continue
                record[child.name] = {}
                self._fields(record[child.name], item, f"{path}/{child.name}")
            else:
                key = child.key if not isinstance(child, Loop) else ""
                self._attach(record, child.name, key, child.tag, path, number=item)
        return record

    def _attach(
        self, record: Document, name: str, key: str, tag: str, path: str, *, number: int = 0,
        branch: Branch | None = None,
    ) -> None:  # fmt: skip
        """Add a repeating record: under its qualifier when keyed, else at the end of the list."""
        if branch is not None and tag == hierarchy.TAG:
            self._attach_level(record, name, path, branch)
            return
        if not key:
            records = record.setdefault(name, [])
            place = f"{path}/{name}/{len(records)}"
            records.append(self._one(number, branch, place))
            return
        keyed = record.setdefault(name, {})
        first = number or _first(branch)
        element = next(at for at, rule in enumerate(self._schema.segments[tag].elements, 1) if rule.name == key)
        qualifier = self._segments[first - 1].get(element) or NO_QUALIFIER
        label = self._schema.key_names.get(tag, {}).get(qualifier, qualifier)
        free, count = label, 1
        while free in keyed:
            count += 1
            free = f"{label}#{count}"
        keyed[free] = self._one(number, branch, f"{path}/{name}/{_escaped(free)}")

    def _attach_level(self, record: Document, name: str, path: str, branch: Branch) -> None:
        """Add a level under the level it belongs to, or at the top."""
        segment = self._segments[_first(branch) - 1]
        self._levels = self._levels or hierarchy.Levels()
        above, _ = self._levels.place(segment.get(1), segment.get(2), segment.get(3))
        owner, place = (record, f"{path}/{name}") if above is None else self._placed[above]
        if above is not None:
            name, place = CHILDREN, f"{place}/{CHILDREN}"
        siblings = owner.setdefault(name, [])
        place = f"{place}/{len(siblings)}"
        level = self.record(branch, place)
        siblings.append(level)
        self._placed.append((level, place))

    def _one(self, number: int, branch: Branch | None, path: str) -> Document:
        if branch is not None:
            return self.record(branch, path)
        fields: Document = {}
        self._fields(fields, number, path)
        return fields

    def _set_aside(self, number: int, path: str) -> None:
        segment = self._segments[number - 1]
        if self._positions is not None:
            self._positions[f"/unplaced/{len(self.unplaced)}"] = Position(number, 0, segment.offset)
        self.unplaced.append({"tag": segment.tag, "elements": segment.elements[1:], "after": number - 1})

    def _fields(self, record: Document, number: int, path: str) -> None:
        """Put the elements of a segment into a record; elements the rule does not know are kept as `tag_NN`."""
        segment = self._segments[number - 1]
        rule = self._schema.segments[segment.tag]
        positions = self._positions
        if positions is not None:
            positions.setdefault(path or "/", Position(number, 0, segment.offset))
        offset = segment.offset + len(segment.tag) + 1
        for at in range(1, len(segment.elements)):
            value = segment.elements[at]
            if value:
                name = self._put(record, rule, at, value)
                if positions is not None:
                    positions[f"{path}/{name}"] = Position(number, at, offset)
            offset += segment.byte_length(value) + 1

    def _put(self, record: Document, rule: SegmentRule, at: int, value: str) -> str:
        element = rule.elements[at - 1] if at <= len(rule.elements) else None
        if element is None:
            name = f"{rule.tag.lower()}_{at:02}"
            record[name] = value
            return name
        if not element.components:
            record[element.name] = value
            return element.name
        parts = value.split(self._signs.component) if self._signs.component else [value]
        repeated = bool(self._signs.repetition) and self._signs.repetition in value
        if repeated or len(parts) > len(element.components):
            name = f"{rule.tag.lower()}_{at:02}"
            record[name] = value
            return name
        target = record if element.name == "&" else record.setdefault(element.name, {})
        for part, component in zip(parts, element.components, strict=False):
            if part:
                target[component.name] = part
        return element.components[0].name if element.name == "&" else element.name


def _first(branch: Branch | None) -> int:
    assert branch is not None
    number = branch.items[0][1]
    assert isinstance(number, int)
    return number


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def document_finding(code: str, message: str, pointer: str, value: object = None) -> EdiFinding:
    """Return a finding about a document that is to be written; `pointer` is a JSON pointer."""
    return make(code, message, pointer=pointer or "/", value=None if value is None else str(value))
