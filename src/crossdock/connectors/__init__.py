"""Code that talks to kinds of systems and transports: one folder each, found by `registry.py`.

Everything here that opens a socket does so through `egress.py`.
"""
