"""Pages from templates: the Jinja environment, its filters, and the answers made of it.

Autoescape is on for everything and undefined names are errors. No template holds an inline script, style or handler,
so the content security policy needs no exception. Times are shown in the tenant's zone, with the zone and the age.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import msgspec
from litestar import MediaType, Response
from markupsafe import Markup

from ..canonical.quantities import Money
from ..durable.identity import from_micros
from .drawings import trend
from .statuses import look_of

_PACKAGE = "crossdock.web"


@cache
def icons() -> dict[str, str]:
    """The inner SVG of every icon, by name."""
    text = resources.files(_PACKAGE).joinpath("icons.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, str])


def icon(name: str, size: int = 16) -> Markup:
    """Return an icon as inline SVG; it is decoration, the word stands beside it."""
    inner = icons().get(name, icons()["circle-dashed"])
    return Markup(  # noqa: S704 - own constant drawings
        f'<svg class="icon" width="{int(size)}" height="{int(size)}" viewBox="0 0 24 24" fill="none"'
        ' stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
        f' aria-hidden="true" focusable="false">{inner}</svg>'
    )


def status(state: str, word: str = "") -> Markup:
    """Return the badge of a state: icon, word and tone."""
    look = look_of(state)
    return Markup('<span class="badge status" data-tone="{}">{}{}</span>').format(
        look.tone, icon(look.icon, 12), word or look.word
    )


def age(moment: datetime | int | None, now: datetime) -> str:
    """Return how long ago (or ahead) an instant is, in words for people.

    >>> age(datetime(2026, 1, 1, 8, 0, tzinfo=UTC), datetime(2026, 1, 1, 9, 30, tzinfo=UTC))
    '1 h 30 min ago'
    """
    if moment is None:
        return "never"
    moment = from_micros(moment) if isinstance(moment, int) else moment
    seconds = (now - moment).total_seconds()
    words = span(abs(seconds))
    if words == "now":
        return "just now"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def span(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> span(4000), span(42), span(200_000)
    ('1 h 6 min', '42 s', '2 d 7 h')
    """
    total = int(seconds)
    if total < 5:
        return "now"
    if total < 60:
        return f"{total} s"
    minutes, hours, days = total // 60, total // 3600, total // 86_400
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        rest = minutes - hours * 60
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    rest = hours - days * 24
    return f"{days} d {rest} h" if rest and days < 10 else f"{days} d"


def count_of(value: int, word: str) -> str:
    """Return a count with its word.

    >>> count_of(1, "order"), count_of(1200, "order")
    ('1 order', '1,200 orders')
    """
    return f"{value:,} {word}" if value == 1 else f"{value:,} {word}s"


def who(actor: str) -> str:
    """Return an actor as people know it: a key by its name, never by its id; one without a name by its last signs.

    >>> who("dana@northgate.example"), who("ci robot (key_01M84J5E005RVGAVMAYXDBRT14)")
    ('dana@northgate.example', 'ci robot')
    >>> who("key_01M84J5E005RVGAVMAYXDBRT14")
    'unnamed key …DBRT14'
    """
    name, found, key = actor.rpartition("key_")
    if not found or not re.fullmatch(r"[0-9A-Z]{26}\)?", key):
        return actor
    return name.removesuffix("(").strip() or f"unnamed key …{key.removesuffix(')')[-6:]}"


