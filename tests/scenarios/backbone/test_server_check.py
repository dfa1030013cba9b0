"""`crossdock doctor` and the hub's sign-in against real servers: what is wrong is named with its fix."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from crossdock.backbone import server_check
from crossdock.backbone.connection import BackboneAway, BackboneRefused, Server
from crossdock.backbone.server_check import examine
from crossdock.cli.doctor import Check
from crossdock.cli.doctor import examine as doctor
from crossdock.config import BackboneSettings
from crossdock.errors import ConfigurationError
from tests.support.nats import NatsServers, nats_binary
from tests.support.processes import free_port

pytestmark = pytest.mark.skipif(nats_binary() is None, reason="NOT RUN: no nats-server on this machine")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Start a server with a configuration of its own; it is gone at the end."""
    running: list[NatsServers] = []

    def start(configuration: str = "", *, jetstream: bool = True) -> NatsServers:
        servers = NatsServers(tmp_path / f"nats-{len(running)}", configuration=configuration, jetstream=jetstream)
        servers.start()
        running.append(servers)
        return servers

    yield start
    for servers in running:
        servers.stop()


async def connected(settings: BackboneSettings) -> None:
    """Sign in as the hub does, waiting for a server that is only starting."""
    deadline = time.monotonic() + 15
    server = Server(settings, name="test")
    while True:
        try:
            await server.connect()
            break
        except BackboneAway:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    await server.close()


async def test_a_fit_server_is_well(started: Any) -> None:
    """Version, JetStream and placement are asked; what cannot be seen from here is said."""
    servers = started()
    await servers.ready()

    report = await examine(BackboneSettings(url=servers.url))

    assert () == report.faults
    assert "sync_interval" in " ".join(report.remarks)
    assert report.version.startswith("2.")


