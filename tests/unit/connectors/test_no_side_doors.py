"""Nothing in the product opens an outbound connection except through the egress."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DOORS = {
    "create_connection",
    "open_connection",
    "sock_connect",
    "connect_ex",
    "urlopen",
    "ClientSession",
    "TCPConnector",
    "HTTPConnection",
    "HTTPSConnection",
    "SMTP",
    "create_datagram_endpoint",
}
MODULES = {
    "urllib.request",
    "http.client",
    "requests",
    "httpx",
    "smtplib",
    "ftplib",
    "telnetlib",
    "imaplib",
    "paramiko",
}
ALLOWED = {"connectors/egress.py": DOORS, "connectors/egress_aiohttp.py": {"ClientSession", "TCPConnector"}}
# The simulator plays the partners: it comes in from outside, as they do. The command line asks what its user typed.
OUTSIDE = ("simulator/", "cli/")
# `Egress.open_connection` is the way that is meant.
MEANT = {"self._egress", "context.egress", "self._context.egress"}


def side_doors(source: str, allowed: set[str]) -> list[str]:
    """Return the calls and imports in a source that reach the network by themselves."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            through = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
            if name in DOORS - allowed and through not in MEANT:
                found.append(f"{node.lineno}: {name}")
            if through == "asyncssh" and name == "connect" and not any(word.arg == "sock" for word in node.keywords):
                found.append(f"{node.lineno}: asyncssh.connect without a socket of the egress")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        found += [f"{node.lineno}: import {name}" for name in names if name in MODULES]
    return found


def test_only_the_egress_opens_sockets(project: Path) -> None:
    """No module calls a library that connects by itself."""
    root = project / "src/crossdock"
    found = {}
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        if not name.startswith(OUTSIDE):
            doors = side_doors(file.read_text(encoding="utf-8"), ALLOWED.get(name, set()))
            if doors:
                found[name] = doors

    assert {} == found


@pytest.mark.parametrize(
    "source",
    [
        "import urllib.request",
        "from http.client import HTTPSConnection",
        "import asyncio\nasync def f(): await asyncio.open_connection('a', 1)",
        "import aiohttp\naiohttp.ClientSession()",
        "import asyncssh\nasyncssh.connect('a')",
        "loop.create_connection(f, 'a', 1)",
    ],
)
def test_control_a_side_door_is_seen(source: str) -> None:
    """The search is able to find what it looks for."""
    assert [] != side_doors(source, set())
