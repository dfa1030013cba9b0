"""The record: one schema on SQLite and PostgreSQL, and one file of plain functions per noun.

Every function takes the connection and the tenant first; there is no query without a tenant to forget.
"""
