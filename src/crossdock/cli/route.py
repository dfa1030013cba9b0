"""`crossdock route`: try sourcing rules on one order, or on the orders of the past, before they decide anything."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from crossdock.canonical.orders import Order
from crossdock.cli.find import tenants_of
from crossdock.cli.plan import read_pack, tenant_of, with_store
from crossdock.cli.running_hub import JsonOption, TenantOption
from crossdock.cli.tables import as_table
from crossdock.connectors import registry
from crossdock.durable.identity import from_micros
from crossdock.errors import ConfigurationError, NotFound
from crossdock.governance import releases
from crossdock.governance.configuration import Configuration, compile_pack
from crossdock.processes.backtest import EVENTS, Backtest, Figures, Report, facts_of, needs_of
from crossdock.processes.outcome import StockPosition
from crossdock.processes.sourcing import SourcingDecision, source
from crossdock.store import journal, stock
from crossdock.store.engine import Store

app = typer.Typer(no_args_is_help=True, help="Try sourcing rules on one order, or on the orders of the past.")

PackOption = Annotated[Path | None, typer.Option("--pack", help="The candidate: a pack's directory.")]
AtOption = Annotated[str, typer.Option("--at", help="The instant of the decision, ISO 8601 with offset; now if empty.")]


@app.command("test")
def try_order(
    order: Annotated[Path, typer.Argument(help="A canonical order as JSON (see docs/reference/schemas/order.json).")],
    pack: PackOption = None,
    tenant: TenantOption = "",
    at: AtOption = "",
    as_json: JsonOption = False,
) -> None:
    """Source one order under the active rules or a candidate pack, by the stock of now; no site is asked."""
    wanted = _order(order)
    now = _instant(at)

    def decide(store: Store | None) -> SourcingDecision:
        configuration = _candidate(pack) if pack is not None else _active(store, tenant)
        policy = configuration.compiled_policy
        shelf: dict[tuple[str, str], StockPosition] = {}
        if store is not None:
            skus = sorted(policy.with_substitutes([line.sku for line in wanted.lines]))
            rows = store.read_now(lambda connection: stock.load(connection, configuration.tenant_id, skus))
            shelf = {
                place: StockPosition(on_hand - reserved, None if as_of is None else from_micros(as_of))
                for place, (on_hand, reserved, as_of) in rows.items()
            }
        return source(needs_of(wanted), policy, facts_of(wanted, policy, now, shelf))

    decision = with_store(decide, missing=lambda: decide(None))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(decision), indent=2).decode())
        return
    _show_decision(wanted, decision)


@app.command("backtest")
def backtest(
    pack: Annotated[Path, typer.Argument(help="The candidate: a pack's directory.")],
    tenant: TenantOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run every order of the journal under the active rules and the candidate's, and show what would be otherwise."""
    candidate = _candidate(pack)
    tenant_id = tenant or candidate.tenant_id

    def run(store: Store) -> Report:
        tenants_of(store, tenant_id)
        fold = Backtest(_active(store, tenant_id).compiled_policy, candidate.compiled_policy)
        position = 0
        while True:
            page = partial(journal.of_types, tenant_id=tenant_id, types=EVENTS, after=position)
            events, position = store.read_now(page)
            for event in events:
                fold.add(event)
            if not events:
                return fold.report()

    def nothing() -> Report:
        hint = ("Start the hub: crossdock up", "Or name the record: CROSSDOCK_STORE__URL=sqlite:///var/demo/hub.db")
        raise NotFound("There is no record yet, so there is no past to run", hint=hint)

    report = with_store(run, missing=nothing)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    _show_report(report)


def _order(path: Path) -> Order:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Order, strict=False)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}") from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        message = f"{path} is no canonical order: {error}"
        raise ConfigurationError(message, hint="Its shape: docs/reference/schemas/order.json") from None


def _instant(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: 2026-03-02T16:00:00-08:00") from None
    if found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset: 2026-03-02T16:00:00-08:00")
    return found.astimezone(UTC)


def _candidate(directory: Path) -> Configuration:
    files = read_pack(directory)
    tenant_of(files)
    return compile_pack(
        files,
        release_id="candidate",
        connector_kinds=tuple(registry.manifests()),
        connector_lint=registry.lint_settings,
    )


def _active(store: Store | None, tenant: str) -> Configuration:
    if store is None:
        raise NotFound("There is no record yet", hint="Name a pack to try: --pack packs/northgate")
    known = tenants_of(store, tenant)
    if len(known) > 1:
        raise NotFound("Which tenant?", hint=f"--tenant {known[0]}; there are {', '.join(known)}")
    return store.read_now(lambda connection: releases.active(connection, known[0]))


def _show_decision(order: Order, decision: SourcingDecision) -> None:
    as_table(
        ("RULE", "SITE", "VERDICT", "REASON"),
        [(one.rule, one.site, one.verdict, one.reason) for one in decision.trace],
        ids=("SITE",),
    )
    for allocation in decision.allocations:
        goods = ", ".join(f"{line.quantity.normalize():f} {line.sku}" for line in allocation.lines)
        typer.echo(f"{order.number}: {allocation.site} ships {goods} by {allocation.ship_by_at.isoformat()}")
    if decision.held:
        typer.echo(f"{order.number} is held: {decision.held}")
    for line in decision.unplaced:
        typer.echo(f"{order.number}: {line.quantity.normalize():f} {line.sku} find no site")


def _show_report(report: Report) -> None:
    typer.echo(f"{report.orders} orders, {report.moved} would go another way")
    rows = [(name, _figure(report.before, name), _figure(report.after, name)) for name in _FIGURES]
    sites = sorted({*report.before.by_site, *report.after.by_site})
    rows += [
        (f"requests to {site}", str(report.before.by_site.get(site, 0)), str(report.after.by_site.get(site, 0)))
        for site in sites
    ]
    as_table(("", "NOW", "CANDIDATE"), rows)
    for move in report.moves[:10]:
        typer.echo(f"{move.order_number}: {' + '.join(move.before) or '-'} -> {' + '.join(move.after) or '-'}")
        for reason in move.reasons[:2]:
            typer.echo(f"    {reason}")


_FIGURES = ("split", "held", "short", "missed", "requests", "cost")


def _figure(figures: Figures, name: str) -> str:
    value: Any = getattr(figures, name)
    return f"{value:,}"
