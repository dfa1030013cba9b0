"""`crossdock edi read FILE --json` over every X12 file of others: no exception, no dropped segment.

Segments are counted a second time without the codec: non-blank stretches between terminators.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crossdock.cli.app import app
from tests.scenarios.real_945.advices import SAMPLES, needs_samples
from tests.unit.edi.test_samples import naive_segment_count

pytestmark = needs_samples

BOM = b"\xef\xbb\xbf"
EDIFACT = (b"UNA", b"UNB", b"UNH", b"UNZ")


def is_x12(data: bytes) -> bool:
    """Tell X12 from EDIFACT by how the file begins."""
    return not data.removeprefix(BOM).lstrip().startswith(EDIFACT)


FILES = [path for path in sorted(SAMPLES.glob("*.edi")) if is_x12(path.read_bytes())]


def segments_in(value: Any) -> int:
    """Count the segments in the printed JSON: every object that has a tag, its elements and an offset."""
    if isinstance(value, list):
        return sum(segments_in(one) for one in value)
    if not isinstance(value, dict):
        return 0
    own = {"tag", "elements", "offset"} <= value.keys()
    return own + sum(segments_in(one) for one in value.values())


def printed(path: Path) -> tuple[int, Any]:
    """Run the command and return its exit code and the JSON it printed."""
    result = CliRunner().invoke(app, ["edi", "read", str(path), "--json"], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_x12_sample_is_read_whole(path: Path) -> None:
    """The command ends without an exception, prints JSON, and every segment of the file is in it."""
    code, data = printed(path)

    assert segments_in(data["interchanges"]) + data["garbage"] == naive_segment_count(path.read_bytes())
    assert segments_in(data["interchanges"]) == data["segment_count"]
    assert (0 if data["interchanges"] else 1) == code
    assert data["interchanges"] or data["findings"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_finding_has_its_place(path: Path) -> None:
    """Each finding that is an error says where: a byte of the file that is there."""
    _, data = printed(path)

    errors = [one for one in data["findings"] if one["severity"] == "error"]
    assert [] == [one for one in errors if one["offset"] is None or not 0 <= one["offset"] <= path.stat().st_size]


def test_a_dropped_segment_is_noticed(tmp_path: Path) -> None:
    """Control: the printed JSON without one segment no longer agrees with the count."""
    path = FILES[0]
    _, data = printed(path)
    sets = [one for interchange in data["interchanges"] for group in interchange["groups"] for one in group["sets"]]

    sets[0]["segments"].pop()

    assert segments_in(data["interchanges"]) == naive_segment_count(path.read_bytes()) - 1
