"""Contracts written down: schemas, documents, and what may not change in them."""
