"""The console's addresses."""

from __future__ import annotations

from .error_codes import error_code
from .find import find, suggest
from .issues import acknowledge, assign, fix, issue, issues, preview, replay
from .messages import message, messages
from .messages import preview as preview_message
from .messages import replay as replay_message
from .order import order
from .orders import orders
from .overview import overview
from .sign_in import home, login, login_link, sign_in, sign_out
from .source_again import source_issue, source_order

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
    find,
    suggest,
    error_code,
]
