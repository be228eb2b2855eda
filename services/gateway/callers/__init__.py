"""Who calls: keys, roles, and the first key of a new Omma."""
