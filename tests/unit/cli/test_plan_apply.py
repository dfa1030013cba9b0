"""`crossdock plan` and `crossdock apply`: look first, change once, end with the right code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossdock.cli.app import main
from crossdock.governance import releases
from crossdock.store.engine import open_store

PACK = {
    "pack.yaml": "tenant: northgate\nname: Northgate\n",
    "partners/erp.yaml": "partner: erp\nname: ERP\nrole: erp\n",
    "lookups/codes.yaml": "table: codes\nrows:\n  A: b\n",
}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in PACK.items():
        file = tmp_path / "pack" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "pack"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_plan_changes_nothing(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan on an empty machine lists every file as added and does not even make the record."""
    assert 0 == run("plan", str(pack), "--json")

    told = json.loads(capsys.readouterr().out)
    assert sorted(PACK) == [change["file"] for change in told["changes"]]
    assert told["ok"]
    assert not (tmp_path / "var").exists()


def test_apply_makes_a_release_once(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An apply makes the tenant and release 1; again it changes nothing; one changed row is one changed field."""
    assert 0 == run("apply", str(pack), "--yes", "--json", "--note", "first")
    assert 1 == json.loads(capsys.readouterr().out)["release"]["number"]

    assert 0 == run("apply", str(pack), "--yes", "--json")
    again = json.loads(capsys.readouterr().out)
    assert again["unchanged"]
    assert 1 == again["release"]["number"]

    (pack / "lookups/codes.yaml").write_text("table: codes\nrows:\n  A: c\n")
    assert 0 == run("plan", str(pack))
    assert '~ lookups/codes.yaml  rows.A: "b" → "c"' in capsys.readouterr().out
    assert 0 == run("apply", str(pack), "--dry-run")
    store = open_store("sqlite:///var/crossdock.db")
    assert ["first"] == [release.note for release in store.read_now(lambda c: releases.history(c, "northgate"))]
    store.close()


def test_a_faulty_pack_ends_with_one(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults are told with file and line, and neither plan nor apply goes through."""
    (pack / "partners/erp.yaml").write_text("partner: erp\nname: ERP\nrol: erp\n")

    assert 1 == run("plan", str(pack))
    told = capsys.readouterr().err
    assert "partners/erp.yaml:3" in told
    assert "Did you mean role?" in told
    assert 1 == run("apply", str(pack), "--yes")


def test_usage_and_missing_directories(pack: Path, tmp_path: Path) -> None:
    """Without a terminal apply asks for --yes (2); a directory without pack.yaml is not found (3)."""
    (tmp_path / "empty").mkdir()

    assert 2 == run("apply", str(pack), "--json")
    assert 3 == run("plan", str(tmp_path / "empty"))
    assert 3 == run("plan", str(tmp_path / "nowhere"))
    assert 3 == run("apply", str(tmp_path / "nowhere"), "--yes")


def test_a_broken_map_is_told_once(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map that does not compile is one finding; who names it is not told that there is none."""
    (pack / "maps").mkdir()
    (pack / "connections").mkdir()
    (pack / "maps/erp-order.yaml").write_text("map: erp-order\nfrom: {format: json}\nto: {object: order}\nfieldz: {}\n")
    (pack / "connections/erp.yaml").write_text(
        "connection: erp\npartner: erp\nconnector: http_json\ninbound:\n  - {format: json, map: erp-order}\n"
    )

    assert 1 == run("plan", str(pack), "--json")

    findings = json.loads(capsys.readouterr().out)["findings"]
    assert any(finding["code"].startswith("XD-MAP") for finding in findings)
    assert [] == [finding for finding in findings if "there is no map" in finding["message"]]
