"""`crossdock version`: what is installed here."""

from __future__ import annotations

import json
import platform
import sys
from typing import Annotated

import apsw
import typer

from crossdock import __version__


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version of Crossdock and of what it stands on."""
    facts = {
        "crossdock": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "platform": sys.platform,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        others = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "crossdock")
        typer.echo(f"crossdock {__version__} ({others})")
