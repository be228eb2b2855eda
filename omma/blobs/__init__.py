"""Object storage: originals, thumbnails, snapshots, codebooks."""
