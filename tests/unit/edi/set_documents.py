"""Random documents of a set, made from its schema: whatever the layout allows, with values the checks accept."""

from __future__ import annotations

from random import Random
from typing import Any

from crossdock.edi.checks import broken_note
from crossdock.edi.model import Segment
from crossdock.edi.schema import ElementRule, Loop, SegmentRule, SetSchema, Use

# No delimiter, no sign that keys of records use.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,-/&'()éŁ"


class DocumentMaker:
    """Makes one document from a seed; `size` 0 gives only what is mandatory."""

    def __init__(self, schema: SetSchema, seed: int, size: int) -> None:
        self._schema = schema
        self._random = Random(seed)
        self._size = size

    def document(self) -> dict[str, Any]:
        """Return a document as `set_to_document` would give it, without control number."""
        return self._loop(self._schema.root, 0)

    def _loop(self, loop: Loop, depth: int) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for index, child in enumerate(loop.children):
            if child.tag in ("ST", "SE"):
                continue
            if isinstance(child, Use) and (index == 0 or child.name == "&"):
                record.update(self._fields(child.tag, at_least_one=False))
                continue
            rounds = self._rounds(child, depth)
            if not rounds:
                continue
            if isinstance(child, Use) and child.max == 1:
                record[child.name] = self._fields(child.tag)
            elif child.tag == "HL":
                assert isinstance(child, Loop)
                record[child.name] = _numbered([self._level(child, 0) for _ in range(rounds)])
            else:
                made = [
                    self._loop(child, depth + 1) if isinstance(child, Loop) else self._fields(child.tag)
                    for _ in range(rounds)
                ]
                record[child.name] = self._keyed(child, made)
        return record

    def _rounds(self, child: Use | Loop, depth: int) -> int:
        chance = self._size / (10 + 15 * depth)
        extra = self._random.choice((1, 1, 2)) if self._random.random() < chance else 0
        return min(child.max, max(extra, int(child.mandatory)))

    def _level(self, loop: Loop, depth: int) -> dict[str, Any]:
        level = self._loop(loop, depth + 1)
        below = self._random.choice((0, 1, 2)) if depth < 3 and self._size else 0
        if below:
            level["children"] = [self._level(loop, depth + 1) for _ in range(below)]
        return level

    def _keyed(self, child: Use | Loop, records: list[dict[str, Any]]) -> Any:
        if not child.key:
            return records
        keyed: dict[str, Any] = {}
        for record in records:
            label = record.get(child.key, "_")
            free, count = label, 1
            while free in keyed:
                count += 1
                free = f"{label}#{count}"
            keyed[free] = record
        return keyed

    def _fields(self, tag: str, *, at_least_one: bool = True) -> dict[str, Any]:
        rule = self._schema.segments[tag]
        sent = self._presence(rule, at_least_one)
        record: dict[str, Any] = {}
        for number, element in enumerate(rule.elements, 1):
            if number not in sent:
                continue
            if element.components:
                parts = {one.name: self._value(one) for one in element.components if one.mandatory or self._flip()}
                parts = parts or {element.components[0].name: self._value(element.components[0])}
                record.update(parts) if element.name == "&" else record.__setitem__(element.name, parts)
            else:
                record[element.name] = self._value(element)
        return record

    def _flip(self) -> bool:
        return self._random.random() < 0.5

    def _presence(self, rule: SegmentRule, at_least_one: bool) -> set[int]:
        """Choose which elements are sent so that every syntax note holds."""
        for _ in range(50):
            chance = min(0.8, self._size / 8)
            sent = {
                number
                for number, element in enumerate(rule.elements, 1)
                if element.mandatory or self._random.random() < chance
            }
            if at_least_one and not sent:
                sent.add(self._random.randint(1, len(rule.elements)))
            for _ in range(30):
                segment = Segment([rule.tag, *("x" if n in sent else "" for n in range(1, len(rule.elements) + 1))])
                broken = [(note, at) for note in rule.notes if (at := broken_note(note, segment)) is not None]
                if not broken:
                    break
                _, at = broken[0]
                sent.symmetric_difference_update({at})
            else:
                continue
            if all(number in sent for number, one in enumerate(rule.elements, 1) if one.mandatory):
                return sent
        raise AssertionError(f"no presence of elements was found for {rule.tag}")

    def _value(self, element: ElementRule) -> str:
        random, low, high = self._random, max(element.min, 1), element.max
        length = random.randint(low, min(high, low + 12))
        digits = "".join(random.choice("0123456789") for _ in range(length))
        if element.codes or (element.known and self._flip()):
            return random.choice(sorted(element.codes or element.known))
        if element.type == "DT":
            day = f"{random.randint(1, 12):02}{random.randint(1, 28):02}"
            return (f"20{random.randint(0, 99):02}" if high == 8 else f"{random.randint(0, 99):02}") + day
        if element.type == "TM":
            time = f"{random.randint(0, 23):02}{random.randint(0, 59):02}"
            return time if high == 4 or self._flip() else time + f"{random.randint(0, 59):02}"
        if element.type == "R":
            point = random.randint(0, length)
            return random.choice(("", "", "-")) + (
                digits if point in (0, length) else f"{digits[:point]}.{digits[point:]}"
            )
        if element.type.startswith("N"):
            return random.choice(("", "", "-")) + digits
        letters = _LETTERS if element.type == "AN" else _LETTERS[:62]
        return "".join(random.choice(letters) for _ in range(length))


def _numbered(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number levels in the order they are written; roots are of a kind of their own, else they are not told apart."""
    count = 0

    def number(level: dict[str, Any], above: str) -> None:
        nonlocal count
        count += 1
        own = level["number"] = str(count)
        level.pop("parent", None)
        if above:
            level["parent"] = above
            level["level"] = "O" if level["level"] == "S" else level["level"]
        level["has_children"] = "1" if level.get("children") else "0"
        for child in level.get("children", []):
            number(child, own)

    for level in levels:
        number(level, "")
        level["level"] = "S"
    return levels
