"""Lists: an id stays whole at a terminal, a record is one line in a pipe."""

from __future__ import annotations

import io

import pytest

from crossdock.cli.tables import as_table

ISSUE = "iss_01KAXT2M9V5WZJ5T7R0QK3C8YB"
COLUMNS = ("ISSUE", "CODE", "TITLE", "OWNER")
ROW = (ISSUE, "XD-DOC-002", "Malformed content\nfrom [erp], " + "again and " * 30, None)


class Terminal(io.StringIO):
    """A screen of 80 columns."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("ids", "whole"), [(("ISSUE", "CODE"), True), (("TITLE",), False)])
def test_an_id_is_not_folded_at_a_terminal(ids: tuple[str, ...], whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The title wraps instead; where the id is not named as one, it is folded."""
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    as_table(COLUMNS, [ROW], ids=ids)

    assert whole == (ISSUE in screen.getvalue())
    assert whole == ("XD-DOC-002" in screen.getvalue())
    assert 80 >= max(len(line) for line in screen.getvalue().splitlines())


def test_a_record_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever width the environment names; brackets are no markup and nothing is no word."""
    monkeypatch.setenv("COLUMNS", "40")
    as_table(COLUMNS, [ROW, ROW])
    lines = capsys.readouterr().out.splitlines()

    assert 3 == len(lines)
    assert all("from [erp], again" in line and "None" not in line for line in lines[1:])
    assert [ISSUE, ISSUE] == [line.split()[0] for line in lines[1:]]
