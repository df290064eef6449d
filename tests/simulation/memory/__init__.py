"""Stores that keep everything in dictionaries, so that the services' own handlers and decisions run without a database.

Each file stands in for the `store.py` of its service: the same functions with the same signatures, and the constraints
of its migrations, which raise here what Postgres would refuse."""
