"""Tell an item that nobody knows from one that is out of stock: the first is a wrong code, the second a wait.

An item is unknown while no site has ever reported a position of it, were it zero, and a stock rule is in force.
What is known is read from the stock of the decision alone; `release.py` asks, `consequences.py` takes back.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ..allocation import AllocationLine
from ..sourcing import SourcingDecision
from .draft import Draft

UNKNOWN_ITEM = "XD-ORD-010"
LIKENESS_MIN = 0.75


def unknown_items(decision: SourcingDecision, stock: Mapping[tuple[str, str], Any]) -> frozenset[str]:
    """Return the items that found no site because no site knows them; none when no stock rule judged a site."""
    if not decision.unplaced or not any(entry.kind == "stock" and entry.site for entry in decision.trace):
        return frozenset()
    known = {sku for _, sku in stock}
    return frozenset(line.sku for line in decision.unplaced if line.sku not in known)


def besides(lines: Iterable[AllocationLine], unknown: frozenset[str]) -> tuple[AllocationLine, ...]:
    """Return the lines whose item is known: those are out of stock."""
    return tuple(line for line in lines if line.sku not in unknown)


def report_unknown(draft: Draft, unknown: frozenset[str]) -> None:
    """Report each unknown item once, at its first line, with the known item that looks most like it."""
    if not unknown:
        return
    known = sorted({sku for _, sku in draft.context.stock})
    for index, line in enumerate(draft.order.lines):
        if line.sku not in unknown:
            continue
        like = difflib.get_close_matches(line.sku, known, n=1, cutoff=LIKENESS_MIN)
        hint = f"; the nearest known item is {like[0]!r}" if like else ""
        message = f"no site has ever reported stock of item {line.sku!r}{hint}"
        draft.raise_condition(UNKNOWN_ITEM, _cause(line.sku), message, f"/lines/{index}/sku")


def became_known(draft: Draft, looked_at: Iterable[str], unknown: frozenset[str]) -> bool:
    """Take back what was reported of items that a site has reported since. Returns whether there was any."""
    causes = {_cause(sku) for sku in looked_at if sku not in unknown}
    found = [cause for code, cause in draft.raised if code == UNKNOWN_ITEM and cause in causes]
    for cause in found:
        draft.take_back(UNKNOWN_ITEM, cause)
    return bool(found)


def take_back_settled(draft: Draft) -> None:
    """Take back what was reported of items that no longer wait: placed, cancelled, or gone from the order."""
    reported = [cause for code, cause in draft.raised if code == UNKNOWN_ITEM]
    if not reported:
        return
    ledger = draft.lines
    waiting = {
        _cause(line.sku) for line in draft.order.lines if ledger[line.line_no].open or ledger[line.line_no].backordered
    }
    for cause in reported:
        if cause not in waiting:
            draft.take_back(UNKNOWN_ITEM, cause)


def _cause(sku: str) -> str:
    return f"unknown_item:{sku}"
