"""Every page in headless Chromium: axe finds nothing, the policy is never broken, nothing scrolls sideways.

Pictures go to `tests/web/screenshots`. Browser and page speak to a real server of the same process.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from crossdock.web.server import open_doors
from tests.web.world import POSTCODE, TENANT, World, order

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CHROMIUM = os.environ.get("CROSSDOCK_TEST_CHROMIUM") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text(encoding="utf-8")
RUN_AXE = """async () => (await axe.run(document, {resultTypes: ['violations'], runOnly: {type: 'tag', values:
 ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']}})).violations
 .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(' | '))"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PAGES = {
    "overview": "/console",
    "orders": "/console/orders",
    "order": "/console/orders/SO-1001",
    "order-open": "/console/orders/SO-1003",
    "order-raw": "/console/orders/SO-1001?zoom=raw",
    "order-customer": "/console/orders/SO-1001?view=customer",
    "purchases": "/console/purchases",
    "purchases-none": "/console/purchases?q=nothing",
    "purchase": "/console/purchases/PO-7001",
    "loads": "/console/loads",
    "load": "/console/loads/L-501",
    "claims": "/console/claims",
    "claim": "/console/claims/CL-PO-7001-RENO-R-1",
    "suppliers": "/console/suppliers",
    "inventory": "/console/inventory?items=all",
    "reconciliation": "/console/reconciliation",
    "messages": "/console/messages",
    "messages-out": "/console/messages?direction=out",
    "issues": "/console/issues",
    "issues-resolved": "/console/issues?tab=resolved",
    "issues-retries": "/console/issues?tab=retries",
    "issues-class": "/console/issues?class=data",
    "dead-letters": "/console/dead-letters",
    "replays": "/console/replays",
    "contracts": "/console/contracts",
    "cases": "/console/cases",
    "shapes": "/console/shapes",
    "impact": "/console/impact/partner/swift",
    "find": "/console/find?q=zzzz",
    "not-found": "/console/orders/NOPE",
    "error-code": "/docs/errors/XD-MAP-014",
    "sign-in": "/login/xl_example",
}
LOOKS = {
    "light": ("light", 1440),
    "dark": ("dark", 1440),
    "phone": ("light", 390),
    "phone-dark": ("dark", 390),
    "narrow": ("light", 320),
}


class Seen:
    """What the browser complained of since the last look."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        # A page that is meant to answer 404 is no fault of the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(message.text)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A filled hub whose portal lets one address look up as often as all these tests together do in a minute."""
    made = await World.start(tmp_path_factory.mktemp("pages"), **{"limits.portal_lookups_per_minute": 1_000})
    await made.fill()
    yield made
    await made.hub.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(world: World) -> str:
    """The address of the running doors."""
    return await open_doors(world.hub, session_clock=world.session_clock)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Headless Chromium; without one these tests are said not to have run."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip("NOT RUN: Chromium is not on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


async def _signed_in(
    chromium: Browser, world: World, url: str, scheme: Any = "light", width: int = 1440
) -> tuple[BrowserContext, Page]:
    context = await chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = await context.new_page()
    await page.goto(await world.login())
    await page.click("main button")
    await page.wait_for_url("**/console")
    return context, page


async def _look_up(page: Page, url: str, number: str) -> None:
    """Ask the portal for an order and wait for its answer: the form's own page is never taken for it."""
    await page.goto(f"{url}/p/northgate")
    await page.fill("#number", number)
    await page.fill("#postcode", POSTCODE)
    async with page.expect_navigation():
        await page.click("button")


async def _judge(page: Page, seen: Seen, name: str, folder: Path) -> None:
    await page.evaluate(AXE)
    violations = await page.evaluate(RUN_AXE)
    await page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
    assert [] == violations, name
    assert [] == seen.faults, name
    assert await page.evaluate(SIDEWAYS) <= 0, name


@pytest.mark.parametrize("look", LOOKS)
async def test_every_console_page_is_accessible(
    chromium: Browser, world: World, url: str, screenshots: Path, look: str
) -> None:
    """axe reports nothing, the policy holds and nothing scrolls sideways, light and dark, desktop and phone."""
    scheme, width = LOOKS[look]
    context, page = await _signed_in(chromium, world, url, scheme, width)
    seen = Seen(page)
    sent = world.one("select message_id from outbound_messages where tenant_id = ? and attempts > 0 limit 1", TENANT)
    mapped = world.one("select message_id from documents where subject = 'order/SO-1001' and map = 'erp-order'")
    issue = world.one("select issue_id from issues where tenant_id = ? and code = 'XD-MAP-014'", TENANT)
    extra = {
        "message": f"/console/messages/{mapped}",
        "message-held": f"/console/messages/{world.held}",
        "message-broken": f"/console/messages/{world.broken}",
        "message-sent": f"/console/messages/{sent}",
        "issue": f"/console/issues/{issue}",
        "dead-letter": f"/console/dead-letters/{world.dead}",
        "replay": f"/console/replays/{world.job}",
    }
    for name, path in {**PAGES, **extra}.items():
        await page.goto(url + path)
        await _judge(page, seen, f"{name}-{look}", screenshots)
    await context.close()


@pytest.mark.parametrize("look", LOOKS)
async def test_every_portal_page_is_accessible(
    chromium: Browser, world: World, url: str, screenshots: Path, look: str
) -> None:
    """The same holds for the portal, with JavaScript off."""
    scheme, width = LOOKS[look]
    judge = await chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = await judge.new_page()
    seen = Seen(page)
    await page.goto(f"{url}/p/northgate")
    await _judge(page, seen, f"portal-{look}", screenshots)
    for number in ("SO-1001", "SO-1002", "SO-1003", "SO-0"):
        await _look_up(page, url, number)
        found = await page.locator("#number").count() == 0
        assert (number != "SO-0") == found, number
        await _judge(page, seen, f"portal-{number}-{look}", screenshots)
    await judge.close()


async def test_the_portal_works_without_javascript(chromium: Browser, url: str) -> None:
    """Looking an order up and reading it needs no script."""
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await _look_up(page, url, "SO-1001")

    assert "Delivered" in await page.inner_text("h1")
    assert "Ada Moss" in await page.inner_text("main")
    await context.close()


async def test_nothing_scrolls_sideways_at_320_pixels(chromium: Browser, world: World, url: str) -> None:
    """At 320 CSS pixels tables scroll inside their own frame, the page never."""
    context, page = await _signed_in(chromium, world, url, width=320)
    issue = world.one("select issue_id from issues where tenant_id = ? and code = 'XD-MAP-014'", TENANT)
    for path in (*PAGES.values(), f"/console/messages/{world.held}", f"/console/issues/{issue}", "/p/northgate"):
        await page.goto(url + path)
        assert await page.evaluate(SIDEWAYS) <= 0, path
    await context.close()


async def test_no_request_leaves_the_origin(chromium: Browser, world: World, url: str) -> None:
    """Pages load nothing from elsewhere."""
    context, page = await _signed_in(chromium, world, url)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.split("/")[2] if "//" in request.url else "data"))
    for path in ("/console", "/console/orders/SO-1001", f"/console/messages/{world.held}", "/p/northgate"):
        await page.goto(url + path)

    assert asked <= {url.split("/")[2], "data"}
    await context.close()


