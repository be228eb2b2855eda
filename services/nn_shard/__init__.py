"""One shard of one index: FAISS IVF-PQ segments, a head of recent vectors, exact rescoring."""