async def test_faults_are_named_with_their_fix(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old server, one without JetStream, too few for the replicas, none at all."""
    servers = started()
    await servers.ready()
    settings = BackboneSettings(url=servers.url)
    monkeypatch.setattr(server_check, "VERSION_MIN", (99, 0, 0))
    ((what, fix),) = (await examine(settings)).faults
    assert "may lose streams" in what
    assert "99.0.0" in fix
    monkeypatch.undo()
    ((what, fix),) = (await examine(BackboneSettings(url=servers.url, replicas=3))).faults
    assert "replicas" in what
    assert "Start the missing servers" in fix

    without = started(jetstream=False)
    await connected(BackboneSettings(url=without.url))
    with pytest.raises((BackboneAway, BackboneRefused), match="JetStream"):
        await examine(BackboneSettings(url=without.url))
    with pytest.raises(BackboneAway, match="no NATS server answers"):
        await examine(BackboneSettings(url=f"nats://127.0.0.1:{free_port()}"))


def test_doctor_has_a_line_for_it(started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a backbone set, doctor asks it; without one there is nothing to say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSDOCK_WEB_PORT", str(free_port()))
    assert [] == [check for check in doctor() if check.name == "backbone"]
    monkeypatch.setenv("CROSSDOCK_BACKBONE_URL", f"nats://127.0.0.1:{free_port()}")
    (away,) = [check for check in doctor() if check.name == "backbone"]
    assert "fix" == away.state
    servers = started()
    asyncio.run(servers.ready())
    monkeypatch.setenv("CROSSDOCK_BACKBONE_URL", servers.url)
    (well,) = [check for check in doctor() if check.name == "backbone"]
    assert isinstance(well, Check)
    assert ("ok", True) == (well.state, "NATS 2." in well.message)


# -- sign-in


async def test_user_and_password(started: Any) -> None:
    """The right password signs in; the wrong one is a refusal, not an outage."""
    servers = started('authorization { user: hub, password: "s3cret" }')
    await connected(BackboneSettings(url=servers.url, user="hub", password="s3cret"))

    with pytest.raises(BackboneRefused) as refused:
        await connected(BackboneSettings(url=servers.url, user="hub", password="wrong"))
    assert "XD-CFG-031" == refused.value.code


class Identity:
    """A key of the broker's own kind, its name, and the tokens it signs."""

    def __init__(self, kind: int, letter: int) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = serialization.Encoding.Raw
        self.seed = _encoded(
            bytes([0x90 | (kind >> 5), (kind & 31) << 3])
            + self._key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        )
        self.name = _encoded(bytes([letter]) + self._key.public_key().public_bytes(raw, serialization.PublicFormat.Raw))

    def token(self, subject: str, nats: dict[str, Any]) -> str:
        claims = {"iat": 1, "iss": self.name, "name": "test", "sub": subject, "nats": {"version": 2, **nats}}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
        return f"{signed}.{_url64(self._key.sign(signed.encode()))}"


def _encoded(raw: bytes) -> str:
    crc = 0
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(raw + crc.to_bytes(2, "little")).decode().rstrip("=")


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _part(value: dict[str, Any]) -> str:
    return _url64(json.dumps(value).encode())


OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3


async def test_a_credentials_file(started: Any, tmp_path: Path) -> None:
    """A `.creds` file of the broker's own kind signs in; one of a foreign account is refused, a broken one named."""
    operator, account, user = Identity(OPERATOR, OPERATOR), Identity(ACCOUNT, ACCOUNT), Identity(USER, USER)
    limits = {"conn": -1, "leaf": -1, "imports": -1, "exports": -1, "subs": -1, "data": -1, "payload": -1}
    trusted = operator.token(account.name, {"type": "account", "limits": {**limits, "mem_storage": -1}})
    configuration = (
        f'operator: "{operator.token(operator.name, {"type": "operator"})}"\n'
        f'resolver: MEMORY\nresolver_preload: {{ {account.name}: "{trusted}" }}\n'
    )
    servers = started(configuration, jetstream=False)

    def credentials(signer: Identity) -> str:
        file = tmp_path / f"{signer.name[:8]}.creds"
        token = signer.token(user.name, {"type": "user", "subs": -1, "data": -1, "payload": -1})
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        return str(file)

    await connected(BackboneSettings(url=servers.url, credentials_file=credentials(account)))
    with pytest.raises(BackboneRefused):
        await connected(BackboneSettings(url=servers.url, credentials_file=credentials(Identity(ACCOUNT, ACCOUNT))))
    (tmp_path / "broken.creds").write_text("nothing")
    with pytest.raises(ConfigurationError) as caught:
        await connected(BackboneSettings(url=servers.url, credentials_file=str(tmp_path / "broken.creds")))
    assert "XD-CFG-034" == caught.value.code


def certificate(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "cert.pem", directory / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def test_tls_is_verified(started: Any, tmp_path: Path) -> None:
    """The named authority is trusted, any other is not: no event goes to a server that only claims to be ours."""
    cert, key = certificate(tmp_path)
    servers = started(f'tls {{ cert_file: "{cert}", key_file: "{key}" }}')
    url = servers.url.replace("nats://", "tls://")
    await connected(BackboneSettings(url=url, tls_ca_file=str(cert)))

    server = Server(BackboneSettings(url=url), name="test")
    with pytest.raises(BackboneAway, match=r"(?i)certificate"):
        await server.connect()


TENANTS = """
jetstream {}
authorization { users = [
  { user: hub, password: hub }
  { user: acme, password: acme, permissions: {
      publish: [
        "$JS.API.CONSUMER.CREATE.CROSSDOCK_EVENTS.acme.crossdock.events.acme.>"
        "$JS.API.CONSUMER.INFO.CROSSDOCK_EVENTS.acme"
        "$JS.API.CONSUMER.MSG.NEXT.CROSSDOCK_EVENTS.acme"
        "$JS.ACK.CROSSDOCK_EVENTS.acme.>"
      ]
      subscribe: ["_INBOX_acme.>"]
  } }
] }
"""


async def test_a_tenants_sign_in_reads_its_own_events_only(started: Any, project: Path) -> None:
    """The rights of the how-to page: a user of one tenant makes its consumer, and none for another tenant."""
    page = (project / "docs/how-to/run-with-nats.md").read_text(encoding="utf-8")
    for line in TENANTS.splitlines():
        assert line.strip() in page
    servers = started(TENANTS)
    hub = await _when_up(servers, user="hub", password="hub")
    stream = {"name": "CROSSDOCK_EVENTS", "subjects": ["crossdock.events.>"], "storage": "memory"}
    assert "error" not in await servers.api(hub, "STREAM.CREATE.CROSSDOCK_EVENTS", stream)
    for tenant in ("acme", "globex"):
        await hub.request(f"crossdock.events.{tenant}.order.created.v1", tenant.encode())
    acme = await servers.client(user="acme", password="acme", inbox_prefix="_INBOX_acme")

    def made(name: str, tenant: str) -> dict[str, Any]:
        config = {"durable_name": name, "filter_subject": f"crossdock.events.{tenant}.>", "ack_policy": "explicit"}
        return {"stream_name": "CROSSDOCK_EVENTS", "config": config}

    create = "CONSUMER.CREATE.CROSSDOCK_EVENTS"
    own = await servers.api(acme, f"{create}.acme.crossdock.events.acme.>", made("acme", "acme"))
    assert "error" not in own
    pull = await acme.jetstream().pull_subscribe_bind("acme", "CROSSDOCK_EVENTS")
    messages = await pull.fetch(10, timeout=2)
    await messages[0].ack_sync(timeout=2)
    assert [b"acme"] == [message.data for message in messages]

    with pytest.raises(TimeoutError):
        # The server drops what may not be published, and says nothing to whoever waits for an answer.
        await servers.api(acme, f"{create}.acme.crossdock.events.globex.>", made("acme", "globex"))
    lied = await servers.api(acme, f"{create}.acme.crossdock.events.acme.>", made("acme", "globex"))
    assert "error" in lied
    await servers.close_clients()


async def _when_up(servers: NatsServers, **options: Any) -> Any:
    deadline = time.monotonic() + 15
    while True:
        try:
            client = await servers.client(allow_reconnect=False, **options)
            await servers.api(client, "INFO")
            return client
        except Exception:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
