"""Reconciliation: the hub's record against what partners state of their books. Pure.

`policy` says what is compared with whom and when, `schedule` when that is due, `compare` finds and names differences,
`fixes` proposes what to do, `report` makes the report of a run and checks its signature.
"""
