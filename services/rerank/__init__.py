"""Re-ranking: near-duplicates, pHash gate, blocked sources, diversity, under named policies."""
