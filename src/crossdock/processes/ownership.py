"""Whose word counts: the system of record of each object and field, and what becomes of another's word.

`ownership.yaml` of a pack is an `OwnershipRules`. `judge` is pure: a canonical object, who says it and what is known go
in; the object with every owned field as its owner has it, and the conflicts, come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

Condition = Callable[[Mapping[str, Any]], Any]

SHOWN = 120


class OwnershipRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who owns an object, or fields of it. The first rule of an object whose `when` holds is taken.

    `owners` are partners whose word on the object as a whole is taken at all (empty: anybody's). `fields` gives the
    owners of single fields: another's word on them is kept as a conflict, and the rest of the object is applied.
    `when` is an expression over the object's own fields.
    """

    object: str
    owners: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = {}
    when: str = ""


class OwnershipRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`ownership.yaml`."""

    rules: tuple[OwnershipRule, ...] = ()


class Conflict(msgspec.Struct, frozen=True):
    """A word that was not taken. An empty `field` is the object as a whole; `kept` is what stands."""

    object: str
    field: str
    partner: str
    owners: tuple[str, ...]
    said: str
    kept: str = ""

    @property
    def words(self) -> str:
        """Return the conflict in words."""
        owners = " or ".join(self.owners)
        if not self.field:
            return f"{self.partner} sent a {self.object}, which only {owners} may"
        return f"{self.partner} says {self.field} = {self.said}; {owners} owns it, {self.kept or 'nothing'} stands"


class Judged(msgspec.Struct, frozen=True):
    """What may be applied (None: nothing of it), and the conflicts. `owned` are fields this partner does own."""

    value: Any
    conflicts: tuple[Conflict, ...] = ()
    owned: tuple[str, ...] = ()


def judge(
    rules: Sequence[tuple[OwnershipRule, Condition | None]], kind: str, value: Any, partner: str, current: Any
) -> Judged:
    """Return what of an object counts when this partner says it.

    `current` is the same object as it is known (None: not yet). A field that somebody else owns keeps its known value;
    where there is none yet it is left out.
    """
    fields = msgspec.to_builtins(value)
    rule = next((one for one, condition in rules if condition is None or condition(fields) is True), None)
    if rule is None:
        return Judged(value)
    if rule.owners and partner not in rule.owners:
        return Judged(None, (Conflict(kind, "", partner, rule.owners, ""),))
    defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
    conflicts: list[Conflict] = []
    kept: dict[str, Any] = {}
    owned: list[str] = []
    for name, owners in rule.fields.items():
        if partner in owners:
            owned.append(name)
            continue
        said, default = getattr(value, name), defaults[name]
        stands = getattr(current, name) if current is not None and hasattr(current, name) else default
        if said in (stands, default):
            # Silence is no word: what another left out stays as its owner has it.
            if said != stands:
                kept[name] = stands
            continue
        if stands is msgspec.NODEFAULT:
            continue
        kept[name] = stands
        conflicts.append(Conflict(kind, name, partner, tuple(owners), _text(said), _text(stands)))
    return Judged(msgspec.structs.replace(value, **kept) if kept else value, tuple(conflicts), tuple(owned))


def _text(value: Any) -> str:
    if value is None or value == "" or value is msgspec.NODEFAULT:
        return ""
    plain = msgspec.to_builtins(value, str_keys=True)
    text = plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


# What differs between two tellings of one fact, and is no part of it.
_VOLATILE = frozenset(("at", "as_of", "requested_at", "refs", "note", "local_time", "provenance"))


def substance(value: Any) -> bytes:
    """Return what an object says, without when and how it was said: two tellings of one fact are equal.

    >>> from ..canonical.orders import OrderStatus
    >>> substance(OrderStatus("SO-1", "shipped", None)) == substance(OrderStatus("SO-1", "shipped", None, detail=""))
    True
    """
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        plain = {name: one for name, one in plain.items() if name not in _VOLATILE and one not in (None, "", [], {})}
    return msgspec.json.encode(plain, order="sorted")
