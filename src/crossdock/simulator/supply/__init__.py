"""Ridgeline's world: suppliers, carriers, a dock tool, and the buyer's own systems, each with its own books."""
