"""Find again, after a start, everything a process held in memory when it ended: it is all in the record.

Messages stored but not looked at are taken up; one that has been taken up before and never came through is set aside
after a few runs, because it may be what killed the process. Sends that were reserved have an unknown outcome:
they are asked for, or sent again under the same identity.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..durable.identity import Ids, from_micros, to_micros
from ..durable.lanes import Ownership
from ..store import issues, messages, outbound, payloads, workers
from ..store.engine import Connection, Row
from ..store.outbound import AttemptRow
from .batch import Ready, ready_of_row
from .ingest import AgainDocument, Stored
from .stages import RUNS_MAX

PAGE = 5_000
GROUP = 32
# What is younger may just be on its way between the record and memory.
STRAY_AGE_MICROS = 10_000_000

Damaged = tuple[Row, payloads.PayloadDamaged]


class Waiting(msgspec.Struct):
    """Messages to be taken up: `fresh` all together; each group of `suspects` by itself, counted before it runs."""

    fresh: list[Stored]
    suspects: list[list[Stored]]


def waiting_messages(connection: Connection, *, ids: Ids, now: datetime) -> Waiting:
    """Return the messages that wait to be translated; what was taken up too often, or is damaged, is set aside.

    A message that was waiting when the process ended may be what ended it, and so may any other: those of one such end
    run in small groups, those of two one by one. So only the culprit reaches RUNS_MAX, not what waited beside it.
    """
    found = Waiting([], [])
    after = ("", "")
    while rows := messages.waiting_inbound(connection, PAGE, after):
        after = (rows[-1][19], rows[-1][0])
        sort_waiting(connection, rows, found, ids=ids, now=now)
    count_runs(connection, found.fresh)
    return found


def sort_waiting(connection: Connection, rows: list[Row], found: Waiting, *, ids: Ids, now: datetime) -> None:
    """Enter waiting messages (INBOUND_COLUMNS) in `found`, with their bytes, or set them aside."""
    for row in rows:
        if row[18] >= RUNS_MAX:
            detail = f"it was taken up {row[18]} times and the process ended each time before it came through"
            title = "A message may be killing the process; it was set aside"
            _set_aside(connection, row, ids, now, "XD-SYS-051", title, detail)
    damaged: list[Damaged] = []
    for stored in load_stored(connection, [row for row in rows if row[18] < RUNS_MAX], damaged=damaged):
        _sort_in(found, stored)
    for row, error in damaged:
        _set_aside(connection, row, ids, now, error.code, "The stored bytes of a message are damaged", str(error))


def _sort_in(found: Waiting, stored: Stored) -> None:
    """`runs` counts the run that is coming."""
    last = found.suspects[-1] if found.suspects else []
    if stored.runs == 1:
        found.fresh.append(stored)
    elif stored.runs == 2 and last and len(last) < GROUP and last[0].runs == 2:
        last.append(stored)
    else:
        found.suspects.append([stored])


def count_runs(connection: Connection, stored: list[Stored]) -> None:
    """Count a run of some messages before it begins."""
    messages.count_run(connection, [(one.tenant_id, one.message_id) for one in stored])


def _set_aside(connection: Connection, row: Row, ids: Ids, now: datetime, code: str, title: str, detail: str) -> None:
    micros = to_micros(now)
    messages.settle_inbound(connection, [("failed", micros, 0, code, detail, row[12], row[19], row[0])])
    fault = issues.Fault(
        tenant_id=row[19],
        code=code,
        cause=f"{code}|{row[1]}",
        title=title,
        object_kind="message",
        object_id=row[0],
        detail=detail,
        error_class="system",
        partner=row[2],
        connection_id=row[1],
    )
    issues.raise_faults(connection, [fault], ids=ids, now_micros=micros)


def load_stored(
    connection: Connection,
    rows: list[Row],
    *,
    release_id: str = "",
    again: dict[str, dict[int, AgainDocument]] | None = None,
    damaged: list[Damaged] | None = None,
) -> list[Stored]:
    """Return messages (INBOUND_COLUMNS) with their bytes; `release_id` overrides the one of their coming.

    Messages whose bytes are damaged are entered in `damaged` and left out; without it they raise PayloadDamaged.
    """
    contents, wrong = _contents(connection, [(row[19], row[0]) for row in rows])
    for row in rows:
        if row[0] in wrong:
            if damaged is None:
                raise wrong[row[0]]
            damaged.append((row, wrong[row[0]]))
    return [
        Stored(
            tenant_id=row[19],
            message_id=row[0],
            connection_id=row[1],
            partner=row[2],
            content=contents[row[0]],
            content_type=row[7],
            name=row[8],
            headers=_headers(row[9]),
            received_at=from_micros(row[10]),
            release_id=release_id or row[12],
            traceparent=row[17],
            runs=row[18] + 1,
            again=None if again is None else again.get(row[0]),
            slot=row[20] if again is None and row[3] == "received" else -1,
            amends=amended_of(row[4]),
        )
        for row in rows
        if row[0] in contents
    ]


def amended_of(receipt_key: str) -> str:
    """Return of which message this one is an amended version; no sender can make such a receipt key."""
    return receipt_key.split(":")[1] if receipt_key.startswith("amend:") else ""


def _contents(
    connection: Connection, places: list[tuple[str, str]]
) -> tuple[dict[str, bytes], dict[str, payloads.PayloadDamaged]]:
    """Return the bytes of messages given as (tenant_id, message_id), and what is wrong with the others.

    Message ids are unique over all tenants.
    """
    by_tenant: dict[str, list[str]] = {}
    for tenant_id, message_id in places:
        by_tenant.setdefault(tenant_id, []).append(message_id)
    contents: dict[str, bytes] = {}
    wrong: dict[str, payloads.PayloadDamaged] = {}
    for tenant_id, message_ids in by_tenant.items():
        sound, damaged = payloads.load_sound(connection, tenant_id, message_ids)
        contents.update(sound)
        wrong.update(damaged)
    return contents, wrong


def _headers(value: Any) -> dict[str, str]:
    return msgspec.json.decode(value, type=dict[str, str]) if value else {}


def open_sends(connection: Connection, *, ids: Ids, now: datetime) -> list[Ready]:
    """Return everything that is not settled, in the order it was made.

    What was reserved is booked as an attempt of unknown outcome: the process ended before it could say. What is damaged
    is a dead letter: bytes that are not what was rendered never leave.
    """
    ready: list[Ready] = []
    after = ""
    while rows := outbound.open_messages(connection, PAGE, after):
        after = rows[-1][0]
        ready += taken_up(connection, rows, "the process ended while this was being sent", ids=ids, now=now)
    return ready


def taken_up(connection: Connection, rows: list[Row], detail: str, *, ids: Ids, now: datetime) -> list[Ready]:
    """Return open sends (store.outbound.OUTBOUND_COLUMNS) with their bytes, in the same order.

    What was reserved is booked as an attempt of unknown outcome, with `detail`; what is damaged is a dead letter.
    """
    contents, wrong = _contents(connection, [(row[31], row[0]) for row in rows])
    sound = [row for row in rows if row[0] in contents]
    _bury(connection, [(row, wrong[row[0]]) for row in rows if row[0] in wrong], ids, now)
    return _taken_up(connection, sound, contents, now, detail)


def _taken_up(
    connection: Connection, rows: list[Row], contents: dict[str, bytes], now: datetime, detail: str
) -> list[Ready]:
    ready = []
    cut_off = []
    tried: dict[str, list[str]] = {}
    for row in rows:
        if row[12]:
            tried.setdefault(row[31], []).append(row[0])
    tries = {
        place: found
        for tenant_id in tried
        for place, found in outbound.tries(connection, tenant_id, tried[tenant_id]).items()
    }
    for row in rows:
        one = ready_of_row(row, contents[row[0]])
        one.tries = tries.get(one.message_id)
        if one.state == "sending":
            one.attempts += 1
            one.state, one.cut_off = "unknown", True
            one.tried("unknown")
            cut_off.append(one)
        elif one.state == "unknown" and row[13] is None:
            # So it was left by an earlier end of the process, and has not been settled since.
            one.cut_off = True
        ready.append(one)
    if cut_off:
        at, code = to_micros(now), "XD-PTR-003"
        outbound.insert_attempts(
            connection,
            [
                AttemptRow(
                    one.tenant_id, one.message_id, one.attempts, "unknown", at, 0.0, None, code, detail, None, "unknown"
                )
                for one in cut_off
            ],
        )
        outbound.book(
            connection,
            [
                ("unknown", one.attempts, None, None, "unknown", code, detail, "", one.tenant_id, one.message_id)
                for one in cut_off
            ],
        )
    return ready


def _bury(connection: Connection, damaged: list[Damaged], ids: Ids, now: datetime) -> None:
    if not damaged:
        return
    outbound.book(
        connection,
        [
            ("dead", row[12], None, None, "system", error.code, str(error), "", row[31], row[0])
            for row, error in damaged
        ],
    )
    faults = [
        issues.Fault(
            tenant_id=row[31],
            code=error.code,
            cause=f"{error.code}|{row[1]}|out",
            title="The stored bytes of a message are damaged; it was not sent",
            object_kind="outbound",
            object_id=row[0],
            detail=str(error),
            subject=row[5],
            error_class="system",
            partner=row[2],
            connection_id=row[1],
        )
        for row, error in damaged
    ]
    issues.raise_faults(connection, faults, ids=ids, now_micros=to_micros(now))


class Place(msgspec.Struct, frozen=True):
    """How far a sweep has come, page by page; at the end it begins anew."""

    inbound: tuple[str, str] = ("", "")
    sends: str = ""


class OpenWork(msgspec.Struct):
    """A page of what is not done: inbound (tenant_id, message_id), sends (tenant_id, connection_id, message_id)."""

    inbound: list[tuple[str, str]]
    sends: list[tuple[str, str, str]]
    reached: Place


def open_work(connection: Connection, now_micros: int, behind: Place) -> OpenWork:
    """Return the next page of messages that wait to be translated or sent, and are old enough to be in memory."""
    before = now_micros - STRAY_AGE_MICROS
    inbound = messages.waiting_ids(connection, before, PAGE, behind.inbound)
    sends = outbound.open_ids(connection, before, PAGE, behind.sends)
    return OpenWork(inbound, sends, place_behind(inbound, sends))


def place_behind(inbound: list[tuple[str, str]], sends: list[tuple[str, str, str]]) -> Place:
    """Return where the next page begins; behind the last one, at the beginning."""
    return Place(inbound[-1] if len(inbound) == PAGE else ("", ""), sends[-1][2] if len(sends) == PAGE else "")


def take_up(
    connection: Connection,
    inbound: list[tuple[str, str]],
    sends: list[tuple[str, str, str]],
    *,
    ids: Ids,
    now: datetime,
    mine: Ownership | None = None,
) -> tuple[list[Stored], list[Ready]]:
    """Load open work that nobody holds; what is damaged is set aside. What was reserved is of unknown outcome.

    `mine` leaves out what has become another process's since it was looked for.
    """
    found = [messages.load_inbound(connection, *place) for place in inbound]
    damaged: list[Damaged] = []
    rows = [row for row in found if row is not None and row[3] == "received" and (mine is None or mine.holds(row[20]))]
    stored = load_stored(connection, rows, damaged=damaged)
    for row, error in damaged:
        _set_aside(connection, row, ids, now, error.code, "The stored bytes of a message are damaged", str(error))
    count_runs(connection, stored)
    by_tenant: dict[str, list[str]] = {}
    for tenant_id, _, message_id in sends:
        by_tenant.setdefault(tenant_id, []).append(message_id)
    open_rows = [
        row
        for tenant_id, message_ids in by_tenant.items()
        for row in outbound.load_many(connection, tenant_id, message_ids)
        if row[9] in ("pending", "sending", "unknown") and (mine is None or mine.owns(row[31], row[6]))
    ]
    if mine is not None:
        # Ids of two workers follow two clocks; the order in which sends were made does not.
        made = workers.made_order(connection, by_tenant)
        open_rows.sort(key=lambda row: made.get(row[0], 0))
    return stored, taken_up(connection, open_rows, "nobody remembers what became of this send", ids=ids, now=now)


def released(connection: Connection, tenant_id: str, known: set[str], release_id: str) -> list[Stored]:
    """Return the messages whose held documents wait for something that is known now, to be run under a release.

    One whose bytes are damaged stays held; a replay of it says why.
    """
    rows = [row for row in messages.documents_awaiting(connection, tenant_id, sorted(known)) if row[8] == "held"]
    return documents_again(connection, tenant_id, rows, release_id, damaged=[])


def documents_again(
    connection: Connection,
    tenant_id: str,
    rows: list[Row],
    release_id: str,
    *,
    damaged: list[Damaged] | None = None,
) -> list[Stored]:
    """Return the messages of some documents (store.messages.DOCUMENT_COLUMNS), each limited to those documents."""
    again: dict[str, dict[int, AgainDocument]] = {}
    for row in rows:
        again.setdefault(row[1], {})[row[2]] = AgainDocument(row[0], row[8])
    for message_id in {row[1] for row in rows if row[9].startswith("shape:")}:
        # No map has looked at it yet: it may make more papers of it than there are.
        mine = again[message_id]
        if len(messages.documents_of(connection, tenant_id, message_id)) == len(mine):
            again[message_id] = {place: msgspec.structs.replace(one, whole=True) for place, one in mine.items()}
    found = [messages.load_inbound(connection, tenant_id, message_id) for message_id in sorted(again)]
    rows = [row for row in found if row is not None]
    return load_stored(connection, rows, release_id=release_id, again=again, damaged=damaged)
