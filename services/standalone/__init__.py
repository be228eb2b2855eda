"""Every service in one process, and the `omma` command."""
