"""The three linked panes of the message inspector: raw bytes, canonical document, what went out.

Pure. Each pane is cut into pieces; pieces that hold the same fact share a group, so the page lights them up together.
Facts are linked by the map's own explanation where there is one (source place → target field), else by equal value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ...views.messages import Link

SHOWN_BYTES_MAX = 120_000
VALUE_LENGTH_MIN = 3
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\],:]|\s+')
_PLAIN_TOKEN = re.compile(r"[^,;|\t\r\n]+|[,;|\t\r\n]")
_ENCODE = msgspec.json.Encoder(decimal_format="string").encode
_TRIVIAL = {"true", "false", "null", "0", "1", ""}


class Piece(msgspec.Struct):
    """Some characters of a pane. `kind` colours it (key, mark, value); `group` links it; `fault` underlines it."""

    text: str
    kind: str = "mark"
    pointer: str = ""
    offset: int = -1
    group: str = ""
    fault: bool = False


class Pane(msgspec.Struct):
    """One pane. `note` says how the bytes are shown."""

    title: str
    pieces: list[Piece]
    note: str = ""


class _Union:
    """Sets of pieces that hold the same fact."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, item: int) -> int:
        while (parent := self._parent.get(item, item)) != item:
            item = parent
        return item

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)


def raw_pane(title: str, content: bytes, faults: Iterable[int] = (), values: Iterable[str] = ()) -> Pane:
    """Return the pane of a message's bytes: X12 by segment and element, JSON indented, other text by its delimiters.

    `faults` are the bytes findings point at, `values` what findings without a byte complain of.
    """
    cut = content[:SHOWN_BYTES_MAX]
    more = f"; the first {SHOWN_BYTES_MAX} of {len(content)} bytes" if len(content) > SHOWN_BYTES_MAX else ""
    if cut.lstrip()[:3] == b"ISA":
        pane = Pane(title, _x12(cut), "one segment a line" + more)
    elif cut.lstrip()[:1] in (b"{", b"["):
        pane = _json_pane(title, content)
    else:
        try:
            pane = Pane(title, _plain(cut.decode("utf-8")), "as it came" + more)
        except UnicodeDecodeError as error:
            return Pane(
                title, [Piece(_hex(cut, error.start))], f"not UTF-8: byte {error.start} is 0x{cut[error.start]:02x}"
            )
    for offset in faults:
        at = max(
            (p for p in pane.pieces if p.kind == "value" and 0 <= p.offset <= offset),
            key=lambda p: p.offset,
            default=None,
        )
        if at is not None:
            at.fault = True
    for value in values:
        for piece in pane.pieces:
            if piece.kind == "value" and _plain_value(piece.text) == value:
                piece.fault = True
    return pane


def value_pane(title: str, value: Any) -> Pane:
    """Return the pane of a document as JSON."""
    if value is None:
        return Pane(title, [], "nothing here yet")
    return _json_pane(title, _ENCODE(value))


def link(raw: Pane, canonical: Pane, outbound: Sequence[Pane], links: Sequence[Link], source: Any) -> None:
    """Give the pieces of all panes their groups."""
    everything = [piece for pane in (raw, canonical, *outbound) for piece in pane.pieces]
    index = {id(piece): number for number, piece in enumerate(everything)}
    union = _Union()
    by_pointer = {piece.pointer: piece for piece in canonical.pieces if piece.kind == "value"}
    raw_at = {piece.offset: piece for piece in raw.pieces if piece.kind == "value" and piece.offset >= 0}
    raw_pointer = {piece.pointer: piece for piece in raw.pieces if piece.kind == "value" and piece.pointer}
    raw_text: dict[str, Piece] = {}
    for piece in raw.pieces:
        if piece.kind == "value":
            raw_text.setdefault(_plain_value(piece.text), piece)
    for one in links:
        target = by_pointer.get(one.target)
        if target is None:
            continue
        places = [raw_at[offset] for offset in one.offsets if offset in raw_at]
        places += [raw_pointer[pointer] for pointer in one.sources if pointer in raw_pointer]
        if not places:
            texts = (_plain_value(str(_at(source, pointer))) for pointer in one.sources)
            places = [raw_text[text] for text in texts if text in raw_text]
        for place in places:
            union.join(index[id(place)], index[id(target)])
    _join_equal(everything, index, union)
    sizes: dict[int, set[int]] = {}
    pane_of = {id(piece): number for number, pane in enumerate((raw, canonical, *outbound)) for piece in pane.pieces}
    for piece in everything:
        if piece.kind == "value":
            sizes.setdefault(union.root(index[id(piece)]), set()).add(pane_of[id(piece)])
    for piece in everything:
        root = union.root(index[id(piece)])
        if piece.kind == "value" and len(sizes[root]) > 1:
            piece.group = f"g{root}"


