"""The load side of the simulator: a generator, a sink, the job they do, and the limits of the machine they run on.

Each part is a process of its own, so that the system under test pays only for its own work.
"""
