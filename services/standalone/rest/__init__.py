"""REST routes beside the gateway's, of what only one process has: jobs."""
