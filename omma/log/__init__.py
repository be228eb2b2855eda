"""The log: the truth that every index is a view of."""
