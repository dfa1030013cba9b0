"""Check the ownership rules of a pack: the objects, fields and partners they name exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..canonical.catalog import OBJECTS
from .pack_files import PackReader, follow

if TYPE_CHECKING:
    from .configuration import Pack

FILE = "ownership.yaml"


def check_ownership(reader: PackReader, pack: Pack) -> None:
    """Book a finding for everything a rule names that is not there."""
    tree = pack.trees.get(("ownership", FILE))
    for number, rule in enumerate(pack.ownership.rules):
        line = follow(tree, ("rules", str(number))).line if tree is not None else 1
        shape = OBJECTS.get(rule.object)
        if shape is None or not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
            reader.dangling(FILE, line, f"there is no object {rule.object}", rule.object, OBJECTS)
            continue
        known = {field.name: field for field in msgspec.structs.fields(shape)}
        for name in rule.fields:
            if name not in known:
                reader.dangling(FILE, line, f"a {rule.object} has no field {name}", name, known)
            elif known[name].required:
                hint = "Own the object instead: a field that must be there cannot be left out"
                reader.add(FILE, line, f"{name} of a {rule.object} cannot be owned alone", hint=hint)
        for partner in {*rule.owners, *(one for owners in rule.fields.values() for one in owners)}:
            if partner not in pack.partners:
                message = f"{rule.object} is owned by the partner {partner}, which the pack has not"
                reader.dangling(FILE, line, message, partner, pack.partners)
