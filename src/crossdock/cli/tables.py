"""Lists for people. At a terminal texts wrap and ids stay whole; in a pipe each record is one line, however long."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 100_000


def as_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, ids: Collection[str] = ()) -> None:
    """Print rows. The columns named in `ids`, without which it is the first, are never wrapped, so that an id can be
    copied as it stands.
    """
    piped = not sys.stdout.isatty()
    table = Table(box=None, header_style="dim")
    for column in columns:
        if column in (ids or columns[:1]):
            table.add_column(column, no_wrap=True, overflow="ignore")
        else:
            table.add_column(column, overflow="fold")
    for row in rows:
        cells = ("" if cell is None else str(cell) for cell in row)
        # Text, not markup: what stands in brackets is part of what a partner wrote.
        table.add_row(*(Text(" ".join(cell.split()) if piped else cell) for cell in cells))
    Console(highlight=False, width=PIPE_WIDTH if piped else None).print(table)
