"""Place quantities of order lines on ranked sites.

Only arithmetic: which sites are in question and in what order says `sourcing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from .ledger import ZERO

UNLIMITED = Decimal("Infinity")


class Need(msgspec.Struct, frozen=True):
    """A quantity of one order line that looks for a site."""

    line_no: str
    sku: str
    quantity: Decimal


class AllocationLine(msgspec.Struct, frozen=True):
    line_no: str
    sku: str
    quantity: Decimal


class Shelf:
    """What the ranked sites still have while quantities are placed. A site without a stock rule has everything."""

    def __init__(self, sites: list[str], limited: Mapping[str, Mapping[str, Decimal]]) -> None:
        self.sites = sites
        self._left = {site: dict(limited[site]) for site in sites if site in limited}

    def copy(self) -> Shelf:
        """Return a shelf of its own, to try something on."""
        return Shelf(self.sites, self._left)

    def has(self, site: str, sku: str) -> Decimal:
        shelf = self._left.get(site)
        return UNLIMITED if shelf is None else shelf.get(sku, ZERO)

    def take(self, site: str, sku: str, quantity: Decimal) -> None:
        shelf = self._left.get(site)
        if shelf is not None:
            shelf[sku] -= quantity

    def covers(self, site: str, wanted: Mapping[str, Decimal]) -> Decimal:
        """Return how much of the wanted quantities by SKU the site could ship."""
        covered = ZERO
        for sku, quantity in wanted.items():
            covered += min(quantity, self.has(site, sku))
        return covered


Taken = dict[str, list[AllocationLine]]


def place(needs: tuple[Need, ...], shelf: Shelf, split: str, sites_max: int) -> Taken:
    """Return the lines each site ships, best ranked site first: one site for all when one has everything.

    `split` is `never`, `lines` (each line whole from one site) or `quantities`; at most `sites_max` sites take part.
    """
    # Lines of one SKU share its stock.
    wanted: dict[str, Decimal] = {}
    for need in needs:
        wanted[need.sku] = wanted.get(need.sku, ZERO) + need.quantity
    total = sum(wanted.values(), ZERO)
    coverage: dict[str, Decimal] = {}
    for site in shelf.sites:
        coverage[site] = shelf.covers(site, wanted)
        if coverage[site] == total:
            return _greedy(needs, shelf, [site])
    if not shelf.sites:
        return {}
    if split == "lines":
        return _by_line(needs, shelf, sites_max)
    if split == "quantities" and sites_max > 1:
        return _over_several(needs, shelf, coverage, sites_max)
    # One site only: the one that can ship most; max keeps the best ranked of equals.
    return _greedy(needs, shelf, [max(shelf.sites, key=coverage.__getitem__)])


def _over_several(needs: tuple[Need, ...], shelf: Shelf, coverage: Mapping[str, Decimal], sites_max: int) -> Taken:
    """Fill from the best ranked sites; when too few may take part for that, from the fullest ones."""
    useful = [site for site in shelf.sites if coverage[site] > 0]
    by_rank = _greedy(needs, shelf.copy(), useful, sites_max)
    if len(useful) <= sites_max or _placed(by_rank) == sum((need.quantity for need in needs), ZERO):
        return by_rank
    fullest = sorted(useful, key=lambda site: -coverage[site])
    by_stock = _greedy(needs, shelf.copy(), fullest, sites_max)
    return by_stock if _placed(by_stock) > _placed(by_rank) else by_rank


def _placed(taken: Taken) -> Decimal:
    return sum((line.quantity for lines in taken.values() for line in lines), ZERO)


def _greedy(needs: tuple[Need, ...], shelf: Shelf, sites: list[str], sites_max: int = 1) -> Taken:
    """Let each site in turn take what it has, until nothing is left or enough sites take part."""
    left = {need.line_no: need.quantity for need in needs}
    taken: Taken = {}
    for site in sites:
        if len(taken) == sites_max or not any(left.values()):
            break
        for need in needs:
            _take(taken, shelf, site, need, min(left[need.line_no], shelf.has(site, need.sku)), left)
    return taken


def _by_line(needs: tuple[Need, ...], shelf: Shelf, sites_max: int) -> Taken:
    """Let each line come whole from one site; a line no site has whole takes what the fullest site can give."""
    left = {need.line_no: need.quantity for need in needs}
    taken: Taken = {}
    for site in shelf.sites:
        for need in needs:
            room = site in taken or len(taken) < sites_max
            if room and left[need.line_no] == need.quantity and shelf.has(site, need.sku) >= need.quantity:
                _take(taken, shelf, site, need, need.quantity, left)
    for need in needs:
        if left[need.line_no] == need.quantity:
            candidates = shelf.sites if len(taken) < sites_max else [site for site in shelf.sites if site in taken]
            best = max(candidates, key=lambda site: shelf.has(site, need.sku))
            _take(taken, shelf, best, need, min(need.quantity, shelf.has(best, need.sku)), left)
    return taken


def _take(taken: Taken, shelf: Shelf, site: str, need: Need, quantity: Decimal, left: dict[str, Decimal]) -> None:
    if quantity <= 0:
        return
    shelf.take(site, need.sku, quantity)
    left[need.line_no] -= quantity
    taken.setdefault(site, []).append(AllocationLine(need.line_no, need.sku, quantity))
