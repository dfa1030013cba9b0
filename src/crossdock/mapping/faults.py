"""How an evaluation can end other than in a value.

`Fault` and `Awaiting` are raised deep inside, without a place; the interpreter adds file, line, field and source.
`MappingError` is what callers see. The messages are for people, the codes are stable.
"""

from __future__ import annotations

from crossdock.errors import DocumentRejected, Finding

UNREADABLE = "XD-MAP-001"
NOT_IN_LANGUAGE = "XD-MAP-002"
UNKNOWN_FUNCTION = "XD-MAP-003"
WRONG_ARGUMENTS = "XD-MAP-004"
UNKNOWN_SOURCE = "XD-MAP-005"
UNKNOWN_TARGET = "XD-MAP-006"
TYPE_MISMATCH = "XD-MAP-007"
TARGET_NOT_SET = "XD-MAP-008"
UNKNOWN_LOOKUP = "XD-MAP-009"
VALUE_MISSING = "XD-MAP-010"
WRONG_TYPE = "XD-MAP-011"
NOT_READABLE_AS = "XD-MAP-012"
BUDGET = "XD-MAP-013"
NOT_IN_TABLE = "XD-MAP-014"
REFUSED_BY_MAP = "XD-MAP-015"
DIVISION_BY_ZERO = "XD-MAP-016"
TEST_FAILED = "XD-MAP-017"
DOES_NOT_APPLY = "XD-MAP-018"
NO_TESTS = "XD-MAP-019"

CODES: dict[str, str] = {
    UNREADABLE: "The map or an expression cannot be read",
    NOT_IN_LANGUAGE: "A construct the mapping language does not have",
    UNKNOWN_FUNCTION: "Unknown function",
    WRONG_ARGUMENTS: "Wrong number or kind of arguments",
    UNKNOWN_SOURCE: "Unknown source field or name",
    UNKNOWN_TARGET: "Unknown target field",
    TYPE_MISMATCH: "The value's type does not fit the target",
    TARGET_NOT_SET: "A required target field is not set",
    UNKNOWN_LOOKUP: "Unknown lookup table",
    VALUE_MISSING: "A required value is missing",
    WRONG_TYPE: "A value has the wrong type for what is done with it",
    NOT_READABLE_AS: "A value cannot be read as a number, date, time, zone or unit",
    BUDGET: "A budget is used up",
    NOT_IN_TABLE: "A code is not in its lookup table",
    REFUSED_BY_MAP: "The map refused the document",
    DIVISION_BY_ZERO: "Division by zero",
    TEST_FAILED: "A test of the map failed",
    DOES_NOT_APPLY: "The map does not apply to this document",
    NO_TESTS: "The map has no tests",
}


class Fault(Exception):
    """An evaluation cannot go on; it does not know where in the map it is."""

    def __init__(self, code: str, message: str, value: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.value = value


class Awaiting(Exception):
    """A lookup found no row and has no default."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(f"{table}:{key}")
        self.table = table
        self.key = key


class MappingError(DocumentRejected):
    """The map cannot translate this document."""

    code = VALUE_MISSING

    def __init__(
        self, message: str, *, code: str, file: str, line: int, field: str, value: str | None,
        findings: tuple[Finding, ...] = (), hint: str | tuple[str, ...] = (), pointer: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message, code=code, findings=findings, hint=hint, pointer=pointer)
        self.file = file
        self.line = line
        self.field = field
        self.value = value


def shown(value: object, length_max: int = 60) -> str | None:
    """Return a value as a person may see it in a finding: short, on one line; `None` stays `None`."""
    if value is None:
        return None
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    text = value[: length_max + 1] if isinstance(value, str) else str(value)
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= length_max else text[: length_max - 1] + "…"
