"""Who and where: parties, addresses, locations, and what is traded: items."""

from __future__ import annotations

from typing import Literal

import msgspec

LocationType = Literal["dc", "store", "dock", "yard", "port", "consumer", ""]


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str = ""
    street: str = ""
    street2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""


class Contact(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str = ""
    email: str = ""
    phone: str = ""


class Party(msgspec.Struct, frozen=True, omit_defaults=True):
    """A company or person in a document. Identifiers are GS1 first; `code` is the sender's own."""

    name: str = ""
    code: str = ""
    gln: str = ""
    scac: str = ""
    address: Address | None = None
    contact: Contact | None = None


class Location(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place. Facilities must have a time zone: it repairs the local times partners send."""

    code: str
    name: str = ""
    type: LocationType = ""
    gln: str = ""
    address: Address | None = None
    tz: str = ""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is ordered, stored or shipped, under the owner's SKU."""

    sku: str
    description: str = ""
    gtin: str = ""
    hazmat: bool = False
