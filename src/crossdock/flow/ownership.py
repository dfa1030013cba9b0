"""Whose word counts, at the door of the processes: owned fields, and our own word that comes back.

A word of somebody who does not own a field is kept as a conflict and not applied. A paper that says what we told that
very connection is an echo: it is not applied and not sent on, or two systems would throw it at one another for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..governance.configuration import Configuration
from ..processes.order_state import OrderState
from ..processes.ownership import Conflict, judge, substance
from ..store import issues, own_words
from .papers import Trouble
from .subjects import business_key_of

if TYPE_CHECKING:
    from .batch import Batch
    from .orchestrate import Item

_encode = msgspec.json.Encoder(decimal_format="string").encode

CONFLICT, FOREIGN = "XD-ORD-061", "XD-ORD-062"


def digest_of(value: Any) -> bytes:
    """Return the identity of what an object says."""
    return hashlib.sha256(substance(value)).digest()[:16]


def load_own_words(batch: Batch, tenant_id: str, items: Sequence[Item]) -> None:
    """Bring into memory what we told the connections these papers came by, in one question."""
    echoing = [
        (item.connection_id, key)
        for item in items
        if item.connection_id
        and item.configuration.echoes(item.connection_id, item.paper.object)
        and (key := business_key_of(item.paper.value))
    ]
    if not echoing:
        return
    connections, keys = (sorted(set(names)) for names in zip(*echoing, strict=True))
    told = own_words.told(batch.connection, tenant_id, connections, keys, batch.now_micros)
    for place, digests in told.items():
        batch.own_known[(tenant_id, *place)] = digests


def is_echo(batch: Batch, item: Item) -> bool:
    """Tell whether a paper says what we told its connection last; one that says something else ends our word."""
    paper = item.paper
    if not item.connection_id or not item.configuration.echoes(item.connection_id, paper.object):
        return False
    place = (item.tenant_id, item.connection_id, paper.object, business_key_of(paper.value))
    known = batch.own_known.get(place)
    if not known:
        return False
    if digest_of(paper.value) in known:
        return True
    del batch.own_known[place]
    batch.own_forgotten.append(place)
    return False


def remember(batch: Batch, configuration: Configuration, connection_id: str, kind: str, document: Any) -> None:
    """Keep what we are about to tell a connection that may tell it back."""
    if configuration.echoes(connection_id, kind):
        key = business_key_of(document)
        if key:
            place = (configuration.tenant_id, connection_id, kind, key)
            batch.own_changes[place] = digest_of(document)
            batch.own_known[place] = {batch.own_changes[place]}


def call_it_ours(item: Item, kind: str, ours: str) -> None:
    """Put our own name where a partner wrote its own; its bytes are kept as they came."""
    field, value = f"{kind}_number", item.paper.value
    if field not in value.__struct_fields__:
        field = "number"
    if field in value.__struct_fields__:
        item.paper.value = msgspec.structs.replace(value, **{field: ours})
        item.paper.canonical = _encode(item.paper.value)


def owned(batch: Batch, item: Item, state: Any) -> bool:
    """Take back what this partner may not say; tell whether anything is left to apply."""
    paper, configuration = item.paper, item.configuration
    rules = configuration.ownership_of(paper.object)
    if not rules or not item.partner:
        return True
    current = state.order if isinstance(state, OrderState) and paper.object == "order" else None
    judged = judge(rules, paper.object, paper.value, item.partner, current)
    for conflict in judged.conflicts:
        if conflict.field:
            _enter(batch, item, conflict)
    for name in judged.owned:
        batch.resolve(item.tenant_id, _object_id(item, name), "its owner has spoken")
    if judged.value is None:
        conflict = judged.conflicts[0]
        paper.state = "rejected"
        paper.trouble = Trouble(
            code=FOREIGN,
            cause=f"{FOREIGN}|{paper.object}|{item.partner}",
            title=f"{item.partner} may not send a {paper.object.replace('_', ' ')}",
            detail=conflict.words,
            error_class="partner",
        )
        return False
    if judged.value is not paper.value:
        paper.value = judged.value
        # What is recorded is what was applied; the partner's own bytes are kept with the message.
        paper.canonical = _encode(paper.value)
    return True


def _object_id(item: Item, field: str) -> str:
    return f"field|{item.paper.subject or business_key_of(item.paper.value)}|{item.paper.object}.{field}"


def _enter(batch: Batch, item: Item, conflict: Conflict) -> None:
    subject = item.paper.subject or f"document/{item.paper.document_id}"
    batch.faults.append(
        issues.Fault(
            tenant_id=item.tenant_id,
            code=CONFLICT,
            cause=f"{CONFLICT}|{conflict.object}.{conflict.field}|{conflict.partner}",
            title=f"{conflict.partner} writes {conflict.field} of {conflict.object}, which it does not own",
            object_kind="field",
            object_id=_object_id(item, conflict.field),
            detail=conflict.words,
            pointer=f"/{conflict.field}",
            subject=subject if subject.startswith("order/") else "",
            error_class="data",
            partner=conflict.partner,
            connection_id=item.connection_id,
        )
    )
    data = {"object": conflict.object, "field": conflict.field, "partner": conflict.partner}
    batch.record(
        batch.event(
            item.tenant_id,
            "crossdock.field.conflict.v1",
            subject,
            {**data, "owners": list(conflict.owners), "said": conflict.said, "kept": conflict.kept},
            causation_id=item.paper.document_id,
            message_id=item.message_id,
            partner=item.partner,
        )
    )
