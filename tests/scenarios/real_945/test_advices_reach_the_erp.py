"""945s written by others, with their defects, go through the example's map and the process into the ERP's books."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from crossdock.errors import ConfigurationError
from crossdock.simulator.ledger import Lines, lines_of
from tests.scenarios.real_945.advices import (
    BARE,
    DEFECTS,
    FILES,
    Advice,
    as_sent,
    counted,
    needs_samples,
    one_short,
    read_advice,
    renumbered,
)
from tests.scenarios.real_945.world import World, agreed_with, pack_files, running, with_text

pytestmark = needs_samples

EVERY = pytest.mark.parametrize("name", sorted(DEFECTS))
WITH_ENVELOPE = pytest.mark.parametrize("name", sorted(DEFECTS.keys() - {BARE}))
VARIANTS: dict[str, Callable[[bytes], bytes]] = {"as sent": lambda raw: raw, "one short": one_short}


def goods(advice: Advice, element: int) -> Lines:
    """Return a quantity of the advice by SKU, counted without the codec."""
    by_product = counted(advice.raw, element)
    return lines_of((advice.items.get(product, "SKU-NAMELESS"), quantity) for product, quantity in by_product.items())


def reads_what_was_ordered() -> dict[str, str]:
    """Return the example pack with the shipped quantity taken from the element of the ordered one."""
    right, wrong = (f"quantity: required(number(item.{element}))" for element in ("shipped", "ordered"))
    return with_text(pack_files(), "maps/ferndale-945.yaml", (right, wrong))


async def take(world: World, advice: Advice) -> None:
    """Release the order, see that the warehouse was asked, and let its advice come."""
    await world.release(advice.order_number, advice.lines)
    (order,) = world.written("OW").values()
    assert f"*{advice.order_number}" in order
    assert [] == world.postings()
    await world.drop("advice-1.edi", advice.raw)


def judge(world: World, advice: Advice) -> None:
    """The oracle: the process and the ERP hold what the advice says was shipped, once, and the rest waits."""
    shipped, ordered = goods(advice, 3), goods(advice, 2)
    assert ["applied"] == world.papers()
    (posting,) = world.postings()
    assert (advice.order_number, shipped) == (posting.about, posting.lines)
    state = world.order(advice.order_number)
    skus = {line.line_no: line.sku for line in state.order.lines}
    assert ordered == lines_of((skus[line.line_no], line.ordered) for line in state.lines)
    assert shipped == lines_of((skus[line.line_no], line.shipped) for line in state.lines)
    missing = sum((line.ordered - line.shipped for line in state.lines), Decimal(0))
    assert missing == sum((line.backordered for line in state.lines), Decimal(0))
    assert ("partly_shipped" if missing else "shipped") == state.status


def test_no_sample_is_left_out() -> None:
    """Every 945 among the samples is one of those that run here."""
    assert sorted(FILES) == sorted(DEFECTS)


@EVERY
@pytest.mark.parametrize("variant", VARIANTS)
async def test_an_advice_of_others_is_posted_once(name: str, variant: str, tmp_path: Path) -> None:
    """Applied, booked in the ledger, posted in the ERP, answered with the defects; a second time it is a duplicate."""
    advice = read_advice(VARIANTS[variant](as_sent(name)))
    async with running(tmp_path, agreed_with(advice, pack_files())) as world:
        await take(world, advice)

        judge(world, advice)
        defects = DEFECTS[name]
        (answer,) = world.answers()
        assert ("E", defects.of_set, "E", defects.of_group, defects.elements) == answer
        assert (["XD-ORD-002"] if variant == "one short" else []) == world.issues()

        answered = world.written("FA")
        for file in answered:
            (world.outbox / file).unlink()  # the warehouse has fetched it
        await world.drop("advice-2.edi", advice.raw)
        await world.drop("advice-3.edi", advice.raw + b"\r\n")

        assert ["processed", "duplicate", "duplicate"] == world.received()
        assert ["applied", "superseded"] == world.papers()
        assert 1 == len(world.postings())
        assert {} == dict(world.erp.ledger.told_again)
        assert answered == world.written("FA")

        issues, lines = world.issues(), world.order(advice.order_number).lines
        await world.drop("advice-4.edi", renumbered(advice.raw))
        assert (1, issues, lines) == (len(world.postings()), world.issues(), world.order(advice.order_number).lines)
        assert 2 == len(world.answers())


@EVERY
async def test_the_oracle_sees_a_map_that_reads_the_wrong_element(name: str, tmp_path: Path) -> None:
    """Control: a map that takes what was ordered for what was shipped does not pass."""
    advice = read_advice(one_short(as_sent(name)))
    wrong = reads_what_was_ordered()
    untested = wrong["maps/ferndale-945.yaml"].partition("\ntests:\n")[0]
    files = wrong | {"maps/ferndale-945.yaml": untested + "\n"}
    async with running(tmp_path, agreed_with(advice, files)) as world:
        await take(world, advice)

        assert ["applied"] == world.papers()
        with pytest.raises(AssertionError):
            judge(world, advice)


async def test_the_maps_own_tests_refuse_the_wrong_element_first(tmp_path: Path) -> None:
    """The same mistake with the map's tests in place never becomes a release."""
    with pytest.raises(ConfigurationError, match="the test 'two lots of one order line, one of them short'"):
        async with running(tmp_path, reads_what_was_ordered()):
            pass