def sentence(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def last_day(until: datetime | None) -> datetime | None:
    """Return an instant on the last day of a promise: one that ends at midnight ends on the day before."""
    return None if until is None else until - timedelta(seconds=1)


def duration(seconds: float | None) -> str:
    """Return a measured duration with three figures at most.

    >>> duration(0.0421), duration(3.21), duration(95.0), duration(None)
    ('42 ms', '3.2 s', '1 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else span(seconds)


def local(moment: datetime | int | None, zone: str, form: str = "%d %b %H:%M") -> str:
    """Return an instant in a zone; empty when there is none."""
    if moment is None:
        return ""
    moment = from_micros(moment) if isinstance(moment, int) else moment
    return moment.astimezone(ZoneInfo(zone)).strftime(form)


def number(value: Any) -> str:
    """Return a count or quantity with thousands separated and no needless zeros.

    >>> number(Decimal("1200.00")), number(3.5), number(None)
    ('1,200', '3.5', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, Decimal | float):
        text = f"{value:,.4f}".rstrip("0").rstrip(".")
        return text or "0"
    return f"{value:,}"


def number_up_to(value: int, most: int) -> str:
    """Return a count that stops somewhere; where it stopped it is "or more".

    >>> number_up_to(9_999, 10_000), number_up_to(10_000, 10_000)
    ('9,999', '10,000+')
    """
    return f"{value:,}" + ("+" if value >= most else "")


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1_000:
        return f"{count} B"
    return f"{count / 1_000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def money(cents: int | None, currency: str = "USD") -> str:
    """Return an amount held in hundredths."""
    if cents is None:
        return "–"
    return f"{_sign(currency)}{cents / 100:,.2f}"


def amount(value: Money | None) -> str:
    """Return an exact amount of money; a dash where a price or currency is missing."""
    if value is None:
        return "–"
    return f"{_sign(value.currency)}{value.amount:,.2f}"


def _sign(currency: str) -> str:
    return {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency, f"{currency} ")


def event_words(type_name: str) -> str:
    """Return an event type without its namespace and version.

    >>> event_words("crossdock.order.at_risk.v1")
    'Order at risk'
    """
    words = type_name.removeprefix("crossdock.").rpartition(".v")[0] or type_name
    text = words.replace(".", " ").replace("_", " ")
    return text[:1].upper() + text[1:]


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


@cache
def static_version() -> str:
    """A short digest of all static files; it is part of their addresses, so they may be cached for ever."""
    digest = hashlib.sha256()
    for entry in sorted(resources.files(_PACKAGE).joinpath("static").iterdir(), key=lambda item: item.name):
        if entry.is_file():
            digest.update(entry.name.encode() + entry.read_bytes())
    return digest.hexdigest()[:10]


@cache
def environment() -> jinja2.Environment:
    """The one Jinja environment. Templates lie beside the pages and are named `console/order.html`."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "age": age,
        "span": span,
        "duration": duration,
        "count_of": count_of,
        "sentence": sentence,
        "who": who,
        "last_day": last_day,
        "local": local,
        "number": number,
        "number_up_to": number_up_to,
        "size": size,
        "money": money,
        "amount": amount,
        "event_words": event_words,
        "pretty_json": _json,
        "look": look_of,
    }
    made.globals |= {"icon": icon, "status": status, "static": static_address, "trend": trend}
    return made


def static_address(name: str) -> str:
    """Return the address of a static file."""
    return f"/static/{static_version()}/{name}"


def page(template: str, context: Mapping[str, Any], *, status_code: int = 200) -> Response[bytes]:
    """Return a template as an HTML answer."""
    text = environment().get_template(template).render(context)
    return Response(text.encode(), media_type=MediaType.HTML, status_code=status_code)


def redirect(address: str) -> Response[bytes]:
    """Lead a browser on to another page."""
    return Response(b"", status_code=303, headers={"location": address}, media_type="text/html")


def as_json(value: Any, *, status_code: int = 200, media_type: str = "application/json") -> Response[bytes]:
    """Return the `.json` twin of a page: the same view, as data. Decimals are strings."""
    return Response(_ENCODER.encode(value), media_type=media_type, status_code=status_code)


def as_csv(rows: Iterable[Any], *, name: str) -> Response[bytes]:
    """Return the `.csv` twin of a list: one line for each row, as a download.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    lines: list[dict[str, Any]] = [msgspec.to_builtins(row, builtin_types=(Decimal,)) for row in rows]
    columns = list(dict.fromkeys(column for line in lines for column in line))
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(columns)
    writer.writerows([_cell(line.get(column)) for column in columns] for line in lines)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(output.getvalue().encode(), media_type="text/csv", headers=headers)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float | Decimal):
        return str(value).lower() if isinstance(value, bool) else str(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


_ENCODER = msgspec.json.Encoder(decimal_format="string")
