"""Write the reference pages that are made from code: settings, error codes, commands, connectors, events, milestones.

`make docs` runs it; `--check` writes nothing and ends with 1 when a page is stale, as a test does on every run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from crossdock.canonical.catalog import EVENT_TYPES, OBJECTS, schemas
from crossdock.canonical.milestones import MILESTONES
from crossdock.cli.app import COMMANDS, load_command
from crossdock.config import SettingField, Settings, setting_fields
from crossdock.connectors import registry
from crossdock.edi import reference as edi_reference
from crossdock.edi.codes import CATALOG as EDI_CATALOG
from crossdock.error_codes import CATALOG

PROJECT = Path(__file__).parents[1]
NOTE = "<!-- Made from the code by scripts/generate_docs.py (make docs); do not edit. -->"
FAMILIES = {
    "DOC": "Documents",
    "MAP": "Maps",
    "ING": "The ingest door",
    "PTR": "Partners",
    "ORD": "Orders",
    "CFG": "Configuration",
    "SEC": "Security",
    "API": "Callers of the API",
    "SYS": "This installation",
    "EDI": "Interchanges",
}


def settings_page() -> str:
    """Return the page of all settings, one table for each section of the file."""
    lines = [
        NOTE,
        "# Settings",
        "",
        "The command line wins over the environment, the environment over `crossdock.toml`, the file over the default.",
        "An unknown name is an error that offers the nearest one.",
        "`CROSSDOCK_CONFIG` or `crossdock --config FILE` names another file.",
    ]
    hints = get_type_hints(Settings)
    section = ""
    for field in setting_fields():
        name, _, key = field.name.partition(".")
        if name != section:
            section = name
            lines += ["", f"## [{section}]", "", hints[section].__doc__ or "", ""]
            lines += ["| setting | type | default | environment | meaning |", "|---|---|---|---|---|"]
        lines.append(f"| `{key}` | {_type(field)} | {_default(field)} | `{field.variable}` | {field.description} |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return the page of all error codes and EDI findings."""
    lines = [
        NOTE,
        "# Error codes",
        "",
        "`crossdock explain CODE` prints an entry without a network.",
        "*Who acts*: `partner` the other side, `data` whoever keeps maps and tables, `system` the operator,",
        "`caller` whoever sent the request, `unknown` nobody knows yet.",
    ]
    for family, title in FAMILIES.items():
        lines += ["", f"## {title} (XD-{family})"]
        for entry in CATALOG.values():
            if entry.code.split("-")[1] == family:
                again = "yes" if entry.retryable else "no"
                facts = f"Who acts: {entry.category}. HTTP {entry.http_status}. May succeed later as it is: {again}."
                lines += ["", f"### {entry.code} {entry.title}", "", entry.what, entry.why, facts, ""]
                lines += [f"{number}. {step}." for number, step in enumerate(entry.fix, 1)]
    lines += [
        "",
        "## EDI findings",
        "",
        "| finding | severity | level | acknowledgment | fix |",
        "|---|---|---|---|---|",
    ]
    for name, finding in EDI_CATALOG.items():
        lines.append(f"| `{name}` | {finding.severity} | {finding.level} | {finding.acknowledgment} | {finding.hint} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return the page of all commands with their arguments and options."""
    lines = [
        NOTE,
        "# Commands",
        "",
        "Data goes to standard output, talk to standard error; `--json` is there on everything that reads.",
        "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 partly done.",
    ]
    for name, command in _commands():
        lines += ["", f"## crossdock {name}", "", *(command.help or "").split("\f")[0].strip().splitlines()]
        rows = list(_parameters(command))
        if rows:
            lines += ["", "| argument or option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """Return the page of all event types and canonical objects."""
    lines = [
        NOTE,
        "# Events and canonical objects",
        "",
        "Every event is published as a structured CloudEvent 1.0: `type` is the name below with its version,",
        "`subject` is `<object>/<business key>`, `data` the canonical object.",
        "A changed shape is a new version; events in the journal are never edited.",
        "",
        "| event | data | customer sees it | meaning |",
        "|---|---|---|---|",
    ]
    objects = {shape: name for name, shape in OBJECTS.items()}
    for kind in EVENT_TYPES.values():
        data = objects.get(kind.data)
        link = f"[{data}](schemas/{data}.json)" if data else "plain values"
        lines.append(f"| `{kind.name}` | {link} | {'yes' if kind.customer_facing else 'no'} | {kind.summary} |")
    lines += ["", "## Canonical objects", "", "| object | schema | meaning |", "|---|---|---|"]
    for name, shape in OBJECTS.items():
        meaning = (shape.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{name}` | [schemas/{name}.json](schemas/{name}.json) | {meaning} |")
    return "\n".join(lines) + "\n"


def milestones_page() -> str:
    """Return the table of milestones in every partner's words."""
    lines = [
        NOTE,
        "# Milestones",
        "",
        "Rank orders what can only go forward within a leg; 0 is information without rank.",
        "An empty customer word means the customer never sees it. Codes that are not here survive as `partner_code`.",
        "Sources: X12 element 1650 (214 AT7-01), UN/ECE Recommendation 24, DCSA, Shopify fulfillment events.",
        "",
        "| milestone | rank | the customer reads | X12 | Rec 24 | DCSA | Shopify | needs evidence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in MILESTONES.values():
        cells = [one.customer, " ".join(one.x12), " ".join(one.rec24), one.dcsa, one.shopify]
        evidence = "yes" if one.needs_evidence else "-"
        lines.append(f"| `{one.code}` | {one.rank} | {' | '.join(cell or '-' for cell in cells)} | {evidence} |")
    return "\n".join(lines) + "\n"


def _schema(name: str) -> Callable[[], str]:
    return lambda: json.dumps(schemas()[name], indent=2, sort_keys=True) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/connectors.md": registry.reference_page,
    "docs/reference/edi-sets.md": lambda: edi_reference.sets_page(NOTE),
    "docs/reference/events.md": events_page,
    "docs/reference/milestones.md": milestones_page,
    **{f"docs/reference/schemas/{name}.json": _schema(name) for name in OBJECTS},
    "docs/reference/settings.md": settings_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/commands.md": commands_page,
}


def main(arguments: list[str]) -> int:
    """Write every page, or with `--check` name the stale ones."""
    stale = 0
    for name, page in PAGES.items():
        path, text = PROJECT / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if "--check" in arguments:
            print(f"{name} is stale: run make docs")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and "--check" in arguments else 0


def _commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        if not _exists(name):
            continue
        command = load_command(name)
        yield name, command
        for inner_name, inner in getattr(command, "commands", {}).items():
            yield f"{name} {inner_name}", inner


def _exists(name: str) -> bool:
    return (PROJECT / "src" / Path(*COMMANDS[name].module.split("."))).with_suffix(".py").exists()


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        is_option = parameter.param_type_name == "option"
        name = ", ".join(parameter.opts) if is_option else str(parameter.name).upper()
        default = parameter.default
        shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
        if parameter.required:
            shown = "required"
        help_text = (getattr(parameter, "help", "") or "").replace("|", "\\|")
        yield f"| `{name}` | {shown} | {help_text} |"


def _type(field: SettingField) -> str:
    base, *metas = get_args(field.type)
    if get_origin(base) is tuple:
        return "list of texts"
    if get_origin(base) is not None:
        return " or ".join(f"`{choice}`" for choice in get_args(base))
    name = {str: "text", int: "whole number", float: "number", bool: "yes or no"}[base]
    meta = next(item for item in metas if isinstance(item, msgspec.Meta))
    least, most = (meta.ge, meta.le) if meta.ge is not None else (meta.gt, meta.le)
    if least is None and most is None:
        return name
    if most is None:
        return f"{name}, from {least:,}"
    return f"{name}, up to {most:,}" if least is None else f"{name}, {least:,} to {most:,}"


def _default(field: SettingField) -> str:
    if field.default in ("", ()):
        return "empty"
    return f"`{field.default}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
