"""The settings of one Crossdock process: where they come from and what they may be.

Command line wins over `CROSSDOCK_*` in the environment, that over `crossdock.toml`, that over the default.
Each value knows its origin; unknown names and values out of range are one `ConfigurationError` that names them all.
What a tenant configures (partners, maps, rules) never lives here: that is a pack.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from crossdock.errors import ConfigurationError, Finding

FILE_NAME = "crossdock.toml"
ENVIRONMENT_PREFIX = "CROSSDOCK_"
# Names in the environment that are ours but no settings: the file's place, the hub that commands speak to, and what the
# test suite needs.
ENVIRONMENT_RESERVED = ("CROSSDOCK_CONFIG", "CROSSDOCK_URL", "CROSSDOCK_KEY", "CROSSDOCK_TEST_")
SECRET = {"secret": True}
BROKER_PREFIXES = ("nats://", "tls://")
STORE_PREFIXES = ("sqlite:///", "postgresql://", "postgres://")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `crossdock.toml`."""


class StoreSettings(_Section, frozen=True, kw_only=True):
    """Where the data lives."""

    url: Annotated[
        str,
        Meta(
            description="`sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host/database`"
        ),
    ] = "sqlite:///var/crossdock.db"
    reader_count: Annotated[int, Meta(ge=1, le=64, description="connections that only read")] = 4

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None when the store is PostgreSQL."""
        prefix = "sqlite:///"
        return Path(self.url.removeprefix(prefix)) if self.url.startswith(prefix) else None


class WebSettings(_Section, frozen=True, kw_only=True):
    """The door for browsers, partners and API clients."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on; `0.0.0.0` for every interface")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65_535, description="port to listen on; 0 takes a free one")] = 8600
    public_url: Annotated[
        str, Meta(description="address others use, for links in mails and pages; empty: made of host and port")
    ] = ""
    ingest_body_bytes_max: Annotated[
        int, Meta(ge=1_000, le=1_000_000_000, description="largest request body the ingest door takes")
    ] = 20_000_000


