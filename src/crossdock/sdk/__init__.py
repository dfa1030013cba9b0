"""All that an author of a connector imports."""

from .connector import (
    CheckResult,
    Connector,
    ConnectorContext,
    FindResult,
    Manifest,
    Outbound,
    Pulled,
    PushResult,
    SettingField,
)

__all__ = [
    "CheckResult",
    "Connector",
    "ConnectorContext",
    "FindResult",
    "Manifest",
    "Outbound",
    "Pulled",
    "PushResult",
    "SettingField",
]
