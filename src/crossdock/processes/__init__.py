"""The business processes: pure decisions over one aggregate at a time.

Nothing here reads a clock, a table, a network or randomness. The shells in `flow/` load, call `decide` and save.
"""
