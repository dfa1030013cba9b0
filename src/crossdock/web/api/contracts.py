"""`/v1/contracts` and `/v1/impact`: what partners owe and where it stands; what hangs on something that failed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath, QueryParameter

from ...views import contract_proposals, impact
from ...views import contracts as contracts_view
from ...views.contract_proposals import Proposal
from ...views.contracts import ContractsPage
from ...views.impact import BlastRadius, Kind
from ..context import api_principal, web_of
from ..problems import Unauthenticated


class ProposalList(msgspec.Struct, frozen=True):
    """Contracts the record suggests."""

    items: tuple[Proposal, ...]


@get("/v1/contracts", operation_id="listContracts", summary="List contracts", tags=["contracts"])
async def list_contracts(request: Request[Any, Any, Any]) -> ContractsPage:
    """Return what is expected of partners, the worst first, and what is late or soon late."""
    principal, hub, configuration = await _who(request)
    return await hub.store.read(  # type: ignore[no-any-return]
        lambda connection: contracts_view.load(connection, principal.tenant_id, configuration=configuration)
    )


@get("/v1/contracts/proposals", operation_id="proposeContracts", summary="Propose contracts", tags=["contracts"])
async def propose_contracts(
    request: Request[Any, Any, Any],
    days: Annotated[int, QueryParameter(ge=1, le=365, description="how far back the record is looked at")] = 30,
) -> ProposalList:
    """Return contracts that partners have kept so far and the pack does not hold, each with its evidence."""
    principal, hub, configuration = await _who(request)
    now = hub.clock.now()
    found = await hub.store.read(
        lambda connection: contract_proposals.load(
            connection, principal.tenant_id, configuration=configuration, now=now, days=days
        )
    )
    return ProposalList(found)


@get("/v1/impact/{kind:str}/{name:str}", operation_id="getImpact", summary="Show a blast radius", tags=["contracts"])
async def get_impact(request: Request[Any, Any, Any], kind: FromPath[Kind], name: FromPath[str]) -> BlastRadius:
    """Return the orders, customers, promises, money and cases that hang on a partner, connection, map, certificate or
    contract.
    """
    principal, hub, configuration = await _who(request)
    now = hub.clock.now()
    return await hub.store.read(  # type: ignore[no-any-return]
        lambda connection: impact.load(
            connection, principal.tenant_id, kind, name, configuration=configuration, now=now
        )
    )


async def _who(request: Request[Any, Any, Any]) -> tuple[Any, Any, Any]:
    principal = await api_principal(request)
    principal.require("issue.read")
    hub = web_of(request).hub
    configuration = hub.configuration(principal.tenant_id)
    if configuration is None:
        raise Unauthenticated()
    return principal, hub, configuration
