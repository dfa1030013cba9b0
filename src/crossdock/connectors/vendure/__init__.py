"""Vendure as web shop: paid orders out; fulfillments with their tracking and stock back."""
