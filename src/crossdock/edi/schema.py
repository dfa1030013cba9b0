"""Compile the compact grammar of sets and segments into tables.

The grammar is facts only, with our own names (see docs/why/edi-codec.md):

    W06 MID1/1=reporting_code@514 MAN1/22=depositor_order@285 DT8/8=shipped_on@373 | P0304
    945 SW  ST W06=w06 (N1 x10 =parties[role]: N1 N3*x2=street N4?=&) W03?=w03 SE

An element is `[M]type min/max[=name][@reference]`; a composite is `[M](element element)=name`.
In a structure a bare tag is mandatory, `?` optional, `*` optional and repeating, `+` mandatory and repeating;
`xN` limits repeats, `=name` names the document field, `[field]` keys records by that field, `=&` merges them into
the loop around. `(TAG ...: ...)` is a loop opened by TAG; `(TAG! ...)` must occur.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from crossdock.errors import ConfigurationError

_ELEMENT = re.compile(r"(M?)(AN|ID|DT|TM|R|N\d)(\d+)/(\d+)(?:=(\w+))?(?:@(\w+))?$")
_USE = re.compile(r"([A-Z][A-Z0-9]{1,2})([?*+]?)(?:x(\d+))?(?:=(&|\w+)(?:\[(\w+)\])?)?$")
_LOOP = re.compile(r"\(([A-Z][A-Z0-9]{1,2})(!?)\s+x(\d+)(?:\s+=(\w+)(?:\[(\w+)\])?)?\s*:")
_NOTE = re.compile(r"([PRECL])((?:\d\d){2,})$")
_UNBOUNDED = 999_999


class ElementRule(NamedTuple):
    """What the schema knows of one element; `components` is set for composites.

    `codes` are enforced; `known` are those we have a meaning for, others pass with a notice.
    """

    name: str
    mandatory: bool
    type: str
    min: int
    max: int
    reference: str
    components: tuple[ElementRule, ...] = ()
    codes: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


class SegmentRule(NamedTuple):
    """Elements in order, and the syntax notes as (kind, element numbers)."""

    tag: str
    elements: tuple[ElementRule, ...]
    notes: tuple[tuple[str, tuple[int, ...]], ...]


class Use(NamedTuple):
    """A segment at its position in a loop."""

    tag: str
    mandatory: bool
    max: int
    name: str
    key: str


class Loop:
    """A loop: its first child opens it. `forward[p]` maps a tag to the first child at or after position p."""

    __slots__ = ("children", "forward", "key", "mandatory", "max", "name", "required", "tag")

    def __init__(
        self, tag: str, mandatory: bool, maximum: int, name: str, key: str, children: tuple[Use | Loop, ...]
    ) -> None:
        self.tag = tag
        self.mandatory = mandatory
        self.max = maximum
        self.name = name
        self.key = key
        self.children = children
        self.forward: tuple[dict[str, int], ...] = tuple(self._tags_from(at) for at in range(len(children)))
        self.required = {
            (start, end): tuple(at for at in range(start + 1, end) if children[at].mandatory)
            for start in range(len(children))
            for end in range(start, len(children) + 1)
        }

    def _tags_from(self, start: int) -> dict[str, int]:
        found: dict[str, int] = {}
        # The first child opens the loop: met again it means the loop's next round, which is the parent's business.
        for at in range(max(start, 1), len(self.children)):
            found.setdefault(self.children[at].tag, at)
        return found


class SetSchema(NamedTuple):
    """One transaction set under one release and overlay; hashable by identity of its parts."""

    code: str
    functional_id: str
    root: Loop
    segments: dict[str, SegmentRule]
    tags: frozenset[str]
    key_names: dict[str, dict[str, str]]


def compile_segments(text: str) -> dict[str, SegmentRule]:
    """Compile segment lines; `#` starts a comment, an indented line continues the one above."""
    rules: dict[str, SegmentRule] = {}
    # A line that begins with blanks continues the one before it.
    for line in _lines(re.sub(r"\n[ \t]+", " ", text)):
        body, _, notes = line.partition("|")
        tag, *tokens = _tokens(body)
        elements = tuple(_element(token, tag, number) for number, token in enumerate(tokens, 1))
        names = [element.name for element in elements]
        assert len(set(names)) == len(names), f"{tag} uses a name twice"
        rules[tag] = SegmentRule(tag, elements, tuple(_note(note) for note in notes.split()))
    return rules


def compile_sets(
    text: str, segments: dict[str, SegmentRule], meanings: CodeMeanings | None = None
) -> dict[str, SetSchema]:
    """Compile set structures; each starts with `CODE FUNCTIONAL_ID ST` at the beginning of a line."""
    schemas: dict[str, SetSchema] = {}
    flat = "\n".join(_lines(text, keep_indent=True))
    for part in re.split(r"^(?=\d{3} )", flat, flags=re.MULTILINE):
        if not part.strip():
            continue
        code, functional_id, body = part.split(None, 2)
        root = Loop("ST", True, 1, code, "", _children(body, code))
        rules = with_known_codes(segments, (meanings or {}).get(code, {}))
        schemas[code] = make_schema(code, functional_id, root, rules)
    return schemas


CodeMeanings = dict[str, dict[str, dict[str, str]]]
_CODE_LINE = re.compile(r"(\d{3}) ([A-Z][A-Z0-9]{1,2})\.(\d\d) (.+)$")


def compile_codes(text: str) -> CodeMeanings:
    """Compile lines such as `990 B1.04 A accepted; D declined` into set -> element -> code -> our own words for it."""
    meanings: CodeMeanings = {}
    for line in _lines(re.sub(r"\n[ \t]+", " ", text)):
        match = _CODE_LINE.match(line)
        if match is None:
            raise ConfigurationError(f"Codes: {line[:60]!r} is not SET TAG.NN CODE words; CODE words")
        pairs = [pair.split(None, 1) for pair in match[4].split(";")]
        assert all(len(pair) == 2 for pair in pairs), line
        meanings.setdefault(match[1], {})[f"{match[2]}.{match[3]}"] = {code: words.strip() for code, words in pairs}
    return meanings


def with_known_codes(rules: dict[str, SegmentRule], meanings: dict[str, dict[str, str]]) -> dict[str, SegmentRule]:
    """Return the rules of one set with the codes that have a meaning in it."""
    rules = dict(rules)
    for place, codes in meanings.items():
        tag, number = place.split(".")
        rule, at = rules[tag], int(number) - 1
        element = rule.elements[at]._replace(known=frozenset(codes))
        rules[tag] = rule._replace(elements=(*rule.elements[:at], element, *rule.elements[at + 1 :]))
    return rules


def make_schema(
    code: str,
    functional_id: str,
    root: Loop,
    segments: dict[str, SegmentRule],
    key_names: dict[str, dict[str, str]] | None = None,
) -> SetSchema:
    tags = frozenset(_tags(root))
    missing = sorted(tag for tag in tags if tag not in segments)
    if missing:
        raise ConfigurationError(f"Set {code} uses segments without a rule: {', '.join(missing)}")
    return SetSchema(code, functional_id, root, segments, tags, key_names or {})


def _tags(loop: Loop) -> list[str]:
    found: list[str] = []
    for child in loop.children:
        found += _tags(child) if isinstance(child, Loop) else [child.tag]
    return found


def _lines(text: str, keep_indent: bool = False) -> list[str]:
    stripped = (line.split("#", 1)[0].rstrip() for line in text.splitlines())
    return [line if keep_indent else line.strip() for line in stripped if line.strip()]


def _tokens(body: str) -> list[str]:
    return re.findall(r"M?\([^)]*\)\S*|\S+", body)


def _element(token: str, tag: str, number: int) -> ElementRule:
    if "(" in token:
        mandatory = token.startswith("M")
        inner, _, name = token[1 + mandatory :].partition(")")
        parts = tuple(_element(part, tag, at) for at, part in enumerate(inner.split(), 1))
        return ElementRule(name.lstrip("=") or f"{tag.lower()}_{number:02}", mandatory, "C", 1, 0, "", parts)
    match = _ELEMENT.match(token)
    if match is None:
        raise ConfigurationError(f"Segment {tag}: element {number} {token!r} is not [M]type min/max[=name]")
    name = match[5] or f"{tag.lower()}_{number:02}"
    return ElementRule(name, bool(match[1]), match[2], int(match[3]), int(match[4]), match[6] or "")


def _note(note: str) -> tuple[str, tuple[int, ...]]:
    match = _NOTE.match(note)
    if match is None:
        raise ConfigurationError(f"Syntax note {note!r} is not one of P R E C L with element numbers")
    return match[1], tuple(int(match[2][at : at + 2]) for at in range(0, len(match[2]), 2))


def _children(body: str, code: str) -> tuple[Use | Loop, ...]:
    children, rest = _parse(body, code)
    if rest.strip():
        raise ConfigurationError(f"Set {code}: {rest.strip()[:30]!r} is left over; a bracket is not closed")
    return children


def _parse(text: str, code: str) -> tuple[tuple[Use | Loop, ...], str]:
    children: list[Use | Loop] = []
    text = text.lstrip()
    while text and text[0] != ")":
        if text[0] == "(":
            match = _LOOP.match(text)
            if match is None:
                raise ConfigurationError(f"Set {code}: {text[:30]!r} is not (TAG xMAX =name: ...)")
            inner, text = _parse(text[match.end() :], code)
            if not text.startswith(")"):
                raise ConfigurationError(f"Set {code}: loop {match[1]} is not closed")
            text = text[1:]
            children.append(Loop(match[1], bool(match[2]), int(match[3]), match[4] or "", match[5] or "", inner))
        else:
            token = re.split(r"[\s()]", text, maxsplit=1)[0]
            use = _USE.match(token)
            if use is None:
                raise ConfigurationError(f"Set {code}: {token!r} is not TAG[?*+][xMAX][=name]")
            repeats = use[2] in ("*", "+")
            maximum = int(use[3]) if use[3] else (_UNBOUNDED if repeats else 1)
            children.append(Use(use[1], use[2] in ("", "+"), maximum, use[4] or "", use[5] or ""))
            text = text[len(token) :]
        text = text.lstrip()
    return tuple(children), text


_PATCH = re.compile(
    r"(?P<tag>[A-Z][A-Z0-9]{1,2})"
    r"(?:\.(?P<element>\d\d)\s+(?:(?P<bound>min|max)\s+(?P<number>\d+)|in\s+(?P<codes>\S.*)|(?P<need>mandatory|optional))"
    r"|\s+repeat\s+(?P<repeat>\d+)|\[(?P<qualifier>\w+)\]\s*->\s*(?P<name>\w+))\s*$"
)


def patch(schema: SetSchema, text: str) -> SetSchema:
    """Lay release differences or a partner's agreement over a schema.

    One statement a line: `N9.01 in LT LV`, `N9.02 max 50`, `N9.02 mandatory`, `N9 repeat 999`, `N1[ST] -> ship_to`.
    Statements on segments this set does not use are ignored.
    """
    segments, key_names, root = dict(schema.segments), dict(schema.key_names), schema.root
    for line in _lines(text):
        match = _PATCH.match(line)
        if match is None:
            raise ConfigurationError(f"Schema overlay: {line!r} is not understood")
        tag = match["tag"]
        if tag not in schema.tags:
            continue
        if match["repeat"]:
            root = _with_repeat(root, tag, int(match["repeat"]))
        elif match["name"]:
            key_names[tag] = {**key_names.get(tag, {}), match["qualifier"]: match["name"]}
        else:
            segments[tag] = _with_element(segments[tag], int(match["element"]), match)
    return make_schema(schema.code, schema.functional_id, root, segments, key_names)


def _with_element(rule: SegmentRule, number: int, match: re.Match[str]) -> SegmentRule:
    if not 1 <= number <= len(rule.elements):
        raise ConfigurationError(f"Schema overlay: {rule.tag} has no element {number:02}")
    element = rule.elements[number - 1]
    if match["bound"] == "max":
        element = element._replace(max=int(match["number"]))
    elif match["bound"] == "min":
        element = element._replace(min=int(match["number"]))
    elif match["codes"]:
        element = element._replace(codes=frozenset(match["codes"].split()))
    else:
        element = element._replace(mandatory=match["need"] == "mandatory")
    elements = (*rule.elements[: number - 1], element, *rule.elements[number:])
    return rule._replace(elements=elements)


def _with_repeat(loop: Loop, tag: str, maximum: int) -> Loop:
    children: list[Use | Loop] = []
    for at, child in enumerate(loop.children):
        if isinstance(child, Loop):
            children.append(_with_repeat(child, tag, maximum))
        else:
            # The opening segment of a loop repeats with the loop, not inside it.
            opens = at == 0 and loop.tag == tag
            children.append(child if opens or child.tag != tag else child._replace(max=maximum))
    own = maximum if loop.tag == tag and loop.children[0].tag == tag else loop.max
    return Loop(loop.tag, loop.mandatory, own, loop.name, loop.key, tuple(children))
