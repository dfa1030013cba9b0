"""The API's addresses."""

from __future__ import annotations

from .cases import list_cases, simulate_cases
from .contracts import get_impact, list_contracts, propose_contracts
from .credentials import create_key, list_keys, list_secrets, put_secret, remove_secret, revoke_key
from .dead_letters import amend as amend_dead_letters
from .dead_letters import discard as discard_dead_letters
from .dead_letters import get_dead_letter, list_dead_letters
from .dead_letters import requeue as requeue_dead_letters
from .events import stream_events
from .health import health, ready
from .issues import acknowledge, assign, fix, get_issue, list_issues
from .issues import replay as replay_issue
from .issues import source as source_issue
from .messages import get_bytes, get_message, list_attempts, list_messages
from .messages import replay as replay_message
from .notices import list_notices, unsubscribe
from .openapi import api_page, serve_document, serve_schema
from .orders import get_last_look, get_order, get_shipment, get_timeline, list_orders, list_shipments
from .orders import source as source_order
from .outages import declare_outage, end_outage, list_outages
from .reconciliation import RECONCILIATION_HANDLERS
from .releases import active_release, list_releases
from .replays import get_replay, list_replays, move_replay, plan_replay, start_replay
from .restores import close_restore, list_restores
from .retention import run_retention
from .returns import (
    ask_return,
    get_finance,
    get_return,
    get_returnable,
    list_returns,
    rebill,
    settle_return,
)
from .search import search
from .shapes import decide_shape, list_shapes
from .supply import HANDLERS as SUPPLY

HANDLERS = [
    health,
    ready,
    list_orders,
    get_order,
    get_timeline,
    list_shipments,
    source_order,
    get_shipment,
    get_last_look,
    list_messages,
    get_message,
    get_bytes,
    list_attempts,
    replay_message,
    list_issues,
    get_issue,
    acknowledge,
    assign,
    fix,
    replay_issue,
    source_issue,
    list_cases,
    simulate_cases,
    list_contracts,
    propose_contracts,
    get_impact,
    list_notices,
    unsubscribe,
    list_shapes,
    decide_shape,
    list_outages,
    declare_outage,
    end_outage,
    *RECONCILIATION_HANDLERS,
    list_dead_letters,
    get_dead_letter,
    amend_dead_letters,
    requeue_dead_letters,
    discard_dead_letters,
    list_replays,
    plan_replay,
    start_replay,
    get_replay,
    move_replay,
    search,
    *SUPPLY,
    list_releases,
    active_release,
    list_restores,
    close_restore,
    run_retention,
    stream_events,
    list_keys,
    create_key,
    revoke_key,
    list_secrets,
    put_secret,
    remove_secret,
    serve_document,
    api_page,
    serve_schema,
    *(list_returns, get_return, ask_return, settle_return, get_returnable, get_finance, rebill),
]
