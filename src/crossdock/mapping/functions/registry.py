"""What a function of the mapping language is: its name, signature, sentence, example and code.

Functions are pure and total: they take values and give a value or a `Fault`; the run's budget is their first argument.
The reference page, lint and completion are made from these entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

Kind = Literal["text", "number", "integer", "boolean", "list", "mapping", "any"]


class Function(msgspec.Struct, frozen=True):
    """One function of the language.

    `literal` are the positions of arguments that must be constants, checked by `accepts` when the map is compiled.
    `never_none` promises a value whatever the arguments are.
    """

    name: str
    signature: str
    doc: str
    example: str
    result: str
    code: Callable[..., Any]
    group: str
    arguments_min: int
    arguments_max: int | None
    returns: Kind = "any"
    never_none: bool = False
    literal: tuple[int, ...] = ()
    accepts: Callable[[int, str], str | None] | None = None

    def refuses(self, arguments: list[Any]) -> str | None:
        """Return what is wrong with the arguments as far as the text shows it, or `None`."""
        count = len(arguments)
        if count < self.arguments_min or (self.arguments_max is not None and count > self.arguments_max):
            most = "any number" if self.arguments_max is None else str(self.arguments_max)
            wanted = most if most == str(self.arguments_min) else f"{self.arguments_min} to {most}"
            return f"takes {wanted} argument{'' if wanted == '1' else 's'}, {count} given"
        for position in self.literal:
            if position < count and not isinstance(arguments[position], str):
                return f"argument {position + 1} must be a text constant"
        if self.accepts:
            for position, argument in enumerate(arguments):
                if isinstance(argument, str):
                    wrong = self.accepts(position, argument)
                    if wrong:
                        return wrong
        return None


class Group:
    """Collects the functions of one file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: dict[str, Function] = {}

    def function(
        self, signature: str, example: str, result: str, *, returns: Kind = "any", never_none: bool = False,
        literal: tuple[int, ...] = (), accepts: Callable[[int, str], str | None] | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
        """Register a function; its signature says how many arguments it takes, its docstring what it does."""
        name, _, rest = signature.partition("(")
        words = [word for word in rest.rstrip(")").split(", ") if word]
        least = sum(1 for word in words if "=" not in word and "…" not in word)
        most = None if any("…" in word for word in words) else len(words)

        def register(code: Callable[..., Any]) -> Callable[..., Any]:
            self.functions[name] = Function(
                name, signature, " ".join((code.__doc__ or "").split()), example, result, code, self.name, least, most,
                returns, never_none, literal, accepts,
            )  # fmt: skip
            return code

        return register


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that looks most like this one, if any does. Looks at 5,000 words at most."""
    short = [other for _, other in zip(range(5_000), words, strict=False) if len(other) <= 100]
    near = difflib.get_close_matches(word[:100], short, n=1, cutoff=0.6)
    if near:
        return near[0]
    # Codes often differ by a suffix (RENO-X for RENO): the ratio is low, the kinship plain.
    prefixes = [
        other for other in short if len(other) >= 3 and (word.startswith(other) or other.startswith(word[:100]))
    ]
    return max(prefixes, key=len) if prefixes and len(word) >= 3 else None
