"""The example's week, on its real wires and on both engines, graded by the partners' own books."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples/receiving-and-freight/story.py"


def _story() -> Any:
    spec = importlib.util.spec_from_file_location("receiving_and_freight_story", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


story = _story()


async def test_the_week_ends_with_nothing_lost_and_nothing_twice(url: str, tmp_path: Path) -> None:
    """Short and damaged goods, a declined tender, a wrong line, a claim: all booked once, by the partners' books."""
    report, week = await story.play(story.settings_for(tmp_path, url))

    assert (0, 0, []) == (report["lost"], report["double_effects"], report["findings"])
    assert {"PO-7001": "closed", "PO-7002": "acknowledged"} == report["purchases"]
    assert {"L-501": "settled"} == report["loads"]
    assert [["RDGT", "declined"], ["SWLF", "accepted"]] == report["tenders"]
    assert ["planned", "carrier", "hub", "actual"] == list(report["etas"])
    assert ["LUMPER", "60.00", "0", "not_agreed"] == report["match"][3]
    assert {"CL-PO-7001-DENVER-R-1": ["settled", "40.00", "2.50"]} == report["claims"]
    assert ["XD-SUP-005", "XD-SUP-009", "XD-SUP-009"] == report["open_issues"]
    (posting,) = week.erp.got("posting")
    assert [("SAW-1", "92"), ("BOLT-10", "1000")] == [(line["item"], line["accepted"]) for line in posting["lines"]]
    assert ["1279.00"] == [body["pay"] for body in week.erp.got("payment")]
    assert ["60.00"] == [body["amount"] for body in week.swiftline.got("dispute")]


async def test_the_books_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the ERP told another quantity than came in, or a thing twice, the report would say so."""
    _, week = await story.play(story.settings_for(tmp_path))
    assert ([], []) == (week.lost(), week.double_effects())

    (posting,) = week.erp.got("posting")
    posting["lines"][0]["accepted"] = "93"
    week.erp.book("posting", "PO-7001:R-1", key="another")
    week.swiftline.documents[:] = [one for one in week.swiftline.documents if one[0] != "dispute"]

    assert 2 == len(week.lost())
    assert ["erp heard posting PO-7001:R-1 2 times"] == week.double_effects()
