"""Put the rooms together: the only place that names an engine, a connector registry and a clock.

`hub.py` is one running worker; `tenancy.py` is what it knows of its tenants: configurations, secrets, connectors.
"""

from .hub import Hub, HubHealth

__all__ = ["Hub", "HubHealth"]
