"""Read the contracts of a pack (`contracts/*.yaml`) and check that everything they name exists.

What a contract is says `processes/contracts.py`; when it is judged, `flow/contracts.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..canonical.catalog import EVENT_TYPES, OBJECTS
from ..canonical.requests import REQUEST_OBJECTS
from ..processes.contracts import Contract
from ..processes.spans import span_of
from .pack_files import PackReader

if TYPE_CHECKING:
    from .configuration import Pack


def check_contract(reader: PackReader, pack: Pack, contract: Contract, file: str, line: int) -> None:
    """Book a finding for everything about a contract that contradicts itself or leads nowhere."""
    name, expect = contract.contract, contract.expect
    if problem := _shape_of(contract):
        reader.add(file, line, f"the contract {name} {problem}")
    connections = [expect.connection, contract.after.connection if contract.after is not None else ""]
    for connection in filter(None, connections):
        if connection not in pack.connections:
            message = f"the contract {name} names the connection {connection}, which the pack has not"
            reader.dangling(file, line, message, connection, pack.connections)
    if contract.after is not None and contract.after.request and contract.after.request not in REQUEST_OBJECTS:
        message = f"the contract {name} waits after a {contract.after.request}, which nothing sends"
        reader.dangling(file, line, message, contract.after.request, REQUEST_OBJECTS)
    if expect.event and expect.event not in EVENT_TYPES:
        reader.dangling(file, line, f"there is no event {expect.event}", expect.event, EVENT_TYPES)
    if expect.object and expect.object not in OBJECTS:
        reader.dangling(file, line, f"there is no {expect.object}", expect.object, OBJECTS)
    sites = {site.site for site in pack.policy.sites}
    if contract.site and contract.site not in sites:
        message = f"the contract {name} keeps the hours of the site {contract.site}, which the pack has not"
        reader.dangling(file, line, message, contract.site, sites)
    steps = [span_of(step.after) for step in contract.escalate]
    if steps != sorted(steps):
        reader.add(file, line, f"the contract {name} escalates backwards", hint="Put the shortest `after` first")


def _shape_of(contract: Contract) -> str:
    """Return what is wrong with the parts of a contract together, or an empty text."""
    expect, kinds = contract.expect, [contract.after is not None, bool(contract.every_day_by), bool(contract.every)]
    if sum(kinds) != 1:
        return "needs exactly one of after, every_day_by and every"
    if contract.after is not None:
        if not contract.by and not contract.within:
            return "says what follows, but not by when: give `within` or `by`"
        if expect.acknowledgment == bool(expect.event):
            return "needs in `expect` either an event or acknowledgment: true"
        return "" if contract.site or contract.by in ("",) or ":" in contract.by else "needs the site whose hours count"
    if not expect.connection:
        return "needs in `expect` the connection it comes in on"
    if contract.while_ and contract.every_day_by:
        return "has a `while` that only a feed may have"
    return ""
