"""Which indexes there are, and where their shards and embedders are reached."""
