"""The repositories promise the same on both engines, and nothing of one tenant to another."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest

from crossdock.durable.identity import Ids, ManualClock
from crossdock.store import aggregates, issues, journal, messages, outbound, payloads, stock
from crossdock.store.engine import Connection, Store
from tests.conformance.store import rows


@pytest.fixture
def ids() -> Ids:
    return Ids(ManualClock(datetime(2026, 11, 23, tzinfo=UTC)), 1)


# -- messages


def test_a_message_is_found_by_its_tenant_only(store: Store) -> None:
    """A foreign id looks exactly like an absent one."""
    store.write_now(lambda c: messages.insert_inbound(c, [rows.inbound("msg_1")]))

    assert store.read_now(lambda c: messages.load_inbound(c, "acme", "msg_1")) is not None
    foreign = store.read_now(lambda c: messages.load_inbound(c, "globex", "msg_1"))
    assert foreign == store.read_now(lambda c: messages.load_inbound(c, "globex", "msg_2"))


def test_receipts_belong_to_a_tenant_and_a_connection(store: Store) -> None:
    """The same key at another door, or of another tenant, is another receipt."""
    receipts = [(tenant, door, "key", f"msg_{tenant}{door}", rows.DIGEST, 1) for tenant in "ab" for door in "xy"]
    store.write_now(lambda c: messages.insert_receipts(c, receipts))

    found = store.read_now(lambda c: messages.receipts_of(c, "a", "x", ["key", "other"]))
    assert {"key": ("msg_ax", rows.DIGEST)} == found


def test_a_receipt_is_written_once(store: Store) -> None:
    """The key is unique in the record itself, whatever a worker believes."""
    row = ("acme", "erp", "key", "msg_1", rows.DIGEST, 1)
    store.write_now(lambda c: messages.insert_receipts(c, [row]))

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write_now(lambda c: messages.insert_receipts(c, [row]))


def test_waiting_messages_come_in_pages_that_lose_none(store: Store) -> None:
    """Pages behind a cursor give every waiting message of every tenant once, and nothing that is settled."""
    waiting = [rows.inbound(f"msg_{n}", tenant) for tenant in ("acme", "globex") for n in range(5)]
    store.write_now(lambda c: messages.insert_inbound(c, [*waiting, rows.inbound("msg_9", state="processed")]))
    seen, after = [], ("", "")
    while page := store.read_now(lambda c, at=after: messages.waiting_inbound(c, 3, at)):
        seen += [(row[19], row[0]) for row in page]
        after = seen[-1]

    assert [(row.tenant_id, row.message_id) for row in waiting] == seen


def test_held_and_parked_documents_are_found_by_what_they_wait_for(store: Store) -> None:
    """Only those that wait, only of the tenant, in the order they came."""
    papers = [
        rows.document("doc_2", state="held", awaits="lookup:items:SAW"),
        rows.document("doc_1", state="parked", awaits="order:SO-1"),
        rows.document("doc_3", state="applied", awaits="order:SO-1"),
        rows.document("doc_4", "globex", state="held", awaits="lookup:items:SAW"),
    ]
    store.write_now(lambda c: messages.insert_documents(c, papers))
    wanted = ["order:SO-1", "lookup:items:SAW"]

    assert ["doc_1", "doc_2"] == [
        row[0] for row in store.read_now(lambda c: messages.documents_awaiting(c, "acme", wanted))
    ]
    assert ["lookup:items:SAW"] == store.read_now(lambda c: messages.awaited(c, "acme", "held"))
    assert [] == store.read_now(lambda c: messages.load_documents(c, "globex", ["doc_1", "doc_2"]))


# -- payloads


def test_bytes_come_back_as_they_went_in(store: Store) -> None:
    """Small, large and empty contents; compression is nobody's business."""
    contents = {"msg_1": b"", "msg_2": b"\x00\xff" * 10, "msg_3": b"abc" * 100_000}
    store.write_now(
        lambda c: payloads.save(c, [("acme", key, payloads.digest_of(text), text) for key, text in contents.items()])
    )

    assert contents == store.read_now(lambda c: payloads.load(c, "acme", list(contents)))
    assert {} == store.read_now(lambda c: payloads.load(c, "globex", list(contents)))


