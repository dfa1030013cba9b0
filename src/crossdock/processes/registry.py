"""The processes there are, each with what the shell must know to run it. To add one, add a line to `PROCESSES`.

A process is a pure `decide(state, event, context) -> Outcome` over one kind of aggregate. The shell loads the state,
hands in the facts, and writes what came out in one transaction; it knows nothing else of any process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..canonical.events import Event
from . import claims, freight, order_fulfillment, returns
from .freight import state as load_state
from .freight.policy import LoadRules
from .order_state import OrderState
from .order_state import summary as order_summary
from .outcome import AggregateSummary, DecisionContext, Outcome
from .receiving import decide as decide_purchase
from .receiving import state as purchase_state
from .receiving.policy import PurchaseRules
from .returns import state as return_state
from .returns.policy import ReturnRules


def _none(state: Any) -> tuple[str, ...]:
    return ()


def _no_others(state: Any, event: Event) -> tuple[str, ...]:
    return ()


class Process(msgspec.Struct, frozen=True):
    """One kind of aggregate and what steers it.

    `kind` leads its subjects (`return/RMA-1001`), `prefix` its ids (`ret`). `state` is the type its state is stored as.
    `summary` derives what lists show. `policy` is the type of `rules/<kind>.yaml` in a pack, with a default for every
    field; None where the process takes no rules. `takes` are the event types it takes besides those the catalogue gives
    to its kind. `settled` are the statuses in which nothing more is waited for: retention may remove such an aggregate.
    `others` names the aggregates whose states the decision looks at (`context.others`), by subject.
    """

    kind: str
    prefix: str
    state: Any
    decide: Callable[[Any, Event, DecisionContext], Outcome]
    summary: Callable[[Any], AggregateSummary]
    settled: tuple[str, ...]
    policy: Any = None
    sites: Callable[[Any], tuple[str, ...]] = _none
    others: Callable[[Any, Event], tuple[str, ...]] = _no_others
    takes: frozenset[str] = frozenset()


def _order_sites(state: OrderState) -> tuple[str, ...]:
    return tuple(sorted({fulfillment.site for fulfillment in state.fulfillments}))


ORDERS = Process(
    kind="order",
    prefix="ord",
    state=OrderState,
    decide=order_fulfillment.decide,
    summary=order_summary,
    settled=("shipped", "delivered", "partly_returned", "returned", "cancelled"),
    sites=_order_sites,
)

PURCHASES = Process(
    kind="purchase",
    prefix="pur",
    state=purchase_state.PurchaseState,
    decide=decide_purchase,
    summary=purchase_state.summary,
    settled=("closed", "cancelled"),
    policy=PurchaseRules,
    sites=purchase_state.sites,
)

LOADS = Process(
    kind="load",
    prefix="lod",
    state=load_state.LoadState,
    decide=freight.decide,
    summary=load_state.summary,
    settled=("settled", "cancelled"),
    policy=LoadRules,
    sites=load_state.sites,
)

CLAIMS = Process(
    kind="claim",
    prefix="clm",
    state=claims.ClaimState,
    decide=claims.decide,
    summary=claims.summary,
    settled=claims.ENDED,
    policy=claims.ClaimRules,
)

RETURNS = Process(
    kind="return",
    prefix="ret",
    state=return_state.ReturnState,
    decide=returns.decide,
    summary=return_state.summary,
    settled=return_state.ENDED,
    policy=ReturnRules,
    sites=return_state.sites,
    others=returns.others,
)

PROCESSES: Mapping[str, Process] = {process.kind: process for process in (ORDERS, PURCHASES, LOADS, CLAIMS, RETURNS)}
