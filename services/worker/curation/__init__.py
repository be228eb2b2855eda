"""A collection looked at as a whole: in clusters, and for what stands apart."""
