"""The reference of the functions, written from the registry."""

from __future__ import annotations

from crossdock.mapping.functions import GROUPS

BEGIN = "<!-- functions: generated from the registry; a test holds the two together -->"
END = "<!-- end of functions -->"


def functions_reference() -> str:
    """Return the section on functions of the reference page, markers included."""
    lines = [BEGIN, "### Functions", ""]
    for group in GROUPS:
        lines += [f"**{group.name}**", "", "| function | does | example | gives |", "|---|---|---|---|"]
        for function in group.functions.values():
            example, result = (text.replace("|", "\\|") for text in (function.example, function.result))
            lines.append(f"| `{function.signature}` | {function.doc} | `{example}` | `{result}` |")
        lines.append("")
    lines += [
        "In the examples `lines` is `[{sku: A, qty: 2}, {sku: B, qty: 3}]`; `locations` has the row `RENO = dc-reno`.",
        END,
    ]
    return "\n".join(lines)
