"""The tracking number exists, but the invoice is not released, because the confirmation did not synchronize.

The carrier moves and delivers the parcel; the warehouse's confirmation never came. Finance waits, the carrier is
content, the customer has the goods. The guard is the clock on what moves unconfirmed, and the sentence that says so.
"""

from __future__ import annotations

import pytest

from crossdock.processes.order_fulfillment import consequences
from tests.scenarios.flow.world import BUSY
from tests.scenarios.stories.company import Company


async def the_story(company: Company) -> list[str]:
    """Play it until finance should have noticed; return what was wrong with what people could see."""
    faults: list[str] = []
    await company.order()
    await company.later(minutes=30)
    await company.scanned("in_transit", "1ZSO-1", order="SO-1")
    await company.later(minutes=30)
    await company.scanned("delivered", "1ZSO-1", order="SO-1", signed="Ann", photo="https://pod.example/1.jpg")
    await company.later(minutes=45)
    if company.told("erp", "invoice_release"):
        faults.append("an unconfirmed quantity was invoiced")
    if company.issues() != ["XD-ORD-030"]:
        faults.append(f"nobody is told: {company.issues()}")
    money = await company.get("/v1/orders/SO-1/finance")
    reasons = [one["code"] for one in money["not_invoiced"]]
    if reasons != ["unconfirmed"] or "1ZSO-1" not in money["not_invoiced"][0]["text"]:
        faults.append(f"the page does not say why: {money['not_invoiced']}")
    await company.shipped()
    if company.issues():
        faults.append(f"the issue stays open: {company.issues()}")
    if len(company.told("erp", "invoice_release")) != 1:
        faults.append("the invoice is not released by itself when the confirmation comes")
    return faults


async def test_a_missing_confirmation_is_noticed_named_and_settled_by_itself(company: Company) -> None:
    """Within the grace an issue names the silent site; when it speaks, the invoice goes out and the issue closes."""
    assert [] == await the_story(company)
    (release,) = company.told("erp", "invoice_release")
    assert ["shipment RENO:S-SO-1", "pod https://pod.example/1.jpg signed by Ann"] == release["evidence"]


async def test_without_the_clock_nobody_is_told(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without the watch on what moves unconfirmed the story goes wrong in silence."""
    monkeypatch.setattr(consequences, "watch_confirmations", lambda draft: None)
    monkeypatch.setattr(consequences, "next_confirmation_look", lambda draft: None)

    assert ["nobody is told: []"] == await the_story(company)


async def test_without_the_gate_the_quantity_is_invoiced_unconfirmed(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: an invoice released by the carrier's word alone is caught."""
    kept = consequences.release_invoice

    def careless(draft: object) -> None:
        kept(draft)  # type: ignore[arg-type]
        if not draft.shipments and any(fact.code == "delivered" for fact in draft.milestones.values()):  # type: ignore[attr-defined]
            draft.request("invoice_release", "careless", {"order_number": "SO-1", "lines": []})  # type: ignore[attr-defined]

    monkeypatch.setattr(consequences, "release_invoice", careless)

    assert "an unconfirmed quantity was invoiced" in await the_story(company)


async def test_a_confirmation_the_erp_did_not_take_is_named(company: Company) -> None:
    """The other half of the story: confirmed, but not taken by the ERP; the page names the message that waits."""
    await company.order()
    company.partner("erp").answer(BUSY)
    await company.shipped()
    await company.delivered()

    money = await company.get("/v1/orders/SO-1/finance")
    (waiting,) = [one for one in money["not_invoiced"] if one["code"].startswith("invoice_release")]
    assert "the ERP has not taken the invoice release" in waiting["text"]
    await company.later(minutes=2)
    kinds = [one.document_type for one in company.partner("erp").pushed[-2:]]
    assert ["shipment_confirmation", "invoice_release"] == kinds
    assert [] == (await company.get("/v1/orders/SO-1/finance"))["not_invoiced"]
