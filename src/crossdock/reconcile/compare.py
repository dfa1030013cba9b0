"""Find where two books disagree, and name each difference by what it is.

Rows are matched by number first, as people write numbers (case, blanks and leading zeros do not count). What is left
over on both sides is then the same thing under another lot, site or number, or really missing. What happened so
shortly before the statement that it cannot have arrived yet is a matter of timing, and no difference.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

import msgspec

from ..canonical.statements import StatementKind
from ..canonical.units import UnitTable, to_base
from ..errors import DocumentRejected, HeldAwaiting
from .records import Difference, DifferenceKind, Move, Outcome, Record

ZERO = Decimal(0)
MICROS_PER_MINUTE = 60_000_000
_NUMBERS_ALIKE_MIN = 0.6
_SUMS_MAX = 4_096
# So many rows at most are looked at for each row that has no partner: the time grows with the rows, not their square.
CANDIDATES_MAX = 20

Place = tuple[str, str, str]
# Site, item, lot and status.
Shelf = tuple[str, str, str, str]
_RESPECTS: dict[int, DifferenceKind] = {0: "wrong_site", 2: "lot", 3: "status"}


class Limits(msgspec.Struct, frozen=True):
    """How exactly two books are compared. See `policy.Comparison`; instants are microseconds UTC.

    `as_of` is the instant of their statement, `known_until` that of our record. `complete` false: what they do not name
    is not missing. `in_flight` and `units` exist to be switched off: a comparison without them is known to be wrong.
    """

    as_of: int
    known_until: int
    in_flight_minutes: int = 60
    tolerance: Decimal = ZERO
    tolerance_percent: Decimal = ZERO
    late_minutes: int = 0
    complete: bool = True
    in_flight: bool = True
    units: bool = True

    def close(self, ours: Decimal, theirs: Decimal) -> bool:
        """Tell whether two numbers are equal within the tolerance."""
        allowed = max(self.tolerance, abs(ours) * self.tolerance_percent / 100)
        return abs(ours - theirs) <= allowed

    def on_its_way(self, at: int, known: int) -> bool:
        """Tell whether what happened at an instant may still be unknown to a book as of `known`."""
        return self.in_flight and at > known - self.in_flight_minutes * MICROS_PER_MINUTE


class _Pair(NamedTuple):
    ours: Record
    theirs: Record


def compare(
    kind: StatementKind,
    ours: Iterable[Record],
    theirs: Iterable[Record],
    limits: Limits,
    units: UnitTable,
    moves: Iterable[Move] = (),
) -> Outcome:
    """Return what agrees, what is a matter of timing and what differs.

    `moves` are our movements of stock so shortly before the statement that it may not show them.
    """
    mine = list(ours)
    yours = [_in_base(one, units, limits) for one in theirs]
    if kind == "stock":
        return _compare_stock(mine, yours, limits, units, moves)
    if kind == "messages":
        return _compare_counts(mine, yours)
    return _compare_entries(mine, yours, limits, units)


def _in_base(record: Record, units: UnitTable, limits: Limits) -> Record:
    if record.quantity is None or record.uom in ("", "EA") or not limits.units:
        return record
    try:
        return record._replace(quantity=to_base(record.quantity, record.sku, record.uom, units.rows), uom="EA")
    except (HeldAwaiting, DocumentRejected):
        # A unit nobody knows: the number stays as it is, and the difference shows the unit.
        return record


def same_number(key: str) -> str:
    """Return a number as it is compared.

    >>> same_number(" so-000123 ") == same_number("SO123")
    True
    """
    cleaned = "".join(one for one in key.upper() if one.isalnum())
    head = cleaned.rstrip("0123456789")
    return head + cleaned[len(head) :].lstrip("0") if cleaned[len(head) :].lstrip("0") else cleaned


# -- documents and goods that have numbers


def _compare_entries(ours: list[Record], theirs: list[Record], limits: Limits, units: UnitTable) -> Outcome:
    outcome = Outcome()
    numbers: dict[str, str] = {}

    def number(key: str) -> str:
        found = numbers.get(key)
        if found is None:
            found = numbers[key] = same_number(key)
        return found

    mine = _by_place(ours, number)
    yours = _by_place(theirs, number)
    left_ours: list[Record] = []
    for place, rows in mine.items():
        other = yours.pop(place, None)
        if other is None:
            left_ours.append(_summed(rows))
        else:
            _compare_pair(outcome, _summed(rows), other, limits, units)
    left_theirs = dict(yours.items())
    left_ours = _other_lot(outcome, left_ours, left_theirs, number)
    left_ours = _other_number(outcome, left_ours, left_theirs, limits, number)
    for record in left_ours:
        if limits.on_its_way(record.at, limits.as_of):
            outcome.timing += 1
        elif limits.complete:
            outcome.differences.append(_difference("missing_there", record, None))
        else:
            outcome.matched += 1
    for rows in left_theirs.values():
        record = _summed(rows)
        if limits.on_its_way(record.at, limits.known_until):
            outcome.timing += 1
        else:
            outcome.differences.append(_difference("missing_here", None, record))
    return outcome


def _by_place(records: Iterable[Record], number: object) -> dict[Place, list[Record]]:
    found: dict[Place, list[Record]] = {}
    for record in records:
        place = (number(record.key), record.sku, record.lot)  # type: ignore[operator]
        rows = found.get(place)
        if rows is None:
            found[place] = [record]
        else:
            rows.append(record)
    return found


def _summed(rows: Sequence[Record]) -> Record:
    first = rows[0]
    if len(rows) == 1:
        return first
    quantity = None if first.quantity is None else sum((one.quantity or ZERO for one in rows), ZERO)
    amount = None if first.amount is None else sum((one.amount or ZERO for one in rows), ZERO)
    return first._replace(quantity=quantity, amount=amount)


def _compare_pair(outcome: Outcome, ours: Record, rows: Sequence[Record], limits: Limits, units: UnitTable) -> None:
    theirs = _summed(rows)
    kinds: list[DifferenceKind] = []
    if len(rows) > 1 and _agree(ours, rows[0], limits) and not _agree(ours, theirs, limits):
        kinds.append("duplicate_there")
        theirs = rows[0]
    if ours.quantity is not None and theirs.quantity is not None and not limits.close(ours.quantity, theirs.quantity):
        slipped = limits.units and _slipped(ours.quantity, theirs.quantity, units.slips(ours.sku))
        kinds.append("unit" if slipped else "quantity")
    if ours.site and theirs.site and ours.site != theirs.site:
        kinds.append("wrong_site")
    if ours.status and theirs.status and ours.status != theirs.status:
        kinds.append("status")
    if ours.amount is not None and theirs.amount is not None and not limits.close(ours.amount, theirs.amount):
        kinds.append("amount")
    apart = abs(theirs.at - ours.at) if ours.at and theirs.at else 0
    if limits.late_minutes and apart > limits.late_minutes * MICROS_PER_MINUTE:
        kinds.append("late")
    if not kinds:
        outcome.matched += 1
    outcome.differences += [_difference(kind, ours, theirs) for kind in kinds]


def _agree(ours: Record, theirs: Record, limits: Limits) -> bool:
    for mine, yours in ((ours.quantity, theirs.quantity), (ours.amount, theirs.amount)):
        if mine is not None and yours is not None and not limits.close(mine, yours):
            return False
    return True


def _slipped(ours: Decimal, theirs: Decimal, factors: Sequence[Decimal]) -> bool:
    return bool(ours and theirs) and any(ours * one == theirs or theirs * one == ours for one in factors)


def _other_lot(outcome: Outcome, left: list[Record], theirs: dict[Place, list[Record]], number: object) -> list[Record]:
    """Take out pairs that differ in their lot alone."""
    alike: dict[tuple[str, str, Decimal | None], list[Place]] = defaultdict(list)
    for place in reversed(theirs):
        alike[(*place[:2], _summed(theirs[place]).quantity)].append(place)
    rest = []
    for record in left:
        places = alike.get((number(record.key), record.sku, record.quantity))  # type: ignore[operator]
        if not places:
            rest.append(record)
            continue
        found = places.pop()
        outcome.differences.append(_difference("lot", record, _summed(theirs.pop(found))))
    return rest


def _other_number(
    outcome: Outcome, left: list[Record], theirs: dict[Place, list[Record]], limits: Limits, number: object
) -> list[Record]:
    """Take out pairs that are the same thing under another number: alike in all else, a bit in the number."""
    groups: dict[tuple[object, ...], list[Place]] = defaultdict(list)
    for place, rows in theirs.items():
        groups[_content(_summed(rows))].append(place)
    alike = {content: _Alike(places) for content, places in groups.items()}
    rest = []
    for record in left:
        places = alike.get(_content(record))
        best, best_ratio = None, _NUMBERS_ALIKE_MIN
        for place in places.near(number(record.key)) if places is not None else ():  # type: ignore[operator]
            other = theirs[place][0]
            if record.at and other.at and abs(record.at - other.at) > (limits.late_minutes or 60) * MICROS_PER_MINUTE:
                continue
            ratio = difflib.SequenceMatcher(None, record.key.upper(), other.key.upper()).ratio()
            if ratio >= best_ratio:
                best, best_ratio = place, ratio
        if best is None or places is None:
            rest.append(record)
            continue
        places.take(best)
        outcome.differences.append(_difference("identifier", record, _summed(theirs.pop(best))))
    return rest


class _Alike:
    """Rows that are alike in all but their number, to be asked for those whose number is near another.

    Near are all where there are few, else those with the same digits, and the neighbours in the order of the numbers
    read from the front and from the back: one wrong character leaves one of these as it is.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = dict.fromkeys(places)
        self._digits: dict[str, dict[Place, None]] = defaultdict(dict)
        self._orders: tuple[list[tuple[str, Place]], list[tuple[str, Place]]] = ([], [])
        if len(self._places) > CANDIDATES_MAX:
            for place in self._places:
                self._digits[_digits(place[0])][place] = None
            forward, backward = (
                ((place[0], place) for place in self._places),
                ((place[0][::-1], place) for place in self._places),
            )
            self._orders = (sorted(forward), sorted(backward))

    def near(self, number: str) -> list[Place]:
        """Return at most `CANDIDATES_MAX` rows."""
        if len(self._places) <= CANDIDATES_MAX:
            return list(self._places)
        found = dict.fromkeys(islice(self._digits.get(_digits(number), ()), CANDIDATES_MAX // 2))
        side = (CANDIDATES_MAX - len(found)) // 4
        for order, wanted in zip(self._orders, (number, number[::-1]), strict=True):
            middle = bisect_left(order, (wanted, ("", "", "")))
            found.update(dict.fromkeys(place for _, place in order[max(0, middle - side) : middle + side]))
        return list(found)

    def take(self, place: Place) -> None:
        """Leave a row out from now on."""
        del self._places[place]
        self._digits.get(_digits(place[0]), {}).pop(place, None)
        for order, text in zip(self._orders, (place[0], place[0][::-1]), strict=True):
            if order:
                del order[bisect_left(order, (text, place))]


def _digits(number: str) -> str:
    return "".join(one for one in number if one.isdigit()).lstrip("0")


def _content(record: Record) -> tuple[object, ...]:
    return (record.site, record.sku, record.lot, record.quantity, record.amount)


# -- counts of messages


def _compare_counts(ours: list[Record], theirs: list[Record]) -> Outcome:
    outcome = Outcome()
    mine, yours = ({one.key: one for one in side} for side in (ours, theirs))
    for key in sorted(mine.keys() | yours.keys()):
        left, right = mine.get(key), yours.get(key)
        here = (left.quantity if left is not None else None) or ZERO
        there = (right.quantity if right is not None else None) or ZERO
        way = left.in_flight if left is not None else ZERO
        if here == there:
            outcome.matched += 1
        elif ZERO < here - there <= way:
            outcome.timing += 1
        else:
            outcome.differences.append(_difference("count_gap", left, right))
    return outcome


# -- stock


def _compare_stock(
    ours: list[Record], theirs: list[Record], limits: Limits, units: UnitTable, moves: Iterable[Move]
) -> Outcome:
    outcome = Outcome()
    mine: dict[tuple[str, str, str, str], Decimal] = {}
    for one in ours:
        shelf = (one.site, one.sku, one.lot, one.status)
        mine[shelf] = mine.get(shelf, ZERO) + (one.quantity or ZERO)
    rows: dict[tuple[str, str, str, str], list[Decimal]] = {}
    for one in theirs:
        rows.setdefault((one.site, one.sku, one.lot, one.status), []).append(one.quantity or ZERO)
    yours: dict[tuple[str, str, str, str], Decimal] = {}
    for shelf, values in rows.items():
        total = sum(values, ZERO)
        # The same row again is one too many; rows of different quantities are parts of a whole.
        here = mine.get(shelf, ZERO)
        again = len(values) > 1 and len(set(values)) == 1
        if again and limits.close(here, values[0]) and not limits.close(here, total):
            outcome.differences.append(_shelf("duplicate_there", shelf, values[0], total))
            total = values[0]
        yours[shelf] = total
    under_way: dict[tuple[str, str, str, str], list[Move]] = {}
    for move in moves if limits.in_flight else ():
        under_way.setdefault((move.site, move.sku, move.lot, move.status), []).append(move)
    differing: dict[tuple[str, str, str, str], Decimal] = {}
    for shelf in mine.keys() | yours.keys():
        here, there = mine.get(shelf, ZERO), yours.get(shelf, ZERO)
        if limits.close(here, there) or (shelf not in yours and not limits.complete):
            outcome.matched += 1
        elif _explained(there - here, under_way.get(shelf, ())):
            outcome.timing += 1
        else:
            differing[shelf] = there - here
    _name_stock(outcome, differing, mine, yours, limits, units, under_way)
    return outcome


def _explained(difference: Decimal, moves: Sequence[Move]) -> bool:
    """Tell whether a difference is made of movements that are here and not yet there."""
    sums = {ZERO}
    # More than all of them together is made of none.
    if abs(difference) > sum((abs(move.delta) for move in moves), ZERO):
        return False
    for move in sorted(moves, key=lambda one: -one.at):
        sums |= {total - move.delta for total in sums}
        if difference in sums:
            return True
        if len(sums) > _SUMS_MAX:
            return False
    return False


def _name_stock(
    outcome: Outcome,
    differing: dict[tuple[str, str, str, str], Decimal],
    mine: Mapping[tuple[str, str, str, str], Decimal],
    yours: Mapping[tuple[str, str, str, str], Decimal],
    limits: Limits,
    units: UnitTable,
    under_way: Mapping[tuple[str, str, str, str], Sequence[Move]],
) -> None:
    """Name each shelf that differs; two that cancel each other out are one difference."""
    counterparts, done = _Counterparts(differing, under_way), set[Shelf]()
    for shelf in sorted(differing):
        if shelf in done:
            continue
        counterparts.take(shelf)
        counterpart = counterparts.of(shelf)
        if counterpart is not None:
            other, kind = counterpart
            done.add(other)
            counterparts.take(other)
            # What we have and they do not stands on our shelf; theirs is the other one.
            place, there = (shelf, other) if differing[shelf] < 0 else (other, shelf)
            words = {"status": there[3], "lot": there[2], "wrong_site": there[0]}[kind]
            outcome.differences.append(
                _shelf(kind, place, mine.get(place, ZERO), yours.get(place, ZERO), f"{-differing[place]:f} in {words}")
            )
            continue
        here, there_now = mine.get(shelf, ZERO), yours.get(shelf, ZERO)
        if limits.units and _slipped(here, there_now, units.slips(shelf[1])):
            single: DifferenceKind = "unit"
        elif shelf not in yours:
            single = "missing_there"
        elif shelf not in mine:
            single = "missing_here"
        else:
            single = "quantity"
        outcome.differences.append(_shelf(single, shelf, here, there_now))


class _Counterparts:
    """Shelves that differ, to be asked for one that is unlike another in a single respect and cancels it out."""

    def __init__(self, differing: Mapping[Shelf, Decimal], under_way: Mapping[Shelf, Sequence[Move]]) -> None:
        self._differing, self._under_way = differing, under_way
        self._by_amount: dict[tuple[object, ...], dict[Shelf, None]] = defaultdict(dict)
        self._by_sign: dict[tuple[object, ...], dict[Shelf, None]] = defaultdict(dict)
        for shelf in sorted(differing):
            for _, by_amount, by_sign in self._keys(shelf, 1):
                self._by_amount[by_amount][shelf] = self._by_sign[by_sign][shelf] = None

    def _keys(self, shelf: Shelf, sign: int) -> Iterable[tuple[int, tuple[object, ...], tuple[object, ...]]]:
        amount = self._differing[shelf] * sign
        for respect in _RESPECTS:
            rest = (respect, *shelf[:respect], *shelf[respect + 1 :])
            yield respect, (*rest, amount), (*rest, amount > 0)

    def take(self, shelf: Shelf) -> None:
        """Leave a shelf out from now on."""
        for _, by_amount, by_sign in self._keys(shelf, 1):
            self._by_amount[by_amount].pop(shelf, None)
            self._by_sign[by_sign].pop(shelf, None)

    def of(self, shelf: Shelf) -> tuple[Shelf, DifferenceKind] | None:
        """Return the other shelf and in which respect it is unlike, or None."""
        equal, near = [], []
        for respect, by_amount, by_sign in self._keys(shelf, -1):
            equal += [(other, _RESPECTS[respect]) for other in islice(self._by_amount.get(by_amount, ()), 1)]
            near += [(other, _RESPECTS[respect]) for other in islice(self._by_sign.get(by_sign, ()), CANDIDATES_MAX)]
        if equal:
            return min(equal)
        # Goods that left one of the two meanwhile may blur the picture.
        for other, kind in sorted(near)[:CANDIDATES_MAX]:
            rest = self._differing[other] + self._differing[shelf]
            if _explained(rest, (*self._under_way.get(shelf, ()), *self._under_way.get(other, ()))):
                return other, kind
        return None


def _shelf(
    kind: DifferenceKind, shelf: tuple[str, str, str, str], ours: Decimal, theirs: Decimal, more: str = ""
) -> Difference:
    site, sku, lot, status = shelf
    return Difference(
        kind,
        "|".join(shelf),
        f"{ours:f}",
        f"{theirs:f}" + (f", {more}" if more else ""),
        site=site,
        sku=sku,
        lot=lot,
        status=status,
        amount=theirs - ours,
    )


def _difference(kind: DifferenceKind, ours: Record | None, theirs: Record | None) -> Difference:
    record = ours or theirs
    assert record is not None
    mine = ours.amount if kind == "amount" and ours else ours.quantity if ours else None
    yours = theirs.amount if kind == "amount" and theirs else theirs.quantity if theirs else None
    both = mine is not None and yours is not None
    return Difference(
        kind,
        "|".join((same_number(record.key), record.sku, record.lot)),
        _words(kind, ours),
        _words(kind, theirs),
        key=record.key,
        site=record.site,
        sku=record.sku,
        lot=record.lot,
        status=record.status,
        amount=yours - mine if both else None,  # type: ignore[operator]
        at=record.at,
    )


def _words(kind: DifferenceKind, record: Record | None) -> str:
    """Say of one side what the difference is about."""
    if record is None:
        return ""
    match kind:
        case "status":
            return record.status
        case "lot":
            return record.lot or "no lot"
        case "wrong_site":
            return record.site
        case "identifier":
            return record.key
        case "amount":
            return "" if record.amount is None else f"{record.amount:f}"
        case "late":
            return str(record.at)
        case _:
            return "" if record.quantity is None else f"{record.quantity:f}"
