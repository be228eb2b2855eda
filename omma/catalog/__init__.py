"""The catalog: rows of pictures, spaces, indexes, keys and interactions."""
