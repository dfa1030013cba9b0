"""YAML with the line of every value.

Maps need to say where they are wrong, so the tree is read node by node and the lines are kept beside the values.
Anchors, duplicate keys and foreign tags are refused; only `true` and `false` are booleans; decimals stay exact.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import yaml

from crossdock.errors import Finding
from crossdock.mapping.faults import BUDGET, UNREADABLE

TEXT_BYTES_MAX = 262_144
NESTING_MAX = 40

_INT = re.compile(r"[+-]?(0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"[+-]?\d{1,40}\.\d{1,40}", re.ASCII)
_TAGS = frozenset(("str", "int", "float", "bool", "null", "timestamp", "merge", "value"))
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Located(msgspec.Struct, frozen=True):
    """A value of a YAML file: a scalar, a list of `Located` or a mapping of key to `Located`."""

    value: Any
    line: int
    quoted: bool = False

    @property
    def is_mapping(self) -> bool:
        """Tell whether this is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Tell whether this is a list."""
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """Return the value without its lines."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def load(text: str) -> tuple[Located | None, list[Finding]]:
    """Return the tree of a YAML text, and what is wrong with it. Without a tree there is at least one finding."""
    if len(text) > TEXT_BYTES_MAX:
        return None, [Finding(BUDGET, f"a map may have {TEXT_BYTES_MAX:,} characters", line=1)]
    findings: list[Finding] = []
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 1 if event.start_mark else 1
                return None, [Finding(UNREADABLE, "YAML anchors and aliases are not allowed in a map", line=line)]
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            return None, [Finding(UNREADABLE, "the file is empty", line=1)]
        return _located(root, findings, 0), findings
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        hint = "put quotes around the whole expression if it begins with a quote or [, or holds a comma inside { }"
        return None, [Finding(UNREADABLE, f"this is not YAML: {error.problem}", line=line, hint=hint)]
    except yaml.YAMLError as error:
        return None, [Finding(UNREADABLE, f"this is not YAML: {str(error).splitlines()[0]}", line=1)]
    except RecursionError:
        return None, [Finding(BUDGET, f"a map may be nested {NESTING_MAX} levels deep", line=1)]


def _located(node: yaml.Node, findings: list[Finding], depth: int) -> Located:
    line = node.start_mark.line + 1
    if depth > NESTING_MAX:
        findings.append(Finding(BUDGET, f"a map may be nested {NESTING_MAX} levels deep", line=line))
        return Located(None, line)
    if isinstance(node, yaml.MappingNode):
        fields: dict[str, Located] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            key_line = key_node.start_mark.line + 1
            if key is None:
                findings.append(Finding(UNREADABLE, "a key must be a text", line=key_line))
            elif key in fields:
                findings.append(Finding(UNREADABLE, f'the key "{key}" appears twice', line=key_line, value=key))
            else:
                fields[key] = _located(value_node, findings, depth + 1)
        return Located(fields, line)
    if isinstance(node, yaml.SequenceNode):
        return Located([_located(item, findings, depth + 1) for item in node.value], line)
    return _scalar(node, findings, line)


def _scalar(node: Any, findings: list[Finding], line: int) -> Located:
    text = node.value
    if node.style in ("|", ">"):
        return Located(text, line + 1, quoted=True)
    if node.style in ("'", '"'):
        return Located(text, line, quoted=True)
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
        findings.append(Finding(UNREADABLE, f"the tag {node.tag} is not allowed in a map", line=line))
    if text in ("true", "false"):
        return Located(text == "true", line)
    if text in ("", "~", "null"):
        return Located(None, line)
    if _INT.fullmatch(text):
        return Located(int(text), line)
    if _FLOAT.fullmatch(text):
        return Located(Decimal(text), line)
    return Located(text, line)
