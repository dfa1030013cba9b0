"""How a noun enters the catalogue: its objects, events and requests, and by which names its process is found.

Every noun's file in this folder ends in one `NOUN`; `catalog.py` gathers them. So an object, its events and the names
it goes by stand in one place, and a new process touches no other noun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

Names = tuple[tuple[str, str], ...]


class EventType(msgspec.Struct, frozen=True):
    """`name` carries its version. `aggregate` tells which process takes it; empty means it is only recorded."""

    name: str
    data: Any
    aggregate: str = ""
    customer_facing: bool = False
    summary: str = ""


class Belongs(msgspec.Struct, frozen=True):
    """To which aggregate an object belongs.

    `kind` is the kind of aggregate (`return`). `names` gives the (type, value) by which it may be found, the surest
    first. A name whose type is `kind` itself stands for the aggregate even before anybody knows it.
    """

    kind: str
    names: Callable[[Any], Names]


class Fault(NamedTuple):
    """A value that its type allows and the trade does not. `pointer` is a JSON pointer into the object."""

    pointer: str
    message: str
    value: str
    expected: str


class Noun(msgspec.Struct, frozen=True):
    """What one file adds to the catalogue.

    `objects` are canonical objects by the name maps use. `requests` leads from the kind of a process's request to the
    canonical object its document is. `belongs` says by type where an object goes; `faults` finds values that its type
    allows and nobody could mean.
    """

    objects: Mapping[str, Any] = {}
    events: tuple[EventType, ...] = ()
    requests: Mapping[str, str] = {}
    belongs: Mapping[Any, Belongs] = {}
    faults: Mapping[Any, Callable[[Any], tuple[Fault, ...]]] = {}


def given(*names: tuple[str, str]) -> Names:
    """Return the names that have a value."""
    return tuple(name for name in names if name[1])
