"""`crossdock edi`: data on standard output, talk on standard error, exit codes as documented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossdock import edi
from crossdock.cli.app import main
from crossdock.cli.edi import app
from tests.unit.edi.samples import advice, interchange

SAMPLES = sorted((Path(__file__).parents[3].parent / "shared/samples/edi").glob("*.edi"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "advice.edi"
    path.write_bytes(interchange(advice("0001"), advice("0002", shipped="SEVEN")))
    return path


def test_read_json_holds_every_element_and_finding(file: Path) -> None:
    """Each segment comes with its elements and offset; findings are listed once for the whole file."""
    result = CliRunner().invoke(app, ["read", str(file), "--json"])

    data = json.loads(result.stdout)
    sets = data["interchanges"][0]["groups"][0]["sets"]
    assert 0 == result.exit_code
    assert [True, False] == [one["accepted"] for one in sets]
    assert {"tag": "LX", "elements": ["1"], "offset": sets[0]["segments"][3]["offset"]} == sets[0]["segments"][3]
    assert ["element-character"] == [one["code"] for one in data["findings"]]
    assert ("error", "ISA 1 > GS 1 > ST 0002 > W12 #5 > W1203") == (
        data["findings"][0]["severity"], data["findings"][0]["pointer"],
    )  # fmt: skip


def test_read_prints_segments_and_findings(file: Path) -> None:
    """Without --json people see the segments and what is wrong."""
    result = CliRunner().invoke(app, ["read", str(file)])

    assert "LX*1" in result.stdout
    assert "element-character" in result.stdout
    assert "22 segments read" in result.stderr


def test_check_says_partly(file: Path) -> None:
    """Some sets accepted, some not: exit code 6."""
    result = CliRunner().invoke(app, ["check", str(file)])

    assert 6 == result.exit_code
    assert "2 sets, 1 accepted, 1 errors" in result.stderr


def test_check_json_counts(file: Path) -> None:
    """The summary as JSON."""
    data = json.loads(CliRunner().invoke(app, ["check", str(file), "--json"]).stdout)

    assert (2, 1, 1) == (data["sets"], data["accepted"], data["errors"])


def test_ack_prints_the_997(file: Path) -> None:
    """The answer is itself a clean interchange, with the instant and number given."""
    result = CliRunner().invoke(app, ["ack", str(file), "--control-number", "9", "--at", "2026-03-03T16:06:00+00:00"])

    (answer,) = edi.read_all(result.stdout.encode()).interchanges
    assert 0 == result.exit_code
    assert ("000000009", "260303") == (answer.control_number, answer.date)
    assert "P" == edi.read_acknowledgment(answer.sets[0]).code


def test_ack_of_an_acknowledgment_is_not_due(tmp_path: Path) -> None:
    """Nothing is printed and the exit code says so."""
    path = tmp_path / "997.edi"
    path.write_bytes(interchange("ST*997*0001~AK1*OW*1~AK9*A*1*1*1~SE*4*0001~").replace(b"GS*SW", b"GS*FA"))

    result = CliRunner().invoke(app, ["ack", str(path)])

    assert (1, "") == (result.exit_code, result.stdout)


@pytest.mark.parametrize("command", ["read", "check", "ack"])
def test_a_missing_file_is_not_found(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, with what to do."""
    with pytest.raises(SystemExit) as ended:
        main(["edi", command, str(tmp_path / "nothing.edi")])

    assert 3 == ended.value.code
    assert "Check the path" in capsys.readouterr().err


def test_what_is_not_edi_cannot_be_read(tmp_path: Path) -> None:
    """Exit code 1 when nothing could be read at all."""
    path = tmp_path / "no.edi"
    path.write_bytes(b"hello")

    assert 1 == CliRunner().invoke(app, ["read", str(path), "--json"]).exit_code


@pytest.mark.skipif(not SAMPLES, reason="the sample files are not beside the project")
def test_every_sample_is_read() -> None:
    """Each file written by others gives JSON and exit code 0, but for the one that is no EDI."""
    codes = {}
    for path in SAMPLES:
        result = CliRunner().invoke(app, ["read", str(path), "--json"])
        assert json.loads(result.stdout)["segment_count"] >= 0
        codes[path.name] = result.exit_code

    assert {"envelope_ediengine_1.edi"} == {name for name, code in codes.items() if code}
