"""The console: one file for each page, its template beside it. Every page has a `.json` twin of the same view."""
