"""Look things up in a JSON Schema as msgspec writes them: `$ref`, `anyOf` with null, `properties`, `items`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Known = Literal["yes", "no", "open"]


class SchemaView(msgspec.Struct, frozen=True):
    """A node of a schema, with the document its references point into."""

    root: dict[str, Any]
    node: dict[str, Any]

    @property
    def resolved(self) -> dict[str, Any]:
        """The node behind references; of alternatives the one that is not null, nothing if there are several."""
        node = self.node
        for _ in range(20):
            if "$ref" in node:
                target: Any = self.root
                for token in str(node["$ref"]).removeprefix("#/").split("/"):
                    target = target.get(token, {}) if isinstance(target, dict) else {}
                node = target
                continue
            options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
            if len(options) == 1:
                node = options[0]
                continue
            return {} if options else node
        return {}

    @property
    def properties(self) -> dict[str, Any] | None:
        """The fields of an object; `None` if it is no object or takes any field."""
        node = self.resolved
        properties = node.get("properties")
        return properties if isinstance(properties, dict) and not node.get("additionalProperties") else None

    @property
    def required(self) -> list[str]:
        """The fields that must be there."""
        return list(self.resolved.get("required", []))

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that fit; empty if anything does. Texts that hold decimals take numbers, too."""
        node = self.resolved
        names = node.get("type")
        found = {names} if isinstance(names, str) else set(names or [])
        if "string" in found and node.get("format") in ("decimal", "number"):
            found |= {"number", "integer"}
        if "number" in found:
            found.add("integer")
        if "enum" in node and not found:
            found = {"string"} if all(isinstance(value, str) for value in node["enum"]) else set()
        return frozenset(found)

    def field(self, name: str) -> tuple[Known, SchemaView]:
        """Return whether an object has a field, and the field's own node."""
        properties = self.properties
        if properties is not None and name in properties:
            return "yes", SchemaView(self.root, properties[name])
        if properties is not None:
            return "no", SchemaView(self.root, {})
        return "open", SchemaView(self.root, {})

    @property
    def items(self) -> SchemaView:
        """The node of a list's elements."""
        items = self.resolved.get("items")
        return SchemaView(self.root, items if isinstance(items, dict) else {})

    @property
    def is_list(self) -> bool:
        """Tell whether this can only be a list."""
        return self.types == {"array"}


def view(schema: dict[str, Any] | None) -> SchemaView:
    """Return the view of a whole schema; without a schema everything is open."""
    return SchemaView(schema or {}, schema or {})
