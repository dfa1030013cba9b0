"""What can go wrong, and what each kind of wrong means for the work at hand.

The class of an error is its policy: it tells the worker whether to retry, to dead-letter or to wait.
A `Finding` is one defect found in a document; it never stops the reader that found it.
The catalogue of stable codes (title, why, how to fix) lives in `error_codes.py`.
Nothing in here imports anything else of the product: errors carry plain data.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One defect of a document: what, where, why and how to fix it.

    `pointer` is the address in the words of the format: a JSON pointer for JSON (`/lines/0/sku`),
    `row 3, column qty` for CSV, `ISA 1 > GS 1 > ST 0003 > N1 #4 > N104` for X12.
    `offset` counts bytes from the start of the message, `line` counts from 1.
    """

    code: str
    message: str
    severity: Severity = "error"
    pointer: str = ""
    value: str | None = None
    expected: str | None = None
    hint: str | None = None
    offset: int | None = None
    line: int | None = None


class CrossdockError(Exception):
    """Something went wrong inside the hub."""

    code = "XD-SYS-001"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str | tuple[str, ...] = (),
        pointer: str = "",
        findings: tuple[Finding, ...] = (),
    ) -> None:
        doc = (type(self).__doc__ or "").strip().splitlines()
        super().__init__(message or (doc[0] if doc else ""))
        self.code = code or type(self).code
        self.hint = (hint,) if isinstance(hint, str) else tuple(hint)
        self.pointer = pointer
        self.findings = findings


class TransientError(CrossdockError):
    """The other side may accept this later."""

    code = "XD-PTR-001"

    def __init__(self, message: str = "", *, retry_after_seconds: float | None = None, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.retry_after_seconds = retry_after_seconds


class PermanentError(CrossdockError):
    """The other side will never accept this."""

    code = "XD-PTR-002"


class UnknownOutcome(CrossdockError):
    """The send may or may not have taken effect; ask before sending again."""

    code = "XD-PTR-003"


class Snooze(CrossdockError):
    """Not yet: come back at the given time."""

    code = "XD-SYS-002"


class DocumentRejected(CrossdockError):
    """The document breaks the agreement."""

    code = "XD-DOC-001"


class HeldAwaiting(CrossdockError):
    """A code or a master record that the document needs is not known yet.

    `awaits` names what is missing (`lookup:locations:RENO-X`); the document is released by itself when it appears.
    """

    code = "XD-MAP-014"

    def __init__(self, message: str = "", *, awaits: str, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.awaits = awaits


class ConfigurationError(CrossdockError):
    """A setting is missing or contradicts another."""

    code = "XD-CFG-001"


class NotFound(CrossdockError):
    """There is no such object in this tenant."""

    code = "XD-API-404"


class Conflict(CrossdockError):
    """The request contradicts the present state."""

    code = "XD-API-409"


class AccessDenied(CrossdockError):
    """The credential is missing, wrong or not allowed to do this."""

    code = "XD-SEC-001"
