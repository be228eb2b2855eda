"""The indexer: what changed in the catalog becomes vectors in the log."""