async def test_a_shipment_number_made_of_a_control_number_books_twice(tmp_path: Path) -> None:
    """Control of the fourth file: had the map named the shipment by its interchange, sending it again would be seen."""
    advice = read_advice(one_short(as_sent("945_x12types_2")))
    careless = with_text(
        pack_files(),
        "maps/ferndale-945.yaml",
        (
            "join([w06.depositor_order, w06.shipped_on if dated else None]",
            "join([w06.depositor_order, envelope.control_number]",
        ),
        ("number: MR-502", "number: MR-502-000000031"),
        ("number: MR-503-20260314", "number: MR-503-000000032"),
    )
    async with running(tmp_path, agreed_with(advice, careless)) as world:
        await take(world, advice)
        judge(world, advice)

        await world.drop("advice-4.edi", renumbered(advice.raw))

        assert 2 == len(world.postings())


@EVERY
async def test_a_strict_agreement_refuses_them_all(name: str, tmp_path: Path) -> None:
    """Control of the leniency: without it a set with errors is rejected, in the record and in the 997."""
    advice = read_advice(as_sent(name))
    strict = with_text(pack_files(), "connections/ferndale.yaml", ("acknowledge: lenient", "acknowledge: strict"))
    async with running(tmp_path, agreed_with(advice, strict)) as world:
        await take(world, advice)

        assert ["rejected"] == world.papers()
        assert [] == world.postings()
        (answer,) = world.answers()
        assert ("R", DEFECTS[name].of_set, DEFECTS[name].elements) == (answer.set_code, answer.of_set, answer.elements)
        assert {Decimal(0)} == {line.shipped for line in world.order(advice.order_number).lines}


async def test_a_set_without_an_envelope_is_from_nobody(tmp_path: Path) -> None:
    """Without ISA nobody says who sends: nothing is applied or answered, the bytes are kept, an issue says why."""
    advice = read_advice(as_sent(BARE))
    bare = FILES[BARE].read_bytes()
    async with running(tmp_path, agreed_with(advice, pack_files())) as world:
        await take(world, advice._replace(raw=bare))

        assert ["rejected"] == world.papers()
        assert ["XD-ING-002"] == world.issues()
        assert ([], []) == (world.postings(), world.answers())
        assert bare == world.kept_bytes()
        await world.drop("forwarded.edi", advice.raw)
        assert goods(advice, 3) == world.postings()[0].lines


@WITH_ENVELOPE
async def test_an_envelope_of_somebody_else_is_not_applied(name: str, tmp_path: Path) -> None:
    """Sender and receiver are bound to the connection: the same bytes under another agreement change nothing."""
    advice = read_advice(as_sent(name))
    other = advice._replace(them="ZZ:SOMEBODY")
    async with running(tmp_path, agreed_with(other, pack_files())) as world:
        await take(world, advice)

        assert (["rejected"], ["XD-ING-002"]) == (world.papers(), world.issues())
        assert ([], []) == (world.postings(), world.answers())


@pytest.mark.parametrize("name", sorted(DEFECTS.keys() - {"945_x12types_2"}))
async def test_a_product_nobody_has_named_holds_the_advice(name: str, tmp_path: Path) -> None:
    """An unknown product code holds the whole advice; the row in the table lets it go on by itself."""
    advice = read_advice(as_sent(name))
    files = agreed_with(advice._replace(items={}), pack_files())
    async with running(tmp_path, files) as world:
        await take(world, advice)
        assert (["held"], []) == (world.papers(), world.postings())

        for product, sku in advice.items.items():
            assert ["held"] == world.papers()
            await world.hub.fix_issue("maple-row", world.issue_id("XD-MAP-014"), "items", product, sku, "analyst")
            await world.hub.settle()

        judge(world, advice)
        assert [] == world.issues()
