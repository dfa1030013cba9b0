"""A return through the real hub, on both engines: doors in, partners out, and three teams that see one state."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.stories.company import Company


async def test_a_return_from_the_agents_request_to_the_credit(company: Company) -> None:
    """Every partner hears what concerns it, once; order, finance, warehouse and service agree at every step."""
    await company.delivered_order()
    answer = await company.asked_return(("1", 3, "damaged"), ("2", 9, "opened"))
    rma = answer["number"]

    assert ("RMA-SO-1-1", "authorized") == (rma, answer["status"])
    assert ["", "9 asked for, 2 may come back"] == [line["refusal"] for line in answer["lines"]]
    assert [{"no": "1", "sku": "H-100", "qty": 3, "condition": "damaged"}] == company.told(
        "reno", "return_authorization"
    )[0]["lines"][:1]
    await company.hand_in(
        "carrier", {"type": "label", "rma": rma, "tracking": "RT-1", "url": "https://label.example/1"}
    )
    await company.scanned("in_transit", "RT-1")
    await company.scanned("arrived_delivery", "RT-1")
    assert "Delivered" == await company.agent_sees()
    await company.receipt(rma, "G-1", ("H-100", 3, "damaged"), ("D-200", 2, "opened"))
    await company.receipt(rma, "G-1", ("H-100", 3, "damaged"), ("D-200", 2, "opened"))

    (asked,) = company.told("erp", "credit_request")
    assert (259.00, "RMA-SO-1-1-C1") == (asked["amount"], asked["request"])
    assert "Partly returned" == await company.agent_sees()
    await company.hand_in("erp", {"type": "credit", "request": asked["request"], "memo": "CM-7"})

    page = await company.get(f"/v1/returns/{rma}")
    order = await company.get("/v1/orders/SO-1")
    assert ["closed"] * 3 == [party["status"] for party in page["parties"]]
    assert "closed" == page["status"] == order["state"]["returns"][0]["status"]
    assert ["3", "2"] == [line["returned"] for line in order["state"]["lines"]]
    words = ["authorized", "labelled", "in_transit", "arrived", "credit_pending", "closed"]
    assert words == [told["status"] for told in company.told("desk", "return_status")]
    assert "partly_returned" in [told["status"] for told in company.told("shop", "order_status")]
    assert [] == company.issues()
    assert (await company.get("/v1/returns/CM-7"))["number"] == rma


async def test_what_was_restocked_counts_only_when_the_site_says_so(company: Company) -> None:
    """A restocked unit raises stock by the site's own adjustment, once, and not by the receipt."""
    await company.delivered_order()
    before = on_hand(company)
    rma = (await company.asked_return(("1", 2, "unopened")))["number"]
    await company.receipt(rma, "G-1", ("H-100", 2, "unopened"))

    assert ["restock"] == [line["do"] for told in company.told("reno", "return_disposition") for line in told["lines"]]
    assert before == on_hand(company)
    adjustment = {"type": "adjustment", "number": "A-1", "lines": [{"sku": "H-100", "delta": 2}]}
    await company.hand_in("reno", adjustment)
    await company.hand_in("reno", {**adjustment, "again": True})
    assert before + 2 == on_hand(company)


def on_hand(company: Company) -> float:
    (found,) = company.column("select on_hand from inventory where site = 'RENO' and sku = 'H-100'")
    return float(found)


async def test_a_receipt_that_comes_before_its_request_waits_for_it(company: Company) -> None:
    """Goods that came unannounced are parked under the return's number, and taken up when the request comes."""
    await company.delivered_order()
    await company.receipt("RMA-SO-1-1", "G-1", ("H-100", 1, "unopened"))
    assert ["parked"] == company.column("select state from documents where object = 'return_receipt'")

    rma = (await company.asked_return(("1", 1, "unopened")))["number"]
    await company.hub.settle()
    assert "credit_pending" == (await company.get(f"/v1/returns/{rma}"))["status"]


