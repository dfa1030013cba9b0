"""The console without a browser: signing in, the guard against foreign pages, twins, roles, foreign ids, fix and
replay.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crossdock.web.access import SESSION_COOKIE
from crossdock.web.security_headers import CONTENT_SECURITY_POLICY
from tests.web.world import OTHER, TENANT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGES = (
    "/console",
    "/console/orders",
    "/console/messages",
    "/console/messages?direction=out",
    "/console/issues",
    "/console/issues?tab=resolved",
    "/console/issues?tab=retries",
    "/console/issues?class=data",
    "/console/dead-letters",
    "/console/dead-letters?kind=outbound&class=partner",
    "/console/replays",
    "/console/contracts",
    "/console/cases",
    "/console/cases?stale=true",
    "/console/shapes",
    "/console/impact/partner/swift",
    "/console/impact/contract/cargoline-tells",
    "/console/find?q=zzzz",
    "/console/orders/SO-1001",
    "/console/orders/SO-1001?zoom=raw",
    "/console/orders/SO-1001?zoom=compact",
    "/console/orders/SO-1001?view=customer",
)


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub.test", headers={"sec-fetch-site": "same-origin"}
    )


async def _csrf(browser: httpx.AsyncClient) -> str:
    text = (await browser.get("/console")).text
    return text.partition('"x-csrf-token": "')[2].partition('"')[0]


async def test_every_page_leads_to_sign_in_first(anyone: httpx.AsyncClient, world: World) -> None:
    """Without a session each page sends to the sign-in page and shows nothing."""
    for path in (*PAGES, f"/console/messages/{world.held}"):
        answer = await anyone.get(path)
        assert (303, b"") == (answer.status_code, answer.content), path
        assert answer.headers["location"].startswith("/login"), path


async def test_a_link_signs_in_once(app: Any, world: World) -> None:
    """The first POST of a link's token opens a session in an HttpOnly, SameSite cookie; the second is refused."""
    token = (await world.login()).rpartition("/")[2]
    async with _client(app) as client:
        shown = await client.get(f"/login/{token}")
        first = await client.post("/login", data={"token": token})
    async with _client(app) as client:
        again = await client.post("/login", data={"token": token})

    assert (200, 303, 401) == (shown.status_code, first.status_code, again.status_code)
    cookie = first.headers["set-cookie"].lower()
    assert SESSION_COOKIE in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_signing_out_ends_the_session(app: Any, world: World) -> None:
    """After signing out the old cookie opens nothing."""
    async with _client(app) as client:
        await client.post("/login", data={"token": (await world.login()).rpartition("/")[2]})
        cookie = client.cookies[SESSION_COOKIE]
        await client.post("/logout", data={"csrf_token": await _csrf(client)})
        client.cookies.set(SESSION_COOKIE, cookie)
        assert 303 == (await client.get("/console")).status_code


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_shows(browser: httpx.AsyncClient, path: str) -> None:
    """Each page answers 200 under the strict policy, without an inline script, style or handler."""
    answer = await browser.get(path)

    assert 200 == answer.status_code, answer.text[:500]
    assert CONTENT_SECURITY_POLICY == answer.headers["content-security-policy"]
    assert "no-store" == answer.headers["cache-control"]
    for forbidden in ("<style", " style=", "onclick=", "<script>", "javascript:"):
        assert forbidden not in answer.text, forbidden


@pytest.mark.parametrize(
    "path",
    [
        "/console.json",
        "/console/orders.json",
        "/console/messages.json",
        "/console/issues.json",
        "/console/dead-letters.json",
        "/console/replays.json",
        "/console/orders/SO-1001.json",
    ],
)
async def test_pages_have_json_twins(browser: httpx.AsyncClient, path: str) -> None:
    """The same view comes as JSON under the page's address with .json."""
    answer = await browser.get(path)

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert isinstance(answer.json(), dict)


