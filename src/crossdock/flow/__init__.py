"""The shells of the stages: ingest, translate, orchestrate, render and send, observe, timers, replay.

A shell loads, calls the pure middle and saves. One cycle of the pipeline is one transaction over a batch.
"""
