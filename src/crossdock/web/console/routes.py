"""The console's addresses."""

from __future__ import annotations

from .cases import cases
from .contracts import contracts, impact
from .dead_letters import act as act_on_dead_letters
from .dead_letters import amend as amend_dead_letter
from .dead_letters import dead_letter, dead_letters
from .error_codes import error_code
from .find import find, suggest
from .inventory import HANDLERS as INVENTORY
from .issues import acknowledge, assign, fix, issue, issues, preview, replay
from .messages import message, messages
from .messages import preview as preview_message
from .messages import replay as replay_message
from .order import order
from .orders import orders
from .overview import overview
from .reconciliation import HANDLERS as RECONCILIATION
from .replays import move_replay, plan_replay, replay_job, replays, start_replay
from .returns import one_return, returns
from .returns import settle as settle_return
from .shapes import decide_shape, shapes
from .sign_in import home, login, login_link, sign_in, sign_out
from .source_again import source_issue, source_order
from .supply import HANDLERS as SUPPLY

HANDLERS = [
    home,
    login,
    login_link,
    sign_in,
    sign_out,
    overview,
    orders,
    order,
    source_order,
    messages,
    message,
    preview_message,
    replay_message,
    issues,
    issue,
    acknowledge,
    assign,
    preview,
    replay,
    fix,
    source_issue,
    cases,
    contracts,
    impact,
    shapes,
    decide_shape,
    dead_letters,
    dead_letter,
    act_on_dead_letters,
    amend_dead_letter,
    replays,
    replay_job,
    plan_replay,
    start_replay,
    move_replay,
    find,
    suggest,
    *SUPPLY,
    *INVENTORY,
    *RECONCILIATION,
    error_code,
    returns,
    one_return,
    settle_return,
]
