"""The settings of an HTTP connection: read once, checked with words a person can act on."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from ...errors import ConfigurationError, Finding
from ...sdk.signatures import is_usable_secret
from ..egress import MalformedAddress, Target, parse_url
from ..pointers import is_pointer

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
RESERVED_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "te"})
URL_SETTINGS = ("url", "find_url", "poll_url", "health_url")
POINTER_SETTINGS = ("reference_pointer", "find_pointer", "poll_items", "poll_key", "poll_cursor")
SECRET_OF_AUTH = {
    "bearer": "token",
    "api_key": "api_key",
    "basic": "password",
    "hmac": "signing_secret",
    "standard_webhooks": "signing_secret",
}


class HttpJsonSettings(msgspec.Struct, frozen=True):
    """What `manifest.toml` describes, with its types."""

    url: str = ""
    paths: dict[str, str] = {}
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = {}
    ca_certificates: str = ""
    auth: Literal["none", "bearer", "api_key", "basic", "hmac", "standard_webhooks"] = "none"
    auth_header: str = ""
    username: str = ""
    signature_encoding: Literal["hex", "base64"] = "hex"
    signature_prefix: str = ""
    timestamp_header: str = ""
    idempotency_header: str = "Idempotency-Key"
    idempotent: bool = False
    on_conflict: Literal["done", "permanent", "transient"] = "permanent"
    transient_statuses: tuple[int, ...] = ()
    success_when: dict[str, Any] = {}
    reference_pointer: str = ""
    find_url: str = ""
    find_pointer: str = ""
    poll_url: str = ""
    poll_items: str = ""
    poll_key: str = ""
    poll_cursor: str = ""
    poll_start: str = ""
    health_url: str = ""
    connections_max: int = 16
    response_bytes_max: int = 8_388_608


def read_settings(settings: Mapping[str, Any]) -> HttpJsonSettings:
    """Return the settings with their types, or raise ConfigurationError."""
    try:
        read = msgspec.convert(dict(settings), HttpJsonSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from error
    for name in read.headers:
        if not is_free_header(name):
            raise ConfigurationError(f"{name[:80]!r} cannot be set as a header", code="XD-CFG-003")
    return read


def is_free_header(name: str) -> bool:
    """Tell whether a configuration may set a header: a proper name, and none that frames the message."""
    return HEADER_NAME.fullmatch(name) is not None and name.lower() not in RESERVED_HEADERS


class UrlTemplate:
    """A URL with {placeholders} in its path or query, taken apart once; values are percent-encoded when put in."""

    def __init__(self, template: str, path: str = "") -> None:
        target = parse_url(template)
        self.target = msgspec.structs.replace(target, path=path) if path else target
        self.is_fixed = "{" not in self.target.path

    def fill(self, **values: str) -> Target:
        """Return the target with the placeholders replaced."""
        if self.is_fixed:
            return self.target
        text = self.target.path
        for name, value in values.items():
            text = text.replace("{" + name + "}", quote(value, safe=""))
        return msgspec.structs.replace(self.target, path=text)


def tls_context(settings: HttpJsonSettings) -> ssl.SSLContext | None:
    """Return a context that trusts the configured authorities alone, or None for the usual ones."""
    if not settings.ca_certificates:
        return None
    try:
        context = ssl.create_default_context(cadata=settings.ca_certificates)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError("ca_certificates holds no certificate in PEM form", code="XD-CFG-003") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def signing_secrets(secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return every signing secret in the order of their names: the first is the present one."""
    return tuple(secrets[name] for name in sorted(secrets) if name.startswith("signing_secret") and secrets[name])


def lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return what contradicts itself beyond the types: addresses, pointers, and secrets that are missing.

    Only the names of `secrets` and values that are resolved are looked at; references such as `env:NAME` pass.
    """
    findings = [
        Finding("XD-CFG-003", str(error), pointer=f"/settings/{name}", hint=error.hint[0] if error.hint else None)
        for name, error in _broken_urls(settings)
    ]
    if not any(settings.get(name) for name in ("url", "poll_url")):
        findings.append(
            Finding("XD-CFG-001", "neither url (to send) nor poll_url (to fetch) is set", pointer="/settings/url")
        )
    findings += [
        Finding(
            "XD-CFG-003", f"{settings[name]!r} is no JSON pointer", pointer=f"/settings/{name}", hint="Start it with /."
        )
        for name in POINTER_SETTINGS
        if isinstance(settings.get(name), str) and not is_pointer(settings[name])
    ]
    auth = settings.get("auth", "none")
    wanted = SECRET_OF_AUTH.get(auth) if isinstance(auth, str) else None
    if wanted is not None and not secrets.get(wanted):
        findings.append(Finding("XD-CFG-014", f"auth {auth} needs the secret {wanted}", pointer=f"/secrets/{wanted}"))
    if auth == "standard_webhooks":
        findings += [
            Finding("XD-CFG-014", f"the secret {name} is not base64 after its prefix", pointer=f"/secrets/{name}")
            for name, value in secrets.items()
            if name.startswith("signing_secret")
            and value.startswith(("whsec_", "whsk_"))
            and not is_usable_secret(value)
        ]
    headers = settings.get("headers")
    for name in headers if isinstance(headers, dict) else ():
        if not is_free_header(str(name)):
            findings.append(Finding("XD-CFG-003", f"{name!r} cannot be set as a header", pointer="/settings/headers"))
    if settings.get("idempotent") and settings.get("idempotency_header", "x") == "" and auth != "standard_webhooks":
        findings.append(
            Finding(
                "XD-CFG-001", "idempotent without a header that carries the identity", pointer="/settings/idempotent"
            )
        )
    return findings


def _broken_urls(settings: Mapping[str, Any]) -> list[tuple[str, MalformedAddress]]:
    broken = []
    for name in URL_SETTINGS:
        if isinstance(settings.get(name), str) and settings[name]:
            try:
                parse_url(settings[name])
            except MalformedAddress as error:
                broken.append((name, error))
    paths = settings.get("paths")
    for document, path in paths.items() if isinstance(paths, dict) else ():
        try:
            parse_url(f"https://host.invalid{path}" if str(path).startswith("/") else "")
        except MalformedAddress:
            broken.append((f"paths/{document}", MalformedAddress(f"{path!r} is not a path", hint="Start it with /.")))
    return broken
