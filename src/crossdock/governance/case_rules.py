"""Compile case rules that stand in no pack yet: a candidate for the simulation on history."""

from __future__ import annotations

from typing import Any

from ..errors import CrossdockError
from ..mapping import compile_expression
from ..processes.case_rules import CaseRules, CompiledCaseRules
from .pack_files import PackReader, pack_error


def compile_case_rules(text: str, file: str = "rules/case.yaml") -> CompiledCaseRules:
    """Return the rules of a `rules/case.yaml`, ready to be asked. Raises ConfigurationError with every finding."""
    reader = PackReader()
    root = reader.tree(file, text)
    rules = reader.struct(file, root, CaseRules) if root is not None else None
    conditions: list[Any] = []
    for number, rule in enumerate(rules.relevance if rules is not None else (), 1):
        try:
            compiled = compile_expression(rule.when, file=file, line=1) if rule.when else None
        except CrossdockError as error:
            reader.add(file, 1, f"rule {number}: {error}", code=error.code, value=rule.when)
            continue
        conditions.append(compiled.evaluate if compiled is not None else None)
    if rules is None or any(finding.severity == "error" for finding in reader.findings):
        raise pack_error(reader.findings)
    return CompiledCaseRules(rules, tuple(conditions))
