"""Arrange the segments of a set into its loops, and say what is missing, repeated or out of place.

One pass over a stack of open loops: the innermost loop that has a place for a segment takes it.
A segment without a place stays where it stood, so no segment is ever lost.
"""

from __future__ import annotations

from crossdock.edi.codes import make
from crossdock.edi.model import EdiFinding, Segment
from crossdock.edi.schema import Loop, SetSchema, Use

UNPLACED = -1


class Branch:
    """One round of a loop: its items are (child index, segment number from 1 or a deeper branch)."""

    __slots__ = ("items", "loop")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.items: list[tuple[int, int | Branch]] = []


class _Frame:
    """An open loop: where in it we are and how often that place was used."""

    __slots__ = ("branch", "count", "forward", "loop", "position")

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.loop = branch.loop
        self.forward = branch.loop.forward
        self.position = 0
        self.count = 1


def walk(
    schema: SetSchema, segments: list[Segment], known_tags: frozenset[str], pointer: str
) -> tuple[Branch, list[EdiFinding]]:
    """Return the tree of a set that begins with ST, and the findings about its structure."""
    findings: list[EdiFinding] = []
    root = Branch(schema.root)
    root.items.append((0, 1))
    frame = _Frame(root)
    stack = [frame]
    for number in range(1, len(segments)):
        segment = segments[number]
        tag = segment.elements[0]
        index = frame.forward[frame.position].get(tag, UNPLACED)
        if index == UNPLACED:
            depth = len(stack) - 2
            while depth >= 0:
                outer = stack[depth]
                index = outer.forward[outer.position].get(tag, UNPLACED)
                if index != UNPLACED:
                    break
                depth -= 1
            if index == UNPLACED:
                findings.append(_unplaced(schema, tag, known_tags, stack, segment, number + 1, pointer))
                frame.branch.items.append((UNPLACED, number + 1))
                continue
            while len(stack) - 1 > depth:
                _close(stack.pop(), segment, number + 1, pointer, findings)
            frame = stack[-1]
        if index == frame.position:
            frame.count += 1
            child = frame.loop.children[index]
            if frame.count > child.max:
                findings.append(_too_often(child, segment, number + 1, pointer))
        else:
            missing = frame.loop.required[frame.position, index]
            if missing:
                _missing(frame.loop, missing, segment, number + 1, pointer, findings)
            frame.position = index
            frame.count = 1
            child = frame.loop.children[index]
        if type(child) is Loop:
            branch = Branch(child)
            branch.items.append((0, number + 1))
            frame.branch.items.append((index, branch))
            frame = _Frame(branch)
            stack.append(frame)
        else:
            frame.branch.items.append((index, number + 1))
    while stack:
        last = len(segments)
        _close(stack.pop(), segments[last - 1], last, pointer, findings)
    return root, findings


def address(pointer: str, tag: str, number: int) -> str:
    """Return the pointer of a segment: its tag and its number in the set, counted from ST = 1."""
    return f"{pointer} > {tag} #{number}"


def _close(frame: _Frame, segment: Segment, number: int, pointer: str, findings: list[EdiFinding]) -> None:
    missing = frame.loop.required[frame.position, len(frame.loop.children)]
    if missing:
        _missing(frame.loop, missing, segment, number, pointer, findings)


def _missing(
    loop: Loop, missing: tuple[int, ...], segment: Segment, number: int, pointer: str, findings: list[EdiFinding]
) -> None:
    for at in missing:
        tag = loop.children[at].tag
        if tag == "SE":
            continue  # reported by the reader, which knows why the set ended
        where = f"loop {loop.tag}" if loop.tag != "ST" else "the set"
        findings.append(
            make(
                "segment-missing",
                f"{tag} is mandatory in {where} and missing before {segment.tag}.",
                expected=tag,
                pointer=address(pointer, tag, number),
                offset=segment.offset,
                segment=number,
                tag=tag,
            )
        )


def _too_often(child: Use | Loop, segment: Segment, number: int, pointer: str) -> EdiFinding:
    code, what = ("loop-repeats", "Loop") if isinstance(child, Loop) else ("segment-repeats", "Segment")
    message = f"{what} {child.tag} may occur {child.max} times here."
    return make(code, message, expected=str(child.max), pointer=address(pointer, child.tag, number),
                offset=segment.offset, segment=number, tag=child.tag)  # fmt: skip


def _unplaced(
    schema: SetSchema,
    tag: str,
    known_tags: frozenset[str],
    stack: list[_Frame],
    segment: Segment,
    number: int,
    pointer: str,
) -> EdiFinding:
    if tag not in schema.tags:
        code = "segment-not-in-set" if tag in known_tags else "segment-unrecognized"
        message = f"{tag} is not a segment of set {schema.code}."
    elif any(child.tag == tag for frame in stack for child in frame.loop.children[: frame.position]):
        code, message = "segment-out-of-order", f"{tag} belongs further up in set {schema.code}."
    else:
        code, message = "segment-unexpected", f"{tag} has no place after the segment before it."
    return make(code, message, value=tag, pointer=address(pointer, tag, number), offset=segment.offset,
                segment=number, tag=tag)  # fmt: skip
