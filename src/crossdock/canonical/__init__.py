"""Canonical logistics objects, events, identifiers, quantities, milestones and code lists.

Pure data: nothing here reads a clock, a table or a network, and nothing here knows a partner's format.
"""
