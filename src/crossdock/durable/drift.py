"""What a tenant says about documents whose shape changes: per connection, `drift` in its file of the pack."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

DriftAction = Literal["off", "accept", "warn", "quarantine", "approve"]


class DriftPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happens when a partner's document is of a shape that none before it had.

    | policy | what happens |
    |---|---|
    | off | nobody looks (the default) |
    | accept | it is applied, and the new shape is learned and kept in the history |
    | warn | it is applied, and an issue shows what changed |
    | quarantine | what adds something is warned of; what changes a type or leaves a field out is held |
    | approve | it is held until somebody approves the change |

    What is held is released by itself after the approval; nothing is lost meanwhile.
    `learn` is how many documents of a kind are taken as they are before the first deviation counts. A field that was in
    every one of `gone_after` documents is missed when it is gone. `sample`: one document in so many is looked at, where
    nothing is held (accept, warn); one in `statistics` is counted for empty fields and values of code lists.
    """

    policy: DriftAction = "off"
    learn: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    gone_after: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200
    sample: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    statistics: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20

    @property
    def holds(self) -> bool:
        """Whether a deviation may hold a document: then every document is looked at."""
        return self.policy in ("quarantine", "approve")
