"""The functions of the mapping language: the one catalogue, in the order of the reference."""

from crossdock.mapping.functions.checks import CHECKS
from crossdock.mapping.functions.dates import DATES
from crossdock.mapping.functions.lists import LISTS
from crossdock.mapping.functions.numbers import NUMBERS
from crossdock.mapping.functions.registry import Function, closest
from crossdock.mapping.functions.text import TEXT

GROUPS = (TEXT, NUMBERS, DATES, CHECKS, LISTS)
FUNCTIONS: dict[str, Function] = {name: entry for group in GROUPS for name, entry in group.functions.items()}

__all__ = ["FUNCTIONS", "GROUPS", "Function", "closest"]
