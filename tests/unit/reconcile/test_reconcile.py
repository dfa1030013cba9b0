"""Comparing books: every kind is found and named, what is under way is no alarm, a report cannot be changed."""

from __future__ import annotations

import difflib
from collections import Counter
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from bench.reconciliation import LIMITS, grade, kinds_of, make_books, measure, seed_faults
from crossdock.canonical.units import UnitTable
from crossdock.reconcile import compare as compare_module
from crossdock.reconcile import report
from crossdock.reconcile.compare import CANDIDATES_MAX, compare, same_number
from crossdock.reconcile.records import KINDS, Move, Record
from crossdock.reconcile.schedule import Cron, CronFault

CHICAGO = ZoneInfo("America/Chicago")


def test_every_seeded_kind_is_found_and_named_and_nothing_else_is():
    """A small day with ten discrepancies of each kind; the clean one raises no alarm."""
    books = make_books(3, 6_000)

    assert 0 == grade("clean", books, set(), LIMITS).false_alarms
    seeded = seed_faults(books, 3, 120)
    graded = grade("seeded", books, seeded, LIMITS)

    assert set(KINDS) == set(kinds_of(seeded))
    assert (120, 0) == (graded.rightly_named, graded.false_alarms)


def test_without_in_flight_there_are_alarms_and_without_units_there_are_misses():
    """The two known-bad comparisons are caught by the same grading."""
    books = make_books(3, 6_000)

    assert grade("blind", books, set(), msgspec.structs.replace(LIMITS, in_flight=False)).false_alarms > 0
    seeded = seed_faults(books, 3, 120)
    unitless = grade("unitless", books, seeded, msgspec.structs.replace(LIMITS, units=False))
    assert unitless.rightly_named < 120


@pytest.mark.nightly
def test_a_thousand_seeds_among_a_hundred_thousand_movements():
    """1,000 of 1,000 under their names, no false alarm on the clean day, under 60 s."""
    clean, blind, seeded, unitless = measure()

    assert (0, 1_000, 1_000, 0) == (clean.false_alarms, seeded.found, seeded.rightly_named, seeded.false_alarms)
    assert clean.seconds + seeded.seconds < 60
    assert blind.false_alarms > 0 and unitless.rightly_named < 1_000


@pytest.mark.parametrize(
    "fields, after, due",
    [
        ("0 18 * * *", "2026-11-23T18:00:00-06:00", "2026-11-24T18:00:00-06:00"),
        ("*/15 8-9 * * 1-5", "2026-11-20T09:45:00-06:00", "2026-11-23T08:00:00-06:00"),
        # In spring the hour from two to three is not there: it runs at the instant the clock jumps.
        ("30 2 * * *", "2026-03-08T00:00:00-06:00", "2026-03-08T08:30:00+00:00"),
        ("0 0 29 2 *", "2026-11-23T00:00:00-06:00", "2028-02-29T00:00:00-06:00"),
    ],
)
def test_a_run_is_due_by_the_clock_on_the_tenants_wall(fields, after, due):
    """Cron's five fields in the tenant's zone, summer time included."""
    assert datetime.fromisoformat(due) == Cron(fields).next_after(datetime.fromisoformat(after), CHICAGO)


@pytest.mark.parametrize("fields", ["0 18 * *", "60 * * * *", "a * * * *", "5-1 * * * *"])
def test_fields_that_make_no_sense_are_refused(fields):
    """A fault is found when the pack is applied, not in the night."""
    with pytest.raises(CronFault):
        Cron(fields)


def test_a_signed_report_that_is_changed_does_not_verify():
    """One changed figure, or another key, is seen."""
    seed = bytes(range(32))
    content = b'{"differing":3}'
    signature = report.sign(content, seed)

    assert report.verify(content, signature, report.public_key_of(seed))
    assert not report.verify(b'{"differing":0}', signature, report.public_key_of(seed))
    assert not report.verify(content, signature, report.public_key_of(bytes(32)))


def test_numbers_are_compared_as_people_write_them():
    """Case, blanks, dashes and leading zeros do not count; digits do."""
    assert same_number("so-000123") == same_number("SO 123")
    assert same_number("SO-123") != same_number("SO-124")


def test_many_unmatched_rows_alike_are_compared_in_a_bounded_number_of_pairs(monkeypatch):
    """1,200 rows of equal content with one wrong character each: all found, and not each compared with all."""
    compared = [0]
    matcher = difflib.SequenceMatcher

    def counted(*arguments):
        compared[0] += 1
        return matcher(*arguments)

    monkeypatch.setattr(difflib, "SequenceMatcher", counted)
    ours = [Record(f"SO-{number * 7919 % 1_000_000:06d}", "RENO", "A", "", "", Decimal(1)) for number in range(1_200)]
    theirs = [row._replace(key=row.key[:-1] + "X" + row.key[-1]) for row in ours]
    outcome = compare("shipments", ours, theirs, LIMITS, UnitTable({}))

    assert {"identifier": 1_200} == Counter(one.kind for one in outcome.differences)
    assert {(row.key, other.key) for row, other in zip(ours, theirs, strict=True)} == {
        (one.ours, one.theirs) for one in outcome.differences
    }
    assert compared[0] <= 1_200 * CANDIDATES_MAX


def test_many_shelves_of_an_item_that_differ_are_looked_at_in_bounded_time(monkeypatch):
    """1,200 lots of one item, each with goods under another lot and a movement under way: few sums for each."""
    asked, real = [0], compare_module._explained

    def counted(*arguments):
        asked[0] += 1
        return real(*arguments)

    monkeypatch.setattr(compare_module, "_explained", counted)
    ours = [Record("", "RENO", "A", f"L{n:04d}", "available", Decimal(1_000 + n)) for n in range(1_200)]
    theirs = [row._replace(status="hold") for row in ours]
    moves = [Move("RENO", "A", row.lot, "available", Decimal(-1), LIMITS.as_of) for row in ours]
    outcome = compare("stock", ours, theirs, LIMITS, UnitTable({}), moves)

    assert {"status": 1_200} == Counter(one.kind for one in outcome.differences)
    unlike = [row._replace(lot=f"X{row.lot}", quantity=row.quantity * 3) for row in ours]
    outcome = compare("stock", ours, unlike, LIMITS, UnitTable({}), moves)
    assert 2_400 == len(outcome.differences)
    assert asked[0] <= 2 * 2_400 * (1 + CANDIDATES_MAX)
