"""TLS of the delivery client: the certificate is checked against the name that was asked for."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crossdock.connectors import registry
from crossdock.connectors.egress import Egress
from crossdock.errors import ConfigurationError
from crossdock.sdk import Connector, ConnectorContext, Outbound
from tests.conformance.connectors.harnesses import LOOPBACK, START, MovingClock

ORDER = Outbound("msg_1", "SO-1-1", "fulfillment_request", b"{}", "application/json")


def a_certificate(directory: Path, name: str) -> tuple[Path, str]:
    """Return a file with key and self-signed certificate for a name, and the certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / f"{name}.pem"
    file.write_bytes(private + pem)
    return file, pem.decode()


class TlsPeer:
    """Answers 200 over TLS and notes the name in the handshake and the Host header."""

    def __init__(self, file: Path, pem: str) -> None:
        self.pem, self.names, self.heads, self.port = pem, list[str | None](), list[bytes](), 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    async def start(self) -> TlsPeer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n{}"))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def stop(self) -> None:
        self._server.close()


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[TlsPeer]:
    started = await TlsPeer(*a_certificate(tmp_path, "partner.test")).start()
    yield started
    await started.stop()


def a_connector(peer: TlsPeer, host: str, ca_certificates: str) -> Connector:
    async def resolve(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    settings = {"url": f"https://{host}:{peer.port}/in", "ca_certificates": ca_certificates}
    egress = Egress(allow_networks=LOOPBACK, resolve=resolve)
    return registry.create(
        "http_json", ConnectorContext("con_1", "tnt_1", settings, {}, egress, MovingClock(START), 5.0)
    )


async def test_name_is_kept_for_handshake_and_host(peer: TlsPeer) -> None:
    """The socket goes to the checked address, TLS and Host speak of the name; the connection is kept."""
    connector = a_connector(peer, "partner.test", peer.pem)
    outcomes = [(await connector.push(ORDER)).outcome for _ in range(3)]
    await connector.close()

    assert (["done"] * 3, ["partner.test"]) == (outcomes, peer.names)
    assert f"host: partner.test:{peer.port}".encode() in peer.heads[0]


@pytest.mark.parametrize("host, trusted", [("other.test", True), ("partner.test", False), ("127.0.0.1", True)])
async def test_certificate_that_does_not_fit_ends_before_the_request(peer: TlsPeer, host: str, trusted: bool) -> None:
    """A foreign name or an unknown authority: the send has failed, nothing was written, the check says why."""
    connector = a_connector(peer, host, peer.pem if trusted else "")
    sent, checked = await connector.push(ORDER), await connector.check()
    await connector.close()

    assert ("failed", False, "XD-PTR-018", []) == (sent.outcome, sent.permanent, sent.code, peer.heads)
    assert (False, True) == (checked.ok, bool(checked.hint))


async def test_peer_without_tls_is_a_failure(peer: TlsPeer) -> None:
    """A server that does not speak TLS gets nothing of the request."""
    seen: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(10))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    connector = a_connector(peer, "partner.test", peer.pem)
    sent = await connector.push(ORDER)
    await connector.close()
    server.close()

    assert ("failed", False) == (sent.outcome, sent.permanent)
    assert b"POST" not in b"".join(seen)


def test_unreadable_authority_is_refused_at_once(tmp_path: Path) -> None:
    """Text that is no certificate fails when the connector is made."""
    peer = TlsPeer(*a_certificate(tmp_path, "partner.test"))
    peer.port = 443
    with pytest.raises(ConfigurationError):
        a_connector(peer, "partner.test", "nonsense")
