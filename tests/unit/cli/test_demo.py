"""What `crossdock demo` refuses before the day is played, and what the day leaves to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossdock.cli.app import main
from crossdock.cli.demo import check_report_place
from crossdock.errors import ConfigurationError
from crossdock.simulator.day import DayOptions


def test_a_report_that_cannot_be_written_is_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing directory, or a directory in the file's place, is a fault of the settings, not of the evening."""
    for place in (tmp_path / "absent" / "day.json", tmp_path):
        with pytest.raises(ConfigurationError, match="--report"):
            check_report_place(str(place))
    for good in ("", "-", str(tmp_path / "day.json")):
        check_report_place(good)

    with pytest.raises(SystemExit) as ended:
        main(["demo", "--headless", "--report", str(tmp_path / "absent" / "day.json")])
    assert 1 == ended.value.code
    assert "Fix" in capsys.readouterr().err


def test_the_day_waits_only_for_somebody_who_watches() -> None:
    """Three minutes of the person, at any speed; a headless day and one at full speed wait for nobody."""
    assert 3 * 3600 == DayOptions(speed=60, hands_on=True).patience.total_seconds()
    assert 0 == DayOptions(speed=60).patience.total_seconds()
    assert 0 == DayOptions(speed=None, hands_on=True).patience.total_seconds()


def test_a_map_runs_with_the_tables_of_its_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--lookups` a map of a pack finds the tables that lie beside it."""
    pack = tmp_path / "pack"
    for name, text in {
        "maps/codes.yaml": (
            "map: codes\nfrom: {object: order}\nto: {format: json}\nlookups: [locations]\n"
            'set:\n  site: lookup("locations", number)\n'
        ),
        "lookups/locations.yaml": "table: locations\nrows:\n  R1: RENO\n",
        "in.json": '{"number": "R1"}',
    }.items():
        (pack / name).parent.mkdir(parents=True, exist_ok=True)
        (pack / name).write_text(text)

    with pytest.raises(SystemExit) as ended:
        main(["map", "run", str(pack / "maps/codes.yaml"), str(pack / "in.json")])

    told = capsys.readouterr()
    assert (0, True) == (ended.value.code, '"RENO"' in told.out), told.err
