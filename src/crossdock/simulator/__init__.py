"""The simulator: a seeded world with its own clock, partners that speak real wire formats, faults, and the day.

Partners stand on real loopback sockets and folders, keep their own ledgers, and know nothing of the hub's insides.
"""
