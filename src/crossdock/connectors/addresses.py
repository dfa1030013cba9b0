"""Which network addresses the hub may ever reach: one explicit table.

The longest matching prefix decides. `ipaddress.is_global` is not used: it calls 64:ff9b::7f00:1, 2002:7f00:1::,
fec0::1 and 5f00::1 global, each of which can end at this machine or at its neighbours.
Nothing in here opens a socket or asks a resolver; `egress.py` does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal

import msgspec

from ..errors import ConfigurationError

Tier = Literal["public", "private", "loopback", "forbidden"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# public     reachable by anyone
# private    an operator may open a part of it by CIDR
# loopback   this machine; an operator may open it, by a CIDR that lies inside it
# forbidden  never reachable, whatever the operator says
_TABLE: tuple[tuple[str, Tier, str], ...] = (
    ("0.0.0.0/0", "public", "public IPv4"),
    ("0.0.0.0/8", "forbidden", "this network"),
    ("10.0.0.0/8", "private", "private network"),
    ("100.64.0.0/10", "private", "carrier-grade NAT"),
    ("100.100.100.200/32", "forbidden", "cloud metadata service"),
    ("127.0.0.0/8", "loopback", "this machine"),
    ("168.63.129.16/32", "forbidden", "cloud metadata service"),
    ("169.254.0.0/16", "forbidden", "link-local, cloud metadata service"),
    ("172.16.0.0/12", "private", "private network"),
    ("192.0.0.0/24", "forbidden", "protocol assignments"),
    ("192.0.2.0/24", "forbidden", "documentation"),
    ("192.31.196.0/24", "forbidden", "AS112"),
    ("192.52.193.0/24", "forbidden", "multicast tunneling"),
    ("192.88.99.0/24", "forbidden", "6to4 relay"),
    ("192.168.0.0/16", "private", "private network"),
    ("192.175.48.0/24", "forbidden", "AS112"),
    ("198.18.0.0/15", "private", "benchmarking network"),
    ("198.51.100.0/24", "forbidden", "documentation"),
    ("203.0.113.0/24", "forbidden", "documentation"),
    ("224.0.0.0/4", "forbidden", "multicast"),
    ("240.0.0.0/4", "forbidden", "reserved, broadcast"),
    ("::/0", "forbidden", "outside of global unicast IPv6"),
    ("::1/128", "loopback", "this machine"),
    ("64:ff9b::/96", "forbidden", "NAT64: an IPv4 address in disguise"),
    ("64:ff9b:1::/48", "forbidden", "local NAT64: an IPv4 address in disguise"),
    ("100::/64", "forbidden", "discard"),
    ("2000::/3", "public", "global unicast IPv6"),
    ("2001::/23", "forbidden", "protocol assignments, Teredo"),
    ("2001:db8::/32", "forbidden", "documentation"),
    ("2002::/16", "forbidden", "6to4: an IPv4 address in disguise"),
    ("2620:4f:8000::/48", "forbidden", "AS112"),
    ("3fff::/20", "forbidden", "documentation"),
    ("5f00::/16", "forbidden", "segment routing"),
    ("fc00::/7", "private", "unique local network"),
    ("fd00:ec2::/32", "forbidden", "cloud metadata service"),
    ("fd20:ce::/32", "forbidden", "cloud metadata service"),
    ("fe80::/10", "forbidden", "link-local"),
    ("fec0::/10", "forbidden", "site-local"),
    ("ff00::/8", "forbidden", "multicast"),
)


class Block(msgspec.Struct, frozen=True):
    """One row of the table."""

    network: Network
    tier: Tier
    reason: str


BLOCKS: tuple[Block, ...] = tuple(
    sorted(
        (Block(ipaddress.ip_network(cidr), tier, reason) for cidr, tier, reason in _TABLE),
        key=lambda block: block.network.prefixlen,
        reverse=True,
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the middle of an interface id that carries an IPv4 address


class Verdict(msgspec.Struct, frozen=True):
    """What may be done with an address. `address` is the one to connect to (a mapped one is unwrapped)."""

    allowed: bool
    tier: Tier
    address: str
    reason: str


def classify(address: Address) -> Block:
    """Return the row of the table that decides about an address; mapped IPv4 must be unwrapped before."""
    if isinstance(address, ipaddress.IPv6Address) and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return Block(ipaddress.ip_network(address), "forbidden", "ISATAP: an IPv4 address in disguise")
    for block in BLOCKS:
        if block.network.version == address.version and address in block.network:
            return block
    raise AssertionError("the table ends with a row for every address")


class AddressPolicy:
    """The table together with the networks an operator has opened.

    `allow_networks` are CIDRs; each must lie wholly inside one private or loopback row, so that nobody opens more
    than was meant. Raises ConfigurationError otherwise.
    """

    def __init__(self, allow_networks: Iterable[str] = ()) -> None:
        self.allowed: tuple[Network, ...] = tuple(_opened(text) for text in allow_networks)
        self._verdicts: dict[str, Verdict] = {}

    def judge(self, text: str) -> Verdict:
        """Say whether an address, as the resolver wrote it, may be connected to."""
        verdict = self._verdicts.get(text)
        if verdict is None:
            verdict = self._judge(text)
            if len(self._verdicts) < 4096:
                self._verdicts[text] = verdict
        return verdict

    def _judge(self, text: str) -> Verdict:
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return Verdict(False, "forbidden", text, "not an IP address")
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return Verdict(False, "forbidden", text, "an address with a zone")
            if address.ipv4_mapped is not None:
                address = address.ipv4_mapped
        block = classify(address)
        opened = block.tier in ("private", "loopback") and any(
            network.version == address.version and address in network for network in self.allowed
        )
        return Verdict(block.tier == "public" or opened, block.tier, str(address), block.reason)


def _opened(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is not a network in CIDR notation: {error}", hint="Write it like 10.20.0.0/16."
        ) from error
    for block in BLOCKS:
        if block.network.version != network.version or block.tier not in ("private", "loopback"):
            continue
        if network.subnet_of(block.network):  # type: ignore[arg-type]
            return network
    reason = classify(network.network_address).reason
    raise ConfigurationError(
        f"{text} cannot be opened ({reason}): only a part of a private network or of loopback can",
        hint="List each private network by itself, such as 10.20.0.0/16, fd12:3456::/32 or 127.0.0.1/32.",
    )
