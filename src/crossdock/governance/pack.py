"""The shape of a pack: everything a tenant configures, as YAML files.

    pack.yaml                 Pack head: tenant, name, time zone, currency, owners of issues
    partners/*.yaml           PartnerSpec            connections/*.yaml   ConnectionSpec
    maps/*.yaml               maps with their tests  lookups/*.yaml       {table: …, rows: {code: value}}
    routes.yaml               list of Route          sites.yaml, calendars/*.yaml, service_levels.yaml,
    rules/sourcing.yaml       parts of OrderPolicy   brand.yaml           BrandSpec
    contracts/*.yaml          Contract               notifications.yaml   NoticeRules
    ownership.yaml            OwnershipRules
Secrets never stand in a pack: a value such as `secret:swift-password`, `env:NAME` or `file:PATH` names where one lies.
`configuration.py` compiles these into what the flow runs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ..durable.drift import DriftPolicy
from ..durable.outage import OutagePolicy
from ..durable.quotas import Quota
from ..durable.rates import RateLimit
from ..durable.retention import RetentionSpec
from ..durable.retry import RetryPolicy
from .queues import IssueClass, Queue

PartnerRole = Literal["erp", "wms", "3pl", "tms", "carrier", "shop", "portal", "service_desk", "supplier", "other"]


class PackHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`pack.yaml`."""

    tenant: str
    name: str
    timezone: str = "UTC"
    currency: str = "USD"
    operator: str = ""
    description: str = ""
    retention: RetentionSpec = RetentionSpec()
    quota: Quota = Quota()
    owners: dict[IssueClass, Queue] = {}


class PartnerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A company or system the tenant exchanges documents with."""

    partner: str
    name: str
    role: PartnerRole = "other"
    identifiers: dict[str, str] = {}
    timezone: str = ""
    contact: str = ""
    silent_after_minutes: int = 0


class Authentication(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a sender of inbound HTTP proves who it is. Several secrets may be valid at once (rotation)."""

    kind: Literal["api_key", "hmac", "standard_webhooks", "none"] = "api_key"
    secrets: tuple[str, ...] = ()
    header: str = "x-signature"
    tolerance_seconds: int = 300


class InboundRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which map reads a document. The first rule whose format, set and `when` fit wins.

    `name_glob` looks at the file name, `when` is an expression over the decoded document.
    """

    format: Literal["json", "csv", "fixed", "x12"] = "json"
    map: str = ""
    set: str = ""
    name_glob: str = ""
    when: str = ""
    ignore: bool = False


class X12Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Envelope settings of a partner on X12. `us` and `them` are `qualifier:id`, such as `ZZ:NORTHGATE`."""

    us: str
    them: str
    group_us: str = ""
    group_them: str = ""
    version: str = "004010"
    usage: Literal["P", "T"] = "P"
    element_separator: str = "*"
    component_separator: str = ">"
    terminator: str = "~"
    acknowledge: Literal["strict", "lenient", "silent"] = "strict"
    ack_overdue_minutes: int = 1440


class ConnectionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One configured use of a connector.

    `receipt_key` lists where the identity of an inbound message is taken from, first hit wins:
    `header:NAME`, `field:PATH` (a path into the JSON document), `name` (file name), `name+digest`; last always the
    digest.
    `lane` names what keeps messages in order among several workers: `field:PATH` or `header:NAME`, best where the
    order's number stands; without it all messages of the connection are one lane.
    `urgency` says whose turn it is first within the tenant: high, normal and low share 16 : 4 : 1.
    `in_flight_max` 0 is the installation's `flow.in_flight_per_connection`.
    `rate` is what the partner lets us spend, shared by all workers; `drain_per_second` how fast what gathered while it
    was away is worked off (0: as fast as it answers); `outage` what happens while it is away; `drift` what happens when
    its documents change their shape; `quota` how much may come
    in through this connection and not be worked off.
    `outbound_headers` and `outbound_name` are expressions-free templates with {identity}, {document}, {number}.
    """

    connection: str
    partner: str
    connector: str
    settings: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    inbound: tuple[InboundRule, ...] = ()
    receipt_key: tuple[str, ...] = ()
    lane: str = ""
    urgency: Literal["high", "normal", "low"] = "normal"
    authentication: Authentication = Authentication()
    x12: X12Spec | None = None
    retry: RetryPolicy = RetryPolicy()
    rate: RateLimit = RateLimit()
    drain_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    outage: OutagePolicy = OutagePolicy()
    drift: DriftPolicy = DriftPolicy()
    quota: Quota = Quota()
    in_flight_max: int = 0
    poll_seconds: float = 30.0
    timeout_seconds: float = 30.0
    outbound_name: str = "{document}-{identity}"
    paused: bool = False
    retention: RetentionSpec = RetentionSpec()


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a request goes. Every route whose `document` is the request's kind and whose `when` holds is taken.

    `when` is an expression over `site`, the request's attributes and the fields of its document.
    """

    document: str
    connection: str
    map: str
    when: str = ""


class BrandSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the tenant's customers see."""

    product_name: str = ""
    primary: str = "oklch(0.45 0.15 255)"
    primary_foreground: str = "#ffffff"
    radius_rem: float = 0.5
    font: str = ""
    support_email: str = ""
    support_phone: str = ""
    legal_url: str = ""
    logo_svg: str = ""
    domains: tuple[str, ...] = ()
