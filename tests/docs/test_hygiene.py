"""What no file of the project may name: a package registry's host, a path of somebody's machine, an index option."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

# Written in pieces, so that this file does not find itself.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"pypi\." + "org",
            "python" + "hosted",
            "registry" + r"\.npmjs",
            r"proxy\.golang" + r"\.org",
            "/tmp/bash" + "_jobs",
            "/work" + "/(main|shared)",
            "--(extra-)?index" + "-url[ =]",
        ]
    )
)


def offending(files: Iterable[Path]) -> list[str]:
    """Return `file:line` of each place that names what it may not."""
    found = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if FORBIDDEN.search(line)]
    return found


def test_no_file_names_a_registry_or_a_machine(project: Path) -> None:
    """Every tracked text file can be used anywhere, through whatever mirror a company has."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")

    assert [] == offending(project / name for name in listing.stdout.split("\0") if name)


def test_requirements_are_pinned_with_hashes(project: Path) -> None:
    """Each requirement has an exact version and at least one hash."""
    for file in (project / "requirements").glob("*.txt"):
        text = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE))
        loose = [
            line for line in text.splitlines() if line.strip() and not re.match(r"[\w.-]+==\S+ .*--hash=sha256:", line)
        ]
        assert [] == loose, file.name


def test_a_registry_host_is_found(tmp_path: Path) -> None:
    """Control: a file that names a host is found with its line."""
    (tmp_path / "pip.conf").write_text("[global]\nindex = https://pypi." + "org/simple\n")

    assert [f"{tmp_path / 'pip.conf'}:2"] == offending(tmp_path.iterdir())
