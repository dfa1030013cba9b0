"""How what is durable gets around: wake-ups between workers, canonical events to subscribers inside and outside.

`local.py` needs nothing, `jetstream.py` a NATS server. Nothing here is a record: whatever is lost is read again.
"""