async def test_foreign_ids_look_absent(app: Any, world: World) -> None:
    """Another tenant's browser gets the same 404 for our ids as for ids that do not exist."""
    issue = world.one("select issue_id from issues where tenant_id = ? limit 1", TENANT)
    async with _client(app) as client:
        await client.post("/login", data={"token": (await world.login(tenant=OTHER)).rpartition("/")[2]})
        for known, absent in (
            ("orders/SO-1001", "orders/SO-0"),
            (f"messages/{world.held}", "messages/msg_0"),
            (f"issues/{issue}", "issues/iss_0"),
        ):
            answers = [await client.get(f"/console/{one}.json") for one in (known, absent)]
            bodies = [{**one.json(), "instance": "", "request_id": ""} for one in answers]
            assert [404, 404] == [one.status_code for one in answers]
            assert bodies[0] == bodies[1]


async def test_foreign_pages_can_write_nothing(browser: httpx.AsyncClient, world: World) -> None:
    """A POST from another site, or without the session's token, is refused before anything happens."""
    path = f"/console/messages/{world.held}/replay"
    token = await _csrf(browser)
    cross = await browser.post(path, data={"csrf_token": token}, headers={"sec-fetch-site": "cross-site"})
    bare = await browser.post(path, data={})
    control = await browser.post(f"/console/messages/{world.held}/preview", data={"csrf_token": token})

    assert (403, 403, 200) == (cross.status_code, bare.status_code, control.status_code)
    assert 0 == world.one("select count(*) from audit where action = 'message.replay'")


async def test_the_three_panes_share_their_values(browser: httpx.AsyncClient, world: World) -> None:
    """A value that came in, was mapped and went out carries one mark in all panes."""
    message = world.one(
        "select message_id from documents where tenant_id = ? and subject = 'order/SO-1001' and position = 0"
        " and map = 'erp-order'",
        TENANT,
    )
    text = (await browser.get(f"/console/messages/{message}")).text
    panes = [part.partition("</pre>")[0] for part in text.split("<pre")[1:] if "arrow keys" in part[:120]]
    marks = [{piece.partition('"')[0] for piece in pane.split('data-v="')[1:]} for pane in panes]

    assert len(panes) >= 3
    assert set.intersection(*marks[:3])


async def test_fixing_from_the_page_takes_one_post(browser: httpx.AsyncClient, world: World) -> None:
    """The form of the issue page adds the row and the held orders go on."""
    issue = world.one("select issue_id from issues where tenant_id = ? and code = 'XD-MAP-014'", TENANT)
    page = (await browser.get(f"/console/issues/{issue}")).text
    form = {"csrf_token": await _csrf(browser), "table": "service_levels", "key": "XXL", "value": "standard"}
    answer = await browser.post(f"/console/issues/{issue}/fix", data=form)
    await world.settle()

    assert "Do both" in page
    assert 200 == answer.status_code
    assert 2 == world.one("select count(*) from aggregates where key in ('SO-1004', 'SO-1005')")
    assert "resolved" == world.one("select state from issues where issue_id = ?", issue)


async def test_an_agent_sees_no_bytes(app: Any, world: World) -> None:
    """A role without the right gets a page that says so, not the data."""
    async with _client(app) as client:
        await client.post("/login", data={"token": (await world.login("agent")).rpartition("/")[2]})
        assert 200 == (await client.get("/console/orders/SO-1001")).status_code
        assert 403 == (await client.get(f"/console/messages/{world.held}")).status_code


async def test_pages_stay_light(anyone: httpx.AsyncClient) -> None:
    """CSS and JavaScript of a console page are at most 60 KB on the wire."""
    text = (await anyone.get("/login")).text
    version = text.partition("/static/")[2].partition("/")[0]
    names = ("crossdock.css", "theme.js", "console.js", "htmx-4.0.1.min.js")
    total = 0
    for name in names:
        async with anyone.stream("GET", f"/static/{version}/{name}", headers={"accept-encoding": "gzip"}) as answer:
            assert 200 == answer.status_code
            assert "immutable" in answer.headers["cache-control"]
            total += int(answer.headers["content-length"])
    assert total <= 60_000
