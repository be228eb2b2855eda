"""omma-mini, the embedder that the repository ships: pictures and words in one space of 256 dimensions."""
