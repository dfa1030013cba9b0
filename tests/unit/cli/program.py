"""The program, run as another terminal would run it beside a hub."""

from __future__ import annotations

import asyncio

import pytest

from crossdock.cli.app import main


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in a thread of its own; return its exit code and what it said."""

    def call() -> int:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0)

    code = await asyncio.to_thread(call)
    told = capsys.readouterr()
    return code, told.out, told.err