async def test_deadlines_find_their_return(company: Company) -> None:
    """An unused authorization ends by its own clock and gives the goods free; an overdue credit opens an issue."""
    await company.delivered_order()
    await company.asked_return(("1", 5, "unopened"))
    await company.later(days=15)
    assert ["expired"] == [row["status"] for row in (await company.get("/v1/returns"))["items"]]
    rma = (await company.asked_return(("1", 5, "unopened")))["number"]
    await company.receipt(rma, "G-1", ("H-100", 5, "unopened"))
    await company.later(hours=80)

    assert ["XD-RET-013"] == company.issues()
    assert 1 == (await company.get("/v1/returns?late=true"))["facets"]["late"]
    await company.hand_in("erp", {"type": "credit", "request": f"{rma}-C1", "memo": "CM-1"})
    assert [] == company.issues()


async def test_a_person_may_cancel_and_hears_when_it_is_too_late(company: Company) -> None:
    """A refusal changes nothing and names its code; an unknown return is not found."""
    await company.delivered_order()
    rma = (await company.asked_return(("1", 1, "unopened")))["number"]
    assert "cancelled" == (await company.post(f"/v1/returns/{rma}/settle", {"action": "cancel"}))["status"]
    problem = await company.post(f"/v1/returns/{rma}/settle", {"action": "approve"}, 409)
    assert "XD-RET-002" == problem["code"]
    await company.post("/v1/returns/NOPE/settle", {"action": "cancel"}, 404)
    await company.post("/v1/returns", {"order_number": "NOPE", "lines": [{"line_no": "1", "quantity": "1"}]}, 404)
    refused = await company.asked_return(("1", 50, "unopened"), number="SO-1")
    assert 5 == float(refused["lines"][0]["allowed"])


async def test_a_wrong_invoice_is_credited_and_released_anew(company: Company) -> None:
    """Two releases are never alive: the second comes only when the ERP has credited the first; a refusal keeps it."""
    await company.delivered_order()
    (first,) = company.told("erp", "invoice_release")
    await company.hand_in("erp", {"type": "invoice", "status": "posted", "release": first["release"], "invoice": "I-1"})
    await company.post("/v1/orders/SO-1/rebill", {"release": "SO-1:1", "reason": "wrong price"})
    assert 1 == len(company.told("erp", "invoice_release"))
    await company.hand_in("erp", {"type": "invoice", "status": "refused", "release": "SO-1:1", "reason": "closed"})
    assert ["XD-ORD-032"] == company.issues()
    await company.post("/v1/orders/SO-1/rebill", {"release": "SO-1:1", "reason": "wrong price, again"})
    await company.hand_in(
        "erp", {"type": "invoice", "status": "credited", "release": "SO-1:1", "invoice": "I-1", "memo": "CM-1"}
    )

    assert [("SO-1:1", None), ("SO-1:2", "SO-1:1")] == [
        (told["release"], told.get("replaces")) for told in company.told("erp", "invoice_release")
    ]
    money = await company.get("/v1/orders/SO-1/finance")
    assert ["credited", "released"] == [bill.get("state", "released") for bill in money["finance"]["bills"]]
    await company.hand_in("erp", {"type": "invoice", "status": "paid", "release": "SO-1:2", "invoice": "I-2"})
    money = await company.get("/v1/orders/SO-1/finance")
    assert ["credited", "paid"] == [bill["state"] for bill in money["finance"]["bills"]]
    assert [] == money["not_invoiced"] == company.issues()
    assert 2 == len(company.told("erp", "invoice_credit"))


async def test_an_exchange_is_ordered_in_the_erp(company: Company) -> None:
    """Goods instead of money: one request to the ERP, its order on the return."""
    await company.delivered_order()
    rma = (await company.asked_return(("1", 1, "defective"), resolution="exchange"))["number"]
    await company.receipt(rma, "G-1", ("H-100", 1, "defective"))
    (asked,) = company.told("erp", "exchange_request")
    await company.hand_in("erp", {"type": "exchange", "request": asked["request"], "order": "SO-2"})

    page = await company.get(f"/v1/returns/{rma}")
    assert ("closed", "SO-2") == (page["status"], page["state"]["exchange"]["order_number"])
    assert [] == company.told("erp", "credit_request")


@pytest.mark.parametrize("path", ["/v1/returns?status=nope", "/v1/returns?cursor=k0", "/v1/returns?channel=fax"])
async def test_a_bad_question_is_answered_with_its_code(company: Company, path: str) -> None:
    """A misspelled filter is no empty list."""
    answer: Any = await company.api.get(path)
    assert (400 if "cursor" in path else 422, True) == (answer.status_code, answer.json()["code"].startswith("XD-API-"))