class FlowSettings(_Section, frozen=True, kw_only=True):
    """The bounds of the durable flow."""

    batch_events_max: Annotated[int, Meta(ge=1, le=10_000, description="most events in one commit")] = 512
    batch_bytes_max: Annotated[int, Meta(ge=1_000, le=100_000_000, description="most payload bytes in one commit")] = (
        1_000_000
    )
    in_flight_per_connection: Annotated[
        int, Meta(ge=1, le=1_000, description="sends to a connection at the same time, where its pack does not say")
    ] = 16
    memory_outbound_max: Annotated[
        int, Meta(ge=1, le=1_000_000, description="outbound messages held in memory before accepting slows down")
    ] = 10_000
    tenant_weights: Annotated[
        tuple[str, ...],
        Meta(description="shares of tenants where several wait, such as `acme=4`; every other tenant has 1"),
    ] = ()
    translate_seconds_max: Annotated[
        float, Meta(gt=0, le=600, description="processor time one message may take to be translated; then it failed")
    ] = 2.0
    poll_interval_seconds: Annotated[
        float, Meta(gt=0, le=60, description="how often the tables are looked at for retries and recovered work")
    ] = 1.0

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each tenant that has one of its own."""
        return {tenant: float(number) for tenant, _, number in (one.partition("=") for one in self.tenant_weights)}


class ReplaySettings(_Section, frozen=True, kw_only=True):
    """Bulk replays: how many, how fast, and from where on they say why."""

    messages_max: Annotated[int, Meta(ge=1, le=50_000, description="messages one bulk replay may take")] = 5_000
    per_second: Annotated[
        float, Meta(gt=0, le=10_000, description="messages a bulk replay runs in a second, where it does not say")
    ] = 20.0
    per_second_max: Annotated[
        float, Meta(gt=0, le=10_000, description="messages any bulk replay may run in a second")
    ] = 200.0
    reason_required_above: Annotated[
        int, Meta(ge=0, le=50_000, description="a replay of more messages than this is refused without a reason")
    ] = 100


class LimitSettings(_Section, frozen=True, kw_only=True):
    """Bounds on what others may ask of this process."""

    documents_per_message_max: Annotated[
        int, Meta(ge=1, le=1_000_000, description="documents in one interchange or file")
    ] = 10_000
    partner_answer_bytes_max: Annotated[
        int, Meta(ge=256, le=1_000_000, description="bytes of a partner's answer that are kept for people to read")
    ] = 8_192
    waiting_messages_per_tenant_max: Annotated[
        int,
        Meta(
            ge=0,
            description="messages of one tenant that may be stored and not worked off before intake is refused; 0: any",
        ),
    ] = 0
    waiting_bytes_per_tenant_max: Annotated[
        int,
        Meta(
            ge=0,
            description="bytes of one tenant that may be stored and not worked off before intake is refused; 0: any",
        ),
    ] = 0
    disk_free_bytes_min: Annotated[
        int,
        Meta(ge=0, description="free bytes on the disk of an SQLite record below which intake is refused; 0: never"),
    ] = 200_000_000
    portal_lookups_per_minute: Annotated[
        int, Meta(ge=1, le=10_000, description="order lookups one address may make on the customer portal")
    ] = 20


class SecuritySettings(_Section, frozen=True, kw_only=True):
    """Keys, and which networks this process may reach."""

    root_key_file: Annotated[
        str, Meta(description="file (mode 0600) with the base64 of the 32-byte key that seals all secrets")
    ] = "var/root.key"
    root_key: Annotated[
        str, Meta(description="the key itself, base64; set it by environment only, it wins over the file", extra=SECRET)
    ] = ""
    allow_private_networks: Annotated[
        tuple[str, ...],
        Meta(description="private networks (CIDR) that connections may reach, such as `10.20.0.0/16`; none by default"),
    ] = ()
    packs_may_read_process: Annotated[
        bool,
        Meta(
            description="packs may name secrets as `env:NAME` and `file:PATH` and local folders anywhere; leave it off"
            " where others than the operator write packs"
        ),
    ] = False
    folder_root: Annotated[
        str,
        Meta(
            description="directory below which `folder` connections may work, such as `/srv/exchange`; empty: nowhere,"
            " or anywhere with `packs_may_read_process`"
        ),
    ] = ""

    def __repr__(self) -> str:
        # Settings end up in logs and test failures; the key must not.
        return f"SecuritySettings(root_key_file={self.root_key_file!r}, root_key={'***' if self.root_key else ''!r})"


class BackboneSettings(_Section, frozen=True, kw_only=True):
    """What carries canonical events to subscribers outside, and wake-ups between workers."""

    url: Annotated[
        str,
        Meta(
            description="NATS servers, separated by commas, such as `nats://n1:4222,nats://n2:4222` or `tls://…`;"
            " empty: everything stays inside this process"
        ),
    ] = ""
    prefix: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9_-]{1,32}$",
            description="first token of every subject; the stream is named after it, `CROSSDOCK_EVENTS`",
        ),
    ] = "crossdock"
    user: Annotated[str, Meta(description="name to sign in to NATS with; empty: none")] = ""
    password: Annotated[str, Meta(description="password of that user; set it by environment only", extra=SECRET)] = ""
    credentials_file: Annotated[
        str, Meta(description="a NATS `.creds` file (JWT and seed), instead of user and password")
    ] = ""
    tls_ca_file: Annotated[
        str, Meta(description="PEM of the authority that signed the servers' certificates; empty: the system's")
    ] = ""
    tls_certificate_file: Annotated[
        str, Meta(description="PEM of our own certificate, where the servers ask for one")
    ] = ""
    tls_key_file: Annotated[str, Meta(description="PEM of its key")] = ""
    replicas: Annotated[
        Literal[1, 3], Meta(description="servers that hold a copy of the stream; 3 needs a cluster of at least three")
    ] = 1
    wake_workers: Annotated[
        Literal["database", "nats"],
        Meta(
            description="how workers on one PostgreSQL record tell each other of work: by the database's own"
            " notifications, or over NATS, which takes that load from the database"
        ),
    ] = "database"
    retention_hours: Annotated[
        int,
        Meta(
            ge=1,
            le=87_600,
            description="how long the stream keeps an event; what a stream lost is published again this far back",
        ),
    ] = 168
    retention_bytes_max: Annotated[
        int,
        Meta(
            ge=1_000_000,
            le=100_000_000_000_000,
            description="largest size of the stream; the oldest events leave it first",
        ),
    ] = 10_000_000_000
    publish_window: Annotated[
        int, Meta(ge=1, le=5_000, description="events published before their acknowledgments are waited for")
    ] = 256
    sweep_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=3_600,
            description="how often the stream is compared with the record. NATS writes to disk every two minutes"
            " (`sync_interval`): what a power cut took is found here and published again",
        ),
    ] = 5.0

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses, one by one."""
        return tuple(part.strip() for part in self.url.split(",") if part.strip())

    def __repr__(self) -> str:
        # Settings end up in logs and test failures; the password must not, and an address may hold one.
        return f"BackboneSettings(servers={len(self.servers)}, prefix={self.prefix!r}, replicas={self.replicas})"


