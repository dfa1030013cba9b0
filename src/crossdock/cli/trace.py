"""`crossdock trace`: the whole story of an order, or what one message was and became."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from crossdock.cli.find import nothing_here, tenants_of
from crossdock.cli.plan import with_store
from crossdock.cli.running_hub import (
    Door,
    JsonOption,
    KeyOption,
    TenantOption,
    UrlOption,
    ask,
    doors,
    each,
    one_of,
)
from crossdock.errors import NotFound
from crossdock.governance import releases
from crossdock.store.engine import Connection, Store
from crossdock.views import messages as messages_view
from crossdock.views import order_timeline
from crossdock.views.messages import InboundView, OutboundView
from crossdock.views.order_timeline import OrderPage

_JSON = msgspec.json.Encoder(decimal_format="string")


class _Message(msgspec.Struct, frozen=True):
    """The API's answer about a message: one of the two is set."""

    inbound: InboundView | None = None
    outbound: OutboundView | None = None


def command(
    name: Annotated[str, typer.Argument(help="An order by any of its names, or a message id.")],
    tenant: TenantOption = "",
    url: UrlOption = "",
    key: KeyOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the whole story of an order or message."""
    reached = {door.tenant_id: door for door in doors(url, key, tenant)}
    if reached:
        found = each(list(reached), lambda tenant_id: _asked(reached[tenant_id], name))
    else:
        found = with_store(lambda store: _looked_up(store, tenant, name), missing=nothing_here)
    tenant_id, view = one_of(found, name, "trace")
    if not tenant and tenant_id:
        typer.echo(f"Found in {tenant_id}", err=True)
    if as_json:
        typer.echo(msgspec.json.format(_JSON.encode(_without_bytes(view)), indent=2).decode())
        return
    console = Console(highlight=False)
    if isinstance(view, OrderPage):
        _show_order(console, view)
    else:
        _show_message(console, view)


def _looked_up(store: Store, tenant: str, name: str) -> dict[str, Any]:
    def look(tenant_id: str) -> Any:
        return store.read_now(lambda connection: _load(connection, tenant_id, name))

    return each(tenants_of(store, tenant), look)


def _asked(door: Door, name: str) -> OrderPage | InboundView | OutboundView:
    if name.lower().startswith("msg_"):
        answer = msgspec.json.decode(ask(door, f"/messages/msg_{name[4:].upper()}"), type=_Message)
        view = answer.inbound or answer.outbound
        assert view is not None
        return view
    return msgspec.json.decode(ask(door, f"/orders/{quote(name, safe='')}"), type=OrderPage)


def _load(connection: Connection, tenant_id: str, name: str) -> OrderPage | InboundView | OutboundView:
    if name.lower().startswith("msg_"):
        message_id = "msg_" + name[4:].upper()
        try:
            return messages_view.load_inbound(connection, tenant_id, message_id)
        except NotFound:
            return messages_view.load_outbound(connection, tenant_id, message_id)
    configuration = releases.active(connection, tenant_id)
    return order_timeline.load(connection, tenant_id, name, configuration=configuration, now=datetime.now(UTC))


def _show_order(console: Console, page: OrderPage) -> None:
    risk = ", at risk" if page.at_risk else ""
    console.print(f"[bold]Order {page.number}[/]  {page.status.replace('_', ' ')}{risk}  {page.customer}")
    names = ", ".join(f"{name.type} {name.value}" for name in page.names)
    if names:
        console.print(f"Known as  {names}", style="dim")
    if page.clock is not None:
        console.print(f"Due       {page.clock.due_at:%Y-%m-%d %H:%M} UTC: {page.clock.what} ({page.clock.reason})")
    table = Table(box=None, header_style="dim")
    for column in ("AT (UTC)", "WHO", "WHAT", "STATE"):
        table.add_column(column, overflow="fold")
    for step in page.steps:
        again = f" (attempt {step.attempts})" if step.attempts > 1 else ""
        table.add_row(f"{step.at:%m-%d %H:%M:%S}", step.who, step.title + again, step.state)
    console.print(table)
    for clash in page.contradictions:
        console.print(f"[yellow]Systems disagree[/]: {clash.text}; believe {clash.believe}")
    for fault in page.faults:
        console.print(f"[red]{fault.code}[/] {fault.detail}  ({fault.issue_id})")


def _show_message(console: Console, view: InboundView | OutboundView) -> None:
    if isinstance(view, InboundView):
        console.print(
            f"[bold]{view.message_id}[/]  {view.state}{_judged(view)}  from {view.partner} over {view.connection_id}"
        )
        console.print(
            f"Received  {view.received_at:%Y-%m-%d %H:%M:%S} UTC, {view.raw.size_bytes} bytes, {view.receipt_key}"
        )
        for document in view.documents:
            waits = f", waits for {document.awaits}" if document.awaits else ""
            console.print(f"  {document.type} {document.business_key}  {document.state}{waits}  {document.subject}")
            for finding in document.findings:
                console.print(f"    {finding.get('code')} {finding.get('pointer', '')} {finding.get('message', '')}")
                if finding.get("hint"):
                    console.print(f"      fix: {finding['hint']}", style="dim")
    else:
        console.print(
            f"[bold]{view.message_id}[/]  {view.state}  {view.document_type} to {view.partner}  {view.subject}"
        )
        console.print(f"Identity  {view.identity}, {view.raw.size_bytes} bytes, acknowledgment {view.ack_state}")
        for attempt in view.attempts:
            answer = attempt.http_status or attempt.code
            console.print(
                f"  attempt {attempt.number}  {attempt.outcome}  {attempt.started_at:%H:%M:%S}  {answer}  "
                f"{attempt.detail}"
            )
    if view.error_code:
        console.print(f"[red]{view.error_code}[/] {view.error}")
        if view.fix:
            console.print(f"  fix: {'; '.join(view.fix)}")
    for issue in view.issues:
        console.print(f"  issue  {issue.issue_id}  {issue.code}  {issue.title}  ({issue.state})")
    for one in view.related:
        console.print(f"  {one.relation.replace('_', ' ')}  {one.message_id}  {one.what}  {one.partner}  {one.state}")


def _judged(view: InboundView) -> str:
    """Say how many documents of a message did not go through: `processed` tells only that each was judged."""
    counts = (("rejected", view.documents_rejected), ("held", view.documents_held))
    words = [f"{count} of {len(view.documents)} {word}" for word, count in counts if count]
    return f" ({', '.join(words)})" if words else ""


def _without_bytes(view: Any) -> Any:
    if isinstance(view, InboundView | OutboundView):
        return msgspec.structs.replace(view, raw=msgspec.structs.replace(view.raw, content=b""))
    return view
