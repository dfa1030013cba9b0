"""`crossdock route`: rules tried on one order and on the past, through the program as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossdock.cli.app import main

NORTHGATE = Path(__file__).parents[3] / "packs/northgate"
ORDER = {
    "number": "SO-1",
    "lines": [{"line_no": "1", "sku": "NG-1001", "quantity": "3"}],
    "ship_to": {"country": "US", "region": "NV"},
}


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_order_is_sourced_without_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No stock is known: every rule is told, and the order finds no site."""
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER))

    assert 0 == run("route", "test", str(file), "--pack", str(NORTHGATE), "--at", "2026-03-02T10:00:00-08:00", "--json")

    decision = json.loads(capsys.readouterr().out)
    assert ("NG-1001", "no stock known") == (
        decision["unplaced"][0]["sku"],
        next(one["reason"] for one in decision["trace"] if one["kind"] == "stock"),
    )


def test_what_cannot_be_tried_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, no order, no past: each with its own exit code and word."""
    broken = tmp_path / "broken.json"
    broken.write_text('{"number": 1}')

    assert 3 == run("route", "test", str(tmp_path / "none.json"), "--pack", str(NORTHGATE))
    assert 1 == run("route", "test", str(broken), "--pack", str(NORTHGATE))
    assert "no canonical order" in capsys.readouterr().err
    assert 3 == run("route", "backtest", str(NORTHGATE))