def _join_equal(everything: list[Piece], index: dict[int, int], union: _Union) -> None:
    first: dict[str, int] = {}
    for piece in everything:
        text = _plain_value(piece.text)
        if piece.kind != "value" or len(text) < VALUE_LENGTH_MIN or text in _TRIVIAL:
            continue
        number = index[id(piece)]
        union.join(number, first.setdefault(text, number))


def _json_pane(title: str, content: bytes) -> Pane:
    if len(content) > SHOWN_BYTES_MAX:
        return Pane(
            title, [Piece(content[:SHOWN_BYTES_MAX].decode("utf-8", "replace"))], f"the first {SHOWN_BYTES_MAX} bytes"
        )
    try:
        text = msgspec.json.format(content, indent=2).decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Pane(title, _plain(content.decode("utf-8", "replace")), f"not JSON: {error}")
    return Pane(title, _json(text), "indented for reading")


def _json(text: str) -> list[Piece]:
    """Cut JSON text into pieces and give every value its pointer."""
    pieces: list[Piece] = []
    path: list[str | int] = []
    kinds: list[str] = []
    for found in _JSON_TOKEN.finditer(text):
        word = found[0]
        if word in "{[":
            kinds.append(word)
            path.append("" if word == "{" else 0)
            pieces.append(Piece(word))
        elif word in "}]":
            kinds.pop()
            path.pop()
            pieces.append(Piece(word))
        elif word == ",":
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            pieces.append(Piece(word))
        elif word == ":" or word.isspace():
            pieces.append(Piece(word))
        elif kinds and kinds[-1] == "{" and _is_key(text, found.end()):
            path[-1] = msgspec.json.decode(word.encode())
            pieces.append(Piece(word, "key"))
        else:
            pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
            pieces.append(Piece(word, "value", pointer))
    return pieces


def _is_key(text: str, end: int) -> bool:
    return text[end : end + 1] == ":"


def _x12(content: bytes) -> list[Piece]:
    """Cut an interchange at its own separators; every element knows its byte."""
    start = content.index(b"ISA")
    separator, terminator = content[start + 3 : start + 4], content[start + 105 : start + 106]
    if not separator or not terminator:
        return _plain(content.decode("latin-1"))
    pieces: list[Piece] = []
    offset = start
    for segment in content[start:].split(terminator):
        elements = segment.split(separator)
        at = offset
        for number, element in enumerate(elements):
            text = element.decode("latin-1")
            if number == 0:
                padding = len(text) - len(text.lstrip("\r\n"))
                if text.strip():
                    pieces.append(Piece(text.strip("\r\n"), "key", offset=at + padding))
            else:
                pieces.append(Piece(separator.decode("latin-1")))
                if text:
                    pieces.append(Piece(text, "value", offset=at))
            at += len(element) + 1
        if segment.strip():
            pieces.append(Piece(terminator.decode("latin-1").strip() + "\n"))
        offset += len(segment) + 1
    return pieces


def _plain(text: str) -> list[Piece]:
    pieces: list[Piece] = []
    for found in _PLAIN_TOKEN.finditer(text):
        word = found[0]
        if word == "\r":
            continue  # a browser would show it as one more line
        kind = "mark" if word in ",;|\t\r\n" else "value"
        pieces.append(Piece(word, kind, offset=len(text[: found.start()].encode()) if len(text) < 20_000 else -1))
    return pieces


def _hex(content: bytes, fault: int) -> str:
    first = max(0, fault // 16 * 16 - 64)
    lines = []
    for at in range(first, min(len(content), first + 512), 16):
        row = content[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):<47}  {text}{'   ← here' if at <= fault < at + 16 else ''}")
    return "\n".join(lines)


def _plain_value(text: str) -> str:
    """Return what a value is when its dress is taken off: quotes, blanks, needless zeros behind the point."""
    plain = text.strip().strip('"').strip()
    if "." in plain and plain.replace(".", "", 1).isdigit():
        plain = plain.rstrip("0").rstrip(".")
    return plain


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
    return value
