"""The promises every connector keeps, as a suite that anybody can run on their own connector.

A harness supplies a peer with faults (`Harness`); `run(promise, harness)` raises `PromiseBroken` when one is not kept.
The suite plays the hub: it stores before it acknowledges, remembers what it has stored, and asks before it sends again.
The judge is the peer's own ledger (`Harness.effects`), never what the connector says of itself.
A manifest marks each promise `done`, `todo` or `exempt: reason`; `run` is for those that are done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from ..errors import CrossdockError
from .connector import Connector, Manifest, Outbound, Pulled

Fault = Literal[
    "none",
    "throttle",  # asks to slow down, naming RETRY_AFTER_SECONDS; no effect
    "refuse",  # will never take the content of REFUSED; takes everything else
    "cut_after_effect",  # acts, then cuts the connection before it has answered
    "stall_after_effect",  # acts, then says nothing until the connector gives up
    "cut_before_effect",  # cuts the connection before it has acted
    "escape",  # tempts the connector out of its bounds: a redirect, a link, a name with dots
]

RETRY_AFTER_SECONDS = 7.0
REFUSED = b'{"order":"SO-REFUSED"}'


class PromiseBroken(AssertionError):
    """The connector does not keep a promise of its manifest."""


class Effect(msgspec.Struct, frozen=True):
    """One thing the peer did because of a send, as its own ledger has it."""

    identity: str
    content: bytes


class Harness(Protocol):
    """A peer with faults, and connectors that talk to it."""

    async def connector(self, *, credentials: Literal["good", "bad"] = "good", reachable: bool = True) -> Connector:
        """Return a new connector, as after a restart of the hub. Its timeout is short."""

    async def set_fault(self, fault: Fault) -> None:
        """Let the peer misbehave from now on, or behave again."""

    async def offer(self, name: str, content: bytes) -> None:
        """Lay one complete document ready to be pulled."""

    async def offer_partly(self, name: str, content: bytes) -> Callable[[], Awaitable[None]]:
        """Lay a document ready that is not complete; the returned call completes it."""

    async def settle(self) -> None:
        """Let as much time pass as a complete document needs to count as complete."""

    def effects(self) -> list[Effect]:
        """Return what the peer has done, in order. A repeated identity that the peer recognizes is no new effect."""

    def attempts(self) -> list[Effect]:
        """Return what reached the peer, effect or not."""

    def escaped(self) -> bool:
        """Tell whether the connector left its bounds."""


class Inbox:
    """The least a hub does with what it pulls: store by key, then acknowledge."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.seen: list[str] = []

    def store(self, pulled: Pulled) -> None:
        """Store one item; a key that was seen before is a duplicate."""
        key = pulled.receipt_key or f"{pulled.name}:{hashlib.sha256(pulled.content).hexdigest()}"
        self.stored.setdefault(key, pulled.content)
        self.seen.append(key)

    async def drain(self, connector: Connector, *, acknowledge: bool = True) -> str:
        """Pull once; return the text of the error that ended the pull, if one did."""
        try:
            async for pulled in connector.pull():
                self.store(pulled)
                if acknowledge:
                    await pulled.acknowledge()
        except CrossdockError as error:
            return str(error)
        return ""

    def contents(self) -> list[bytes]:
        """Return what is stored, sorted."""
        return sorted(self.stored.values())


def an_order(number: int, attempt: int = 1, content: bytes = b"") -> Outbound:
    """Return a document to send, with the identity it has in every attempt."""
    return Outbound(
        message_id=f"msg_{number}",
        identity=f"SO-{number}-1",
        document_type="fulfillment_request",
        content=content or b'{"order":"SO-%d"}' % number,
        content_type="application/json",
        name=f"fulfillment_request-SO-{number}-1.json",
        attempt=attempt,
    )


def expect(expected: object, actual: object, promise: str) -> None:
    """Raise PromiseBroken unless both are equal."""
    if expected != actual:
        raise PromiseBroken(f"{promise}: expected {expected!r}, got {actual!r}")


async def check_ok(harness: Harness) -> None:
    """A check of a working connection says so."""
    connector = await harness.connector()
    found = await connector.check()
    expect((True, []), (found.ok, harness.effects()), f"check is ok ({found.detail}) and has no effect")


async def check_bad_credentials(harness: Harness) -> None:
    """Wrong credentials are told from everything else, with a hint what to do."""
    connector = await harness.connector(credentials="bad")
    found = await connector.check()
    expect((False, True), (found.ok, bool(found.hint)), f"a check with bad credentials fails with a hint ({found})")
    sent = await connector.push(an_order(1))
    expect(("failed", []), (sent.outcome, harness.effects()), "a send with bad credentials has failed")


