"""The same job as users would build it with other tools: one small program for each, in an environment of their own.

Every one takes a warehouse event over HTTP, answers once it is durable, maps it, keeps the order's state (each event
counted once) and posts the result to the sink, at least once. They run from their own virtual environment, made by
`bench.peer_installation`; nothing of Crossdock is imported here, and nothing here is imported by Crossdock.
Tuned for a short while each: concurrency and pool sizes are those that measured best on two cores.
"""
