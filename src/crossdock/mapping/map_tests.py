"""Run the tests that stand in a map's own file.

`given_raw` needs a decoder, which belongs to another room: it is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from crossdock.errors import DocumentRejected, Finding, HeldAwaiting
from crossdock.mapping.compiled import CompiledMap, MapContext
from crossdock.mapping.faults import shown
from crossdock.mapping.structure import MapSide, TestCase

Decode = Callable[[bytes, MapSide], list[dict[str, Any]]]


class TestResult(msgspec.Struct, frozen=True):
    """The outcome of one test: passed, or the differences in words."""

    __test__ = False

    name: str
    line: int
    passed: bool
    differences: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def run_tests(compiled: CompiledMap, *, decode: Decode | None = None) -> list[TestResult]:
    """Return the result of each test of a map. Without `decode`, a test with `given_raw` fails and says so."""
    return [_run(compiled, case, decode) for case in compiled.tests]


def _run(compiled: CompiledMap, case: TestCase, decode: Decode | None) -> TestResult:
    findings: tuple[Finding, ...] = ()
    results: list[dict[str, Any]] = []
    ended: DocumentRejected | HeldAwaiting | None = None
    try:
        for decoded in _given(compiled, case, decode):
            context = MapContext(**case.context, root=decoded if compiled.definition.select else None)
            results += [compiled.run(document, context) for document in compiled.split(decoded)]
    except (DocumentRejected, HeldAwaiting) as error:
        ended, findings = error, error.findings
    return TestResult(case.name, case.line, not (wrong := tuple(_judged(case, results, ended))), wrong, findings)


def _given(compiled: CompiledMap, case: TestCase, decode: Decode | None) -> list[dict[str, Any]]:
    if case.given_raw is None:
        return case.given if isinstance(case.given, list) else [case.given if isinstance(case.given, dict) else {}]
    if decode is None:
        raise DocumentRejected(f"`given_raw` needs a decoder for {compiled.source.format}, which is not at hand here")
    return decode(case.given_raw.encode("utf-8"), compiled.source)


def _judged(case: TestCase, results: list[dict[str, Any]], ended: DocumentRejected | HeldAwaiting | None) -> list[str]:
    if case.expect_error is not None:
        if ended is None:
            return [f"expected {case.expect_error}, but the document was mapped"]
        codes = {ended.code} | {finding.code for finding in ended.findings}
        return [] if case.expect_error in codes else [f"expected {case.expect_error}, got {ended.code}: {ended}"]
    if case.expect_held is not None:
        awaits = ended.awaits if isinstance(ended, HeldAwaiting) else None
        return (
            []
            if awaits == case.expect_held
            else [f"expected to be held for {case.expect_held}, got {awaits or ended or 'a result'}"]
        )
    if ended is not None:
        return [f"expected a result, got {ended.code}: {ended}"]
    if isinstance(case.expect, list):
        return differences(case.expect, results, "")
    if len(results) != 1:
        return [f"expected one document, got {len(results)}: give a list of results"]
    return differences(case.expect, results[0], "")


def differences(expected: Any, actual: Any, pointer: str) -> list[str]:
    """Return where a value differs from what is expected of it; fields that are not named are not looked at."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        found: list[str] = []
        for key, value in expected.items():
            found += differences(value, actual.get(key), f"{pointer}/{key}")
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{pointer or '/'}: expected {len(expected)} elements, got {len(actual)}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [line for number, (left, right) in pairs for line in differences(left, right, f"{pointer}/{number}")]
    numbers = (int, Decimal)
    same = expected == actual and (
        type(expected) is type(actual) or (type(expected) in numbers and type(actual) in numbers)
    )
    return [] if same else [f"{pointer or '/'}: expected {_written(expected)}, got {_written(actual)}"]


def _written(value: Any) -> str:
    return f'"{shown(value)}"' if isinstance(value, str) else "nothing" if value is None else str(shown(value))
