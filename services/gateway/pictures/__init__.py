"""The way of a picture: taken in, changed, deleted, looked up."""
