"""Egress: what may be reached, judged by the sockets that are opened."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.connectors.addresses import AddressPolicy
from crossdock.connectors.egress import Egress, EgressDenied, MalformedAddress, parse_host, parse_url
from crossdock.errors import ConfigurationError, CrossdockError, PermanentError, TransientError
from tests.unit.connectors.forbidden_forms import (
    PUBLIC,
    V4_FORBIDDEN,
    V6_FORBIDDEN,
    forbidden_hosts,
    tricky_urls,
    v6_embeddings,
)
from tests.unit.connectors.sockets_counted import connects

ANY_PORT = ("1-65535",)
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "meta.test": ["169.254.169.254"],
    "good.test": ["93.184.216.34"],
}


def answering(names: dict[str, list[str]]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Return a resolver with fixed answers; whatever else it is asked, the C library answers."""

    async def resolve(host: str, port: int) -> list[str]:
        if host in names:
            return names[host]
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(info[4][0]) for info in infos]

    return resolve


def rebinding(*answers: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """Return a resolver that answers differently each time, and the list of questions it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


async def attempt(egress: Egress, host: str, port: int = 443) -> list[str]:
    """Try to connect and return the hosts that sockets were opened to; anything but a typed error escapes."""
    with connects() as seen:
        try:
            (await egress.connect(host, port)).close()
        except CrossdockError:
            pass
    return seen


async def test_no_forbidden_form_opens_a_socket() -> None:
    """Of more than 300 spellings of forbidden addresses not one leads to a connect."""
    egress = Egress(allow_ports=ANY_PORT, resolve=answering(NAMES))
    hosts = forbidden_hosts()

    opened = {host: seen for host in hosts if (seen := await attempt(egress, host))}

    assert {} == opened
    assert len(hosts) > 300


async def test_no_tricky_url_opens_a_socket() -> None:
    """URLs with users, backslashes, odd ports or foreign schemes are refused or lead nowhere forbidden."""
    egress = Egress(allow_ports=ANY_PORT, resolve=answering(NAMES))
    opened: dict[str, list[str]] = {}
    for url in tricky_urls():
        try:
            target = parse_url(url)
        except MalformedAddress:
            continue
        seen = [host for host in await attempt(egress, target.host, target.port) if host not in NAMES["good.test"]]
        if seen:
            opened[url] = seen

    assert {} == opened
    assert len(tricky_urls()) > 200


async def test_control_is_global_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is able to fail: with `is_global` in place of the table, sockets are opened that must not be."""

    def judge(self: AddressPolicy, text: str) -> object:
        from crossdock.connectors.addresses import Verdict

        try:
            return Verdict(ipaddress.ip_address(text).is_global, "public", text, "is_global")
        except ValueError:
            return Verdict(False, "forbidden", text, "no address")

    monkeypatch.setattr(AddressPolicy, "judge", judge)
    egress = Egress(allow_ports=ANY_PORT, resolve=answering(NAMES))
    opened = [host for host in forbidden_hosts() if await attempt(egress, host)]

    assert {"64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "5f00::1"} <= set(opened)


async def test_control_the_hook_sees_a_connect() -> None:
    """A permitted connect is counted: zero means zero, not a blind hook."""
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    seen = await attempt(Egress(allow_networks=["127.0.0.1/32"]), "127.0.0.1", port)

    assert ["127.0.0.1"] == seen
    server.close()


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_tried(address: str) -> None:
    """A public address is connected to: the policy is no wall."""
    assert [address] == await attempt(Egress(), address)


async def test_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    """A resolver that answers public first and loopback then gets no second question."""
    resolve, asked = rebinding(["93.184.216.34"], ["127.0.0.1"])

    seen = await attempt(Egress(resolve=resolve), "rebind.test")

    assert (["93.184.216.34"], ["rebind.test"]) == (seen, asked)


async def test_control_check_then_connect_by_name_is_caught() -> None:
    """The rebinding test is able to fail: a check apart from the connect lets loopback through."""
    resolve, _ = rebinding(["93.184.216.34"], ["127.0.0.1"])
    await Egress(resolve=resolve).resolve("rebind.test", 443)
    address = (await resolve("rebind.test", 443))[0]
    with connects() as seen, socket.socket() as naive, contextlib.suppress(OSError):
        naive.connect((address, 1))

    assert ["127.0.0.1"] == seen


async def test_every_address_is_checked_before_any_is_used() -> None:
    """One forbidden address among public ones refuses the name."""
    seen = await attempt(Egress(resolve=answering(NAMES)), "mixed.test")

    assert [] == seen


@pytest.mark.parametrize("port", [1, 23, 25, 110, 445, 1023])
async def test_ports_outside_of_the_policy_are_refused(port: int) -> None:
    """A port that is not open leads to no socket."""
    assert [] == await attempt(Egress(), "93.184.216.34", port)


async def test_operator_opens_networks_one_by_one() -> None:
    """An opened network is reachable, its neighbour is not."""
    egress = Egress(allow_networks=["10.20.0.0/16", "fd12::/32"])

    seen = [await attempt(egress, host) for host in ("10.20.1.2", "10.21.1.2", "fd12::1", "fd13::1")]

    assert [["10.20.1.2"], [], ["fd12::1"], []] == seen


@pytest.mark.parametrize(
    "network",
    ["0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254/32", "8.8.8.0/24", "ff00::/8", "10.0.0.0/7", "x"],
)
def test_networks_that_cannot_be_opened(network: str) -> None:
    """Metadata, link-local, everything at once and nonsense cannot be opened by a setting."""
    with pytest.raises(ConfigurationError):
        Egress(allow_networks=[network])


def test_metadata_inside_an_opened_network_stays_closed() -> None:
    """Opening carrier-grade NAT does not open the metadata service that lives in it."""
    policy = AddressPolicy(["100.64.0.0/10"])

    assert [True, False] == [policy.judge(text).allowed for text in ("100.64.1.1", "100.100.100.200")]


def test_mapped_address_is_judged_as_what_it_is() -> None:
    """An IPv4 address in IPv6 clothes is judged and connected to as IPv4."""
    policy = AddressPolicy(["127.0.0.1/32"])

    verdicts = [policy.judge(text) for text in ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:127.0.0.2")]

    assert [(True, "127.0.0.1"), (True, "8.8.8.8"), (False, "127.0.0.2")] == [(v.allowed, v.address) for v in verdicts]


@given(st.integers(0, 2**128 - 1))
def test_every_ipv6_address_outside_of_global_unicast_is_closed(number: int) -> None:
    """Nothing outside of 2000::/3 is reachable without an opened network."""
    address = ipaddress.IPv6Address(number)
    inside = address in ipaddress.ip_network("2000::/3") or address.ipv4_mapped is not None

    assert inside or not AddressPolicy().judge(str(address)).allowed


@given(st.integers(0, 2**32 - 1))
def test_embedded_ipv4_never_says_more_than_itself(number: int) -> None:
    """No IPv6 form of an IPv4 address is open where the IPv4 address is closed."""
    policy = AddressPolicy()
    plain = policy.judge(str(ipaddress.IPv4Address(number))).allowed
    high, low = number >> 16, number & 0xFFFF
    forms = [
        f"::ffff:{high:x}:{low:x}",
        f"64:ff9b::{high:x}:{low:x}",
        f"2002:{high:x}:{low:x}::",
        f"::{high:x}:{low:x}",
    ]

    assert plain or not any(policy.judge(form).allowed for form in forms)


@given(st.text(max_size=60))
def test_parsing_is_total(text: str) -> None:
    """Any text is a URL or a MalformedAddress, and what is a URL survives being written and read again."""
    for candidate in (text, f"https://{text}", f"http://{text}/"):
        try:
            target = parse_url(candidate)
        except MalformedAddress:
            continue
        assert target == parse_url(f"{target.scheme}://{target.authority}{target.path}")


def test_url_is_taken_apart() -> None:
    """Scheme, host, port and path come out; the fragment does not."""
    target = parse_url("HTTPS://Partner.Example:8443/v1/orders?a=b#frag")

    assert ("https", "partner.example", 8443, "/v1/orders?a=b") == (
        target.scheme,
        target.host,
        target.port,
        target.path,
    )
    assert "partner.example:8443" == target.authority
    assert "[2600::1]" == parse_url("https://[2600:0:0::1]").authority
    assert "partner.example" == parse_host("Partner.Example.")


async def test_unencrypted_traffic_stays_inside() -> None:
    """Without TLS only opened networks are reached, unless the operator allows more."""
    strict, lax = Egress(), Egress(allow_unencrypted=True)
    with pytest.raises(EgressDenied) as refusal:
        await strict.connect("93.184.216.34", 80, encrypted=False)
    with connects() as seen, pytest.raises(TransientError):
        await lax.connect("93.184.216.34", 80, encrypted=False)

    assert ("XD-SEC-023", ["93.184.216.34"]) == (refusal.value.code, seen)


async def test_name_that_does_not_resolve_is_transient() -> None:
    """A name without an answer may have one later."""

    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TransientError):
        await Egress(resolve=nowhere).connect("away.test", 443)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://mixed.test:{port}/", "http://[::ffff:7f00:1]:{port}/"]
)
async def test_aiohttp_session_obeys(url: str) -> None:
    """aiohttp under the policy opens no forbidden socket, for literal addresses and for names."""
    async with Egress(resolve=answering(NAMES), allow_unencrypted=True).aiohttp_session() as session:
        with connects() as seen, pytest.raises(EgressDenied):
            await session.get(url.format(port=8080))

    assert [] == seen


async def test_aiohttp_connector_checks_what_goes_round_its_resolver() -> None:
    """A literal address never meets aiohttp's resolver; the socket factory refuses it all the same."""
    import aiohttp

    from crossdock.connectors.egress_aiohttp import connector

    async with aiohttp.ClientSession(connector=connector(Egress())) as session:
        with connects() as seen, pytest.raises((EgressDenied, aiohttp.ClientError)):
            await session.get("https://127.0.0.1:8443/")

    assert [] == seen


async def test_aiohttp_session_refuses_redirects() -> None:
    """A redirect ends the exchange, wherever it leads."""

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Egress(allow_networks=["127.0.0.0/8"]).aiohttp_session() as session:
        with connects() as seen, pytest.raises(PermanentError):
            await session.get(f"http://127.0.0.1:{port}/")
    server.close()

    assert ["127.0.0.1"] == seen


def test_tables_cover_their_lists() -> None:
    """Each listed forbidden address is refused by the table itself, not only by the parser."""
    policy = AddressPolicy()
    forbidden = [*V4_FORBIDDEN, *V6_FORBIDDEN, *v6_embeddings()]

    assert [] == [text for text in forbidden if policy.judge(text).allowed]


async def test_a_name_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a name that never resolves is asked for and given up, other names and other work go on."""
    let_go, asked = threading.Event(), []

    def look_up(host: str, port: int, **options: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "slow.test":
            let_go.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    egress = Egress(connect_timeout_seconds=0.02)
    try:
        async with asyncio.timeout(10):
            slow = await asyncio.gather(*(egress.resolve("slow.test", 443) for _ in range(100)), return_exceptions=True)
            fast = await egress.resolve("fast.test", 443)
            other = await asyncio.to_thread(lambda: "other work")
    finally:
        let_go.set()

    assert {TransientError} == {type(one) for one in slow}
    assert (["93.184.216.34"], "other work") == ([verdict.address for verdict in fast], other)
    assert ["slow.test", "fast.test"] == asked
