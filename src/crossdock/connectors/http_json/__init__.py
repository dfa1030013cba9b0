"""HTTP APIs and outbound webhooks; inbound webhooks enter through the hub's own door."""
