"""Read X12 from bytes or from a stream of chunks: one interchange after another, whatever state they are in.

Bytes are decoded as Latin-1 and cut with `split`, so a position in the text is a byte offset.
Only the chunk in hand and the open set stay in memory when sets are streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from crossdock.edi.assembler import Assembler
from crossdock.edi.codes import make
from crossdock.edi.edifact import read_edifact, starts_edifact
from crossdock.edi.envelope import LOOK_AHEAD, read_bare_set, read_isa, starts_interchange
from crossdock.edi.interchange_keys import interchange_key
from crossdock.edi.model import EdiFinding, Interchange, PartnerOverlay, ReadResult, TransactionSet
from crossdock.edi.validation import DEFAULT_OVERLAY

_BLANKS = re.compile(r"[\s\x00]*")
_NEXT_ISA = re.compile(r"ISA(?=[^A-Za-z0-9\s\x00])")
_BOM = "\xef\xbb\xbf"
_BLOCK = 262_144


class _FileReader:
    """Finds interchanges in text that comes in pieces, and drives an assembler through each."""

    def __init__(self, overlay: PartnerOverlay, *, keep_sets: bool, data: bytes | None) -> None:
        self.findings: list[EdiFinding] = []
        self.garbage = 0
        self.interchanges = 0
        self.segments = 0
        self.edifact = False
        self._overlay = overlay
        self._keep_sets = keep_sets
        self._data = data
        self._base = 0
        self._assembler: Assembler | None = None
        self._started_at = 0
        self._garbage_at: int | None = None
        self._keys: set[tuple[str, ...]] = set()
        self._sign = ""
        self._element = ""
        self._nul_seen = False
        self.done: list[Interchange | TransactionSet] = []

    def take(self, text: str, *, final: bool) -> str:
        """Read what can be read of `text`; return the rest, which must come again in front of the next chunk."""
        if "\x00" in text and not self._nul_seen:
            self._nul_seen = True
            offset = self._base + text.index("\x00")
            self.findings.append(make("nul-bytes", "The file holds NUL bytes.", offset=offset))
        at = 0
        if self._base == 0 and self._assembler is None and (final or len(text) >= 3) and text.startswith(_BOM):
            self.findings.append(make("byte-order-mark", "The file begins with a UTF-8 byte order mark.", offset=0))
            at = 3
        while True:
            before, was_open = at, self._assembler
            at = self._inside(text, at, final) if self._assembler else self._between(text, at, final)
            if at >= len(text) and (not final or self._assembler is None):
                break
            if at == before and was_open is self._assembler:
                break
        self._base += at
        return text[at:]

    # -- between interchanges -----------------------------------------------------------------------------------

    def _between(self, text: str, at: int, final: bool) -> int:
        match = _BLANKS.match(text, at)
        start = match.end() if match else at
        if not final and len(text) - start < LOOK_AHEAD:
            return at
        if start > at and not self.interchanges and self._garbage_at is None and at + self._base in (0, 3):
            message = "Blanks stand before the first segment."
            self.findings.append(make("leading-bytes", message, offset=self._base + at))
        if start >= len(text):
            self._end_garbage(self._base + len(text), text)
            return len(text)
        if self._garbage_at is None and starts_edifact(text, start):
            if not final:
                return at  # read as a whole: message trailers are needed before anything can be said
            return self._take_edifact(text, start)
        if starts_interchange(text, start):
            return self._open(text, start)
        bare = read_bare_set(text, start) if self._garbage_at is None else None
        if bare is not None:
            self._assembler = Assembler(bare, self._base + start, self.interchanges + 1, self._overlay,
                                        keep_sets=self._keep_sets)  # fmt: skip
            self._started_at = self._base + start
            self._sign, self._element = bare.delimiters.segment, bare.delimiters.element
            return start
        return self._skip_garbage(text, start, final)

    def _open(self, text: str, start: int) -> int:
        self._end_garbage(self._base + start, text)
        header = read_isa(text, start, self._base, f"ISA {self.interchanges + 1}")
        self._assembler = Assembler(header, self._base + start, self.interchanges + 1, self._overlay,
                                    keep_sets=self._keep_sets)  # fmt: skip
        self._started_at = self._base + start
        self._sign, self._element = header.delimiters.segment, header.delimiters.element
        return start + header.length

    def _skip_garbage(self, text: str, start: int, final: bool) -> int:
        if self._garbage_at is None:
            self._garbage_at = self._base + start
        found = _NEXT_ISA.search(text, start + 1)
        if found:
            return found.start()
        if final:
            self._end_garbage(self._base + len(text), text)
            return len(text)
        return max(start, len(text) - LOOK_AHEAD)

    def _end_garbage(self, end: int, text: str) -> None:
        if self._garbage_at is None:
            return
        start, self._garbage_at = self._garbage_at, None
        self.garbage += 1
        value = text[max(start - self._base, 0) :][:80].strip()
        if self.interchanges == 0 and end - self._base >= len(text):
            self.findings.append(make("no-envelope", "There is no interchange header.", offset=start, value=value))
        else:
            message = f"{end - start} bytes belong to no interchange."
            self.findings.append(make("garbage", message, offset=start, value=value))

    def _take_edifact(self, text: str, start: int) -> int:
        self.edifact = True
        for interchange in read_edifact(text, start, self._base, self._data):
            self.interchanges += 1
            self.segments += interchange.segment_count
            self.done.append(interchange)
        return len(text)

    # -- inside an interchange ----------------------------------------------------------------------------------

    def _inside(self, text: str, at: int, final: bool) -> int:
        assembler = self._assembler
        assert assembler is not None
        sign = self._sign
        # Cut no further than the next IEA: what follows may use other delimiters.
        trailer = text.find("IEA" + self._element, at, at + _BLOCK)
        end = text.find(sign, trailer if trailer >= 0 else at + _BLOCK)
        if end < 0:
            end = text.rfind(sign, at)
        if end < at:
            if not final:
                return at
            return self._finish_unterminated(text, at)
        stop = assembler.consume(text[at:end].split(sign), self._base + at)
        self._collect_sets()
        if stop is None:
            return end + len(sign)
        at = stop - self._base
        self._finish(stop)
        return at

    def _finish_unterminated(self, text: str, at: int) -> int:
        """At the end of the bytes: read what is left as one last segment."""
        assembler = self._assembler
        assert assembler is not None
        rest = text[at:]
        end = self._base + len(text)
        if rest.strip(" \t\r\n\x00"):
            lead = len(rest) - len(rest.lstrip(" \t\r\n\x00"))
            assembler.note_unterminated(self._base + at + lead, rest.strip())
            stop = assembler.consume([rest.rstrip(" \t\r\n\x00")], self._base + at)
            if stop is not None and stop < end:
                self._collect_sets()
                self._finish(stop)
                return stop - self._base
        self._collect_sets()
        self._finish(end)
        return len(text)

    def _collect_sets(self) -> None:
        assert self._assembler is not None
        self.done += [one for one in self._assembler.done if isinstance(one, TransactionSet)]
        self._assembler.done.clear()

    def _finish(self, end: int) -> None:
        assembler = self._assembler
        assert assembler is not None
        raw = self._data[self._started_at : end] if self._data is not None else b""
        interchange = assembler.finish(end, raw)
        self._collect_sets()
        key = interchange_key(interchange)
        if key in self._keys and interchange.control_number:
            repeated = make("duplicate-interchange", f"ISA13 {interchange.control_number} was in this file before.",
                            value=interchange.control_number, pointer=f"ISA {self.interchanges + 1} > ISA13",
                            offset=interchange.offset)  # fmt: skip
            interchange = msgspec.structs.replace(interchange, findings=(*interchange.findings, repeated))
        self._keys.add(key)
        self.interchanges += 1
        self.segments += interchange.segment_count
        self.done.append(interchange)
        self._assembler = None


def _run(reader: _FileReader, chunks: Iterable[bytes]) -> Iterator[Interchange | TransactionSet]:
    rest = ""
    for chunk in chunks:
        rest = reader.take(rest + chunk.decode("latin-1"), final=False)
        yield from reader.done
        reader.done.clear()
    reader.take(rest, final=True)
    yield from reader.done
    reader.done.clear()


def read(data: bytes, *, partner_overlay: PartnerOverlay | None = None) -> Iterator[Interchange]:
    """Yield the interchanges of a message in order; never raises on what the bytes hold."""
    reader = _FileReader(partner_overlay or DEFAULT_OVERLAY, keep_sets=True, data=data)
    for one in _run(reader, [data]):
        if isinstance(one, Interchange):
            yield one


def read_all(data: bytes, *, partner_overlay: PartnerOverlay | None = None) -> ReadResult:
    """Read a whole message: its interchanges and what was found outside them."""
    reader = _FileReader(partner_overlay or DEFAULT_OVERLAY, keep_sets=True, data=data)
    interchanges = [one for one in _run(reader, [data]) if isinstance(one, Interchange)]
    findings = list(reader.findings)
    if not interchanges and not any(finding.code == "no-envelope" for finding in findings):
        findings.append(make("no-envelope", "There is no interchange header.", offset=0))
    if reader.edifact:
        findings.append(make("edifact", "The message is EDIFACT.", offset=0))
    return ReadResult(
        interchanges,
        tuple(findings),
        reader.segments,
        "edifact" if reader.edifact else "x12" if interchanges else "unknown",
        reader.garbage,
    )


def read_sets(
    chunks: Iterable[bytes], *, partner_overlay: PartnerOverlay | None = None
) -> Iterator[TransactionSet | Interchange]:
    """Stream a large message: each set as soon as its SE is read, then its interchange without the sets.

    Memory is bounded by the chunk and the largest set, not by the file.
    """
    reader = _FileReader(partner_overlay or DEFAULT_OVERLAY, keep_sets=False, data=None)
    yield from _run(reader, chunks)
