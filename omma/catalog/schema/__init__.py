"""The catalog's tables, for SQLite and PostgreSQL. migrations/ makes them; a test holds the two equal.

Times are milliseconds since 1970, UTC. `tenant_id` is in every key of what belongs to a tenant.
"""

from omma.catalog.schema import people, pictures, serving, work
from omma.catalog.schema.columns import metadata

__all__ = ["metadata", "people", "pictures", "serving", "work"]
