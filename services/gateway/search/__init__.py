"""The way of a query: resolve, ask every shard, merge, re-rank, answer."""
