"""The drift sensor: compares each document with what was learned of its kind, before a map reads it.

The hot path is one signature and one look into a set. Only a signature never seen is compared with the profile; only a
deviation asks the record, because another worker or a person may have decided on it meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from ..durable.drift import DriftPolicy
from ..errors import Finding
from ..formats.shapes import Change, Profile, signature
from ..governance.pack import ConnectionSpec
from ..store import issues
from ..store import shapes as store
from ..store.engine import Connection
from ..store.shapes import ShapeRow
from .ingest import Stored
from .papers import Paper, Trouble

CHANGED, REFUSED = "XD-PTR-064", "XD-PTR-065"
SIGNATURES_MAX = 4_096
# How many of a set of changes stand in an issue; the record keeps all.
CHANGES_SHOWN = 20

_encode = msgspec.json.encode


class _Book:
    """What is known of one kind of document of one connection."""

    __slots__ = ("counter", "first_seen_at", "known", "profile", "states")

    def __init__(self, profile: Profile, first_seen_at: int) -> None:
        self.profile = profile
        self.first_seen_at = first_seen_at
        self.known: set[Any] = set()
        self.states: dict[str, str] = {}
        self.counter = 0


class Shapes:
    """The memory of the sensor in one worker.

    `begin` and `take` surround a cycle; after one that was rolled back it must `forget`.
    """

    def __init__(self) -> None:
        self._books: dict[tuple[str, str, str], _Book] = {}
        self._loaded: set[tuple[str, str]] = set()
        self._asked: set[tuple[str, str]] = set()
        self._connection: Connection | None = None
        self._now = 0
        self._rows: dict[tuple[str, str, str, str], ShapeRow] = {}
        self._faults: list[issues.Fault] = []

    def begin(self, connection: Connection, now_micros: int) -> None:
        """Start a cycle: what has to be asked is asked over this connection."""
        self._connection, self._now = connection, now_micros
        self._asked.clear()
        self._rows, self._faults = {}, []

    def take(self) -> tuple[list[ShapeRow], list[issues.Fault]]:
        """Return what this cycle has to write."""
        rows, faults = list(self._rows.values()), self._faults
        self._rows, self._faults, self._connection = {}, [], None
        return rows, faults

    def forget(self) -> None:
        """Forget everything: a cycle was rolled back, or somebody decided. The record knows."""
        self._books, self._loaded, self._rows, self._faults = {}, set(), {}, []

    def look(self, message: Stored, spec: ConnectionSpec, kind: str, document: Any, paper: Paper) -> bool:
        """Compare a document with its kind; tell whether it may be read. One that may not is held, or refused."""
        policy = spec.drift
        place = (message.tenant_id, spec.connection, kind)
        book = self._books.get(place)
        if book is None:
            book = self._book(place)
        book.counter += 1
        if not policy.holds and policy.sample > 1 and book.counter % policy.sample:
            return True
        mark = signature(document)
        if mark in book.known:
            seen = book.profile.seen = book.profile.seen + 1
            # The count is written while it decides something, then at each doubling: not for every document.
            if seen <= policy.learn or seen & (seen - 1) == 0:
                self._keep(message, spec, kind, book)
            if book.counter % policy.statistics == 0:
                self._statistics(message, spec, kind, book, document)
            return True
        return self._unknown(message, spec, kind, book, document, mark, paper)

    def _book(self, place: tuple[str, str, str]) -> _Book:
        tenant_id, connection_id, _ = place
        if (tenant_id, connection_id) not in self._loaded:
            self._load(tenant_id, connection_id)
        return self._books.setdefault(place, _Book(Profile(), self._now))

    def _load(self, tenant_id: str, connection_id: str) -> None:
        assert self._connection is not None
        self._loaded.add((tenant_id, connection_id))
        self._asked.add((tenant_id, connection_id))
        for row in store.of_connection(self._connection, tenant_id, connection_id):
            place = (tenant_id, connection_id, row.document_type)
            book = self._books.setdefault(place, _Book(Profile(), row.first_seen_at))
            if row.digest:
                book.states[row.digest] = row.state
            elif (*place, "") not in self._rows:
                seen = max(book.profile.seen, row.seen_count)
                book.profile = msgspec.json.decode(row.shape, type=Profile)
                book.profile.seen, book.first_seen_at = seen, row.first_seen_at

    def _unknown(
        self,
        message: Stored,
        spec: ConnectionSpec,
        kind: str,
        book: _Book,
        document: Any,
        mark: Any,
        paper: Paper,
    ) -> bool:
        policy, profile = spec.drift, book.profile
        changes: tuple[Change, ...] = ()
        if profile.seen >= policy.learn:
            changes = profile.changes(document, missing=profile.seen >= policy.gone_after)
        if not changes:
            self._learn(message, spec, kind, book, document, mark)
            return True
        if (message.tenant_id, spec.connection) not in self._asked:
            self._load(message.tenant_id, spec.connection)
            changes = book.profile.changes(document, missing=book.profile.seen >= policy.gone_after)
            if not changes:
                self._learn(message, spec, kind, book, document, mark)
                return True
        digest = digest_of(changes)
        state = book.states.get(digest)
        fresh = state is None
        if state is None:
            state = book.states[digest] = _state_of(policy, changes)
        if fresh:
            self._note(message, spec, kind, digest, state, changes)
        if state in ("accepted", "warned"):
            self._learn(message, spec, kind, book, document, mark)
            if fresh and state == "warned":
                self._faults.append(_fault(message, spec, kind, digest, changes))
            return True
        _stop(paper, message, spec, kind, digest, state, changes)
        return False

    def _learn(self, message: Stored, spec: ConnectionSpec, kind: str, book: _Book, document: Any, mark: Any) -> None:
        book.profile.merge(document)
        if len(book.known) < SIGNATURES_MAX:
            book.known.add(mark)
        self._keep(message, spec, kind, book)

    def _keep(self, message: Stored, spec: ConnectionSpec, kind: str, book: _Book) -> None:
        place = (message.tenant_id, spec.connection, kind, "")
        self._rows[place] = ShapeRow(
            *place,
            "learned",
            _encode(book.profile),
            None,
            book.profile.seen,
            message.message_id,
            message.release_id,
            book.first_seen_at,
            self._now,
        )

    def _note(
        self, message: Stored, spec: ConnectionSpec, kind: str, digest: str, state: str, changes: Sequence[Change]
    ) -> None:
        place = (message.tenant_id, spec.connection, kind, digest)
        self._rows[place] = ShapeRow(
            *place, state, b"{}", _encode(changes), 1, message.message_id, message.release_id, self._now, self._now
        )

    def _statistics(self, message: Stored, spec: ConnectionSpec, kind: str, book: _Book, document: Any) -> None:
        changes = book.profile.sample(document)
        if not changes:
            return
        # Values and shares never hold a document: they are told, and known from then on.
        digest = digest_of(changes)
        self._keep(message, spec, kind, book)
        if digest in book.states:
            return
        state = book.states[digest] = "accepted" if spec.drift.policy == "accept" else "warned"
        self._note(message, spec, kind, digest, state, changes)
        if state == "warned":
            self._faults.append(_fault(message, spec, kind, digest, changes))


def digest_of(changes: Sequence[Change]) -> str:
    """Return the identity of a set of changes: documents that deviate alike are decided together."""
    return hashlib.sha256(_encode([(one.kind, one.path, one.after) for one in changes])).hexdigest()[:16]


def awaited(connection_id: str, kind: str, digest: str) -> str:
    """Return under which name documents wait for a decision."""
    return f"shape:{connection_id}:{kind}:{digest}"


def _state_of(policy: DriftPolicy, changes: Sequence[Change]) -> str:
    if policy.policy == "accept":
        return "accepted"
    if policy.policy == "approve" or (policy.policy == "quarantine" and any(one.breaks for one in changes)):
        return "waiting"
    return "warned"


def _detail(changes: Sequence[Change]) -> str:
    words = "; ".join(change.words for change in changes[:CHANGES_SHOWN])
    return words + (f"; and {len(changes) - CHANGES_SHOWN} more" if len(changes) > CHANGES_SHOWN else "")


def _cause(spec: ConnectionSpec, kind: str, digest: str) -> str:
    return f"{CHANGED}|{spec.connection}|{kind}|shape:{digest}"


def _suggestion(spec: ConnectionSpec, kind: str, digest: str) -> dict[str, str]:
    return {"action": "decide_shape", "connection": spec.connection, "document_type": kind, "digest": digest}


def _title(spec: ConnectionSpec, kind: str) -> str:
    return f"{spec.partner} changed the shape of {kind}"


def _fault(message: Stored, spec: ConnectionSpec, kind: str, digest: str, changes: Sequence[Change]) -> issues.Fault:
    return issues.Fault(
        tenant_id=message.tenant_id,
        code=CHANGED,
        cause=_cause(spec, kind, digest),
        title=_title(spec, kind),
        object_kind="shape",
        object_id=awaited(spec.connection, kind, digest),
        detail=f"{_detail(changes)}; its documents are applied",
        pointer=changes[0].path,
        error_class="partner",
        partner=spec.partner,
        connection_id=spec.connection,
        suggestion=_suggestion(spec, kind, digest),
    )


def _stop(
    paper: Paper, message: Stored, spec: ConnectionSpec, kind: str, digest: str, state: str, changes: Sequence[Change]
) -> None:
    """Hold the paper until somebody decides, or refuse it when somebody did."""
    held = state == "waiting"
    code = CHANGED if held else REFUSED
    paper.map = kind
    paper.state, paper.awaits = ("held", awaited(spec.connection, kind, digest)) if held else ("rejected", "")
    paper.findings = (
        *paper.findings,
        *(Finding(code, change.words, pointer=change.path) for change in changes[:CHANGES_SHOWN]),
    )
    paper.trouble = Trouble(
        code=code,
        cause=_cause(spec, kind, digest) if held else f"{REFUSED}|{spec.connection}|{kind}|shape:{digest}",
        title=_title(spec, kind) if held else f"A shape of {kind} that was refused",
        detail=_detail(changes),
        pointer=changes[0].path,
        error_class="partner",
        suggestion=_suggestion(spec, kind, digest) if held else None,
    )
