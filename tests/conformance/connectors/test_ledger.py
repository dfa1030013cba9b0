"""The side-effect ledger: every connector says how an effect of unknown outcome is settled, and no identity is new."""

from __future__ import annotations

import pytest

from crossdock.connectors import registry
from crossdock.sdk import Manifest

WAYS = ("acts once for one identity", "can be asked", "neither: a person settles it")


def way_of(manifest: Manifest) -> str:
    """Return how an unknown outcome of this kind of connector is settled; raises ValueError when it does not say."""
    if "out" not in manifest.directions:
        return "sends nothing"
    promise = manifest.promises.get("find_before_resend", "")
    if manifest.idempotent_push:
        return WAYS[0]
    if promise == "done":
        return WAYS[1]
    if promise.startswith("exempt:"):
        return WAYS[2]
    raise ValueError(f"{manifest.id} neither acts once nor can be asked, and does not say so: {promise or 'silent'}")


@pytest.mark.parametrize("kind", sorted(registry.manifests()))
def test_every_connector_says_how_an_unknown_outcome_is_settled(kind: str) -> None:
    """Idempotent, askable, or openly neither; a promise that is still to do is none."""
    way_of(registry.manifests()[kind])


@pytest.mark.parametrize("promises", [{}, {"find_before_resend": "todo"}, {"find_before_resend": "exempt"}])
def test_a_connector_that_does_not_say_is_caught(promises: dict[str, str]) -> None:
    """The control: silence, a promise to do and an exemption without a reason are all refused."""
    silent = Manifest("fax", "Fax", "transport", "Sends pages", ("out",), promises=promises)

    with pytest.raises(ValueError, match="does not say so"):
        way_of(silent)
