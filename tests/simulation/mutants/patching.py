"""Make the product bad on purpose: a mutant replaces some words of one function by others, for as long as it is on.

The function is compiled anew from its changed source and put wherever the product holds it. Words that are not there
any more are an error, so a mutant never becomes a no-op when the product changes.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    """`changes` are (where, old words, new words); where is `module:function` or `module:Class.method`."""

    name: str
    meaning: str
    changes: tuple[tuple[str, str, str], ...]


def mutant(name: str, meaning: str, *changes: tuple[str, str, str]) -> Mutant:
    return Mutant(name, meaning, changes)


class WordsGone(AssertionError):
    """The product does not say this any more: write the mutant anew."""


def changed(where: str, old: str, new: str) -> tuple[Any, str, Any, Any]:
    """Return (holder, name, function before, function after) without putting it in place."""
    module_name, _, path = where.partition(":")
    module = importlib.import_module("crossdock." + module_name)
    holder: Any = module
    *outer, name = path.split(".")
    for one in outer:
        holder = getattr(holder, one)
    before = inspect.getattr_static(holder, name)
    function = before.__func__ if isinstance(before, staticmethod | classmethod) else before
    # A function that an earlier change of the same mutant made has its words with it: no file holds them.
    source = getattr(function, "mutated_source", None) or textwrap.dedent(inspect.getsource(function))
    if old not in source:
        raise WordsGone(f"{where} does not say {old!r}")
    space: dict[str, Any] = {}
    # The module's own names, later changes of them included.
    source = source.replace(old, new)
    text = "from __future__ import annotations\n" + source
    exec(compile(text, f"<{where} mutated>", "exec"), module.__dict__, space)
    made = space[name]
    getattr(made, "__func__", made).mutated_source = source
    return holder, name, before, made


@contextlib.contextmanager
def applied(one: Mutant) -> Iterator[None]:
    """Have the product behave as a mutant within the block."""
    undo: list[tuple[Any, str, Any]] = []
    try:
        for where, old, new in one.changes:
            holder, name, before, after = changed(where, old, new)
            _put(holder, name, before, after, undo)
        yield
    finally:
        for holder, name, before in reversed(undo):
            setattr(holder, name, before)


def _put(holder: Any, name: str, before: Any, after: Any, undo: list[tuple[Any, str, Any]]) -> None:
    undo.append((holder, name, before))
    setattr(holder, name, after)
    if inspect.isclass(holder):
        return
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("crossdock.") and module is not holder and getattr(module, name, None) is before:
            undo.append((module, name, before))
            setattr(module, name, after)
