"""What must be asked of partners again after a restore: senders, acknowledgments, gaps in numbers, sends in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from ..durable.identity import from_micros
from ..store import restores
from ..store.engine import Connection, Row

SHOWN_MAX = 1_000
GAPS_MAX = 100
# Control numbers looked at: of one sender, and in all.
NUMBERS_MAX = 1_000
INTERCHANGES_MAX = 50_000


class SenderWindow(msgspec.Struct, frozen=True):
    """What one connection's sender must offer again: everything it was answered for from `since_at` on.

    What the record holds already is absorbed by its receipt key. `until_at` is the restore. Add the difference of
    clocks.
    """

    connection_id: str
    since_at: datetime
    until_at: datetime
    last_message_id: str = ""
    last_receipt_key: str = ""
    last_name: str = ""


class Doubtful(msgspec.Struct, frozen=True):
    """One message whose fate at the partner is not known, or that owes or waits for an acknowledgment."""

    message_id: str
    connection_id: str
    document_type: str
    identity: str
    subject: str
    state: str


class NumberGap(msgspec.Struct, frozen=True):
    """Interchanges of one sender: the highest number in the record, and numbers below it that never came."""

    sender: str
    receiver: str
    usage: str
    last_number: int
    missing: tuple[int, ...] = ()


class RestoreList(msgspec.Struct, frozen=True):
    """One restore that is not settled yet. `sends_total` counts also what is not listed."""

    restore_id: str
    backup_id: str
    backed_up_at: datetime
    restored_at: datetime
    ask_senders: tuple[SenderWindow, ...]
    sends_in_doubt: tuple[Doubtful, ...]
    sends_total: int
    acknowledgments_owed: tuple[Doubtful, ...]
    acknowledgments_awaited: tuple[Doubtful, ...]
    interchanges: tuple[NumberGap, ...]


def load(connection: Connection, tenant_id: str) -> tuple[RestoreList, ...]:
    """Return what is to be asked for each restore that is open, the newest first."""
    by_restore: dict[str, list[Row]] = {}
    for row in restores.listed(connection, tenant_id):
        by_restore.setdefault(row[1], []).append(row)
    if not by_restore:
        return ()
    sends = _doubtful(restores.sends_in_doubt(connection, tenant_id, SHOWN_MAX + 1))
    owed = _doubtful(restores.acknowledgments(connection, tenant_id, ours=True, limit=SHOWN_MAX))
    awaited = _doubtful(restores.acknowledgments(connection, tenant_id, ours=False, limit=SHOWN_MAX))
    gaps = gaps_of(restores.interchanges(connection, tenant_id, each=NUMBERS_MAX, limit=INTERCHANGES_MAX))
    result = []
    for restore_id, rows in by_restore.items():
        places = {row[2] for row in rows}
        mine = tuple(one for one in sends if one.connection_id in places)
        result.append(
            RestoreList(
                restore_id,
                rows[0][3],
                from_micros(rows[0][4]),
                from_micros(rows[0][5]),
                tuple(SenderWindow(r[2], from_micros(r[6]), from_micros(r[5]), r[7], r[8], r[9]) for r in rows),
                mine[:SHOWN_MAX],
                len(mine),
                tuple(one for one in owed if one.connection_id in places),
                tuple(one for one in awaited if one.connection_id in places),
                gaps,
            )
        )
    return tuple(result)


def _doubtful(rows: list[Row]) -> tuple[Doubtful, ...]:
    return tuple(Doubtful(*row) for row in rows)


def gaps_of(rows: Iterable[Row]) -> tuple[NumberGap, ...]:
    """Return the highest control number of each sender, and the numbers missing below it.

    Rows are (sender, receiver, usage, control_number, received_at). Only the last stretch without a leap counts:
    numbers that started again at 1 leave no gap of millions.
    """
    by_sender: dict[tuple[str, str, str], set[int]] = {}
    for sender, receiver, usage, number, _ in rows:
        if str(number).isdigit():
            by_sender.setdefault((sender, receiver, usage), set()).add(int(number))
    found = []
    for place, numbers in by_sender.items():
        last, missing = max(numbers), []
        below = last
        for number in sorted(numbers, reverse=True)[1:]:
            if below - number > GAPS_MAX:
                break
            missing += list(range(below - 1, number, -1))
            below = number
        found.append(NumberGap(*place, last, tuple(sorted(missing[:GAPS_MAX]))))
    return tuple(found)