@pytest.mark.parametrize("size", [100, 100_000], ids=["plain", "compressed"])
def test_a_changed_byte_is_reported_before_it_is_used(store: Store, size: int) -> None:
    """One byte of stored bytes changes at rest: reading says so; its neighbours are read."""
    text = bytes(number * 7 % 251 for number in range(size))
    save = [("acme", key, payloads.digest_of(text), text) for key in ("msg_1", "msg_2", "msg_3")]
    store.write_now(lambda c: payloads.save(c, save))

    def damage(connection: Connection) -> None:
        (kept,) = connection.one("select content from payloads where message_id = 'msg_2'") or (b"",)
        kept = bytes(kept)
        changed = kept[:50] + bytes([kept[50] ^ 1]) + kept[51:]
        connection.execute("update payloads set content = ? where message_id = 'msg_2'", (changed,))

    store.write_now(damage)

    with pytest.raises(payloads.PayloadDamaged) as caught:
        store.read_now(lambda c: payloads.load(c, "acme", ["msg_2"]))
    assert "XD-SYS-020" == caught.value.code
    sound, wrong = store.read_now(lambda c: payloads.load_sound(c, "acme", ["msg_1", "msg_2", "msg_3", "msg_4"]))
    assert ({"msg_1", "msg_3"}, {"msg_2", "msg_4"}) == (set(sound), set(wrong))


# -- outbound


def test_an_effect_is_made_once(store: Store) -> None:
    """The request key of a tenant and connection is unique in the record itself."""
    store.write_now(lambda c: outbound.insert(c, [rows.outbound("msg_1", request_key="k", connection_id="erp")]))
    others = [
        rows.outbound("msg_2", request_key="k", connection_id="shop"),
        rows.outbound("msg_3", "globex", request_key="k", connection_id="erp"),
    ]
    store.write_now(lambda c: outbound.insert(c, others))

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write_now(lambda c: outbound.insert(c, [rows.outbound("m", request_key="k", connection_id="erp")]))
    known = store.read_now(lambda c: outbound.known_requests(c, "acme", ["k", "l"]))
    assert {("k", "erp"), ("k", "shop")} == known


def test_a_settled_message_is_not_taken_back_by_a_late_outcome(store: Store) -> None:
    """Sent and discarded absorb; the attempt is written down all the same, once."""
    store.write_now(lambda c: outbound.insert(c, [rows.outbound("msg_1", state="sent")]))

    def late(connection: Connection) -> None:
        outbound.insert_attempts(connection, [rows.attempt("msg_1", 2)] * 2)
        outbound.book(connection, [("pending", 2, 5, None, "partner", "X", "late", "", "acme", "msg_1")])

    store.write_now(late)

    assert [("sent",)] == store.read_now(lambda c: c.query("select state from outbound_messages"))
    assert [(1,)] == store.read_now(lambda c: c.query("select count(*) from attempts"))


def test_another_tenants_booking_changes_nothing(store: Store) -> None:
    """Every write names the tenant first."""
    store.write_now(lambda c: outbound.insert(c, [rows.outbound("msg_1", state="dead")]))

    def foreign(connection: Connection) -> None:
        outbound.book(connection, [("sent", 1, None, 1, "", "", "", "", "globex", "msg_1")])
        outbound.requeue(connection, [("globex", "msg_1")])
        outbound.reserve(connection, [("globex", "msg_1", "erp")])
        outbound.book_acknowledgment(connection, "globex", "msg_1", "accepted")

    store.write_now(foreign)

    assert [("dead", "none")] == store.read_now(lambda c: c.query("select state, ack_state from outbound_messages"))


def test_open_messages_come_in_pages_in_the_order_made(store: Store) -> None:
    """Everything not settled, of all tenants, once."""
    made = [
        rows.outbound(f"msg_{n}", ("acme", "globex")[n % 2], state=("pending", "sending", "unknown")[n % 3])
        for n in range(7)
    ]
    store.write_now(
        lambda c: outbound.insert(
            c, [*made, rows.outbound("msg_8", state="sent"), rows.outbound("msg_9", state="dead")]
        )
    )
    seen: list[str] = []
    after = ""
    while page := store.read_now(lambda c, at=after: outbound.open_messages(c, 2, at)):
        seen += [row[0] for row in page]
        after = seen[-1]

    assert [row.message_id for row in made] == seen


def test_control_numbers_are_never_given_twice(store: Store) -> None:
    """Counted per tenant, pair and level; never repeated; 999999999 wraps to 1."""
    take = outbound.next_control_numbers
    first = store.write_now(lambda c: take(c, "acme", "us", "them", "interchange", 3))
    second = store.write_now(lambda c: take(c, "acme", "us", "them", "interchange", 1))
    other = store.write_now(lambda c: take(c, "globex", "us", "them", "interchange", 1))
    assert (1, 4, 1) == (first, second, other)

    store.write_now(lambda c: c.execute("update control_numbers set last_number = 999999998 where tenant_id = 'acme'"))
    assert 999999999 == store.write_now(lambda c: take(c, "acme", "us", "them", "interchange", 1))
    assert 1 == store.write_now(lambda c: take(c, "acme", "us", "them", "interchange", 1))


