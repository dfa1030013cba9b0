"""Views: what pages and the API show. Each file is a pure fold over facts and the queries that fetch them.

A view never writes; it is handed a connection. Every query names the tenant first, so that what belongs to another
tenant
is exactly what does not exist.
"""
