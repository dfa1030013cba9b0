"""What the schemas cover, as text: the reference page of all sets, and the layout of one for the command line."""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.edi.schema import ElementRule, Loop, SegmentRule, SetSchema
from crossdock.edi.sets import CODE_MEANINGS, TITLES, known_sets, schema_for

_UNBOUNDED = 999_999
_INTRODUCTION = """# X12 sets

What `crossdock.edi` knows of each transaction set: its segments in their order and the names they have in a document.
The rules of the layout, and worked examples, are in [X12: documents, reading, writing, findings](edi.md).
A segment that is not listed is kept under `unplaced` and reported; so is one in the wrong place.
A set that is not listed is read by structure only.
`crossdock edi sets 850` prints one of these.

Names in `[brackets]` key the records: `references[qualifier]` is read as `references["BM"].value`.
`merged` means that the fields stand in the record around it.
Lengths are those of release 004010, with the differences of 005010; an [agreement](edi.md#agreements-with-a-partner)
tightens or loosens them for one partner."""


def sets_page(note: str) -> str:
    """Return the reference page of all sets, with `note` as its first line."""
    lines = [note, _INTRODUCTION, "", "| set | is | group | segments | codes with a meaning |", "|---|---|---|---|---|"]
    for code in known_sets():
        schema = _schema(code)
        codes = sum(len(meanings) for meanings in CODE_MEANINGS.get(code, {}).values())
        link = f"[{code}](#{code}-{TITLES[code].replace(' ', '-').replace(',', '')})"
        lines.append(f"| {link} | {TITLES[code]} | {schema.functional_id} | {len(schema.tags)} | {codes or '-'} |")
    for code in known_sets():
        lines += ["", f"## {code} {TITLES[code]}", "", "```text", *set_layout(code), "```"]
        lines += _code_tables(code)
    lines += ["", "## Segments", "", "`M` is mandatory; the data element's number follows `@`.", ""]
    lines += ["| segment | fields | notes |", "|---|---|---|"]
    rules = {tag: _schema(code).segments[tag] for code in known_sets() for tag in _schema(code).tags}
    for tag, rule in sorted(rules.items()):
        fields = " · ".join(f"{at:02} {_field(element)}" for at, element in enumerate(rule.elements, 1))
        lines.append(f"| `{tag}` | {fields} | {_notes(rule) or '-'} |")
    return "\n".join(lines) + "\n"


def set_layout(code: str) -> list[str]:
    """Return the structure of a set, one line a segment: tag, how often, the name in a document."""
    return [f"{tag:<10}{times:<12}{name}".rstrip() for tag, times, name in _rows(_schema(code).root, "")]


def _rows(loop: Loop, indent: str) -> Iterator[tuple[str, str, str]]:
    for index, child in enumerate(loop.children):
        if child.tag == "SE":
            continue
        name = f"{child.name}[{child.key}]" if child.key else child.name
        times = f"{int(child.mandatory)}..{'*' if child.max >= _UNBOUNDED else child.max}"
        if isinstance(child, Loop):
            yield f"{indent}{child.tag}", times, f"{name}: each with"
            yield from _rows(child, indent + "  ")
        elif index or loop.tag == "ST":
            words = "merged" if child.name == "&" or (index == 0 and loop.tag == "ST") else name
            yield f"{indent}{child.tag}", times, words


def _code_tables(code: str) -> list[str]:
    meanings = CODE_MEANINGS.get(code)
    if not meanings:
        return []
    lines = ["", "| element | codes with a meaning |", "|---|---|"]
    for place, codes in meanings.items():
        lines.append(f"| `{place}` | " + ", ".join(f"`{one}` {words}" for one, words in codes.items()) + " |")
    return lines


def _field(element: ElementRule) -> str:
    if element.components:
        name = "" if element.name == "&" else f"`{element.name}` "
        return f"{name}({', '.join(f'`{one.name}`' for one in element.components)})"
    length = f"{element.min}-{element.max}" if element.min != element.max else str(element.max)
    number = f" @{element.reference}" if element.reference else ""
    return f"`{element.name}` {'M ' if element.mandatory else ''}{element.type} {length}{number}"


def _notes(rule: SegmentRule) -> str:
    return " ".join(f"{kind}{''.join(f'{number:02}' for number in numbers)}" for kind, numbers in rule.notes)


def _schema(code: str) -> SetSchema:
    schema = schema_for(code)
    assert schema is not None
    return schema
