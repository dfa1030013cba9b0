"""The delivery client: three outcomes, told apart by what crossed the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from crossdock.connectors.egress import Egress, Target, parse_url
from crossdock.connectors.http_client import HttpClient, Response, SentOnDeadConnection, render_head
from crossdock.errors import PermanentError, TransientError, UnknownOutcome
from tests.conformance.connectors.http_peer import HttpPeer, answer
from tests.support.processes import free_port

OK = answer(200, b"{}")


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    started = await HttpPeer().start()
    started.answer = lambda *_: OK
    yield started
    await started.stop()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient(
        Egress(allow_networks=["127.0.0.1/32"]),
        connections_max=4,
        read_timeout_seconds=0.5,
        total_timeout_seconds=1.0,
        response_bytes_max=1000,
    )
    yield made
    await made.close()


def at(peer: HttpPeer, path: str = "/in") -> Target:
    return parse_url(f"http://127.0.0.1:{peer.port}{path}")


async def post(client: HttpClient, target: Target, body: bytes = b"{}") -> Response:
    return await client.request("POST", target, [("content-type", "application/json")], body)


async def test_connection_is_kept(client: HttpClient, peer: HttpPeer) -> None:
    """Requests after one another use one connection and carry host, length and body."""
    for _ in range(5):
        assert 200 == (await post(client, at(peer))).status

    method, url, headers, body = peer.requests[-1]
    assert (1, "POST", "/in", b"{}") == (peer.connections, method, url, body)
    assert (f"127.0.0.1:{peer.port}", "2") == (headers["host"], headers["content-length"])


async def test_connections_are_bounded(client: HttpClient, peer: HttpPeer) -> None:
    """Fifty requests at once share the four connections of the origin."""
    statuses = [response.status for response in await asyncio.gather(*(post(client, at(peer)) for _ in range(50)))]

    assert ([200] * 50, 4) == (statuses, peer.connections)


async def test_nothing_written_is_transient(client: HttpClient) -> None:
    """A partner that is not there cannot have acted."""
    with pytest.raises(TransientError):
        await post(client, parse_url(f"http://127.0.0.1:{free_port()}/"))


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n",
        b"HTTP/1.1 20",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["cut", "half body", "two lengths", "half line", "not http", "upgrade", "lengths differ", "endless", "silence"],
)
async def test_no_complete_answer_is_unknown(client: HttpClient, peer: HttpPeer, reply: bytes | None) -> None:
    """Once the request was written, anything but a complete answer leaves the outcome unknown."""
    peer.answer = lambda *_: reply

    with pytest.raises(UnknownOutcome):
        await post(client, at(peer))

    peer.answer = lambda *_: OK
    assert 200 == (await post(client, at(peer))).status


async def test_trickling_answer_ends_at_the_total_time(client: HttpClient) -> None:
    """A partner that sends a byte now and then cannot hold a send for ever."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 900:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    started = asyncio.get_running_loop().time()
    with pytest.raises(UnknownOutcome):
        await post(client, parse_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    server.close()

    assert 0.9 < asyncio.get_running_loop().time() - started < 5


async def test_waiting_for_a_connection_is_transient(client: HttpClient, peer: HttpPeer) -> None:
    """A request that never got a connection was never written."""
    peer.answer = lambda *_: b""

    results = await asyncio.gather(*(post(client, at(peer)) for _ in range(12)), return_exceptions=True)

    kinds = [type(result) for result in results]
    assert {UnknownOutcome, TransientError} >= set(kinds)
    assert kinds.count(UnknownOutcome) == len(peer.requests)


async def test_reuse_of_a_dead_connection_is_told_apart(client: HttpClient, peer: HttpPeer) -> None:
    """A kept connection closed at the moment of reuse is unknown, of the kind that may be safe to repeat."""
    await post(client, at(peer))
    peer.answer = lambda *_: None

    with pytest.raises(SentOnDeadConnection):
        await post(client, at(peer))


async def test_first_use_cut_is_plainly_unknown(client: HttpClient, peer: HttpPeer) -> None:
    """A fresh connection that is cut is no stale one: the partner had time to act."""
    peer.answer = lambda *_: None

    with pytest.raises(UnknownOutcome) as unknown:
        await post(client, at(peer))

    assert not isinstance(unknown.value, SentOnDeadConnection)


async def test_connection_closed_while_idle_is_replaced(client: HttpClient, peer: HttpPeer) -> None:
    """A partner's restart between two requests costs a new connection, not a send."""
    await post(client, at(peer))
    peer.cut_all()
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)

    assert 200 == (await post(client, at(peer))).status
    assert 2 == peer.connections


@pytest.mark.parametrize(
    "reply, body",
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["chunked", "informational", "close", "no content"],
)
async def test_forms_of_answers(client: HttpClient, peer: HttpPeer, reply: bytes, body: bytes) -> None:
    """Chunked, informational and bodyless answers are read, and the next request works."""
    peer.answer = lambda *_: reply

    for _ in range(2):
        assert body == (await post(client, at(peer))).body


async def test_answer_that_ends_with_the_connection(client: HttpClient) -> None:
    """An answer without a length ends where the connection ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    response = await post(client, parse_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    server.close()

    assert b"hello" == response.body


async def test_long_body_is_cut_and_said_so(client: HttpClient, peer: HttpPeer) -> None:
    """The outcome of a send does not depend on how much the partner talks."""
    peer.answer = lambda *_: answer(201, b"x" * 5000)

    response = await post(client, at(peer))

    assert (201, 1000, True) == (response.status, len(response.body), response.truncated)


async def test_second_answer_to_one_request_is_never_believed(client: HttpClient, peer: HttpPeer) -> None:
    """An answer smuggled behind the first does not become the answer to the next request."""
    peer.answer = lambda *_: OK + answer(201, b"smuggled")
    await post(client, at(peer))
    peer.answer = lambda *_: OK

    assert [b"{}"] * 3 == [(await post(client, at(peer))).body for _ in range(3)]


async def test_cancelled_request_does_not_poison_the_pool(client: HttpClient, peer: HttpPeer) -> None:
    """The late answer of a request nobody waits for is not given to the next one."""
    peer.answer = lambda *_: b""
    task = asyncio.ensure_future(post(client, at(peer)))
    while not peer.requests:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    peer.answer = lambda *_: OK

    assert b"{}" == (await post(client, at(peer))).body


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "€"])
def test_headers_cannot_break_out(value: str) -> None:
    """An identity with a line break is refused, not sent as a header of its own."""
    with pytest.raises(PermanentError):
        render_head("POST", parse_url("https://a.test/"), [("idempotency-key", value)])


def test_uvloop_gives_the_same_answers() -> None:
    """The client works on uvloop, whose transports are of another family."""

    async def story() -> list[object]:
        peer = await HttpPeer().start()
        client = HttpClient(Egress(allow_networks=["127.0.0.1/32"]), read_timeout_seconds=0.3)
        seen: list[object] = []
        replies: list[bytes | None] = [OK, None, b""]
        for reply in replies:
            peer.answer = _always(reply)
            try:
                seen.append((await post(client, at(peer))).status)
            except UnknownOutcome as unknown:
                seen.append(type(unknown))
        await client.close()
        await peer.stop()
        return seen

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert [200, SentOnDeadConnection, UnknownOutcome] == runner.run(story())


def _always(reply: bytes | None) -> Callable[[str, str, dict[str, str], bytes], bytes | None]:
    return lambda *_: reply