async def unreachable(harness: Harness) -> None:
    """A peer that is away has not acted: the send has failed, it is not unknown, and it may be tried again."""
    connector = await harness.connector(reachable=False)
    expect(False, (await connector.check()).ok, "a check of an absent peer fails")
    sent = await connector.push(an_order(1))
    expect(("failed", False), (sent.outcome, sent.permanent), f"a send to an absent peer may be tried again ({sent})")


async def push_done(harness: Harness) -> None:
    """A send that is done has exactly one effect, byte for byte."""
    connector = await harness.connector()
    sent = await connector.push(an_order(1))
    order = an_order(1)
    expect("done", sent.outcome, f"a plain send ({sent})")
    expect([order.content], [effect.content for effect in harness.effects()], "one effect, byte for byte")


async def pull_twice(harness: Harness) -> None:
    """What was acknowledged does not come again; one document is one message."""
    await harness.offer("a.json", b'{"id":"A"}')
    await harness.offer("b.json", b'{"id":"B"}')
    connector, inbox = await harness.connector(), Inbox()
    for _ in range(3):
        await inbox.drain(connector)
        await harness.settle()
    expect([b'{"id":"A"}', b'{"id":"B"}'], inbox.contents(), "each document once")
    expect(2, len(set(inbox.seen)), "each document under one key")


async def crash_before_ack(harness: Harness) -> None:
    """What was not acknowledged comes again, after a restart too."""
    await harness.offer("a.json", b'{"id":"A"}')
    first, lost = await harness.connector(), Inbox()
    for _ in range(3):
        await lost.drain(first, acknowledge=False)
        await harness.settle()
    expect([b'{"id":"A"}'], lost.contents(), "the document is pulled before the crash")
    await first.close()
    second, inbox = await harness.connector(), Inbox()
    for _ in range(3):
        await inbox.drain(second)
        await harness.settle()
    expect([b'{"id":"A"}'], inbox.contents(), "the document comes again after a crash before the acknowledgment")
    expect(lost.seen[0], inbox.seen[0], "the document comes again under the same key")


async def crash_in_pull(harness: Harness) -> None:
    """A crash between the yield and the store loses nothing: nothing is acknowledged before the hub says so."""
    await harness.offer("a.json", b'{"id":"A"}')
    first, taken = await harness.connector(), 0
    for _ in range(3):
        async for _item in first.pull():
            taken += 1
            break  # dies here, with the bytes only in memory
        await harness.settle()
    expect(True, taken > 0, "the document is pulled")
    await first.close()
    second, inbox = await harness.connector(), Inbox()
    for _ in range(3):
        await inbox.drain(second)
        await harness.settle()
    expect([b'{"id":"A"}'], inbox.contents(), "a document that was yielded and never stored comes again")


async def store_fails(harness: Harness) -> None:
    """When the hub cannot store what was yielded, the same connector yields it again."""
    await harness.offer("a.json", b'{"id":"A"}')
    connector, inbox = await harness.connector(), Inbox()
    for _ in range(3):
        async for _item in connector.pull():
            break  # the hub's transaction was rolled back
        await harness.settle()
    for _ in range(3):
        await inbox.drain(connector)
        await harness.settle()
    expect([b'{"id":"A"}'], inbox.contents(), "a document the hub could not store comes again")


async def partial_content(harness: Harness) -> None:
    """Half a document is never taken; complete, it is."""
    connector, inbox = await harness.connector(), Inbox()
    complete = await harness.offer_partly("a.json", b'{"id":"A","lines":[1,2,3]}')
    await inbox.drain(connector)
    expect([], inbox.contents(), "nothing is taken of half a document")
    await complete()
    for _ in range(3):
        await harness.settle()
        await inbox.drain(connector)
    expect([b'{"id":"A","lines":[1,2,3]}'], inbox.contents(), "the complete document is taken")


async def throttling(harness: Harness) -> None:
    """A peer that asks to slow down is given the time it asks for."""
    await harness.set_fault("throttle")
    connector = await harness.connector()
    sent = await connector.push(an_order(1))
    expect(
        ("failed", False, RETRY_AFTER_SECONDS),
        (sent.outcome, sent.permanent, sent.retry_after_seconds),
        "a throttled send may be tried again when the peer says",
    )
    await harness.set_fault("none")
    expect("done", (await connector.push(an_order(1, attempt=2))).outcome, "the next attempt is done")
    expect(1, len(harness.effects()), "one effect")


async def partial_failure(harness: Harness) -> None:
    """A document the peer refuses does not stop the next one."""
    await harness.set_fault("refuse")
    connector = await harness.connector()
    refused = await connector.push(an_order(1, content=REFUSED))
    expect(
        ("failed", True), (refused.outcome, refused.permanent), f"the refused document has failed for good ({refused})"
    )
    expect("done", (await connector.push(an_order(2))).outcome, "the next document goes through")
    expect([an_order(2).content], [effect.content for effect in harness.effects()], "one effect")


