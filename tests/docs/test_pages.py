"""The documentation holds: links lead somewhere, commands exist, blocks marked `run` run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crossdock.cli.app import COMMANDS, load_command
from tests.support.processes import free_port

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("src/crossdock/connectors/*/*.md")])
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """One fenced block of a page."""

    page: Path
    language: str
    run: bool
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.text.splitlines()[0][:40] if self.text.strip() else ''}"


def blocks_of(page: Path) -> Iterator[Block]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        words = match["info"].split()
        yield Block(page, words[0] if words else "", "run" in words[1:], match["text"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUNNABLE = [block for block in BLOCKS if block.run]
SHELL = [block for block in BLOCKS if block.language in ("shell", "sh", "bash", "console")]


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(text)]
    local = [target for target in targets if target and "://" not in target and not target.startswith(("mailto:", "/"))]
    return [target for target in local if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file that is there."""
    assert [] == broken_links(page)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """Control: a link to nowhere is found."""
    page = tmp_path / "page.md"
    page.write_text("See [this](nowhere.md) and [that](page.md#top).\n")

    assert ["nowhere.md"] == broken_links(page)


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: block.name)
def test_marked_block_runs(block: Block, tmp_path: Path) -> None:
    """A block marked `run` ends with 0 in an empty directory, with the program on the path."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CROSSDOCK_WEB_PORT": str(free_port()),
    }
    command = [sys.executable, "-c", block.text] if block.language == "python" else ["bash", "-euc", block.text]

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert (0, "") == (done.returncode, done.stderr if done.returncode else "")


def commands_in(block: Block) -> Iterator[list[str]]:
    for line in block.text.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]
        if words and (words[0].endswith("crossdock") or words[0] == "make"):
            yield words


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_commands_exist(block: Block) -> None:
    """Each `crossdock` command and `make` target in a page exists, with the options it is shown with."""
    targets = re.findall(r"^([a-z-]+):.*##", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for program, *words in commands_in(block):
        if program == "make":
            assert words[0] in targets
            continue
        name = next(word for word in words if not word.startswith("-"))
        assert name in COMMANDS
        command = load_command(name)
        for word in words[words.index(name) + 1 :]:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        assert [] == [
            word for word in words if word.startswith("--") and word.partition("=")[0] not in known | {"--config"}
        ]
