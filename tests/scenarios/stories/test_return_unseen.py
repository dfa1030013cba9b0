"""A return is processed while agents still see "delivered".

The warehouse has the goods, finance has paid; the agent, the shop and the customer look at the order. The guard is that
a return tells its order in the transaction that changes it.
"""

from __future__ import annotations

import pytest

from crossdock.processes.returns import consequences
from tests.scenarios.stories.company import Company


async def the_story(company: Company) -> list[str]:
    """Return all goods of an order; return who still believes that they are with the customer."""
    faults: list[str] = []
    await company.delivered_order()
    rma = (await company.asked_return(("1", 5, "unopened"), ("2", 2, "opened")))["number"]
    await company.receipt(rma, "G-1", ("H-100", 5, "unopened"), ("D-200", 2, "opened"))
    for request in company.told("erp", "credit_request"):
        await company.hand_in("erp", {"type": "credit", "request": request["request"], "memo": "CM-1"})
    if "Returned" != await company.agent_sees():
        faults.append(f"the agent sees {await company.agent_sees()}")
    page = await company.get(f"/v1/returns/{rma}")
    if {"closed"} != {party["status"] for party in page["parties"]}:
        faults.append("finance, warehouse and service differ")
    order = await company.get("/v1/orders/SO-1")
    if [one["status"] for one in order["state"].get("returns", [])] != [page["status"]]:
        faults.append("the order's page does not show its return")
    if "returned" not in [told["status"] for told in company.told("shop", "order_status")]:
        faults.append("the shop was not told")
    if "closed" not in [told["status"] for told in company.told("desk", "return_status")]:
        faults.append("the service desk was not told")
    return faults


async def test_who_looks_at_the_order_sees_that_the_goods_came_back(company: Company) -> None:
    """Agent, shop, service desk and the order's own page agree with warehouse and finance."""
    assert [] == await the_story(company)


async def test_without_the_word_to_the_order_agents_still_see_delivered(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: a return that keeps its news to itself is the failure that the story tells of."""
    monkeypatch.setattr(consequences, "_tell", lambda draft, state: None)

    faults = await the_story(company)
    assert "the agent sees Delivered" in faults
    assert "the shop was not told" in faults
