"""Properties of the codec: damage never raises, nothing is lost, what is written is what was read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import edi
from tests.unit.edi.samples import ISA, advice, interchange

SAMPLES = Path(__file__).parents[3].parent / "shared/samples/edi"
CHOSEN = ("945_edifabric_1", "940_oopfactory_1", "999_staedi_3", "envelope_x12types_9", "ORDERS_pydifact_1")
AT = datetime(2026, 3, 3, 16, 6)  # noqa: DTZ001 - written as it is
WHOLE = interchange(advice("0001"), advice("0002"))


def inputs() -> list[bytes]:
    files = [SAMPLES / f"{name}.edi" for name in CHOSEN]
    return [WHOLE, WHOLE.replace(b"~", b"~\r\n"), *(path.read_bytes() for path in files if path.is_file())]


def delivered(result: edi.ReadResult) -> list[edi.Segment]:
    found: list[edi.Segment] = []
    for one in result.interchanges:
        found += one.segments
        for group in one.groups:
            found += [each for each in (group.header, group.trailer) if each] + group.strays
            for each_set in group.sets:
                found += each_set.segments
    return found


def exercise(data: bytes) -> edi.ReadResult:
    """Read, turn into documents, acknowledge and write back: nothing of it may raise."""
    result = edi.read_all(data)
    for one in result.interchanges:
        edi.write(one)
        edi.acknowledge(one, control_numbers=edi.AckNumbers(1, 1), at=AT)
        edi.technical_acknowledgment(one)
        edi.interchange_key(one)
        for each in one.sets:
            edi.set_with_positions(each)
    assert result.segment_count == len(delivered(result))
    assert len(result.all_findings()) < 3_000
    return result


@pytest.mark.parametrize("data", inputs(), ids=range(len(inputs())))
def test_no_prefix_raises(data: bytes) -> None:
    """A message cut at any byte is read as far as it goes."""
    for end in range(0, len(data), 1 if len(data) < 600 else 3):
        exercise(data[:end])


@pytest.mark.parametrize("data", inputs(), ids=range(len(inputs())))
def test_no_deletion_raises(data: bytes) -> None:
    """A message that lost any one byte is read."""
    for at in range(0, len(data), 1 if len(data) < 600 else 3):
        exercise(data[:at] + data[at + 1 :])


def lost(read: object, data: bytes) -> int:
    """Return how many of the pieces between terminators a reader does not deliver."""
    assert callable(read)
    pieces = sum(bool(piece.strip()) for piece in data.split(b"~"))
    return pieces - int(read(data))


def test_no_deletion_in_the_body_loses_a_segment() -> None:
    """Whatever byte of the body goes, the segments between the terminators all come out."""
    for at in range(len(ISA), len(WHOLE) - len("IEA*1*000000117~")):
        data = WHOLE[:at] + WHOLE[at + 1 :]

        assert 0 == lost(lambda one: len(delivered(edi.read_all(one))), data)


def test_the_oracle_catches_a_reader_that_drops_strays() -> None:
    """A reader that forgets segments outside sets is caught by the count."""

    def forgetful(data: bytes) -> int:
        return len(delivered(edi.read_all(data))) - sum(
            len(group.strays) for one in edi.read_all(data).interchanges for group in one.groups
        )

    data = WHOLE.replace(b"ST*945*0002~", b"")

    assert 0 == lost(lambda one: len(delivered(edi.read_all(one))), data)
    assert 0 < lost(forgetful, data)


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    """Arbitrary bytes, with or without a good beginning, are read."""
    exercise(data)
    exercise(ISA.encode() + data)
    exercise(WHOLE[:200] + data + WHOLE[200:])


@given(st.binary(min_size=4, max_size=4))
def test_any_separators_are_survived(signs: bytes) -> None:
    """Any four bytes may stand where the separators stand."""
    element, segment, component, repetition = (signs[at : at + 1] for at in range(4))
    data = WHOLE.replace(b"*", element).replace(b">", component).replace(b"*U*", b"*" + repetition + b"*")

    exercise(data.replace(b"~", segment))


text = st.text(st.characters(min_codepoint=32, max_codepoint=126, blacklist_characters="*~>^"), max_size=12)
tags = st.from_regex(r"[A-Z][A-Z0-9]{1,2}", fullmatch=True).filter(
    lambda tag: tag not in ("ISA", "GS", "ST", "SE", "GE", "IEA")
)
bodies = st.lists(st.tuples(tags, st.lists(text, max_size=6)), max_size=8)
signs = st.sampled_from([("*", "~", ">"), ("|", "'", ":"), ("\x1d", "\x1c", "\x1f"), ("*", "\n", ">")])


def normalised(data: bytes, element: str, segment: str) -> bytes:
    """Cut line breaks between segments and empty elements at the end of segments."""
    kept = []
    for piece in data.decode().split(segment):
        piece = piece.strip("\r\n") if segment != "\n" else piece
        if piece:
            kept.append(piece if piece.startswith("ISA") else piece.rstrip(element))
    return (segment.join(kept) + segment).encode()


@given(bodies, signs, st.sampled_from(["", "\n", "\r\n"]))
def test_writing_back_gives_the_same_bytes(
    body: list[tuple[str, list[str]]], used: tuple[str, str, str], newline: str
) -> None:
    """write(read(x)) is x, but for line breaks between segments and empty elements at their ends."""
    element, segment, component = used
    lines = ["ST*945*0001".replace("*", element)]
    lines += [element.join([tag, *[value.translate({ord(sign): "-" for sign in used}) for value in values]])
              for tag, values in body]  # fmt: skip
    lines.append(element.join(["SE", str(len(lines) + 1), "0001"]))
    whole = interchange("~".join(lines) + "~").decode()
    head, rest = whole[: len(ISA)], whole[len(ISA) :]
    head = head.replace("*", element).replace(">", component).replace("~", segment)
    gs, rest = rest.split("~", 1)
    tail = rest[rest.index("GE*1*117~") :]
    data = head + gs.replace("*", element) + segment + newline + (segment + newline).join(lines) + segment
    data += newline + tail.replace("*", element).replace("~", segment)
    if segment == "\n":
        data = data.replace("\r", "").replace("\n\n", "\n")

    (one,) = edi.read_all(data.encode()).interchanges

    assert normalised(data.encode(), element, segment) == edi.write(one)
