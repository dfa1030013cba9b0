"""The world the day happens in: goods, places, people and the orders they place, all drawn from the seed.

Nothing here talks to anybody. The orders that a fault needs are always among the day's orders; the rest is scaled.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from .clock import dice

ZONE = ZoneInfo("America/Chicago")
DAY = datetime(2026, 11, 23, tzinfo=ZONE)

ORDERS_OF_THE_DAY = 1_284
ORDERS_AT_OPENING = 310
ORDERS_MIN = 60
UNKNOWN_SITE_ORDERS = 12
OUTAGE_ORDERS = 8
NO_ADVICE_ORDERS = 4
SURGE_ORDERS = 24

Region = Literal["west", "central", "east"]


class Good(msgspec.Struct, frozen=True):
    """One article: its SKU, what it is called, its price in USD and its stock on the morning of the day, by site."""

    sku: str
    name: str
    price: Decimal
    stock: dict[str, int]


class Place(msgspec.Struct, frozen=True):
    city: str
    state: str
    postcode: str
    region: Region


class OrderLine(msgspec.Struct, frozen=True):
    number: int
    sku: str
    quantity: int
    price: Decimal


class PlannedOrder(msgspec.Struct, frozen=True):
    """An order as the world will place it. `origin` is the system that releases it, `tag` the fault it is for."""

    number: str
    origin: Literal["erp", "shop"]
    at: datetime
    name: str
    company: str
    street: str
    place: Place
    email: str
    phone: str
    service: Literal["STD", "EXP", "NFO"]
    lines: tuple[OrderLine, ...]
    tag: str = ""


def clock_time(text: str) -> datetime:
    """Return the instant of a wall-clock time of the day, `09:40`, in the company's zone.

    >>> clock_time("08:00").isoformat()
    '2026-11-23T08:00:00-06:00'
    """
    hours, minutes = text.split(":")
    return DAY + timedelta(hours=int(hours), minutes=int(minutes))


def wall(moment: datetime) -> str:
    """Return an instant as people of the company write it, `09:40`."""
    return moment.astimezone(ZONE).strftime("%H:%M")


_NAMES = (
    ("NG-1001", "Espresso beans 1 kg", "18.90"),
    ("NG-1002", "Filter coffee 500 g", "8.40"),
    ("NG-1010", "Oat drink, case of 6", "13.80"),
    ("NG-1105", "Paper cups 8 oz, 1,000", "46.00"),
    ("NG-1106", "Paper cups 12 oz, 1,000", "52.50"),
    ("NG-1107", "Cup lids, 1,000", "29.00"),
    ("NG-1120", "Napkins, 4,000", "33.20"),
    ("NG-1203", "Cleaning tablets, 100", "21.75"),
    ("NG-1204", "Descaler 1 l", "9.90"),
    ("NG-1301", "Milk jug 600 ml", "17.50"),
    ("NG-1302", "Knock box", "24.00"),
    ("NG-1303", "Tamper 58 mm", "38.00"),
    ("NG-1410", "Water filter cartridge", "42.00"),
    ("NG-1502", "Display stand, oak", "119.00"),
    ("NG-1601", "Bar apron", "22.00"),
    ("NG-1702", "Shelf bracket pair", "15.60"),
    ("NG-1801", "Hand truck 200 kg", "139.00"),
    ("NG-1902", "Label roll 4x6, 12 rolls", "61.00"),
)
# The one article that no site has a hundred of: 40 in Reno and 60 at Swift.
SPLIT_SKU = "NG-7400"
SPLIT_STOCK = {"RENO": 40, "SWIFT": 60, "HARBOR": 0}

_PLACES: dict[Region, tuple[Place, ...]] = {
    "west": (
        Place("Reno", "NV", "89501", "west"),
        Place("Sacramento", "CA", "95814", "west"),
        Place("Oakland", "CA", "94607", "west"),
        Place("Portland", "OR", "97209", "west"),
        Place("Boise", "ID", "83702", "west"),
        Place("Phoenix", "AZ", "85004", "west"),
    ),
    "central": (
        Place("Chicago", "IL", "60607", "central"),
        Place("St. Louis", "MO", "63103", "central"),
        Place("Dallas", "TX", "75201", "central"),
        Place("Minneapolis", "MN", "55401", "central"),
        Place("Omaha", "NE", "68102", "central"),
    ),
    "east": (
        Place("Newark", "NJ", "07102", "east"),
        Place("Boston", "MA", "02110", "east"),
        Place("Baltimore", "MD", "21202", "east"),
        Place("Atlanta", "GA", "30303", "east"),
        Place("Pittsburgh", "PA", "15222", "east"),
    ),
}
_WEIGHTS: tuple[Region, ...] = ("west", "west", "west", "west", "central", "central", "central", "east", "east", "east")
_FIRST = ("Ada", "Ben", "Carla", "Dev", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kim", "Lena", "Noor")
_LAST = ("Abbott", "Brandt", "Castillo", "Dang", "Ellis", "Ferrer", "Gupta", "Haas", "Iwata", "Jansen", "Moss")
_COMPANIES = (
    "Blue Fern Cafe",
    "Corner Roasters",
    "Hotel Alder",
    "Kestrel Foods",
    "Mill Street Bakery",
    "Old Mill Diner",
    "Pine & Salt",
    "Riverside Catering",
    "Tall Oak Grocers",
    "Union Market",
)
_STREETS = ("Harbor Road", "Main Street", "Mill Lane", "Oak Avenue", "Station Street", "Willow Way")


def goods() -> dict[str, Good]:
    """Return all articles by SKU.

    Stock is ample everywhere but for `SPLIT_SKU`, so sourcing never depends on which order comes first.
    """
    ample = {"RENO": 40_000, "SWIFT": 30_000, "HARBOR": 30_000}
    result = {sku: Good(sku, name, Decimal(price), ample) for sku, name, price in _NAMES}
    result[SPLIT_SKU] = Good(SPLIT_SKU, "Pallet jack wheel set", Decimal("54.00"), SPLIT_STOCK)
    return result


def plan_day(seed: int, orders: int = ORDERS_OF_THE_DAY) -> tuple[PlannedOrder, ...]:
    """Return the day's orders, earliest first. The same seed and size always give the same orders."""
    if orders < ORDERS_MIN:
        raise ValueError(f"the day needs at least {ORDERS_MIN} orders, {orders} are too few")
    articles = goods()
    special: list[tuple[datetime, Region, str]] = [(clock_time("08:50"), "west", "split")]
    # One of the twelve is for the next flight out: held for long, it would miss it.
    special.append((clock_time("08:50"), "central", "at_risk"))
    special += [
        (clock_time("09:05") + timedelta(seconds=20 * n), "central", "unknown_site")
        for n in range(1, UNKNOWN_SITE_ORDERS)
    ]
    special += [(clock_time("11:30") + timedelta(minutes=n), "central", "no_advice") for n in range(NO_ADVICE_ORDERS)]
    special.append((clock_time("13:20"), "west", "backorder"))
    special += [(clock_time("10:31") + timedelta(minutes=2 * n), "east", "outage") for n in range(OUTAGE_ORDERS)]
    special += [(clock_time("16:45") + timedelta(seconds=n // 5), "east", "surge") for n in range(SURGE_ORDERS)]
    opening = round(orders * ORDERS_AT_OPENING / ORDERS_OF_THE_DAY)
    moments: list[tuple[datetime, Region | None, str]] = [*special]
    moments += [(clock_time("08:00"), None, "")] * opening
    spread = dice(seed, "arrivals")
    minutes = int((clock_time("16:00") - clock_time("08:01")).total_seconds() // 60)
    for _ in range(orders - len(moments)):
        moments.append((clock_time("08:01") + timedelta(minutes=spread.randrange(minutes)), None, ""))
    moments.sort(key=lambda moment: (moment[0], moment[2], moment[1] or ""))
    return tuple(_order(seed, index, *moment, articles) for index, moment in enumerate(moments))


def _order(
    seed: int, index: int, at: datetime, region: Region | None, tag: str, articles: dict[str, Good]
) -> PlannedOrder:
    draw = dice(seed, "order", str(index))
    where: Region = region if region is not None else draw.choice(_WEIGHTS)
    origin: Literal["erp", "shop"] = "shop" if not tag and draw.random() < 0.3 else "erp"
    service: Literal["STD", "EXP", "NFO"] = "STD"
    if tag in ("at_risk", "unknown_site", "surge"):
        service = "NFO" if tag == "at_risk" else "EXP"
    elif not tag and at < clock_time("12:30") and draw.random() < 0.15:
        service = "EXP"
    first, last = draw.choice(_FIRST), draw.choice(_LAST)
    if tag == "split":
        lines: tuple[OrderLine, ...] = (OrderLine(1, SPLIT_SKU, 100, articles[SPLIT_SKU].price),)
    elif tag == "backorder":
        chosen = [SPLIT_SKU, "NG-1001", "NG-1105"]
        lines = tuple(OrderLine(n, sku, 2, articles[sku].price) for n, sku in enumerate(chosen, 1))
    else:
        most = 2 if origin == "shop" else 9
        chosen = draw.sample([row[0] for row in _NAMES], draw.choice((1, 1, 2, 2, 3, 4)))
        lines = tuple(OrderLine(n, sku, draw.randint(1, most), articles[sku].price) for n, sku in enumerate(chosen, 1))
    return PlannedOrder(
        number=f"SO-{100_001 + index}" if origin == "erp" else f"W-{50_001 + index}",
        origin=origin,
        at=at,
        name=f"{first} {last}",
        company=draw.choice(_COMPANIES) if origin == "erp" else "",
        street=f"{draw.randint(1, 240)} {draw.choice(_STREETS)}",
        place=draw.choice(_PLACES[where]),
        email=f"{first}.{last}@example.com".lower(),
        phone=f"+1555{draw.randint(1_000_000, 9_999_999)}",
        service=service,
        lines=lines,
        tag=tag,
    )
