"""Check the notification rules of a pack: every event, recipient, zone and placeholder they name exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..canonical.catalog import EVENT_TYPES
from ..processes.notices import CUSTOMER, OWNER, PLACEHOLDERS, placeholders_of
from .pack_files import PackReader, follow

if TYPE_CHECKING:
    from .configuration import Pack

FILE = "notifications.yaml"


def check_notices(reader: PackReader, pack: Pack) -> None:
    """Book a finding for everything a rule names that is not there."""
    rules, tree = pack.notices, pack.trees.get(("notices", FILE))

    def line(*steps: str) -> int:
        return follow(tree, steps).line if tree is not None else 1

    for number, rule in enumerate(rules.rules):
        at = line("rules", str(number))
        if rule.on not in EVENT_TYPES:
            reader.dangling(
                FILE, at, f"the rule {rule.rule} waits for {rule.on}, which never happens", rule.on, EVENT_TYPES
            )
        known = {CUSTOMER, OWNER, *rules.recipients}
        if rule.to not in known:
            reader.dangling(FILE, at, f"the rule {rule.rule} tells {rule.to}, whom nobody knows", rule.to, known)
        for name in sorted(placeholders_of(rule.title + rule.body) - PLACEHOLDERS):
            reader.dangling(FILE, at, f"the rule {rule.rule} has no value for {{{name}}}", name, PLACEHOLDERS)
    names = [rule.rule for rule in rules.rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reader.add(FILE, 1, f"the rule {name} stands twice")
    for number, owner in enumerate(rules.owners):
        if owner.on not in EVENT_TYPES:
            reader.dangling(FILE, line("owners", str(number)), f"there is no event {owner.on}", owner.on, EVENT_TYPES)
    zones: Mapping[str, Any] = {**rules.zones, **{f"recipients {k}": v.timezone for k, v in rules.recipients.items()}}
    for name, zone in zones.items():
        try:
            if zone:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            reader.add(FILE, 1, f"{name}: unknown time zone {zone!r}", value=zone)
