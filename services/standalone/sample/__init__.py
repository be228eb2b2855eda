"""A sample catalogue, drawn here: varied pictures with captions, the same from the same seed."""
