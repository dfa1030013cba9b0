"""What a process answers: the new state and all that should follow from it.

`decide(state, event, context) -> Outcome` is the one shape of every process. The shell writes everything of an outcome
in one transaction; a process never does anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ..canonical.identifiers import Reference
from ..canonical.quantities import Money


class NewEvent(msgspec.Struct, frozen=True):
    """A fact the process adds to the journal. `data` is a canonical object or plain JSON values."""

    type: str
    data: Any


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a partner must be told or asked: one effect.

    `kind` names the document for routing (`fulfillment_request`, `shipment_confirmation`, `order_status`,
    `invoice_release`, `fulfillment_cancel`, `service_case`). `key` is the effect's stable identity within the tenant:
    the same key is never sent twice. `site` and `attributes` are what routes may look at.
    """

    kind: str
    key: str
    document: Any
    site: str = ""
    attributes: Mapping[str, str] = {}


class TimerChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Set a deadline (`due_at`) or cancel it (`due_at` None). It comes back as `crossdock.deadline.passed.v1`.

    `name` is unique within the aggregate; setting it again moves it.
    """

    name: str
    due_at: datetime | None = None


class ProcessException(msgspec.Struct, frozen=True, omit_defaults=True):
    """A business fault that a person or a rule must settle. `cause` groups what has the same reason into one issue.

    `resolves` true takes back an earlier exception of the same `code` and `cause` of this aggregate.
    """

    code: str
    cause: str
    message: str
    pointer: str = ""
    resolves: bool = False


class Tell(msgspec.Struct, frozen=True):
    """An event for another aggregate (`subject`), applied in the same transaction after this decision.

    So a return tells its order what came back. `data` is a canonical object or plain JSON values. An aggregate that
    does not exist may be made by it; one whose process parks the event never hears of it.
    """

    subject: str
    type: str
    data: Any


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that follows from one event. An outcome that only returns the state changes nothing.

    `parked_until` (`order:SO-1001`) says the event concerns something not known yet: it waits and comes again.
    `duplicate` says the event told nothing new. `references` are names under which the aggregate is found from now on.
    """

    state: Any
    events: tuple[NewEvent, ...] = ()
    requests: tuple[Request, ...] = ()
    timers: tuple[TimerChange, ...] = ()
    exceptions: tuple[ProcessException, ...] = ()
    references: tuple[Reference, ...] = ()
    tells: tuple[Tell, ...] = ()
    parked_until: str = ""
    duplicate: bool = False


class StockPosition(msgspec.Struct, frozen=True):
    """What a site can promise of one SKU: on hand less reserved, and how old that word is."""

    available: Decimal
    as_of: datetime | None = None


class DecisionContext(msgspec.Struct, frozen=True):
    """The facts a decision may look at besides state and event.

    `now` is the instant at which the event is decided (recorded, so a replay decides the same).
    `policy` is the process's own compiled policy (of orders: `policy_compiler.CompiledPolicy`).
    `stock` is keyed by (site, sku); `health` by site: `healthy`, `degraded` or `down`.
    `load` counts by site the fulfillment requests of its working day; it is looked at only where capacity is limited.
    `others` holds by subject the states of the aggregates that the process names (`Process.others`), None where there
    is none. `cases_today` counts the cases the tenant opened today, where a rule limits them.
    """

    policy: Any
    now: datetime
    stock: Mapping[tuple[str, str], StockPosition] = {}
    health: Mapping[str, Literal["healthy", "degraded", "down"]] = {}
    load: Mapping[str, int] = {}
    others: Mapping[str, Any] = {}
    cases_today: int = 0


class AggregateSummary(msgspec.Struct, frozen=True):
    """What lists and the store's own columns show of an aggregate, derived from its state.

    `due_at` is the next instant that somebody waits for; `value` is in the order's own currency.
    """

    status: str
    customer: str = ""
    region: str = ""
    due_at: datetime | None = None
    at_risk: bool = False
    value: Money | None = None
