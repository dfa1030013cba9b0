"""Everything that can go wrong: one stable code, what it means and what to do about it.

API problems, console pages, mails, `crossdock explain` and `docs/reference/errors.md` all read this catalogue.
Its entries are data, in `error_codes.toml`; which code applies is decided where the error is raised.
Families: DOC documents, MAP maps, EDI interchanges, ING the ingest door, PTR partners, ORD orders,
CFG configuration, SEC security, API the caller of the API, SYS this installation.
Single EDI findings have names of their own, in `edi/codes.py`.
"""

from __future__ import annotations

import difflib
import tomllib
from importlib.resources import files
from typing import Any, Literal

import msgspec

from crossdock.errors import CrossdockError, TransientError

# Who has to act: the partner, whoever keeps maps and tables, the operator, nobody knows yet, the caller.
Category = Literal["partner", "data", "system", "unknown", "caller"]


class ErrorCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of fault. `fix` lists steps in the order to try them; `retryable` says the same request may succeed."""

    code: str
    title: str
    category: Category
    http_status: int
    retryable: bool
    what: str
    why: str
    fix: tuple[str, ...]

    @property
    def docs(self) -> str:
        """The page about this code, relative to the installation's own address."""
        return f"/docs/errors/{self.code}"


def _read_catalog() -> dict[str, ErrorCode]:
    text = files("crossdock").joinpath("error_codes.toml").read_text(encoding="utf-8")
    return {code: msgspec.convert({"code": code, **row}, ErrorCode) for code, row in tomllib.loads(text).items()}


CATALOG: dict[str, ErrorCode] = _read_catalog()


def lookup(code: str) -> ErrorCode | None:
    """Return the entry of `code`, whatever its case, or None."""
    return CATALOG.get(code.strip().upper())


def entry_of(code: str) -> ErrorCode:
    """Return the entry of `code`; a code nobody catalogued is treated as an internal fault."""
    return lookup(code) or CATALOG["XD-SYS-001"]


def close_to(code: str) -> tuple[str, ...]:
    """Return up to three codes that somebody may have meant."""
    return tuple(difflib.get_close_matches(code.strip().upper(), CATALOG, n=3, cutoff=0.7))


def as_problem(error: CrossdockError) -> dict[str, Any]:
    """Return the error contract as the members of an `application/problem+json`, ready to be encoded.

    Hints of the place where the error was raised stand instead of the steps of the catalogue, which `crossdock explain`
    shows: together they would say the same twice.
    """
    entry = entry_of(error.code)
    problem: dict[str, Any] = {
        "type": entry.docs,
        "title": entry.title,
        "status": entry.http_status,
        "detail": str(error),
        "code": error.code,
        "what": entry.what,
        "why": entry.why,
        "hint": list(dict.fromkeys(error.hint or entry.fix)),
        "retryable": entry.retryable,
        "doc_url": entry.docs,
    }
    if error.pointer:
        problem["pointer"] = error.pointer
    if error.findings:
        problem["findings"] = [msgspec.to_builtins(finding) for finding in error.findings]
    if isinstance(error, TransientError) and error.retry_after_seconds is not None:
        problem["retry_after"] = error.retry_after_seconds
    return problem
