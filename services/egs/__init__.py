"""EGS, the embedding generation service: pictures and words to vectors."""
