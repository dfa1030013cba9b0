"""`/v1/cases`: the cases at the service desk, and what other rules would have made of history."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody

from ...governance.case_rules import compile_case_rules
from ...views import case_simulation
from ...views import cases as cases_view
from ...views.case_simulation import Simulation
from ...views.cases import CasesPage
from ..context import api_principal, web_of
from ..problems import Unauthenticated

TEXT_MAX = 100_000


class SimulationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text of a `rules/case.yaml`, and how many days of history to try it on. It changes nothing."""

    rules: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
    days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30


@get("/v1/cases", operation_id="listCases", summary="List cases at the service desk", tags=["cases"])
async def list_cases(request: Request[Any, Any, Any], stale: FromQuery[bool] = False) -> CasesPage:
    """Return the cases of orders at risk, those with stale tracking data first; `stale` limits it to them."""
    principal, hub, configuration = await _who(request)
    now = hub.clock.now()
    return await hub.store.read(  # type: ignore[no-any-return]
        lambda connection: cases_view.load(
            connection, principal.tenant_id, configuration=configuration, now=now, stale=stale
        )
    )


@post(
    "/v1/cases/simulate",
    operation_id="simulateCases",
    summary="Try rules for cases on history",
    tags=["cases"],
    status_code=200,
)
async def simulate_cases(request: Request[Any, Any, Any], data: JSONBody[SimulationRequest]) -> Simulation:
    """Return how many cases the rules would have opened, and how many of them were of use. It writes nothing."""
    principal, hub, configuration = await _who(request)
    rules, now = compile_case_rules(data.rules), hub.clock.now()
    return await hub.store.read(  # type: ignore[no-any-return]
        lambda connection: case_simulation.load(
            connection, principal.tenant_id, rules, configuration=configuration, now=now, days=data.days
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