async def test_a_value_lights_up_in_all_panes(chromium: Browser, world: World, url: str) -> None:
    """Hovering a value in one pane marks it in the others; arrow keys do the same without a mouse."""
    context, page = await _signed_in(chromium, world, url)
    mapped = world.one("select message_id from documents where subject = 'order/SO-1001' and map = 'erp-order'")
    await page.goto(f"{url}/console/messages/{mapped}")
    await page.hover(".pane:nth-child(2) .val >> nth=0")
    lit = await page.evaluate("[...document.querySelectorAll('.pane')].map(p => p.querySelectorAll('.val.lit').length)")
    await page.focus(".pane:nth-child(1) pre")
    await page.keyboard.press("ArrowRight")
    walked = await page.evaluate("document.activeElement.matches('.val.lit')")

    assert lit[0] >= 1
    assert lit[1] >= 1
    assert walked is True
    await context.close()


async def test_news_is_offered_and_shown_when_asked(chromium: Browser, world: World, url: str) -> None:
    """A new event shows as "new – show" and moves nothing; clicking shows it. Paused, nothing is offered: another page
    that is not paused has the news by then.
    """
    context, page = await _signed_in(chromium, world, url)
    await page.goto(f"{url}/console/orders")
    await world.take("erp", order("SO-7001"))
    await page.wait_for_selector("#news:not([hidden])")
    before = await page.locator("a.key", has_text="SO-7001").count()
    await page.click("#news")
    await page.wait_for_selector("a.key:has-text('SO-7001')")
    other = await context.new_page()
    await other.goto(f"{url}/console/orders")
    await page.click("[data-live] >> nth=0")
    await world.take("erp", order("SO-7002"))
    await other.wait_for_selector("#news:not([hidden])")

    assert 0 == before
    assert await page.locator("#news").is_hidden()
    await context.close()


