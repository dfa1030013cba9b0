"""Find anything by any name: identifiers in whatever writing, message ids, control numbers, and failed papers.

Exact names come first, then names that begin so (from four signs on), then papers that failed and mention the text.
Where nothing fits the closest names are offered.
"""

from __future__ import annotations

import difflib
from typing import Literal

import msgspec

from ..canonical.identifiers import search_key
from ..store.engine import Connection

RESULTS_MAX = 50
PREFIX_MIN = 4
CANDIDATES_MAX = 400
FAULTS_MAX = 2_000

HitKind = Literal["order", "subject", "message", "outbound", "document", "interchange", "issue", "fault"]

_ID_KINDS = {"iss": "issue", "doc": "document", "evt": "event", "rel": "release"}


class Hit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer. `key` leads to the page (an order's number, a message's id); `via` says which name was met."""

    kind: HitKind
    key: str
    title: str
    via: str = ""
    exact: bool = True


class Answer(msgspec.Struct, frozen=True):
    """What was found, best first. `suggestions` are near names, only where nothing was found."""

    hits: tuple[Hit, ...]
    suggestions: tuple[str, ...] = ()


def find(connection: Connection, tenant_id: str, text: str, *, limit: int = RESULTS_MAX) -> Answer:
    """Return what of this tenant bears a name; spaces, dashes, case and leading zeros do not count."""
    key = search_key(text.strip()[:200])
    if not key:
        return Answer(())
    count = max(1, min(limit, RESULTS_MAX))
    hits = [
        *_by_id(connection, tenant_id, text.strip()),
        *_by_name(connection, tenant_id, key, count),
        *_by_control_number(connection, tenant_id, text.strip(), count),
    ]
    if len(key) >= PREFIX_MIN and len(hits) < count:
        hits += _by_prefix(connection, tenant_id, key, count)
    if len(hits) < count:
        hits += _in_faults(connection, tenant_id, text.strip(), count)
    unique = tuple({(hit.kind, hit.key): hit for hit in reversed(hits)}.values())[::-1]
    return Answer(unique[:count], () if unique else _closest(connection, tenant_id, key))


def _by_id(connection: Connection, tenant_id: str, text: str) -> list[Hit]:
    """Our own ids: `msg_01J…`, in any case."""
    prefix, mark, rest = text.partition("_")
    if not mark or len(rest) != 26:
        return []
    found = f"{prefix.lower()}_{rest.upper()}"
    if prefix.lower() == "msg":
        row = connection.one(
            "select partner, state, name from inbound_messages where tenant_id = ? and message_id = ?",
            (tenant_id, found),
        )
        if row is not None:
            return [Hit("message", found, f"Message from {row[0]}, {row[1]} {row[2]}".strip(), "message id")]
        row = connection.one(
            "select partner, document_type, state from outbound_messages where tenant_id = ? and message_id = ?",
            (tenant_id, found),
        )
        return (
            [Hit("outbound", found, f"{row[1].replace('_', ' ')} to {row[0]}, {row[2]}", "message id")] if row else []
        )
    if prefix.lower() == "doc":
        row = connection.one(
            "select message_id, type, state from documents where tenant_id = ? and document_id = ?", (tenant_id, found)
        )
        return [Hit("message", row[0], f"Message with the {row[1]}, {row[2]}", "document id")] if row else []
    if prefix.lower() == "iss":
        row = connection.one("select title, state from issues where tenant_id = ? and issue_id = ?", (tenant_id, found))
        return [Hit("issue", found, f"{row[0]}, {row[1]}", "issue id")] if row else []
    return []


def _by_name(connection: Connection, tenant_id: str, key: str, count: int) -> list[Hit]:
    rows = connection.query(
        "select type, subject, value from identifiers where tenant_id = ? and search_key = ? order"
        " by type, subject limit ?",
        (tenant_id, key, count),
    )
    return [_hit(row[0], row[1], row[2], exact=True) for row in rows]


def _by_prefix(connection: Connection, tenant_id: str, key: str, count: int) -> list[Hit]:
    rows = connection.query(
        "select type, subject, value from identifiers where tenant_id = ? and search_key > ? and search_key < ?"
        " order by search_key limit ?",
        (tenant_id, key, _after(key), count),
    )
    return [_hit(row[0], row[1], row[2], exact=False) for row in rows]


def _by_control_number(connection: Connection, tenant_id: str, text: str, count: int) -> list[Hit]:
    """Control numbers of interchanges and groups, as they stand in the envelope or without their zeros."""
    digits = text.replace(" ", "")
    if not digits.isdigit() or len(digits) > 9:
        return []
    forms = list(dict.fromkeys([digits, digits.lstrip("0") or "0", digits.zfill(9)]))
    hits = []
    for form in forms:
        rows = connection.query(
            "select message_id, sender, control_number from interchanges where tenant_id = ? and"
            " control_number = ? limit ?",
            (tenant_id, form, count),
        )
        hits += [Hit("message", row[0], f"Interchange {row[2]} from {row[1]}", "control number") for row in rows]
        rows = connection.query(
            "select message_id, functional_id, receiver from sent_sets where tenant_id = ? and"
            " group_control_number = ? limit ?",
            (tenant_id, form, count),
        )
        hits += [Hit("outbound", row[0], f"Group {form} ({row[1]}) to {row[2]}", "control number") for row in rows]
    return hits


def _in_faults(connection: Connection, tenant_id: str, text: str, count: int) -> list[Hit]:
    """Papers that wait or failed and name the text: what is not applied has no names of its own yet."""
    wanted = text.lower()
    if len(wanted) < PREFIX_MIN:
        return []
    rows = connection.query(
        "select message_id, type, state, business_key, awaits from documents"
        " where tenant_id = ? and awaits > '' and state in ('held', 'parked') limit ?",
        (tenant_id, FAULTS_MAX),
    )
    hits = [
        Hit("message", row[0], f"{row[1]} {row[3]}, {row[2]}, awaits {row[4]}", "a paper that waits", False)
        for row in rows
        if wanted in f"{row[3]} {row[4]}".lower()
    ]
    rows = connection.query(
        "select issue_id, code, detail, pointer, subject from exceptions where tenant_id = ? and"
        " object_id > '' and state = 'open' limit ?",
        (tenant_id, FAULTS_MAX),
    )
    hits += [
        Hit("issue", row[0], f"{row[1]}: {row[2]}"[:200], "an open fault", False)
        for row in rows
        if wanted in f"{row[2]} {row[3]} {row[4]}".lower()
    ]
    return hits[:count]


def _closest(connection: Connection, tenant_id: str, key: str) -> tuple[str, ...]:
    """Names near to a mistyped one: those that share its beginning, the most alike first."""
    names: dict[str, str] = {}
    for length in (PREFIX_MIN, 3, 2):
        stem = key[:length]
        if len(stem) < length:
            continue
        rows = connection.query(
            "select search_key, value from identifiers where tenant_id = ? and search_key >= ? and search_key < ?"
            " order by search_key limit ?",
            (tenant_id, stem, _after(stem), CANDIDATES_MAX),
        )
        names |= {row[0]: row[1] for row in rows}
        near = difflib.get_close_matches(key, names, n=5, cutoff=0.7)
        if near:
            return tuple(names[name] for name in near)
    return ()


def _hit(type_: str, subject: str, value: str, *, exact: bool) -> Hit:
    kind, _, key = subject.partition("/")
    via = f"{type_.replace('_', ' ')} {value}"
    title = f"{kind[:1].upper()}{kind[1:]} {key}"
    return Hit("order" if kind == "order" else "subject", key if kind == "order" else subject, title, via, exact)


def _after(prefix: str) -> str:
    """Return the first text that no longer begins with the prefix; search keys are lower case letters and digits."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