class LogSettings(_Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Annotated[
        Literal["auto", "console", "json"], Meta(description="`auto`: for people on a terminal, JSON elsewhere")
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severity that is written")
    ] = "info"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of the process. `Settings()` holds the defaults; `load_settings` asks file and environment."""

    store: StoreSettings = StoreSettings()
    web: WebSettings = WebSettings()
    flow: FlowSettings = FlowSettings()
    limits: LimitSettings = LimitSettings()
    replay: ReplaySettings = ReplaySettings()
    security: SecuritySettings = SecuritySettings()
    backbone: BackboneSettings = BackboneSettings()
    log: LogSettings = LogSettings()
    origins: dict[str, str] = {}

    def origin(self, name: str) -> str:
        """Return where `section.key` got its value: `default`, the file, the variable or `command line`."""
        if name not in setting_names():
            raise ConfigurationError(**_unknown(name, name))
        return self.origins.get(name, "default")

    @property
    def public_url(self) -> str:
        """The address others use, without a slash at the end."""
        return self.web.public_url.rstrip("/") or f"http://{self.web.host}:{self.web.port}"


class SettingField(msgspec.Struct, frozen=True):
    """One setting as the reference page, `doctor` and the environment see it."""

    name: str
    type: Any
    default: Any
    description: str
    secret: bool

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return ENVIRONMENT_PREFIX + self.name.replace(".", "_").upper()


def setting_fields() -> tuple[SettingField, ...]:
    """Return every setting, in the order of the file."""
    return tuple(_each_field())


def setting_names() -> frozenset[str]:
    """Return the names of all settings as `section.key`."""
    return frozenset(field.name for field in _each_field())


def load_settings(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of this process.

    `path` names the file and must exist; without it `CROSSDOCK_CONFIG` or a `crossdock.toml` here is read when present.
    `overrides` are values of the command line, `{"web.port": 0}`.
    """
    environment = os.environ if environment is None else environment
    fields = {field.name: field for field in _each_field()}
    faults: list[Finding] = []
    layers = (
        *_from_file(path, environment, faults),
        *_from_environment(environment, fields, faults),
        *((name, value, "command line") for name, value in (overrides or {}).items()),
    )
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, value, origin in layers:
        if name not in fields:
            faults.append(Finding(**_finding(_unknown(name, origin), pointer=origin)))
            continue
        try:
            values[name] = msgspec.convert(_split(value, fields[name]), fields[name].type, strict=False)
        except msgspec.ValidationError as error:
            faults.append(_out_of_range(fields[name], value, origin, str(error)))
        else:
            origins[name] = origin
    faults.extend(_contradictions(values, origins))
    if faults:
        raise _configuration_error(faults)
    sections = {
        section: kind(
            **{name.partition(".")[2]: value for name, value in values.items() if name.startswith(section + ".")}
        )
        for section, kind in _sections().items()
    }
    return msgspec.convert({**sections, "origins": origins}, Settings)


def load_root_key(settings: Settings, *, create: bool = False) -> bytes:
    """Return the 32 bytes that seal all secrets; with `create`, a missing file is made (mode 0600)."""
    text = settings.security.root_key
    origin = settings.origin("security.root_key")
    if not text:
        file = Path(settings.security.root_key_file)
        origin = str(file)
        if create and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as output:
                output.write(base64.b64encode(os.urandom(32)) + b"\n")
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The root key cannot be read from {file}: {error}",
                code="XD-CFG-005",
                hint="Restore the file from your backup; a new key cannot open what the old one sealed",
                pointer="security.root_key_file",
            ) from error
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ConfigurationError(
            f"The root key from {origin} is not the base64 of 32 bytes",
            code="XD-CFG-005",
            hint="A good one is printed by: openssl rand -base64 32",
            pointer="security.root_key",
        )
    return key


def _sections() -> dict[str, type[_Section]]:
    hints = get_type_hints(Settings)
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, _Section)}


def _each_field() -> Iterator[SettingField]:
    for section, kind in _sections().items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            annotation = hints[field.name]
            meta = next(item for item in get_args(annotation)[1:] if isinstance(item, Meta))
            yield SettingField(
                name=f"{section}.{field.name}",
                type=annotation,
                default=field.default,
                description=meta.description or "",
                secret=bool((meta.extra or {}).get("secret")),
            )


