"""`rules/inventory.yaml`: how stock is watched and what is told of it."""

from __future__ import annotations

import fnmatch
from decimal import Decimal

import msgspec


class Buffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Stock that is never promised: `quantity` of each item that fits `sku` (a pattern such as `NG-1*`) at `site`.

    An empty `site` means every site.
    """

    quantity: Decimal
    sku: str = "*"
    site: str = ""


class Freshness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a site must have told its stock: so many minutes after its last word, and each day by these local times.

    `grace_minutes` is added to both. `by` is wall-clock time of the site, `06:00`.
    """

    site: str
    every_minutes: int = 0
    by: tuple[str, ...] = ()
    grace_minutes: int = 15


class InventoryRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How stock is watched and what is told of it.

    `tolerance`: a difference of so many base units or less is no drift. `confirm_within_minutes`: a difference that
    open requests explain is a matter of timing for so long, then it is a drift.
    `buffers` are never promised; of several that fit, the largest counts. `in_flight_minutes`: what left in the last
    minutes is kept back once more, for the orders of shops that are placed and not here yet.
    `publish_every_seconds`: so often changed levels are told, the latest only. `publish_sites`: whose stock is added up
    (empty: every active site).
    `promise_stale_minutes`: stock older than this is not promised to shops (0: any age).
    """

    tolerance: Decimal = Decimal(0)
    confirm_within_minutes: int = 60
    buffers: tuple[Buffer, ...] = ()
    in_flight_minutes: int = 0
    publish_every_seconds: int = 60
    publish_sites: tuple[str, ...] = ()
    promise_stale_minutes: int = 0
    freshness: tuple[Freshness, ...] = ()

    def buffer(self, site: str, sku: str) -> Decimal:
        """Return what is never promised of an item at a site."""
        fitting = [
            one.quantity
            for one in self.buffers
            if one.site in ("", site) and (one.sku == "*" or fnmatch.fnmatchcase(sku, one.sku))
        ]
        return max(fitting, default=Decimal(0))
