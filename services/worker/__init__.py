"""What no caller waits for: jobs, the inbox, recording interactions, the outbox relay."""
