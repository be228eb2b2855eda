"""The REST face: translates, decides nothing."""
