"""Put the rooms together: the only place that names an engine, a connector registry and a clock.

`hub.py` is one running worker; `tenancy.py` is what it knows of its tenants: configurations, secrets, connectors.
`again.py` and `repair.py` are what people have done again, `steps.py` what every tick of the clockwork does,
`recovering.py` what a start takes up.
"""

from .hub import Hub, HubHealth

__all__ = ["Hub", "HubHealth"]
