"""The reference is whole and fresh: every setting, code and command has its entry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossdock.cli.app import COMMANDS
from crossdock.config import setting_fields
from crossdock.error_codes import CATALOG
from scripts.generate_docs import PAGES

CODE = re.compile(r"\bXD-[A-Z]+-[0-9]+\b")


def codes_used(files: Iterator[Path]) -> dict[str, str]:
    """Return each code found in the files with the first file that uses it."""
    found: dict[str, str] = {}
    for file in sorted(files):
        for code in CODE.findall(file.read_text(encoding="utf-8")):
            found.setdefault(code, file.name)
    return found


def code_files(project: Path) -> Iterator[Path]:
    for suffix in ("py", "html", "yaml", "txt"):
        yield from (project / "src").rglob(f"*.{suffix}")


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_fresh(project: Path, name: str) -> None:
    """A generated page equals what the code says now; `make docs` writes it again."""
    assert PAGES[name]() == (project / name).read_text(encoding="utf-8"), "run: make docs"


def test_every_code_in_the_source_is_catalogued(project: Path) -> None:
    """No code can reach a user that `crossdock explain` does not know."""
    unknown = {code: file for code, file in codes_used(code_files(project)).items() if code not in CATALOG}

    assert {} == unknown


def test_the_scan_finds_a_code_nobody_catalogued(tmp_path: Path) -> None:
    """Control: a planted code is found, so the test above can fail."""
    (tmp_path / "new.py").write_text('raise PermanentError("no", code="XD-PTR-999")')

    assert {"XD-PTR-999": "new.py"} == codes_used(tmp_path.rglob("*.py"))


def test_every_setting_and_command_has_its_entry(project: Path) -> None:
    """The reference pages name each setting with its variable, and each command."""
    settings = (project / "docs/reference/settings.md").read_text(encoding="utf-8")
    commands = (project / "docs/reference/commands.md").read_text(encoding="utf-8")

    assert [] == [field.name for field in setting_fields() if f"`{field.variable}`" not in settings]
    assert [] == [name for name in COMMANDS if f"## crossdock {name}\n" not in commands]
