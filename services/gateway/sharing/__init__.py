"""What callers share, and how much of it each tenant may take: turns, places, bytes."""
