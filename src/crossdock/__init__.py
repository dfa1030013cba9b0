"""Crossdock: the self-hosted hub between ERP, warehouses, carriers, shops, portals and service desks."""

__version__ = "0.1.0"
