"""Alembic migrations of the catalog. Expand, backfill, contract: the running version survives each of them."""