def _from_file(
    path: Path | None, environment: Mapping[str, str], faults: list[Finding]
) -> Iterator[tuple[str, Any, str]]:
    file = path or Path(environment.get("CROSSDOCK_CONFIG") or FILE_NAME)
    if path is None and "CROSSDOCK_CONFIG" not in environment and not file.exists():
        return
    try:
        with file.open("rb") as stream:
            tables = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(
            Finding(
                code="XD-CFG-004",
                message=f"{file} cannot be read: {error}",
                pointer=str(file),
                hint="Repair the file, or name another with --config",
            )
        )
        return
    for section, table in tables.items():
        if isinstance(table, dict):
            for key, value in table.items():
                yield f"{section}.{key}", value, f"file {file}"
        else:
            yield section, table, f"file {file}"


def _from_environment(
    environment: Mapping[str, str], fields: Mapping[str, SettingField], faults: list[Finding]
) -> Iterator[tuple[str, Any, str]]:
    names = {field.variable: field.name for field in fields.values()}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable.startswith(ENVIRONMENT_RESERVED):
            continue
        if variable in names:
            yield names[variable], environment[variable], f"environment {variable}"
        else:
            faults.append(Finding(**_finding(_unknown(variable, variable, tuple(names)), pointer="environment")))


def _split(value: Any, field: SettingField) -> Any:
    """Turn the commas of an environment variable into a list where the setting is one."""
    base = get_args(field.type)[0]
    if isinstance(value, str) and get_origin(base) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _contradictions(values: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[Finding]:
    """Check what a type cannot say: addresses and networks."""

    def fault(name: str, message: str, expected: str) -> Finding:
        origin = origins.get(name, "default")
        return Finding(code="XD-CFG-003", message=f"{name}: {message}", pointer=origin, expected=expected)

    url = values.get("store.url")
    if url is not None and (url == "sqlite:///" or not url.startswith(STORE_PREFIXES)):
        yield fault("store.url", "is neither an SQLite nor a PostgreSQL address", "sqlite:///… or postgresql://…")
    public_url = values.get("web.public_url")
    if public_url and (urlsplit(public_url).scheme not in ("http", "https") or not urlsplit(public_url).hostname):
        yield fault("web.public_url", f"{public_url!r} is not a web address", "https://hub.example.com")
    for weight in values.get("flow.tenant_weights", ()):
        tenant_id, _, number = weight.partition("=")
        if not tenant_id or not number.replace(".", "", 1).isdecimal() or not 0.01 <= float(number) <= 1_000:
            yield fault("flow.tenant_weights", f"{weight!r} is no weight", "TENANT=NUMBER, from 0.01 to 1000")
    for server in BackboneSettings(url=values.get("backbone.url", "")).servers:
        if not server.startswith(BROKER_PREFIXES) or not urlsplit(server).hostname:
            yield fault("backbone.url", "names a server that is no NATS address", "nats://host:4222 or tls://host:4222")
    if values.get("backbone.wake_workers") == "nats" and not values.get("backbone.url"):
        yield fault("backbone.wake_workers", "needs servers to wake over", "backbone.url, or database")
    if values.get("backbone.credentials_file") and values.get("backbone.user"):
        yield fault("backbone.credentials_file", "stands beside backbone.user", "one of the two")
    if bool(values.get("backbone.tls_certificate_file")) != bool(values.get("backbone.tls_key_file")):
        yield fault("backbone.tls_certificate_file", "a certificate and its key go together", "both files, or none")
    for network in values.get("security.allow_private_networks", ()):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield fault("security.allow_private_networks", str(error), "a network such as 10.20.0.0/16")


def _unknown(name: str, origin: str, known: Sequence[str] = ()) -> dict[str, Any]:
    close = difflib.get_close_matches(name, known or sorted(setting_names()), n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}?" if close else "docs/reference/settings.md lists every setting"
    return {"message": f"There is no setting {name}", "code": "XD-CFG-002", "hint": hint, "pointer": origin}


def _finding(unknown: Mapping[str, Any], *, pointer: str) -> dict[str, Any]:
    return {**unknown, "pointer": pointer}


def _out_of_range(field: SettingField, value: Any, origin: str, why: str) -> Finding:
    return Finding(
        code="XD-CFG-003",
        message=f"{field.name}: {why[:1].lower()}{why[1:]}",
        pointer=origin,
        value=None if field.secret else str(value)[:200],
        expected=field.description,
    )


def _configuration_error(faults: Sequence[Finding]) -> ConfigurationError:
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ConfigurationError(
        f"{first.message}{more}",
        code=first.code,
        hint=tuple(dict.fromkeys(fault.hint or f"Expected: {fault.expected}" for fault in faults)),
        pointer=first.pointer,
        findings=tuple(faults),
    )
