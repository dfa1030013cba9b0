"""How a hub places its work in slots: not at all on SQLite, all of it its own when alone, else by what it owns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..durable.identity import Clock
from ..durable.lanes import SLOTS, Ownership, poll_lane
from ..durable.wake import WakeUp
from ..flow.ingest import Place
from ..flow.render import SendMode
from ..store.engine import Store
from .backbone import wake_up_of
from .cluster import Cluster, Role

if TYPE_CHECKING:
    from .hub import Hub


def ownership(role: Role, clock: Clock) -> Ownership:
    """Return what a process owns at its start: alone everything, among others nothing."""
    owned = Ownership(clock.monotonic)
    if role == "alone":
        owned.slots = frozenset(range(SLOTS))
    return owned


def place(store: Store, owned: Ownership) -> Place | None:
    """Return where new messages wait; None on SQLite, where nothing is placed."""
    return None if store.engine == "sqlite" else owned.place


def send_mode(store: Store, state_of: Callable[[str, str], str], owned: Ownership) -> SendMode:
    """Return the state, slot and hand-over of new sends. What another process sends waits its turn in the record."""
    if store.engine == "sqlite":
        return lambda tenant_id, connection_id, _: (state_of(tenant_id, connection_id), 0, 0)

    def mode_of(tenant_id: str, connection_id: str, lane: str) -> tuple[str, int, int]:
        slot, handed = owned.place(tenant_id, lane)
        return "pending" if handed else state_of(tenant_id, connection_id), slot, handed

    return mode_of


def may_poll(owned: Ownership) -> Callable[[str, str], bool]:
    """Return whether a process fetches from (tenant, connection)."""
    return lambda tenant_id, connection_id: owned.may_start(tenant_id, poll_lane(connection_id))


def cluster_of(hub: Hub, role: Role, owned: Ownership, wake: WakeUp | None = None) -> Cluster:
    """Return the membership of a hub on a PostgreSQL record."""
    connect = hub.store.open_connection
    weights = hub.settings.flow.weights
    return Cluster(
        hub.store,
        role=role,
        clock=hub.clock,
        ids=hub.writer_ids,
        wake=wake or wake_up_of(hub.settings, connect),
        connect=connect,
        ownership=owned,
        pipeline=hub.pipeline,
        sender=hub.sender,
        collector=hub.collector,
        tenants=hub.tenancy.active,
        weight_of=lambda tenant_id: weights.get(tenant_id, 1.0),
        on_chores=hub.tenancy.release_held,
    )
