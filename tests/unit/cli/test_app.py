"""The program as a whole: its table of commands, its exit codes, its way of telling errors."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from crossdock import __version__
from crossdock.cli import app as program
from crossdock.cli.app import COMMANDS, exit_code, load_command, main, report_internal_fault
from crossdock.errors import AccessDenied, ConfigurationError, Conflict, NotFound


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_version_is_printed_in_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` gives the bare version, `version --json` what it stands on."""
    assert 0 == run("--version")
    assert __version__ == capsys.readouterr().out.strip()

    assert 0 == run("version", "--json")
    assert __version__ == json.loads(capsys.readouterr().out)["crossdock"]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows each command of the table that is installed."""
    assert 0 == run("--help")

    told = capsys.readouterr().out
    assert [] == [name for name in INSTALLED if name not in told]


def test_help_imports_no_command() -> None:
    """Asking for help loads none of the commands, so it stays fast."""
    script = (
        "import sys; from crossdock.cli.app import COMMANDS, main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([e.module for e in COMMANDS.values() if e.module in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == done.stderr.strip()


def test_misspelled_command_offers_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is a usage error (2) that names the nearest command."""
    assert 2 == run("docter")

    assert "Did you mean 'doctor'?" in capsys.readouterr().err


INSTALLED = [name for name, entry in COMMANDS.items() if importlib.util.find_spec(entry.module) is not None]


def test_every_command_of_the_table_is_installed() -> None:
    """The table promises no command that is not there."""
    assert list(COMMANDS) == INSTALLED


@pytest.mark.parametrize("name", INSTALLED)
def test_every_command_loads_and_describes_itself(name: str) -> None:
    """Each command of the table exists, has a help text and a `--help`."""
    command = load_command(name)

    assert name == command.name
    assert command.help


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound(), 3), (AccessDenied(), 4), (Conflict(), 5), (ConfigurationError(), 1)]
)
def test_exit_code_follows_the_class_of_the_error(error: NotFound, code: int) -> None:
    """Scripts can tell not found, not allowed and conflict apart."""
    assert code == exit_code(error)


def test_explain_prints_the_entry(capsys: pytest.CaptureFixture[str]) -> None:
    """A known code is explained; the name of an EDI finding too."""
    assert 0 == run("explain", "xd-map-014")
    assert "Add the code to the table" in capsys.readouterr().out

    assert 0 == run("explain", "isa-too-short", "--json")
    assert "error" == json.loads(capsys.readouterr().out)["severity"]


def test_explain_of_an_unknown_code_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown code is not found, and the nearest codes are offered."""
    assert 3 == run("explain", "XD-MAP-14")

    told = capsys.readouterr()
    assert "" == told.out
    assert "Did you mean XD-MAP-014" in told.err


def test_errors_are_a_problem_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` an error is a problem on standard output and nothing else is."""
    assert 3 == run("explain", "nonsense", "--json")

    assert "XD-API-003" == json.loads(capsys.readouterr().out)["code"]


def test_internal_fault_shows_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """A defect of ours is told by the error contract, with its place and without a trace."""
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        report_internal_fault(type(error), error, error.__traceback__)

    told = capsys.readouterr().err
    assert "XD-SYS-001" in told
    assert "test_app.py:" in told
    assert "Traceback" not in told


def test_config_option_names_the_settings_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--config` reaches the command, and a fault of that file is reported with its name."""
    file = tmp_path / "other.toml"
    file.write_text("[web]\nprot = 1\n")

    assert 1 == run("--config", str(file), "doctor")

    told = capsys.readouterr().out
    assert "Did you mean web.port?" in told
    assert "other.toml" in told


def test_module_runs_like_the_program() -> None:
    """`python -m crossdock` is the same program."""
    done = subprocess.run([sys.executable, "-m", "crossdock", "--version"], capture_output=True, text=True, check=True)

    assert __version__ == done.stdout.strip()
    assert program.EXIT_PARTLY == 6


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "nope"),
        ("apply", "nope", "--yes"),
        ("map", "test", "nope"),
        ("map", "lint", "nope"),
        ("edi", "check", "nope"),
    ],
)
def test_what_is_not_there_ends_with_3(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file or directory is told by the error contract, whatever the command; with `--json` as a problem."""
    monkeypatch.chdir(tmp_path)

    assert 3 == run(*words)
    told = capsys.readouterr().err
    assert ("XD-API-404", True) == (told[:10], "nope" in told)
    assert 3 == run(*words, "--json")
    assert "XD-API-404" == json.loads(capsys.readouterr().out)["code"]


def test_a_fix_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the place of the error advises is not followed by the catalogue's words for the same."""
    monkeypatch.chdir(tmp_path)

    assert 1 == run("up", "--role", "web")
    told = capsys.readouterr().err
    assert told.startswith("XD-SYS-015")
    assert (1, 1) == (told.count("Run one"), told.count("Move to PostgreSQL"))
