"""The doors for browsers, partners and API clients: ingest, API v1, console and customer portal.

One file per resource or page, its template beside it. Nothing here decides anything: a handler asks who it is,
reads a view or calls the hub, and renders. What the hub must offer is written down in `hub_port.py`.
"""
