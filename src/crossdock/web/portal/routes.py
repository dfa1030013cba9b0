"""The portal's addresses."""

from __future__ import annotations

from .order_page import brand_css, long_address, look_up, look_up_page, order_page
from .return_page import ask_return, return_page

HANDLERS = [look_up_page, look_up, order_page, brand_css, long_address, return_page, ask_return]
