"""Events as messages, and their acknowledgments as proof.

Every message says which sequence it must follow (`Nats-Expected-Last-Sequence`). So the stream is the journal in the
journal's order without a hole, whatever is lost on the way: a message whose forerunner is missing is refused. An
acknowledgment proves an event only if it names exactly the sequence that was expected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from ..canonical.events import Event, cloud_event
from ..durable.stream_proof import Place
from ..store.journal import Cursor
from .connection import ApiError, BackboneAway, Message, Server
from .subjects import stream_of, subject_of

_ENCODE = msgspec.json.Encoder(decimal_format="string").encode

ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Sequence"
CURSOR = "Crossdock-Cursor"
EVENT = "Crossdock-Event"
TENANT = "Crossdock-Tenant"
REPETITION = "Crossdock-Repetition"

_WRONG_LAST_SEQUENCE = 10071
# Headers and subject need room beside the payload.
_ENVELOPE_BYTES = 2_048


class OutOfStep(Exception):
    """The stream is not where it was thought to be: it has to be looked at again before anything more is sent."""


class Parcel(msgspec.Struct, frozen=True):
    """One event ready to be published."""

    subject: str
    content: bytes
    headers: dict[str, str]


class PubAck(msgspec.Struct, frozen=True):
    """What the server answers to a message."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


_decode_ack = msgspec.json.Decoder(PubAck).decode


def message_id(event_id: str, place: Place) -> str:
    """Return the id by which the server recognizes a repetition: the event's own, and another in each generation.

    A stream that was emptied still remembers the ids of what it held, and would take a repetition for stored.
    """
    return f"{event_id}/{place.generation}" if place.generation else event_id


def parcel(event: Event, cursor: Cursor, place: Place, *, prefix: str, root: str, content_bytes_max: int) -> Parcel:
    """Return an event as a structured CloudEvent. What is too large for the server goes without its data.

    Then `dataref` names the address at which the record hands it out.
    """
    body = cloud_event(event, source=f"{root}/tenants/{event.tenant_id}", schema_root=f"{root}/schemas")
    content = _ENCODE(body)
    if len(content) > content_bytes_max - _ENVELOPE_BYTES:
        del body["data"]
        # The first event behind the one before it.
        body["dataref"] = f"{root}/v1/events/stream?after={cursor.transaction}.{cursor.position - 1}"
        content = _ENCODE(body)
    headers = {
        ID: message_id(event.id, place),
        EVENT: event.id,
        CURSOR: str(cursor),
        TENANT: event.tenant_id,
        "Content-Type": "application/cloudevents+json",
    }
    if place.generation:
        headers[REPETITION] = str(place.generation)
    return Parcel(subject_of(prefix, event.tenant_id, event.type), content, headers)


class Publisher:
    """Publishes windows of parcels over one connection and tells which of them are proven."""

    def __init__(self, server: Server, prefix: str) -> None:
        self._server = server
        self._stream = stream_of(prefix)
        self._inbox = ""
        self._number = 0
        self._window: _Window | None = None

    async def open(self) -> None:
        """Begin to hear acknowledgments."""
        self._inbox = self._server.inbox()
        await self._server.subscribe(f"{self._inbox}.*", self._heard)

    async def publish(self, parcels: Sequence[Parcel], last: int, seconds_max: float) -> bool:
        """Publish parcels behind sequence `last`; return when all are acknowledged.

        The answer tells whether each of them was stored just now; where one was taken for a repetition, the caller
        has to look whether the stream holds it. Raises OutOfStep or BackboneAway when one is not acknowledged.
        """
        window = self._window = _Window(self._stream, self._number, last, len(parcels))
        self._number += len(parcels)
        try:
            for offset, one in enumerate(parcels):
                if window.done.done():
                    break
                headers = {**one.headers, EXPECTED: str(last + offset)}
                reply = f"{self._inbox}.{window.first + offset}"
                await self._server.publish(one.subject, one.content, reply=reply, headers=headers)
            await asyncio.wait_for(window.done, seconds_max)
        except TimeoutError as error:
            raise BackboneAway(f"{window.left} of {len(parcels)} messages were not acknowledged") from error
        finally:
            self._window = None
            window.forget()
        return not window.repeated

    async def _heard(self, message: Message) -> None:
        if self._window is not None:
            self._window.take(message)


class _Window:
    """The acknowledgments one round of publishing waits for."""

    def __init__(self, stream: str, first: int, last: int, size: int) -> None:
        self.first = first
        self.left = size
        self.repeated = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream = stream
        self._last = last
        self._size = size
        self._open = set(range(size))

    def take(self, message: Message) -> None:
        offset = int(message.subject.rpartition(".")[2]) - self.first
        if offset not in self._open or self.done.done():
            # An answer to an earlier round: nobody waits for it any more.
            return
        fault = self._fault(offset, message)
        if fault is not None:
            self.done.set_exception(fault)
            return
        self._open.discard(offset)
        self.left -= 1
        if not self.left:
            self.done.set_result(None)

    def _fault(self, offset: int, message: Message) -> Exception | None:
        if message.status:
            return OutOfStep("no stream takes the events")
        ack = _decode_ack(message.data)
        if ack.error is not None:
            if ack.error.err_code == _WRONG_LAST_SEQUENCE:
                return OutOfStep(ack.error.description)
            return BackboneAway(f"JetStream refused an event: {ack.error.description}")
        if ack.stream != self._stream or ack.seq != self._last + offset + 1:
            return OutOfStep(f"an event was acknowledged as {ack.stream} {ack.seq}, not {self._last + offset + 1}")
        self.repeated = self.repeated or ack.duplicate
        return None

    def forget(self) -> None:
        """Nobody asks for the outcome any more."""
        if self.done.done() and not self.done.cancelled():
            self.done.exception()
        else:
            self.done.cancel()
