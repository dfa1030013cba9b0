"""The catalogue of connectors: found by their folder or by the entry point group `crossdock.connectors`.

A connector is a package that holds `manifest.toml` and `connector.py`; an entry point names such a package.
The settings' lint and the reference page come from the manifest, so neither can disagree with it.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import importlib.resources
import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

import msgspec

from ..errors import ConfigurationError, Finding
from ..sdk import Connector, ConnectorContext, Manifest, SettingField

GROUP = "crossdock.connectors"
_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "choice": (str,),
    "list": (list, tuple),
    "map": (dict,),
}


def manifests() -> dict[str, Manifest]:
    """Return every connector's manifest by its id, sorted."""
    return {kind: manifest for kind, (manifest, _) in _catalogue().items()}


def create(kind: str, context: ConnectorContext) -> Connector:
    """Return a connector for one connection; raises ConfigurationError for an unknown kind or unusable settings."""
    connector: Connector = _module(kind).create(context)
    return connector


def lint_settings(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    """Return every defect of a connection's settings, with the nearest known name for a misspelled one.

    `secrets` may hold references (`secret:NAME`, `env:NAME`, `file:PATH`) in place of values.
    """
    catalogue = _catalogue()
    if kind not in catalogue:
        return [
            Finding("XD-CFG-007", f"there is no connector {kind!r}", pointer="/connector", **_nearest(kind, catalogue))
        ]
    fields = {field.name: field for field in catalogue[kind][0].settings}
    open_fields = {name: field for name, field in fields.items() if field.type != "secret"}
    secret_fields = {name: field for name, field in fields.items() if field.type == "secret"}
    findings = [*_lint_names(settings, open_fields, secret_fields), *_lint_secrets(secrets, secret_fields)]
    for name, field in open_fields.items():
        if field.required and settings.get(name) in (None, ""):
            findings.append(
                Finding("XD-CFG-001", f"the setting {name} is missing", pointer=f"/settings/{name}", hint=field.summary)
            )
    for name, field in secret_fields.items():
        if field.required and not secrets.get(name):
            findings.append(
                Finding("XD-CFG-014", f"the secret {name} is missing", pointer=f"/secrets/{name}", hint=field.summary)
            )
    if not findings:
        findings += getattr(_module(kind), "lint", _no_lint)(settings, secrets)
    return findings


def reference_page() -> str:
    """Return docs/reference/connectors.md: every connector with its settings and promises."""
    lines = [
        "# Connectors",
        "",
        "Generated from the manifests by `crossdock.connectors.registry.reference_page`; change those, not this page.",
        "Secrets stand under `secrets:` of a connection, everything else under `settings:`.",
    ]
    for kind, manifest in manifests().items():
        lines += ["", f"## `{kind}` {manifest.name}", "", manifest.summary, ""]
        lines.append(f"Directions: {', '.join(manifest.directions)}.")
        lines.append(f"Documents: {', '.join(manifest.documents) or 'any'}.")
        lines.append(f"Authentication: {', '.join(manifest.auth) or 'none'}.")
        lines += ["", "| setting | type | default | meaning |", "|---|---|---|---|"]
        lines += [_setting_row(field) for field in manifest.settings]
        lines += ["", "| promise | |", "|---|---|"]
        lines += [f"| {promise} | {state} |" for promise, state in manifest.promises.items()]
    return "\n".join(lines) + "\n"


def _setting_row(field: SettingField) -> str:
    type_ = " or ".join(f"`{choice}`" for choice in field.choices) if field.choices else field.type
    if field.required:
        default = "**required**"
    else:
        default = "" if field.default in (None, "") else f"`{msgspec.json.encode(field.default).decode()}`"
    return f"| `{field.name}` | {type_} | {default} | {field.summary.replace('|', '/')} |"


@functools.cache
def _catalogue() -> dict[str, tuple[Manifest, str]]:
    found: dict[str, tuple[Manifest, str]] = {}
    own = __package__ or "crossdock.connectors"
    for folder in importlib.resources.files(own).iterdir():
        if folder.is_dir() and (folder / "manifest.toml").is_file():
            manifest = _read(folder / "manifest.toml", folder.name)
            found[manifest.id] = (manifest, f"{own}.{folder.name}")
    for entry in importlib.metadata.entry_points(group=GROUP):
        manifest = _read(importlib.resources.files(entry.value) / "manifest.toml", entry.name)
        if manifest.id in found:
            raise ConfigurationError(f"two connectors are called {manifest.id}: {found[manifest.id][1]}, {entry.value}")
        found[manifest.id] = (manifest, entry.value)
    return dict(sorted(found.items()))


def _read(file: Traversable, name: str) -> Manifest:
    try:
        manifest = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Manifest)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"the manifest of {name} cannot be read: {error}", code="XD-CFG-016") from error
    if manifest.id != name:
        raise ConfigurationError(f"the manifest of {name} calls itself {manifest.id}", code="XD-CFG-016")
    return manifest


def _module(kind: str) -> Any:
    catalogue = _catalogue()
    if kind not in catalogue:
        hint = _nearest(kind, catalogue).get("hint", "")
        raise ConfigurationError(f"there is no connector {kind!r}", code="XD-CFG-007", hint=hint or ())
    return importlib.import_module(f"{catalogue[kind][1]}.connector")


def _lint_names(
    settings: Mapping[str, Any], fields: Mapping[str, SettingField], secret_fields: Mapping[str, SettingField]
) -> list[Finding]:
    findings = []
    for name, value in settings.items():
        pointer = f"/settings/{name}"
        if name in secret_fields:
            findings.append(
                Finding(
                    "XD-CFG-014",
                    f"{name} is a secret and must not stand among the settings",
                    pointer=pointer,
                    hint=f"Write it under secrets, as {name}: secret:NAME.",
                )
            )
        elif name not in fields:
            findings.append(
                Finding("XD-CFG-002", f"there is no setting {name!r}", pointer=pointer, **_nearest(name, fields))
            )
        else:
            findings += _lint_value(fields[name], value, pointer)
    return findings


def _lint_value(field: SettingField, value: Any, pointer: str) -> list[Finding]:
    expected = _TYPES[field.type]
    if not isinstance(value, expected) or (isinstance(value, bool) and field.type != "boolean"):
        return [
            Finding(
                "XD-CFG-003",
                f"{field.name} is not a {field.type}",
                pointer=pointer,
                value=str(value)[:80],
                expected=field.type,
            )
        ]
    if field.type == "choice" and value not in field.choices:
        return [
            Finding(
                "XD-CFG-003",
                f"{field.name} cannot be {value!r}",
                pointer=pointer,
                value=str(value)[:80],
                expected=", ".join(field.choices),
                **_nearest(str(value), field.choices),
            )
        ]
    return []


def _lint_secrets(secrets: Mapping[str, str], fields: Mapping[str, SettingField]) -> list[Finding]:
    findings = []
    for name in secrets:
        if name not in fields and name.rstrip("0123456789").removesuffix("_") not in fields:
            findings.append(
                Finding(
                    "XD-CFG-002", f"there is no secret {name!r}", pointer=f"/secrets/{name}", **_nearest(name, fields)
                )
            )
    return findings


def _nearest(name: str, known: Any) -> dict[str, Any]:
    close = difflib.get_close_matches(str(name), [str(item) for item in known], n=1, cutoff=0.6)
    return {"hint": f"Did you mean {close[0]}?"} if close else {}


def _no_lint(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Finding]:
    del settings, secrets
    return []
