"""Chooses what carries events and wake-ups: this process alone, or NATS."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from ..backbone.local import LocalBackbone
from ..backbone.port import Backbone, Lag
from ..backbone.postgres_notify import PostgresNotify
from ..config import Settings
from ..durable.identity import Clock
from ..durable.wake import WakeUp
from ..store.engine import Store

# A lag below this is the time a window takes; above it somebody should know.
LAG_SECONDS_MAX = 10.0


def backbone_of(settings: Settings, store: Store, clock: Clock, *, url: Callable[[], str]) -> Backbone:
    """Return the backbone of the settings. `url` tells where our doors are open, empty while they are not."""
    if not settings.backbone.servers:
        return LocalBackbone(store)
    from ..backbone.jetstream import JetStreamBackbone

    def root() -> str:
        return settings.web.public_url.rstrip("/") or url() or settings.public_url

    return JetStreamBackbone(settings.backbone, store, clock, holder=_holder(), root=root)


def wake_up_of(settings: Settings, connect: Callable[[], Any]) -> WakeUp:
    """Return how workers on one record wake each other. `connect` opens a connection to the database."""
    if settings.backbone.wake_workers == "database":
        return PostgresNotify(connect)
    from ..backbone.wake import NatsWakeUp

    return NatsWakeUp(settings.backbone, holder=_holder())


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def trouble_of(lag: Lag) -> str:
    """Return what somebody should know about a backbone, in words; empty when it keeps up."""
    if not lag.trouble and lag.seconds < LAG_SECONDS_MAX:
        return ""
    behind = f"the backbone lags {lag.events} events and {lag.seconds:.0f} s behind"
    return f"{behind}: {lag.trouble}" if lag.trouble else behind