def test_acknowledgments_match_by_exact_keys(store: Store) -> None:
    """Group 1 is not group 11; an empty set number means the whole group; another tenant's sets are not there."""
    sets = [
        ("acme", "us", "them", "OW", group, number, f"msg_{group}_{number}")
        for group in ("1", "11")
        for number in ("1", "2")
    ]
    store.write_now(lambda c: outbound.remember_sets(c, sets))

    def find(tenant: str, number: str) -> list[str]:
        return sorted(store.read_now(lambda c: outbound.find_set(c, tenant, "us", "them", "OW", "1", number)))

    assert ["msg_1_2"] == find("acme", "2")
    assert ["msg_1_1", "msg_1_2"] == find("acme", "")
    assert [] == find("globex", "2")


def test_a_rejection_is_not_hidden_by_an_acceptance(store: Store) -> None:
    """Contradicting acknowledgments leave the worse one."""
    store.write_now(lambda c: outbound.insert(c, [rows.outbound("msg_1", ack_state="awaited")]))
    for state in ("rejected", "accepted"):
        store.write_now(lambda c, state=state: outbound.book_acknowledgment(c, "acme", "msg_1", state))

    assert [("rejected",)] == store.read_now(lambda c: c.query("select ack_state from outbound_messages"))


# -- aggregates, names, timers, stock


def test_aggregates_are_saved_over_and_kept_apart(store: Store) -> None:
    """The last state counts; the same key of another tenant is another order."""
    store.write_now(lambda c: aggregates.save(c, [rows.aggregate("SO-1"), rows.aggregate("SO-1", "globex", version=7)]))
    store.write_now(lambda c: aggregates.save(c, [rows.aggregate("SO-1", version=2, state=b"new")]))

    found = store.read_now(lambda c: aggregates.load(c, "acme", "order", ["SO-1", "SO-2"]))
    assert {"SO-1": ("ord_SO-1", 2, 0, b"new")} == {key: (*row[:3], bytes(row[3])) for key, row in found.items()}


def test_a_thousand_keys_are_one_question(store: Store) -> None:
    """Lists longer than a statement takes are asked in parts, each key once."""
    keys = [f"SO-{n}" for n in range(1_300)]
    store.write_now(lambda c: aggregates.save(c, [rows.aggregate(key) for key in keys]))

    assert set(keys) == set(store.read_now(lambda c: aggregates.load(c, "acme", "order", keys)))


def test_names_find_their_subject_and_no_other(store: Store) -> None:
    """Case and spaces do not count; a dash more or less is another name; a foreign name finds nothing."""
    store.write_now(lambda c: aggregates.name(c, [("acme", "order", "order/SO-1001", "SO-1001")] * 2))

    found = store.read_now(lambda c: aggregates.resolve(c, "acme", ["so- 1001", "SO1001"]))
    assert {("order", "so-1001"): "order/SO-1001"} == found
    assert {} == store.read_now(lambda c: aggregates.resolve(c, "globex", ["SO-1001"]))


def test_timers_are_moved_cancelled_and_come_due_in_order(store: Store) -> None:
    """One deadline per subject and name; the earliest first; cancelling another tenant's does nothing."""
    store.write_now(
        lambda c: aggregates.set_timers(c, [("acme", "order/1", "late", 50), ("globex", "order/1", "late", 10)])
    )
    store.write_now(lambda c: aggregates.set_timers(c, [("acme", "order/1", "late", 5)]))
    store.write_now(lambda c: aggregates.cancel_timers(c, [("initech", "order/1", "late")]))

    assert [("acme", 5), ("globex", 10)] == [
        (row[0], row[3]) for row in store.read_now(lambda c: aggregates.due_timers(c, 10))
    ]
    assert 5 == store.read_now(aggregates.next_timer)
    store.write_now(lambda c: aggregates.cancel_timers(c, [("acme", "order/1", "late"), ("globex", "order/1", "late")]))
    assert store.read_now(aggregates.next_timer) is None


def test_stock_is_exact(store: Store) -> None:
    """Quantities are decimals to the last digit, on both engines."""
    exact = Decimal("0.1234567890123456789")
    store.write_now(lambda c: stock.save(c, [("acme", "RENO", "A", exact, Decimal(0), None, 1)]))

    assert {("RENO", "A"): (exact, Decimal(0), None)} == store.read_now(lambda c: stock.load(c, "acme", ["A"]))
    assert {} == store.read_now(lambda c: stock.load(c, "globex", ["A"]))
    assert {} == store.read_now(lambda c: stock.load_site(c, "globex", "RENO"))


# -- issues


