"""Quotas of the spool: how much may be stored and not yet worked off, per tenant and per connection. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounds of what is stored and not worked off; 0 is no bound."""

    messages_max: Annotated[int, msgspec.Meta(ge=0)] = 0
    bytes_max: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def bounded(self) -> bool:
        """Tell whether there is a bound at all."""
        return bool(self.messages_max or self.bytes_max)


class Held(msgspec.Struct):
    """What is stored and not worked off."""

    messages: int = 0
    size_bytes: int = 0

    def add(self, messages: int, size_bytes: int) -> None:
        """Count more (or, negative, less); never below nothing."""
        self.messages = max(0, self.messages + messages)
        self.size_bytes = max(0, self.size_bytes + size_bytes)


def exceeded(quota: Quota, held: Held, messages: int, size_bytes: int) -> str:
    """Return in words which bound more of this would break, or an empty text.

    >>> exceeded(Quota(messages_max=10), Held(10, 400), 1, 40)
    '10 messages wait, 10 may'
    """
    if quota.messages_max and held.messages + messages > quota.messages_max:
        return f"{held.messages} messages wait, {quota.messages_max} may"
    if quota.bytes_max and held.size_bytes + size_bytes > quota.bytes_max:
        return f"{held.size_bytes} bytes wait, {quota.bytes_max} may"
    return ""


class Watermark(msgspec.Struct):
    """Whether the disk is almost full: below `low_bytes` of free space intake stops, above the half more it resumes."""

    low_bytes: int
    full: bool = False

    def judge(self, free_bytes: int) -> bool:
        """Take a measurement; return whether intake must stop."""
        if self.low_bytes:
            self.full = free_bytes < (self.low_bytes * 3 // 2 if self.full else self.low_bytes)
        return self.full
