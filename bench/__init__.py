"""How fast Crossdock is, on this machine, beside its peers: measured in one run and written to the reference page.

`python -m bench` (or `make bench`) runs it. `campaign` decides the order, `workloads` and `troubles` are what is done to
a system, `hub_systems` and `peer_systems` the systems, `record` what is kept, `goals`, `figures` and `page` what is made
of it. `cost` asks what one order costs and how that grows; `scale` reckons past one machine with what was measured.
The generator, the sink and the limits of the machine are the product's own (`crossdock.simulator.load`).
"""