def test_faults_of_one_cause_are_one_issue_that_closes_with_the_last(store: Store, ids: Ids) -> None:
    """Twelve members are one issue; the twelfth resolution closes it; the next fault opens another."""
    faults = [rows.fault(f"doc_{n:02}", suggestion={"action": "set_lookup_row"}) for n in range(12)]
    first = store.write_now(lambda c: issues.raise_faults(c, [*faults, faults[0]], ids=ids, now_micros=1))
    assert 1 == len(set(first))
    members = store.read_now(lambda c: issues.members(c, "acme", first[0]))
    assert 12 == len(members)

    names = [one.object_id for one in faults]
    assert [] == store.write_now(lambda c: issues.resolve_objects(c, "acme", names[:11], "fixed", 2))
    assert [first[0]] == store.write_now(lambda c: issues.resolve_objects(c, "acme", names[11:], "fixed", 3))
    second = store.write_now(lambda c: issues.raise_faults(c, faults[:1], ids=ids, now_micros=4))
    assert second[0] != first[0]


def test_the_same_cause_of_two_tenants_is_two_issues(store: Store, ids: Ids) -> None:
    """Neither sees, joins nor closes the other's."""
    pair = [rows.fault("doc_1"), rows.fault("doc_1", tenant_id="globex")]
    mine, theirs = store.write_now(lambda c: issues.raise_faults(c, pair, ids=ids, now_micros=1))

    assert mine != theirs
    assert [] == store.read_now(lambda c: issues.members(c, "globex", mine))
    assert [mine] == store.write_now(lambda c: issues.resolve_objects(c, "acme", ["doc_1"], "fixed", 2))
    assert 1 == len(store.read_now(lambda c: issues.members(c, "globex", theirs)))
    assert not store.write_now(lambda c: issues.set_state(c, "globex", mine, "ignored", "eve", 3))


def test_an_object_that_fails_for_another_reason_changes_its_issue(store: Store, ids: Ids) -> None:
    """What it was reported for before is resolved, except the cause it fails for now."""
    pair = [rows.fault("doc_1", "A|1"), rows.fault("doc_1", "B|1")]
    first, _ = store.write_now(lambda c: issues.raise_faults(c, pair, ids=ids, now_micros=1))

    assert [first] == store.write_now(lambda c: issues.resolve_other_causes(c, "acme", "doc_1", "B|1", "moved on", 2))


# -- the journal


def test_the_journal_is_followed_without_gap_or_repetition(store: Store) -> None:
    """Page by page, tenant by tenant, in the order of the commits."""
    for start in (0, 3):
        batch = [rows.event(f"evt_{n}", ("acme", "globex")[n % 2]) for n in range(start, start + 3)]
        store.write_now(lambda c, batch=batch: journal.append(c, batch))
    seen, cursor = [], journal.Cursor()
    while True:
        page, cursor = store.read_now(lambda c, at=cursor: journal.read_after(c, "acme", at, 2))
        if not page:
            break
        seen += [one.id for one in page]

    assert ["evt_0", "evt_2", "evt_4"] == seen
    assert journal.Cursor.parse(str(cursor)) == cursor
    assert [] == store.read_now(lambda c: journal.read_after(c, "acme", journal.end(c)))[0]


def test_an_event_that_commits_late_is_not_passed_over(postgres_database: str) -> None:
    """PostgreSQL: a position taken early and committed late is waited for, and nothing behind it is shown before."""
    from crossdock.store.engine import open_store

    store = open_store(postgres_database, readers=1)
    slow = psycopg.connect(postgres_database)
    try:
        slow.execute(
            "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
            " values ('acme', 'evt_slow', 't', 's', '{}', 1, 1)"
        )
        store.write_now(lambda c: journal.append(c, [rows.event("evt_fast")]))
        early, cursor = store.read_now(lambda c: journal.read_after(c, "acme", journal.Cursor()))
        slow.commit()
        late, _ = store.read_now(lambda c: journal.read_after(c, "acme", cursor))
    finally:
        slow.close()
        store.close()

    assert ([], ["evt_slow", "evt_fast"]) == (early, [one.id for one in late])


def test_a_cursor_that_only_counts_positions_would_have_passed_it_over(postgres_database: str) -> None:
    """Positive control: `position greater than` shows the fast event first and never the slow one."""
    from crossdock.store.engine import open_store

    store = open_store(postgres_database, readers=1)
    slow = psycopg.connect(postgres_database)
    naive = "select event_id, position from events where position > ? order by position"
    try:
        slow.execute(
            "insert into events (tenant_id, event_id, type, subject, data, occurred_at, recorded_at)"
            " values ('acme', 'evt_slow', 't', 's', '{}', 1, 1)"
        )
        store.write_now(lambda c: journal.append(c, [rows.event("evt_fast")]))
        ((first, position),) = store.read_now(lambda c: c.query(naive, (0,)))
        slow.commit()
        rest = store.read_now(lambda c: c.query(naive, (position,)))
    finally:
        slow.close()
        store.close()

    assert ("evt_fast", []) == (first, rest)