async def unknown_outcome(harness: Harness) -> None:
    """A send the peer has acted on without answering is unknown: neither done nor failed."""
    await harness.set_fault("cut_after_effect")
    connector = await harness.connector()
    sent = await connector.push(an_order(1))
    expect(1, len(harness.effects()), "the peer acted")
    expect("unknown", sent.outcome, f"a send without an answer ({sent})")


async def find_before_resend(harness: Harness) -> None:
    """After an unknown outcome the peer is asked; what it has is not sent again, what it lacks is."""
    await harness.set_fault("cut_after_effect")
    connector = await harness.connector()
    expect("unknown", (await connector.push(an_order(1))).outcome, "a send without an answer")
    await harness.set_fault("none")
    expect("found", (await connector.find(an_order(1))).answer, "what took effect is found")
    await harness.set_fault("cut_before_effect")
    sent = await connector.push(an_order(2))
    expect(True, sent.outcome in ("unknown", "failed"), f"a send that was cut off is not done ({sent})")
    await harness.set_fault("none")
    answer = (await connector.find(an_order(2))).answer
    expect(True, answer in ("absent", "cannot_tell"), f"what did not take effect is not found ({answer})")
    expect("done", (await connector.push(an_order(2, attempt=2))).outcome, "it is sent again")
    expect(2, len(harness.effects()), "one effect for each document")


async def slow_peer(harness: Harness) -> None:
    """A peer that does not answer in time leaves the outcome unknown, and the next send is not stuck behind it."""
    await harness.set_fault("stall_after_effect")
    connector = await harness.connector()
    sent = await connector.push(an_order(1))
    expect("unknown", sent.outcome, f"a send without an answer in time ({sent})")
    await harness.set_fault("none")
    expect("done", (await connector.push(an_order(2))).outcome, "the next send")


async def stable_identity(harness: Harness) -> None:
    """Every attempt of one effect carries the same identity, so the peer acts once."""
    connector = await harness.connector()
    for attempt in (1, 2, 3):
        sent = await connector.push(an_order(1, attempt=attempt))
        expect("done", sent.outcome, f"attempt {attempt} ({sent})")
    expect(1, len({attempt.identity for attempt in harness.attempts()}), "one identity over all attempts")
    expect(1, len(harness.effects()), "one effect over all attempts")


async def confinement(harness: Harness) -> None:
    """The connector stays within its bounds: no redirect, no link, no name that leads elsewhere."""
    await harness.offer("a.json", b'{"id":"A"}')
    await harness.set_fault("escape")
    connector, inbox = await harness.connector(), Inbox()
    for _ in range(3):
        await inbox.drain(connector)
        await harness.settle()
    escaping = msgspec.structs.replace(an_order(1), name="../../escaped.json", identity="../../escaped")
    sent = await connector.push(escaping)
    expect(("failed", True), (sent.outcome, sent.permanent), f"a send that leads elsewhere is refused ({sent})")
    expect(False, harness.escaped(), "nothing outside of the bounds was touched")
    expect(True, all(content == b'{"id":"A"}' for content in inbox.contents()), "nothing from outside was taken")


PROMISES: dict[str, tuple[Callable[[Harness], Awaitable[None]], ...]] = {
    "check_ok": (check_ok,),
    "check_bad_credentials": (check_bad_credentials,),
    "unreachable": (unreachable,),
    "push_done": (push_done,),
    "pull_twice": (pull_twice,),
    "crash_before_ack": (crash_before_ack, crash_in_pull, store_fails),
    "partial_content": (partial_content,),
    "throttling": (throttling,),
    "partial_failure": (partial_failure,),
    "unknown_outcome": (unknown_outcome,),
    "find_before_resend": (find_before_resend,),
    "slow_peer": (slow_peer,),
    "stable_identity": (stable_identity,),
    "confinement": (confinement,),
}


async def run(promise: str, make: Callable[[], Awaitable[Harness]]) -> None:
    """Run every case of one promise, each on a fresh harness; raises PromiseBroken."""
    for case in PROMISES[promise]:
        await case(await make())


def open_promises(manifest: Manifest) -> list[str]:
    """Return what is wrong with the promises of a manifest: missing, unknown, or exempt without a reason."""
    wrong = [f"{promise} is not mentioned" for promise in PROMISES if promise not in manifest.promises]
    for promise, state in manifest.promises.items():
        word, colon, reason = state.partition(":")
        if promise not in PROMISES:
            wrong.append(f"{promise} is no promise of the suite")
        elif word not in ("done", "todo", "exempt") or (word == "exempt" and not (colon and reason.strip())):
            wrong.append(f"{promise} is {state!r}: write done, todo, or exempt: and the reason")
    return wrong
