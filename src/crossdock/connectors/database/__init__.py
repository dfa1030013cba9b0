"""Exchange documents with a partner's PostgreSQL by its procedures."""
