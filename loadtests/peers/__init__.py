"""What Omma is measured against, each behind the same four methods, each in a process of its own."""
