"""The customer portal: one order for who knows its number and postcode, neutral words for everybody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from crossdock.governance.pack import BrandSpec
from crossdock.web.portal.brand import CONTRAST_MIN, contrast, linear_rgb, stylesheet, theme_of
from crossdock.web.portal.links import opened_order, order_token
from tests.web.world import POSTCODE, World

NOW = datetime(2026, 11, 23, tzinfo=UTC)
KEY = b"k" * 32
asynchronous = pytest.mark.asyncio(loop_scope="module")


async def _find(client: httpx.AsyncClient, number: str, postcode: str) -> httpx.Response:
    return await client.post("/p/northgate", data={"number": number, "postcode": postcode})


@asynchronous
async def test_number_and_postcode_open_the_order(anyone: httpx.AsyncClient, world: World) -> None:
    """The right pair, in whatever writing, leads to the page with answer, parcel, contents and proof."""
    found = await _find(anyone, " so-1001 ", "895 01")
    page = await anyone.get(found.headers["location"])

    assert (303, 200) == (found.status_code, page.status_code)
    for words in ("Delivered", "CL-SO-1001", "Ada Moss", "Proof of delivery", "Burr grinder", ">Open the photo</a>"):
        assert words in page.text, words


@asynchronous
async def test_what_does_not_fit_is_answered_alike(anyone: httpx.AsyncClient) -> None:
    """Wrong postcode, unknown number and an order that waits get the same page, the typed values aside."""
    answers = [
        await _find(anyone, number, postcode)
        for number, postcode in (("SO-1001", "00000"), ("SO-9999", POSTCODE), ("' or 1=1 --", POSTCODE))
    ]
    shown = {
        answer.text.replace("SO-1001", "")
        .replace("SO-9999", "")
        .replace("&#39; or 1=1 --", "")
        .replace("00000", "")
        .replace(POSTCODE, "")
        for answer in answers
    }

    assert {404} == {answer.status_code for answer in answers}
    assert 1 == len(shown)


@asynchronous
async def test_nothing_of_the_house_shows(anyone: httpx.AsyncClient) -> None:
    """No page, header or error of the portal names Crossdock, another tenant, a partner's message or an internal
    word.
    """
    order = (await _find(anyone, "SO-1002", POSTCODE)).headers["location"]
    for path in ("/p/northgate", order, "/p/nobody", "/p/northgate/order/forged", "/p/northgate/brand.css"):
        answer = await anyone.get(path)
        seen = (answer.text + str(answer.headers)).lower()
        for word in ("crossdock", "lakeside", "wms-reno", "msg_", "fulfillment", "traceback"):
            assert word not in seen, (path, word)


@asynchronous
async def test_the_portal_needs_no_script(anyone: httpx.AsyncClient) -> None:
    """No page of the portal loads or holds a script."""
    order = (await _find(anyone, "SO-1001", POSTCODE)).headers["location"]
    for path in ("/p/northgate", order):
        assert "<script" not in (await anyone.get(path)).text


@asynchronous
async def test_many_tries_are_slowed_down(anyone: httpx.AsyncClient, world: World) -> None:
    """After the allowed number of look-ups in a minute the form asks to wait, right pair or not."""
    allowed = world.hub.settings.limits.portal_lookups_per_minute
    statuses = [(await _find(anyone, "SO-0", "1")).status_code for _ in range(allowed + 1)]
    answer = await _find(anyone, "SO-1001", POSTCODE)

    assert 429 == statuses[-1]
    assert 429 == answer.status_code
    assert int(answer.headers["retry-after"]) > 0


def test_a_link_opens_one_order_of_one_tenant_for_a_week() -> None:
    """A token opens its order; changed, over, under another key or for another tenant it opens nothing."""
    token = order_token(KEY, "northgate", "SO-1", now=NOW)

    assert "SO-1" == opened_order(KEY, "northgate", token, now=NOW)
    assert opened_order(KEY, "lakeside", token, now=NOW) is None
    assert opened_order(b"x" * 32, "northgate", token, now=NOW) is None
    assert opened_order(KEY, "northgate", token, now=NOW + timedelta(days=8)) is None
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert opened_order(KEY, "northgate", changed, now=NOW) is None or changed == token


def test_a_brand_is_readable_or_not_used() -> None:
    """A primary colour that white cannot be read on is replaced; a good one is kept as it is."""
    pale, good = theme_of(BrandSpec(primary="#ffe45c")), theme_of(BrandSpec(primary="oklch(0.47 0.13 155)"))

    assert (False, True) == (pale.accepted, good.accepted)
    assert "oklch(0.47 0.13 155)" == good.primary
    for theme in (pale, good):
        one, other = linear_rgb(theme.primary), linear_rgb(theme.primary_foreground)
        assert one is not None
        assert other is not None
        assert contrast(one, other) >= CONTRAST_MIN


@pytest.mark.parametrize(
    "primary", ["red;} body{display:none", "url(https://evil.example)", "#12", "</style><script>", "oklch(1e9 0 0)"]
)
def test_a_brand_cannot_write_css(primary: str) -> None:
    """Only plain colours and fonts get into the stylesheet."""
    css = stylesheet(theme_of(BrandSpec(primary=primary, font="a;}</style>")))

    assert 1 == css.count("{") == css.count("}")
    assert "evil" not in css
    assert "display" not in css
    assert "<" not in css
