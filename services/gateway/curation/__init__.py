"""What people do with a collection: say what they think of it, see it in groups, look at what stands apart."""
