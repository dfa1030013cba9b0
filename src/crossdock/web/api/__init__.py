"""API v1: one file for each resource. Every answer is JSON, every error problem+json, every list a cursor page."""