async def test_news_from_before_the_stream_is_open_is_not_missed(chromium: Browser, world: World, url: str) -> None:
    """What happens after the page was made and before its stream is open is offered too."""
    context, page = await _signed_in(chromium, world, url)
    gate = asyncio.Event()
    asked = asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await gate.wait()
        await route.continue_()

    await page.route("**/v1/events/stream*", hold)
    await page.goto(f"{url}/console/orders")
    await asked.wait()
    await world.take("erp", order("SO-7003"))
    gate.set()

    await page.wait_for_selector("#news:not([hidden])")
    await context.close()


async def test_the_find_key_opens_the_box_and_suggests(chromium: Browser, world: World, url: str) -> None:
    """`/` focuses the find-anything box; what is typed is suggested; Enter leads to the order."""
    context, page = await _signed_in(chromium, world, url)
    await page.keyboard.press("/")
    await page.keyboard.type("po so 1001")
    await page.wait_for_selector("#finder-results a")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/orders/SO-1001")
    await context.close()


async def test_what_is_typed_before_the_scripts_are_there_is_suggested(
    chromium: Browser, world: World, url: str
) -> None:
    """The find key works as soon as the box can be seen, and what was typed by then is taken up."""
    context, page = await _signed_in(chromium, world, url)
    gate = asyncio.Event()

    async def hold(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await page.route("**/console.js*", hold)
    await page.goto(f"{url}/console", wait_until="commit")
    await page.wait_for_selector("#finder")
    await page.keyboard.press("/")
    await page.keyboard.type("po so 1001")
    typed = await page.input_value("#finder")
    gate.set()

    assert "po so 1001" == typed
    await page.wait_for_selector("#finder-results a")
    await context.close()


async def test_a_slow_answer_does_not_stand_in_the_way_of_what_is_typed(
    chromium: Browser, world: World, url: str
) -> None:
    """Whatever is still asked for earlier letters, the suggestions are for what stands in the box."""
    context, page = await _signed_in(chromium, world, url)
    never = asyncio.Event()

    async def hold(route: Route) -> None:
        if not route.request.url.endswith("1001"):
            await never.wait()
        await route.continue_()

    await page.route("**/console/find/suggest*", hold)
    await page.keyboard.press("/")
    await page.keyboard.type("po so 1001", delay=200)

    await page.wait_for_selector("#finder-results a")
    never.set()
    await context.close()


async def test_fix_and_replay_with_the_keyboard(chromium: Browser, world: World, url: str, screenshots: Path) -> None:
    """From the issue page a value, one key and the held orders go on; the page says what was done."""
    context, page = await _signed_in(chromium, world, url)
    seen = Seen(page)
    issue = world.one("select issue_id from issues where tenant_id = ? and code = 'XD-MAP-014'", TENANT)
    await page.goto(f"{url}/console/issues/{issue}")
    await page.click("text=What would a replay do?")
    await page.wait_for_selector("#outcome >> text=nothing was changed")
    await _judge(page, seen, "issue-dry-run", screenshots)
    await page.fill("#value", "standard")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#outcome >> text=Done.")
    await world.settle()

    assert 2 == world.one("select count(*) from aggregates where key in ('SO-1004', 'SO-1005')")
    await context.close()
