"""The catalogue: manifests, lint and the reference page."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.connectors import registry
from crossdock.connectors.files import FileSettings
from crossdock.connectors.http_json.settings import HttpJsonSettings
from crossdock.errors import ConfigurationError

HTTP = {"url": "https://partner.example/in"}


def lint(kind: str, settings: dict[str, Any], secrets: dict[str, str] | None = None) -> list[tuple[str, str | None]]:
    return [(finding.pointer, finding.hint) for finding in registry.lint_settings(kind, settings, secrets or {})]


def test_connectors_are_found_by_their_folder() -> None:
    """A folder with a manifest is a connector."""
    assert [
        "database",
        "django_helpdesk",
        "folder",
        "http_json",
        "request_tracker",
        "sftp",
        "tryton",
        "vendure",
    ] == list(registry.manifests())


@pytest.mark.parametrize(
    "kind, settings, secrets, pointer, hint",
    [
        ("http_jsn", {}, {}, "/connector", "Did you mean http_json?"),
        ("http_json", {**HTTP, "metod": "PUT"}, {}, "/settings/metod", "Did you mean method?"),
        ("http_json", {**HTTP, "method": "PTU"}, {}, "/settings/method", "Did you mean PUT?"),
        ("http_json", {**HTTP, "auth": "bearer"}, {}, "/secrets/token", None),
        ("http_json", {**HTTP, "auth": "bearer"}, {"tokn": "x"}, "/secrets/tokn", "Did you mean token?"),
        ("http_json", {**HTTP, "token": "x"}, {}, "/settings/token", "Write it under secrets, as token: secret:NAME."),
        ("http_json", {"url": "https://u:p@a.test"}, {}, "/settings/url", "Use the secrets of the connection."),
        ("http_json", {**HTTP, "paths": {"a": "b"}}, {}, "/settings/paths/a", "Start it with /."),
        ("http_json", {**HTTP, "poll_key": "id"}, {}, "/settings/poll_key", "Start it with /."),
        ("http_json", {}, {}, "/settings/url", None),
        ("http_json", {**HTTP, "headers": {"host": "x"}}, {}, "/settings/headers", None),
        ("sftp", {"inbox": "/in"}, {}, "/settings/host", "Name or address of the server."),
        ("folder", {"root": "/srv", "inbox": "/in"}, {}, "/settings/inbox", None),
    ],
)
def test_lint_names_place_and_remedy(
    kind: str, settings: dict[str, Any], secrets: dict[str, str], pointer: str, hint: str | None
) -> None:
    """Each defect is found at its place, with the nearest known name."""
    assert (pointer, hint) in lint(kind, settings, secrets)


@pytest.mark.parametrize("value", ["16", True, None, [16]])
def test_lint_knows_types(value: object) -> None:
    """A number is a number: no text, no boolean."""
    assert [("/settings/connections_max", None)] == lint("http_json", {**HTTP, "connections_max": value})


def test_good_settings_pass() -> None:
    """References to secrets pass as they are, and numbered signing secrets are known."""
    secrets = {"signing_secret": "secret:a", "signing_secret_2": "env:B"}

    assert [] == lint("http_json", {**HTTP, "auth": "standard_webhooks", "paths": {"x": "/y"}}, secrets)


@pytest.mark.parametrize(
    "kind, schema", [("http_json", HttpJsonSettings), ("sftp", FileSettings), ("folder", FileSettings)]
)
def test_manifest_and_code_agree(kind: str, schema: type) -> None:
    """Every setting the code reads stands in the manifest with the same default."""
    stated = {field.name: field.default for field in registry.manifests()[kind].settings if field.type != "secret"}
    read = {field.name: field.default for field in msgspec.structs.fields(schema)}

    for name, default in read.items():
        assert name in stated
        if stated[name] is not None:
            assert (name, msgspec.json.encode(default)) == (name, msgspec.json.encode(stated[name]))


def test_reference_page_is_current(project: Path) -> None:
    """docs/reference/connectors.md is what the manifests say."""
    assert registry.reference_page() == (project / "docs/reference/connectors.md").read_text(encoding="utf-8")


def test_unknown_connector_is_a_configuration_error() -> None:
    """A misspelled kind does not get as far as an import."""
    with pytest.raises(ConfigurationError) as error:
        registry.create("sftpp", None)  # type: ignore[arg-type]

    assert ("Did you mean sftp?",) == error.value.hint


def test_entry_points_add_connectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package adds a connector by the entry point group, without a line in the product."""
    package = tmp_path / "acme_connector"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "connector.py").write_text("def create(context):\n    return 'acme'\n")
    (package / "manifest.toml").write_text(
        'id = "acme"\nname = "Acme"\nkind = "system"\nsummary = "Talks to Acme."\ndirections = ["out"]\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint("acme", "acme_connector", registry.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry] if group == registry.GROUP else [])
    registry._catalogue.cache_clear()
    try:
        assert "acme" in registry.manifests()
        assert "acme" == registry.create("acme", None)  # type: ignore[arg-type,comparison-overlap]
        assert [("/settings/x", None)] == lint("acme", {"x": 1})
    finally:
        registry._catalogue.cache_clear()
        sys.modules.pop("acme_connector", None)
        sys.modules.pop("acme_connector.connector", None)
